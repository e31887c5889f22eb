// Why a job failed or started again.
import { api, firstLine, type ExceptionEntry, type JobExceptions } from './api';
import { count, plural } from './format';
import { usePolled } from './poll';
import { Answer, Empty, Instant, Panel } from './ui';

// rootOf is the exception that matters: Flink 1.x names it, later ones put it first in the history. Null when there is none.
export function rootOf(exceptions: JobExceptions): { text: string; timestamp: number } | null {
  const newest = exceptions.exceptionHistory?.entries[0];
  const text = exceptions['root-exception'] ?? newest?.stacktrace;
  return text ? { text, timestamp: exceptions.timestamp ?? newest?.timestamp ?? 0 } : null;
}

export function ExceptionsTab({ id, interval }: { id: string; interval: number }) {
  const exceptions = usePolled(`exceptions/${id}`, (s) => api.exceptions(id, s), interval);
  return <Answer {...exceptions}>{(data) => <Exceptions data={data} />}</Answer>;
}

function Exceptions({ data }: { data: JobExceptions }) {
  const root = rootOf(data);
  if (!root) return <Panel title="Exceptions"><Empty title="No exceptions">Nothing has failed in this job.</Empty></Panel>;
  const history = data.exceptionHistory;
  return (
    <>
      <Panel title="Root exception" aside={<Instant ms={root.timestamp} />}>
        <Trace text={root.text} open />
      </Panel>
      {history && history.entries.length > 0 && (
        <Panel title="History" aside={`${count(history.entries.length)}${history.truncated ? ' newest' : ''}`}>
          <ol className="history">
            {history.entries.map((entry) => <Entry key={`${entry.timestamp} ${entry.taskName ?? ''} ${entry.exceptionName}`} entry={entry} />)}
          </ol>
        </Panel>
      )}
    </>
  );
}

function Entry({ entry }: { entry: ExceptionEntry }) {
  const concurrent = entry.concurrentExceptions ?? [];
  return (
    <li>
      <div className="history-head">
        <Instant ms={entry.timestamp} />
        {entry.taskName && <span title={entry.taskName} className="history-task">{entry.taskName}</span>}
        {entry.taskManagerId && <span className="mono muted">{entry.taskManagerId}</span>}
      </div>
      <Trace text={entry.stacktrace} />
      {concurrent.length > 0 && (
        <details className="concurrent">
          <summary>{plural(concurrent.length, 'concurrent exception')}</summary>
          <ol className="history">{concurrent.map((e) => <Entry key={`${e.timestamp} ${e.taskName ?? ''} ${e.exceptionName}`} entry={e} />)}</ol>
        </details>
      )}
    </li>
  );
}

// Trace shows an error's message, and what follows it on demand.
function Trace({ text, open = false }: { text: string; open?: boolean }) {
  const [head = '', ...rest] = text.trimEnd().split('\n');
  const message = firstLine(head);
  const name = message === head ? '' : head.slice(0, head.length - message.length).replace(/: $/, '');
  return (
    <div className="trace">
      <p className="trace-message">{message}</p>
      {name && <p className="mono muted trace-name">{name}</p>}
      {rest.length > 0 && (
        <details open={open && rest.length <= 30}>
          <summary>{plural(rest.length, 'more line')}</summary>
          <pre className="code plain" role="region" aria-label="Stack trace" tabIndex={0}>{rest.join('\n')}</pre>
        </details>
      )}
    </div>
  );
}
