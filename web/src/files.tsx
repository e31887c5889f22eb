// The part files that a job wrote and is writing.
import { api, type JobFiles, type PartFile } from './api';
import { bytes, count, plural } from './format';
import { usePolled } from './poll';
import { jobHref } from './route';
import { Table, type Column } from './table';
import { Answer, Badge, CopyButton, Instant, Panel } from './ui';

const previewRows = 20;

function columns(id: string): Column<PartFile>[] {
  const name = (f: PartFile) =>
    f.state === 'finished'
      ? <a className="row-link mono" href={jobHref(id, 'files', { file: f.name })} title={`First rows of ${f.name}`}>{f.name}</a>
      : <span className="mono muted" title="Hidden until it is finished">{f.name}</span>;
  return [
    { key: 'name', head: 'Name', width: 380, sort: (f) => f.name, cell: name },
    { key: 'subtask', head: 'Subtask', width: 90, sort: (f) => f.subtask, cell: (f) => count(f.subtask) },
    { key: 'state', head: 'State', width: 140, sort: (f) => f.state, cell: (f) => <Badge state={f.state} /> },
    { key: 'rows', head: 'Rows', width: 110, numeric: true, sort: (f) => f.rows, cell: (f) => count(f.rows) },
    { key: 'bytes', head: 'Size', width: 100, numeric: true, sort: (f) => f.bytes, cell: (f) => <span title={plural(f.bytes, 'byte')}>{bytes(f.bytes)}</span> },
    { key: 'modified', head: 'Modified', width: 200, sort: (f) => f['last-modification'], cell: (f) => <Instant ms={f['last-modification']} /> },
  ];
}

export function FilesTab({ id, selected, interval }: { id: string; selected: string | undefined; interval: number }) {
  const files = usePolled(`files/${id}`, (s) => api.files(id, s), interval);
  return (
    <>
      {selected && <Preview key={selected} id={id} name={selected} />}
      <Panel title="Part files" aside={files.data && <Summary {...files.data} />}>
        <Answer {...files}>
          {({ files: rows }) => (
            <Table
              label="Part files" columns={columns(id)} rows={newestFirst(rows)} rowKey={(f) => f.name} selected={(f) => f.name === selected}
              empty="No part files yet" hint="A window's rows are written when its watermark has passed."
            />
          )}
        </Answer>
      </Panel>
    </>
  );
}

// newestFirst puts what is being written before what is done.
function newestFirst(files: PartFile[]): PartFile[] {
  const done = (f: PartFile) => Number(f.state === 'finished');
  return files.toSorted((a, b) => done(a) - done(b) || b['last-modification'] - a['last-modification'] || a.name.localeCompare(b.name));
}

function Summary({ path, files }: JobFiles) {
  const finished = files.filter((f) => f.state === 'finished');
  const rows = finished.reduce((sum, f) => sum + Math.max(0, f.rows), 0);
  return (
    <span className="files-summary">
      <span>{plural(finished.length, 'finished file')}, {plural(rows, 'row')}</span>
      <span className="mono path" title={path}>{path}</span>
      <CopyButton text={path} label="Copy the path" />
    </span>
  );
}

function Preview({ id, name }: { id: string; name: string }) {
  const text = usePolled(`preview/${id}/${name}`, (s) => api.preview(id, name, previewRows, s), 0);
  const aside = <a className="button small" href={jobHref(id, 'files')}>Close</a>;
  return (
    <Panel title={<>First rows of <span className="panel-subject mono">{name}</span></>} aside={aside}>
      <Answer {...text}>
        {(rows) => (rows === '' ? <p className="pad muted">The file has no rows.</p> : <Lines text={rows} />)}
      </Answer>
    </Panel>
  );
}

function Lines({ text }: { text: string }) {
  return (
    <pre className="code" role="region" aria-label="First rows" tabIndex={0}>
      {text.replace(/\n$/, '').split('\n').map((line, i) => (
        // Lines of a text have no other name than their number.
        // oxlint-disable-next-line react/no-array-index-key
        <code key={i}>{line || ' '}</code>
      ))}
    </pre>
  );
}
