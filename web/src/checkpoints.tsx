// A job's checkpoints: how many, the newest, the last ones, and when they are taken.
import type { ReactNode } from 'react';
import { api, type Checkpoint, type CheckpointConfig, type Checkpoints, type Job } from './api';
import { ago, bytes, count, duration, none } from './format';
import { usePolled } from './poll';
import { Table, type Column } from './table';
import { Answer, Badge, Instant, Panel } from './ui';

const kinds: Record<string, string> = { CHECKPOINT: 'Checkpoint', SAVEPOINT: 'Savepoint', SYNC_SAVEPOINT: 'Stop with savepoint' };

const columns: Column<Checkpoint>[] = [
  { key: 'id', head: 'Id', width: 70, sort: (c) => c.id, cell: (c) => count(c.id) },
  { key: 'status', head: 'Status', width: 130, sort: (c) => c.status, cell: (c) => <Badge state={c.status.replace('_', '-')} /> },
  { key: 'kind', head: 'Kind', width: 145, sort: (c) => c.checkpoint_type, cell: (c) => kinds[c.checkpoint_type] ?? c.checkpoint_type },
  { key: 'acks', head: 'Acknowledged', width: 120, numeric: true, sort: (c) => c.num_acknowledged_subtasks, cell: (c) => `${count(c.num_acknowledged_subtasks)} / ${count(c.num_subtasks)}` },
  { key: 'duration', head: 'Duration', width: 95, numeric: true, sort: (c) => c.end_to_end_duration, cell: (c) => duration(c.end_to_end_duration) },
  { key: 'size', head: 'State', width: 95, numeric: true, sort: (c) => c.state_size, cell: (c) => bytes(c.state_size) },
  { key: 'triggered', head: 'Triggered', width: 200, sort: (c) => c.trigger_timestamp, cell: (c) => <Instant ms={c.trigger_timestamp} /> },
  { key: 'note', head: 'Note', width: 260, cell: (c) => <Note checkpoint={c} /> },
];

function Note({ checkpoint: c }: { checkpoint: Checkpoint }) {
  if (c.failure_message) return <span className="bad-text" title={c.failure_message}>{c.failure_message}</span>;
  return <span className="muted">{c.discarded ? 'superseded' : c.status === 'COMPLETED' ? 'kept' : none}</span>;
}

export function CheckpointsTab({ job, interval }: { job: Job; interval: number }) {
  const checkpoints = usePolled(`checkpoints/${job.jid}`, (s) => api.checkpoints(job.jid, s), interval);
  const config = usePolled(`checkpoints-config/${job.jid}`, (s) => api.checkpointConfig(job.jid, s), 0);
  return (
    <>
      <Answer {...checkpoints}>{(data) => <Shown data={data} now={job.now} />}</Answer>
      <Panel title="Configuration"><Answer {...config}>{(data) => <Configuration config={data} />}</Answer></Panel>
    </>
  );
}

function Shown({ data, now }: { data: Checkpoints; now: number }) {
  const { completed, failed } = data.latest;
  const took = data.summary.end_to_end_duration;
  return (
    <>
      <div className="tiles glance">
        <Tile label="Last completed" value={completed ? ago(completed.latest_ack_timestamp, now) : none}>
          {completed ? `checkpoint ${count(completed.id)}, in ${duration(completed.end_to_end_duration)}` : 'none yet'}
        </Tile>
        <Tile label="Duration" value={data.counts.completed > 0 ? duration(took.avg) : none}>
          {data.counts.completed > 0 ? `on average, ${duration(Number(took.p99))} at p99` : 'of those that completed'}
        </Tile>
        <Tile label="Completed" value={count(data.counts.completed)}>
          {data.counts.in_progress > 0 ? `${count(data.counts.in_progress)} in progress` : `${count(data.counts.total)} in all`}
        </Tile>
        <Tile label="Failed" value={count(data.counts.failed)} zero={data.counts.failed === 0}>
          {failed ? <span title={failed.failure_message} className="warn-text">checkpoint {count(failed.id)}, <Instant ms={failed.failure_timestamp ?? 0} /></span> : 'none'}
        </Tile>
      </div>
      {data.latest.restored && (
        <p className="restored muted">
          Went on from {data.latest.restored.is_savepoint ? 'savepoint' : 'checkpoint'} {count(data.latest.restored.id)} at <Instant ms={data.latest.restored.restore_timestamp} />
        </p>
      )}
      <Panel title="History" aside={count(data.history.length)}>
        <Table
          label="Checkpoints" columns={columns} rows={data.history} rowKey={(c) => String(c.id)}
          empty="No checkpoints yet" hint="The first is taken when the interval has passed, or a window has fired."
        />
      </Panel>
    </>
  );
}

function Tile({ label, value, zero = false, children }: { label: string; value: string; zero?: boolean; children: ReactNode }) {
  return (
    <div className="tile">
      <span className="tile-label">{label}</span>
      <span className={`tile-value${zero ? ' zero' : ''}`}>{value}</span>
      <span className="muted">{children}</span>
    </div>
  );
}

const never = 9.2e18; // the interval of a job without periodic checkpoints is the end of 64 bits

function Configuration({ config }: { config: CheckpointConfig }) {
  const facts: [string, string][] = [
    ['Guarantee', config.mode.replace('_', ' ')],
    ['Interval', config.interval > never ? 'only when rows wait to be published' : duration(config.interval)],
    ['Timeout', duration(config.timeout)],
    ['Minimum pause', duration(config.min_pause)],
    ['At once', count(config.max_concurrent)],
    ['Failures tolerated', count(config.tolerable_failed_checkpoints)],
  ];
  return <dl className="facts pad">{facts.map(([term, text]) => <div key={term}><dt>{term}</dt><dd>{text}</dd></div>)}</dl>;
}
