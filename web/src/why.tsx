// Why a job gives no output: what the jobmanager says of it, and what each split and window lacks.
import { api, type Finding, type OpenWindow, type WhySplit } from './api';
import { count, duration, isWatermark, none, watermark } from './format';
import { usePolled } from './poll';
import { Table, type Column } from './table';
import { Answer, Badge, Panel } from './ui';

export function WhyTab({ id, interval }: { id: string; interval: number }) {
  const why = usePolled(`why/${id}`, (s) => api.why(id, s), interval);
  return (
    <Answer {...why}>
      {({ findings, facts }) => (
        <>
          <Panel title="Why is there no output?" aside="the most likely cause first"><Findings findings={findings} /></Panel>
          {facts.windows.length > 0 && (
            <Panel title="Open windows" aside={count(facts['open-windows'])}>
              <Table label="Open windows" columns={windowColumns(facts.splits)} rows={facts.windows} rowKey={(w) => String(w.start)} empty="No open windows" />
            </Panel>
          )}
          <Panel title="Splits" aside={count(facts.splits.length)}>
            <Table label="Splits" columns={splitColumns} rows={facts.splits} rowKey={(s) => `${s.topic} ${s.partition}`} empty="No splits yet" hint="They are found when the source starts." />
          </Panel>
        </>
      )}
    </Answer>
  );
}

function Findings({ findings }: { findings: Finding[] }) {
  return (
    <ol className="findings">
      {findings.map((f) => (
        <li key={`${f.kind} ${f.sentence}`}>
          <Badge state={f.severity} />
          <div>
            <p>{f.sentence}</p>
            {f.remedy && <p className="remedy">{f.remedy}</p>}
          </div>
        </li>
      ))}
    </ol>
  );
}

// wants is the event time from which on a record of a split lets the next window fire.
export function wants(s: WhySplit): string {
  const missing = s['missing-event-time'];
  return missing === undefined ? none : `≥ ${watermark(missing)}`;
}

// splitState shows idleness only of a split that could be read.
export function splitState(s: WhySplit): string {
  return s.idle && s.state === 'reading' ? 'idle' : s.state;
}

// distance is how far event time is from firing a window: by the slowest split that is not idle, or the fastest when all are.
export function distance(w: OpenWindow, splits: WhySplit[]): string {
  const read = splits.filter((s) => s.state !== 'finished');
  if (read.length === 0) return none;
  const active = read.filter((s) => !s.idle).map((s) => s.watermark);
  const reached = active.length > 0 ? Math.min(...active) : Math.max(...read.map((s) => s.watermark));
  if (!isWatermark(reached)) return 'no watermark yet';
  return reached >= w['fires-at'] ? 'due' : duration(w['fires-at'] - reached);
}

function windowColumns(splits: WhySplit[]): Column<OpenWindow>[] {
  return [
    { key: 'start', head: 'Start', width: 220, sort: (w) => w.start, cell: (w) => watermark(w.start) },
    { key: 'end', head: 'End', width: 220, sort: (w) => w.end, cell: (w) => watermark(w.end) },
    { key: 'fires', head: 'Fires at watermark', width: 240, sort: (w) => w['fires-at'], cell: (w) => watermark(w['fires-at']) },
    { key: 'distance', head: 'Event time to go', width: 150, numeric: true, cell: (w) => distance(w, splits) },
    { key: 'groups', head: 'Rows', width: 110, numeric: true, sort: (w) => w.groups, cell: (w) => count(w.groups) },
  ];
}

const splitColumns: Column<WhySplit>[] = [
  { key: 'topic', head: 'Topic', width: 140, sort: (s) => s.topic, cell: (s) => <span title={s.topic}>{s.topic}</span> },
  { key: 'partition', head: 'Partition', width: 85, sort: (s) => s.partition, cell: (s) => count(s.partition) },
  { key: 'state', head: 'State', width: 110, sort: splitState, cell: (s) => <Badge state={splitState(s)} /> },
  { key: 'offset', head: 'Offset', width: 110, numeric: true, sort: (s) => s['current-offset'], cell: (s) => count(s['current-offset']) },
  { key: 'end', head: 'End offset', width: 110, numeric: true, sort: (s) => s['end-offset'], cell: (s) => count(s['end-offset']) },
  { key: 'silent', head: 'Silent for', width: 110, numeric: true, sort: (s) => s.silent, cell: (s) => duration(s.silent) },
  { key: 'watermark', head: 'Watermark', width: 240, sort: (s) => s.watermark, cell: (s) => watermark(s.watermark) },
  { key: 'wants', head: 'Next window wants', width: 250, sort: (s) => s['missing-event-time'] ?? 0, cell: (s) => (s['missing-event-time'] === undefined ? <span className="muted">{none}</span> : <b className="warn-text">{wants(s)}</b>) },
];
