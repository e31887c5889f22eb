// The first page: the cluster, its jobs, its task managers, its job managers.
import { api, type JobSummary, type Overview, type TaskManager } from './api';
import { ago, bytes, count, duration, none } from './format';
import { usePolled } from './poll';
import { MembersPanel } from './members';
import { jobHref } from './route';
import { terminal } from './state';
import { Table, type Column } from './table';
import { Answer, Badge, Instant, Panel, TaskCounts } from './ui';

const jobColumns: Column<JobSummary>[] = [
  { key: 'name', head: 'Name', width: 210, sort: (j) => j.name, cell: (j) => <a className="row-link strong" href={jobHref(j.jid)} title={j.name}>{j.name}</a> },
  { key: 'state', head: 'State', width: 128, sort: (j) => j.state, cell: (j) => <Badge state={j.state} /> },
  { key: 'start', head: 'Start', width: 200, sort: (j) => j['start-time'], cell: (j) => <Instant ms={j['start-time']} /> },
  { key: 'duration', head: 'Duration', width: 100, numeric: true, sort: (j) => j.duration, cell: (j) => duration(j.duration) },
  { key: 'tasks', head: 'Tasks', width: 200, cell: (j) => <TaskCounts tasks={j.tasks} /> },
];
const completedColumns: Column<JobSummary>[] = jobColumns.toSpliced(3, 0, {
  key: 'end', head: 'End', width: 200, sort: (j) => j['end-time'], cell: (j) => <Instant ms={j['end-time']} />,
});

export function OverviewPage({ interval }: { interval: number }) {
  const overview = usePolled('overview', api.overview, interval);
  const jobs = usePolled('jobs', api.jobs, interval);
  const managers = usePolled('taskmanagers', api.taskManagers, interval);
  // The server's order changes from call to call.
  const all = jobs.data?.toSorted((a, b) => b['start-time'] - a['start-time'] || a.jid.localeCompare(b.jid));
  const running = all?.filter((j) => !terminal(j.state));
  const completed = all?.filter((j) => terminal(j.state));
  return (
    <>
      <h1 className="visually-hidden">Overview</h1>
      <Answer {...overview}>{(data) => <Cluster overview={data} />}</Answer>
      <Panel title="Running jobs" aside={running && count(running.length)}>
        <Answer data={running} error={jobs.error}>
          {(rows) => <Table label="Running jobs" columns={jobColumns} rows={rows} rowKey={(j) => j.jid} empty="No job is running" hint="Submit one with: submitter run job.yaml" />}
        </Answer>
      </Panel>
      <Panel title="Completed jobs" aside={completed && count(completed.length)}>
        <Answer data={completed} error={jobs.error}>
          {(rows) => <Table label="Completed jobs" columns={completedColumns} rows={rows} rowKey={(j) => j.jid} empty="No job has completed yet" />}
        </Answer>
      </Panel>
      <Panel title="Task managers" aside={managers.data && count(managers.data.taskmanagers.length)}>
        <Answer {...managers}>{({ taskmanagers, now }) => <TaskManagers rows={taskmanagers} now={now} />}</Answer>
      </Panel>
      <MembersPanel interval={interval} />
    </>
  );
}

function Cluster({ overview }: { overview: Overview }) {
  const [total, free] = [overview['slots-total'], overview['slots-available']];
  const used = total - free;
  return (
    <div className="tiles">
      <Tile label="Task managers" value={overview.taskmanagers} />
      <div className="tile wide">
        <span className="tile-label">Slots</span>
        <span className="tile-row">
          <span className="tile-value">{count(total)}</span>
          <span className="muted">{count(used)} in use, {count(free)} free</span>
        </span>
        <Meter value={used} max={total} label={`${used} of ${total} slots in use`} />
      </div>
      <Tile label="Running" value={overview['jobs-running']} tone="good" />
      <Tile label="Finished" value={overview['jobs-finished']} tone="done" />
      <Tile label="Canceled" value={overview['jobs-cancelled']} tone="off" />
      <Tile label="Failed" value={overview['jobs-failed']} tone="bad" />
    </div>
  );
}

function Tile({ label, value, tone }: { label: string; value: number; tone?: string }) {
  return (
    <div className="tile">
      <span className="tile-label">{tone && <i className={`dot ${tone}`} />}{label}</span>
      <span className={value === 0 ? 'tile-value zero' : 'tile-value'}>{count(value)}</span>
    </div>
  );
}

function Meter({ value, max, label }: { value: number; max: number; label: string }) {
  return (
    <span className="meter" role="img" aria-label={label}>
      <i style={{ width: `${max > 0 ? (100 * value) / max : 0}%` }} />
    </span>
  );
}

// address is host:port for other task managers, taken out of Flink's RPC address when it is one.
export function address(tm: TaskManager): string {
  const host = tm.path.match(/@([^/]+?)(?::\d+)?(?:\/|$)/)?.[1];
  return host ? `${host}:${tm.dataPort}` : tm.path;
}

function memory(tm: TaskManager): string {
  const limit = tm.memoryConfiguration?.totalProcessMemory ?? 0;
  const physical = bytes(tm.hardware.physicalMemory);
  return limit > 0 ? `${bytes(limit)} of ${physical}` : physical;
}

function TaskManagers({ rows, now }: { rows: TaskManager[]; now: number }) {
  const columns: Column<TaskManager>[] = [
    { key: 'id', head: 'Id', width: 200, sort: (t) => t.id, cell: (t) => <span className="mono" title={t.id}>{t.id}</span> },
    { key: 'address', head: 'Address', width: 150, sort: address, cell: (t) => <span className="mono" title={t.path}>{address(t) || none}</span> },
    {
      key: 'slots', head: 'Slots in use', width: 155, sort: (t) => t.slotsNumber - t.freeSlots,
      cell: (t) => (
        <span className="slots">
          <Meter value={t.slotsNumber - t.freeSlots} max={t.slotsNumber} label="Slots in use" />
          {count(t.slotsNumber - t.freeSlots)} of {count(t.slotsNumber)}
        </span>
      ),
    },
    { key: 'free', head: 'Free', width: 65, numeric: true, sort: (t) => t.freeSlots, cell: (t) => count(t.freeSlots) },
    { key: 'cpu', head: 'CPU cores', width: 95, numeric: true, sort: (t) => t.hardware.cpuCores, cell: (t) => count(t.hardware.cpuCores) },
    { key: 'memory', head: 'Memory', width: 170, numeric: true, sort: (t) => t.hardware.physicalMemory, cell: memory },
    {
      key: 'heartbeat', head: 'Last heartbeat', width: 125, numeric: true, sort: (t) => t.timeSinceLastHeartbeat,
      cell: (t) => <time title={new Date(t.timeSinceLastHeartbeat).toISOString()}>{ago(t.timeSinceLastHeartbeat, now)}</time>,
    },
  ];
  return (
    <Table
      label="Task managers" columns={columns} rows={rows.toSorted((a, b) => a.id.localeCompare(b.id))} rowKey={(t) => t.id}
      empty="No task manager is registered" hint="Jobs wait for slots until one joins: taskmanager --jobmanagers host:6123"
    />
  );
}
