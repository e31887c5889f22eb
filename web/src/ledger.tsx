// What became of every record that a job read, split by split.
import { api, type Fates, type Ledger, type SplitFates } from './api';
import { count } from './format';
import { usePolled } from './poll';
import { Table, type Column } from './table';
import { Answer, Empty, Panel } from './ui';

// fates are the ways in which a record can end, as the ledger adds them up.
export const fates: { key: Exclude<keyof Fates, 'read' | 'lost' | 'truncations'>; name: string; means: string }[] = [
  { key: 'emitted', name: 'Emitted', means: 'became a row of the output' },
  { key: 'filtered', name: 'Filtered', means: 'refused by a condition' },
  { key: 'late', name: 'Late', means: 'came after their window had fired' },
  { key: 'dead-lettered', name: 'Dead letters', means: 'handed to the dead letters' },
  { key: 'skipped', name: 'Skipped', means: 'without a value, or not readable and dropped as the job wishes' },
  { key: 'collapsed', name: 'Collapsed', means: 'fell into a group that another record had opened' },
  { key: 'open', name: 'Open', means: 'opened a group whose window is still open' },
];

// difference is how many records are read beyond those accounted for.
export function difference(f: Fates): number {
  return fates.reduce((left, { key }) => left - f[key], f.read);
}

const columns: Column<SplitFates>[] = [
  { key: 'split', head: 'Split', width: 190, sort: (s) => `${s.topic}-${s.partition}`, cell: (s) => `${s.topic}-${s.partition}` },
  { key: 'read', head: 'Read', width: 120, numeric: true, sort: (s) => s.read, cell: (s) => <b>{count(s.read)}</b> },
  ...fates.map(({ key, name, means }): Column<SplitFates> => ({
    key, head: name, width: 105, numeric: true, sort: (s) => s[key],
    cell: (s) => <span title={means} className={s[key] === 0 ? 'muted' : undefined}>{count(s[key])}</span>,
  })),
  { key: 'lost', head: 'Lost', width: 90, numeric: true, sort: (s) => s.lost, cell: (s) => <Lost fates={s} /> },
  { key: 'difference', head: 'Missing', width: 90, numeric: true, sort: difference, cell: (s) => <Missing n={difference(s)} /> },
];

function Missing({ n }: { n: number }) {
  return n === 0 ? <span className="muted">0</span> : <b className="bad-text">{n < 0 ? `${count(-n)} too many` : count(n)}</b>;
}

// lost writes how many records could not be read, and that there are more when nobody knows how many.
export function lost(f: Fates): string {
  if (f.truncations === 0) return count(f.lost);
  return f.lost === 0 ? 'not known' : `${count(f.lost)} and more`;
}

function Lost({ fates: f }: { fates: Fates }) {
  const none = f.lost === 0 && f.truncations === 0;
  const means = f.truncations > 0 ? 'the partition was cut or made anew' : 'gone from Kafka before the job had read that far';
  return none ? <span className="muted">0</span> : <b className="warn-text" title={means}>{lost(f)}</b>;
}

export function LedgerTab({ id, interval }: { id: string; interval: number }) {
  const ledger = usePolled(`ledger/${id}`, (s) => api.ledger(id, s), interval);
  return (
    <Panel title="Ledger" aside={ledger.data && <Verdict ledger={ledger.data} />}>
      <Answer {...ledger}>{(data) => <Account ledger={data} />}</Answer>
    </Panel>
  );
}

function Verdict({ ledger }: { ledger: Ledger }) {
  if (!ledger.balanced) return <span className="badge bad">DOES NOT BALANCE</span>;
  if (ledger['checkpoint-id'] === 0) return <span className="badge off">NO CHECKPOINT YET</span>;
  return <><span className="badge good">BALANCED</span> at checkpoint {count(ledger['checkpoint-id'])}</>;
}

function Account({ ledger }: { ledger: Ledger }) {
  if (ledger.balanced && ledger['checkpoint-id'] === 0) {
    return <Empty title="No checkpoint yet">Each checkpoint accounts for every record that was read before it.</Empty>;
  }
  const { total } = ledger;
  return (
    <>
      {!ledger.balanced && <p className="note bad" role="alert"><strong>Records are missing or doubled.</strong> {ledger.imbalance}</p>}
      <div className="account">
        <p className="account-sum"><b>{count(total.read)}</b> read = {fates.map(({ key, name, means }, i) => (
          <span key={key} title={means}>{i > 0 && ' + '}<b className={total[key] === 0 ? 'muted' : undefined}>{count(total[key])}</b> {name.toLowerCase()}</span>
        ))}</p>
        {lost(total) !== '0' && <p className="warn-text">Lost before they could be read (on_data_loss: earliest), and not among those read: {lost(total)}</p>}
      </div>
      <Table label="Ledger" columns={columns} rows={ledger.splits} rowKey={(s) => `${s.topic} ${s.partition}`} empty="No splits yet" />
    </>
  );
}
