// A job at a glance: throughput and event time, the operator graph, its vertices and the subtasks of one of them.
import { useState } from 'react';
import { api, type Job, type Metric, type Split, type Subtask, type Vertex, type WatermarkEntry } from './api';
import { bytes, count, duration, isWatermark, none, plural, rate, watermark } from './format';
import { OperatorGraph, type VertexLoad } from './graphview';
import { usePolled } from './poll';
import { jobHref } from './route';
import { terminal } from './state';
import { Table, type Column } from './table';
import { Answer, Badge, Empty, Instant, Panel, Sparkline, TaskCounts } from './ui';

// watermarksBySubtask reads entries by their subtask's number; subtasks without a watermark are left out.
export function watermarksBySubtask(entries: WatermarkEntry[]): Map<number, number> {
  const marks = new Map<number, number>();
  for (const { id, value } of entries) {
    const mark = Number(value);
    if (value !== '' && isWatermark(mark)) marks.set(Number.parseInt(id, 10), mark);
  }
  return marks;
}

// sumOf adds up what is known, and knows nothing when nothing is.
function sumOf(numbers: (number | undefined)[]): number | undefined {
  const known = numbers.filter((n) => n !== undefined);
  return known.length > 0 ? known.reduce((sum, n) => sum + n, 0) : undefined;
}

const leaving = [['deadLettered', 'dead letters'], ['skipped', 'skipped'], ['late', 'late'], ['lost', 'lost']] as const;

// leftOut adds up the records that the vertices' attempts did not bring to the output though no condition refused them.
export function leftOut(loads: VertexLoad[]): { records: number; reasons: string } | undefined {
  const sums = leaving.map(([key, name]) => ({ name, n: sumOf(loads.map((l) => l[key])) }));
  const records = sumOf(sums.map(({ n }) => n));
  if (records === undefined) return undefined;
  const reasons = sums.filter(({ n }) => n).map(({ name, n }) => `${count(n)} ${name}`);
  return { records, reasons: reasons.join(', ') || 'none' };
}

// loadOf reads a vertex's metrics. The lowest watermark counts only when every subtask that reports has one.
export function loadOf(metrics: Metric[], marks: WatermarkEntry[]): VertexLoad {
  const by = new Map(metrics.map((m) => [m.id, m]));
  const known = watermarksBySubtask(marks);
  return {
    recordsIn: by.get('numRecordsInPerSecond')?.sum,
    recordsOut: by.get('numRecordsOutPerSecond')?.sum,
    busy: by.get('busyTimeMsPerSecond')?.max,
    backPressured: by.get('backPressuredTimeMsPerSecond')?.max,
    deadLettered: by.get('numRecordsDeadLettered')?.sum,
    skipped: sumOf([by.get('numRecordsEmpty')?.sum, by.get('numRecordsInErrors')?.sum]),
    late: by.get('numLateRecordsDropped')?.sum,
    lost: by.get('numRecordsLost')?.sum,
    watermark: known.size > 0 && known.size === marks.length ? Math.min(...known.values()) : undefined,
  };
}

async function loads(job: Job, signal: AbortSignal): Promise<Map<string, VertexLoad>> {
  const entries = job.vertices.map(async (v) => {
    const [metrics, marks] = await Promise.all([api.metrics(job.jid, v.id, signal), api.watermarks(job.jid, v, signal)]);
    return [v.id, loadOf(metrics, marks)] as const;
  });
  return new Map(await Promise.all(entries));
}

export function JobOverviewTab({ job, selected, interval }: { job: Job; selected: string | undefined; interval: number }) {
  const graph = usePolled(`graph/${job.jid}/${job.vertices.length}`, (s) => loads(job, s), interval);
  const vertex = job.vertices.find((v) => v.id === selected) ?? job.vertices[0];
  if (!vertex) return <NoGraph job={job} />;
  return (
    <>
      <Glance job={job} loads={graph.data} interval={interval} />
      <Panel title="Operator graph">
        <OperatorGraph job={job} loads={graph.data ?? new Map()} selected={vertex.id} />
      </Panel>
      <Panel title="Vertices" aside={count(job.vertices.length)}>
        <Table label="Vertices" columns={vertexColumns(job.jid)} rows={inOrder(job)} rowKey={(v) => v.id} selected={(v) => v === vertex} empty="No vertices" />
      </Panel>
      <Subtasks job={job} vertex={vertex} interval={interval} />
    </>
  );
}

function NoGraph({ job }: { job: Job }) {
  if (!terminal(job.state)) return <Empty title="No graph yet">It is there as soon as the job has been initialized.</Empty>;
  return <Empty title="No graph">The job ended before it had one. Its <a href={jobHref(job.jid, 'exceptions')}>exceptions</a> say why.</Empty>;
}

// inOrder lists the vertices from the sources to the sinks; the plan has them the other way round.
function inOrder(job: Job): Vertex[] {
  const at = new Map((job.plan.nodes ?? []).map((n, i) => [n.id, i]));
  return job.vertices.toSorted((a, b) => (at.get(b.id) ?? 0) - (at.get(a.id) ?? 0));
}

interface Ends {
  sources: Set<string>;
  sinks: Set<string>;
}

function ends(job: Job): Ends {
  const nodes = job.plan.nodes ?? [];
  const read = new Set(nodes.flatMap((n) => (n.inputs ?? []).map((i) => i.id)));
  return {
    sources: new Set(nodes.filter((n) => !n.inputs?.length).map((n) => n.id)),
    sinks: new Set(nodes.filter((n) => !read.has(n.id)).map((n) => n.id)),
  };
}

function total(ids: Set<string>, of: (id: string) => number | undefined): number | undefined {
  const known = [...ids].map(of).filter((n) => n !== undefined);
  return known.length > 0 ? known.reduce((a, b) => a + b, 0) : undefined;
}

const remembered = 90; // polls

// useHistory remembers the value of each of the last samples, from when the page was opened.
function useHistory(sample: object | undefined, value: number | undefined): number[] {
  const [history, setHistory] = useState<{ newest: object | undefined; values: number[] }>({ newest: undefined, values: [] });
  if (sample !== history.newest) {
    setHistory({ newest: sample, values: value === undefined ? history.values : [...history.values.slice(1 - remembered), value] });
  }
  return history.values;
}

function Glance({ job, loads, interval }: { job: Job; loads: Map<string, VertexLoad> | undefined; interval: number }) {
  const splits = usePolled(`splits/${job.jid}`, (s) => api.splits(job.jid, s), interval);
  const { sources, sinks } = ends(job);
  const vertices = new Map(job.vertices.map((v) => [v.id, v]));
  const read = total(sources, (id) => loads?.get(id)?.recordsIn);
  const written = total(sinks, (id) => loads?.get(id)?.recordsOut);
  const marks = [...sinks].map((id) => loads?.get(id)?.watermark).filter((m) => m !== undefined);
  const readRecords = total(sources, (id) => vertices.get(id)?.metrics['read-records']);
  const writtenRecords = total(sinks, (id) => vertices.get(id)?.metrics['write-records']);
  return (
    <div className="tiles glance">
      <Flow label="Read" rate={read} records={readRecords} history={useHistory(loads, read)} />
      <Flow label="Written" rate={written} records={writtenRecords} history={useHistory(loads, written)} />
      <LagTile splits={splits.data} id={job.jid} />
      <LeftOutTile loads={[...(loads?.values() ?? [])]} />
      <div className="tile">
        <span className="tile-label">Watermark</span>
        <span className="tile-value text">{watermark(marks.length > 0 ? Math.min(...marks) : undefined)}</span>
        <span className="muted">event time that has passed the sink</span>
      </div>
    </div>
  );
}

function Flow({ label, rate: perSecond, records, history }: { label: string; rate: number | undefined; records: number | undefined; history: number[] }) {
  return (
    <div className="tile flow">
      <span className="tile-label">{label}</span>
      <span className="tile-value">{rate(perSecond)}</span>
      <span className="muted">{count(records)} records</span>
      <Sparkline values={history} label={`${label}: records per second since this page was opened`} />
    </div>
  );
}

function LeftOutTile({ loads }: { loads: VertexLoad[] }) {
  const left = leftOut(loads);
  return (
    <div className="tile" title="since the attempt began; the ledger has all since the job began, as of its newest checkpoint">
      <span className="tile-label">Left out</span>
      <span className={left?.records ? 'tile-value warn-text' : 'tile-value'}>{count(left?.records)}</span>
      <span className="muted">{left ? left.reasons : 'no metrics'}</span>
    </div>
  );
}

function LagTile({ splits, id }: { splits: Split[] | undefined; id: string }) {
  const known = splits?.filter((s) => s.lag >= 0) ?? [];
  const waiting = splits?.filter((s) => s.state === 'waiting').length ?? 0;
  return (
    <div className="tile">
      <span className="tile-label">Lag</span>
      <span className="tile-value">{known.length > 0 ? count(known.reduce((sum, s) => sum + s.lag, 0)) : none}</span>
      <span className="muted">
        {splits ? <a href={jobHref(id, 'source')}>{plural(splits.length, 'split')}</a> : 'no splits'}
        {waiting > 0 && <span className="warn-text">, {count(waiting)} waiting</span>}
      </span>
    </div>
  );
}

function vertexColumns(job: string): Column<Vertex>[] {
  const io = (key: keyof Vertex['metrics'], head: string, write: (n: number) => string, width: number): Column<Vertex> => ({
    key, head, width, numeric: true, sort: (v) => v.metrics[key], cell: (v) => write(v.metrics[key]),
  });
  return [
    { key: 'name', head: 'Name', width: 260, sort: (v) => v.name, cell: (v) => <a className="row-link" href={jobHref(job, 'overview', { vertex: v.id })} title={v.name}>{v.name}</a> },
    { key: 'state', head: 'State', width: 125, sort: (v) => v.status, cell: (v) => <Badge state={v.status} /> },
    { key: 'parallelism', head: 'Parallelism', width: 100, numeric: true, sort: (v) => v.parallelism, cell: (v) => count(v.parallelism) },
    { key: 'tasks', head: 'Tasks', width: 170, cell: (v) => <TaskCounts tasks={v.tasks} /> },
    io('read-records', 'Records in', count, 125),
    io('write-records', 'Records out', count, 125),
    io('read-bytes', 'Bytes in', bytes, 95),
    io('write-bytes', 'Bytes out', bytes, 95),
    { key: 'duration', head: 'Duration', width: 110, numeric: true, sort: (v) => v.duration, cell: (v) => duration(v['start-time'] > 0 ? v.duration : -1) },
  ];
}

function Subtasks({ job, vertex, interval }: { job: Job; vertex: Vertex; interval: number }) {
  const details = usePolled(
    `subtasks/${job.jid}/${vertex.id}`,
    async (s) => {
      const [{ subtasks }, marks] = await Promise.all([api.vertex(job.jid, vertex.id, s), api.watermarks(job.jid, vertex, s)]);
      return { subtasks, marks: watermarksBySubtask(marks) };
    },
    interval,
  );
  return (
    <Panel title={<>Subtasks of <span className="panel-subject">{vertex.name}</span></>} aside={count(vertex.parallelism)}>
      <Answer {...details}>
        {({ subtasks, marks }) => <Table label="Subtasks" columns={subtaskColumns(marks)} rows={subtasks} rowKey={(s) => String(s.subtask)} empty="No subtasks" />}
      </Answer>
    </Panel>
  );
}

function subtaskColumns(marks: Map<number, number>): Column<Subtask>[] {
  return [
    { key: 'subtask', head: 'Subtask', width: 85, sort: (s) => s.subtask, cell: (s) => count(s.subtask) },
    { key: 'attempt', head: 'Attempt', width: 80, sort: (s) => s.attempt, cell: (s) => count(s.attempt) },
    { key: 'state', head: 'State', width: 130, sort: (s) => s.status, cell: (s) => <Badge state={s.status} /> },
    { key: 'taskmanager', head: 'Task manager', width: 215, sort: (s) => s['taskmanager-id'], cell: (s) => <span className="mono" title={s.endpoint}>{s['taskmanager-id'] || none}</span> },
    { key: 'in', head: 'Records in', width: 125, numeric: true, sort: (s) => s.metrics['read-records'], cell: (s) => count(s.metrics['read-records']) },
    { key: 'out', head: 'Records out', width: 125, numeric: true, sort: (s) => s.metrics['write-records'], cell: (s) => count(s.metrics['write-records']) },
    { key: 'watermark', head: 'Watermark', width: 230, sort: (s) => marks.get(s.subtask) ?? -Infinity, cell: (s) => watermark(marks.get(s.subtask)) },
    { key: 'start', head: 'Start', width: 202, sort: (s) => s['start-time'], cell: (s) => <Instant ms={s['start-time']} /> },
  ];
}
