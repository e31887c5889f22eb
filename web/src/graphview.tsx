// The operator graph, drawn.
import { useMemo } from 'react';
import type { Job, Vertex } from './api';
import { count, none, rate, share, watermark } from './format';
import { layout, type GraphNode, type Link, type Sizes } from './graph';
import { jobHref } from './route';
import { tone } from './state';

// VertexLoad is what the metrics say about a vertex; what they do not say is undefined.
export interface VertexLoad {
  recordsIn?: number | undefined; // per second, all subtasks
  recordsOut?: number | undefined;
  busy?: number | undefined; // ms per second of the busiest subtask
  backPressured?: number | undefined;
  watermark?: number | undefined; // the lowest of the subtasks
  deadLettered?: number | undefined; // since the attempt began, as what follows
  skipped?: number | undefined;
  late?: number | undefined;
  lost?: number | undefined;
}

const sizes: Sizes = { width: 296, height: 190, gapX: 124, gapY: 28, margin: 20 };

// operators cuts a vertex's name into its chain.
export function operators(name: string): string[] {
  return name.split(' -> ');
}

// graphOf takes the edges out of the plan; vertices that the plan leaves out stand alone.
function graphOf(job: Job): GraphNode[] {
  const inputs = new Map((job.plan.nodes ?? []).map((n) => [n.id, n.inputs ?? []]));
  return job.vertices.map((v) => ({
    id: v.id,
    inputs: (inputs.get(v.id) ?? []).map((input) => ({ id: input.id, strategy: input.ship_strategy })),
  }));
}

export function OperatorGraph({ job, loads, selected }: { job: Job; loads: Map<string, VertexLoad>; selected: string | undefined }) {
  const edges = JSON.stringify(graphOf(job));
  const picture = useMemo(() => layout(JSON.parse(edges) as GraphNode[], sizes), [edges]);
  const vertices = new Map(job.vertices.map((v) => [v.id, v]));
  return (
    <div className="graph" role="region" aria-label="Operator graph" tabIndex={0}>
      <svg viewBox={`0 0 ${picture.width} ${picture.height}`} style={{ minWidth: picture.width * 0.76, maxWidth: picture.width }}>
        <defs>
          <marker id="arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" orient="auto"><path d="M1 1 7 4 1 7" /></marker>
        </defs>
        {picture.links.map((link) => <Edge key={`${link.from} ${link.to} ${link.strategy}`} link={link} flowing={vertices.get(link.from)?.status === 'RUNNING'} />)}
        {picture.boxes.map((box) => {
          const vertex = vertices.get(box.id);
          return vertex && (
            <foreignObject key={box.id} x={box.x} y={box.y} width={sizes.width} height={sizes.height}>
              <Node job={job.jid} vertex={vertex} load={loads.get(box.id) ?? {}} selected={box.id === selected} />
            </foreignObject>
          );
        })}
      </svg>
    </div>
  );
}

function Edge({ link, flowing }: { link: Link; flowing: boolean }) {
  const width = link.strategy.length * 7.2 + 14;
  return (
    <g className={flowing ? 'edge flowing' : 'edge'}>
      <path d={link.path} markerEnd="url(#arrow)" />
      <rect x={link.labelX - width / 2} y={link.labelY - 11} width={width} height="22" rx="11" />
      <text x={link.labelX} y={link.labelY} dy="0.34em">{link.strategy}</text>
    </g>
  );
}

function Node({ job, vertex, load, selected }: { job: string; vertex: Vertex; load: VertexLoad; selected: boolean }) {
  const [first, ...chained] = operators(vertex.name);
  return (
    <a className={`node ${tone(vertex.status)}`} href={jobHref(job, 'overview', { vertex: vertex.id })} aria-current={selected ? 'true' : undefined} title={vertex.name}>
      <span className="node-name">{first}</span>
      <span className="node-chain">{chained.length > 0 ? chained.map((operator) => `→ ${operator}`).join(' ') : '\u00a0'}</span>
      <span className="node-tags">
        <span className="node-state"><i className="dot" />{vertex.status}</span>
        <span>Parallelism {count(vertex.parallelism)}</span>
      </span>
      <span className="node-io">
        <span>In</span><b>{count(vertex.metrics['read-records'])}</b><em>{rate(load.recordsIn)}</em>
        <span>Out</span><b>{count(vertex.metrics['write-records'])}</b><em>{rate(load.recordsOut)}</em>
      </span>
      <span className="node-mark"><span>Watermark</span> {watermark(load.watermark)}</span>
      <span className="node-loads">
        <Load name="Busy" ms={load.busy} tone="good" />
        <Load name="Backpressure" ms={load.backPressured} tone={(load.backPressured ?? 0) > 500 ? 'bad' : 'warn'} />
      </span>
    </a>
  );
}

function Load({ name, ms, tone }: { name: string; ms: number | undefined; tone: string }) {
  return (
    <span className="load" title={ms === undefined ? `${name}: no metric` : `${name}: ${share(ms)} of the time (the highest subtask)`}>
      <span>{name} <b>{ms === undefined ? none : share(ms)}</b></span>
      <span className="load-bar"><i className={tone} style={{ width: share(ms ?? 0) }} /></span>
    </span>
  );
}
