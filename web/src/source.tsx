// What the source reads, split by split, and how far it is behind.
import { api, type Split } from './api';
import { count, none, plural, watermark } from './format';
import { usePolled } from './poll';
import { Table, type Column } from './table';
import { Answer, Badge, Panel } from './ui';

const offset = (n: number) => (n < 0 ? none : count(n));

const columns: Column<Split>[] = [
  { key: 'topic', head: 'Topic', width: 140, sort: (s) => s.topic, cell: (s) => <span title={s.topic}>{s.topic}</span> },
  { key: 'partition', head: 'Partition', width: 85, sort: (s) => s.partition, cell: (s) => count(s.partition) },
  { key: 'subtask', head: 'Subtask', width: 80, sort: (s) => s.subtask, cell: (s) => count(s.subtask) },
  { key: 'state', head: 'State', width: 110, sort: (s) => s.state, cell: (s) => <Badge state={s.state} /> },
  { key: 'current', head: 'Current offset', width: 120, numeric: true, sort: (s) => s['current-offset'], cell: (s) => offset(s['current-offset']) },
  { key: 'end', head: 'End offset', width: 115, numeric: true, sort: (s) => s['end-offset'], cell: (s) => offset(s['end-offset']) },
  { key: 'lag', head: 'Lag', width: 90, numeric: true, sort: (s) => s.lag, cell: (s) => <Lag split={s} /> },
  { key: 'watermark', head: 'Watermark', width: 225, sort: (s) => s.watermark, cell: (s) => watermark(s.watermark) },
  { key: 'idle', head: 'Idle', width: 60, sort: (s) => Number(s.idle), cell: (s) => (s.idle ? <span className="tag">idle</span> : <span className="muted">no</span>) },
  { key: 'reason', head: 'Waiting for', width: 190, cell: (s) => (s.reason ? <span className="warn-text" title={s.reason}>{s.reason}</span> : <span className="muted">{none}</span>) },
];

function Lag({ split }: { split: Split }) {
  if (split.lag < 0) return <span className="muted" title="The end of the partition is not known yet">unknown</span>;
  return split.lag === 0 ? <span className="muted">0</span> : <b>{count(split.lag)}</b>;
}

// Waiting says why splits wait: once for each reason, however many have it.
function Waiting({ splits }: { splits: Split[] }) {
  const reasons = Map.groupBy(splits.filter((s) => s.state === 'waiting' && s.reason), (s) => s.reason);
  return [...reasons].map(([reason, waiting]) => (
    <p key={reason} className="note warn"><strong>{plural(waiting.length, 'split')} waiting:</strong> {reason}</p>
  ));
}

export function SourceTab({ id, interval }: { id: string; interval: number }) {
  const splits = usePolled(`splits/${id}`, (s) => api.splits(id, s), interval);
  return (
    <Panel title="Source splits" aside={splits.data && count(splits.data.length)}>
      <Answer {...splits}>
        {(rows) => <><Waiting splits={rows} /><Table label="Source splits" columns={columns} rows={rows} rowKey={(s) => `${s.topic} ${s.partition}`} empty="No splits yet" hint="They are found when the source starts." /></>}
      </Answer>
    </Panel>
  );
}
