// The small parts that all pages are made of.
import { useEffect, useRef, useState, type ReactNode } from 'react';
import type { ApiError } from './api';
import { count, instant, none } from './format';
import { taskCounts, tone } from './state';

export function Badge({ state }: { state: string }) {
  return <span className={`badge ${tone(state)}`}>{state}</span>;
}

// TaskCounts says how many tasks are in which state, as a bar and in words.
export function TaskCounts({ tasks }: { tasks: Partial<Record<string, number>> }) {
  const counts = taskCounts(tasks);
  if (counts.length === 0) return <span className="muted">{none}</span>;
  return (
    <span className="tasks">
      <span className="tasks-bar" aria-hidden="true">
        {counts.map((c) => (
          <i key={c.state} className={tone(c.state)} style={{ flexGrow: c.count }} />
        ))}
      </span>
      <span className="tasks-words">{counts.map((c) => `${count(c.count)} ${c.state}`).join(', ')}</span>
    </span>
  );
}

export function Panel({ title, aside, children }: { title: ReactNode; aside?: ReactNode; children: ReactNode }) {
  return (
    <section className="panel">
      <header className="panel-head">
        <h2>{title}</h2>
        {aside !== undefined && <div className="panel-aside">{aside}</div>}
      </header>
      {children}
    </section>
  );
}

export function Empty({ title, children }: { title: string; children?: ReactNode }) {
  return (
    <div className="empty">
      <svg viewBox="0 0 32 32" aria-hidden="true">
        <rect x="6" y="6" width="8.5" height="8.5" rx="2" />
        <rect x="17.5" y="6" width="8.5" height="8.5" rx="2" />
        <rect x="6" y="17.5" width="8.5" height="8.5" rx="2" />
        <rect x="17.5" y="17.5" width="8.5" height="8.5" rx="2" />
      </svg>
      <p className="empty-title">{title}</p>
      {children && <p className="muted">{children}</p>}
    </div>
  );
}

export function Loading() {
  return (
    <div className="loading" role="status">
      <span className="visually-hidden">Loading</span>
      <i />
      <i />
      <i />
    </div>
  );
}

// Answer shows the answer to a question, or why there is none (yet).
export function Answer<T>({ data, error, children }: { data: T | undefined; error: ApiError | undefined; children: (data: T) => ReactNode }) {
  if (error && data === undefined) return <Refusal error={error} />;
  return data === undefined ? <Loading /> : children(data);
}

function Refusal({ error }: { error: ApiError }) {
  if (error.status === 404) return <Empty title="Not there">{error.message}</Empty>;
  return (
    <div className="note bad" role="alert">
      <strong>The jobmanager refused.</strong> {error.message}
    </div>
  );
}

export function Instant({ ms }: { ms: number }) {
  const text = instant(ms);
  return text === none ? <span className="muted">{none}</span> : <time dateTime={new Date(ms).toISOString()}>{text}</time>;
}

export function CopyButton({ text, label }: { text: string; label: string }) {
  const [copied, setCopied] = useState(false);
  useEffect(() => {
    if (!copied) return;
    const timer = setTimeout(() => setCopied(false), 1500);
    return () => clearTimeout(timer);
  }, [copied]);
  // Browsers give no clipboard to a page that came over plain HTTP from another machine.
  if (!navigator.clipboard) return null;
  const copy = () => navigator.clipboard.writeText(text).then(() => setCopied(true), () => setCopied(false));
  return (
    <button type="button" className="copy" onClick={() => void copy()} aria-label={label} title={label}>
      {copied ? (
        <svg viewBox="0 0 16 16" aria-hidden="true"><path d="M3 8.5 6.5 12 13 4.5" /></svg>
      ) : (
        <svg viewBox="0 0 16 16" aria-hidden="true">
          <rect x="5.5" y="5.5" width="8" height="8" rx="1.5" />
          <path d="M10.5 5.5V4A1.5 1.5 0 0 0 9 2.5H4A1.5 1.5 0 0 0 2.5 4v5A1.5 1.5 0 0 0 4 10.5h1.5" />
        </svg>
      )}
      <span className="visually-hidden" role="status">{copied ? 'Copied' : ''}</span>
    </button>
  );
}

// Confirm is a modal question. The browser's own dialog keeps the focus inside and closes on Escape.
export function Confirm(props: { title: string; action: string; busy: boolean; onConfirm: () => void; onClose: () => void; children: ReactNode }) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => dialog.current?.showModal(), []);
  return (
    <dialog ref={dialog} onClose={props.onClose} aria-labelledby="confirm-title">
      <h2 id="confirm-title">{props.title}</h2>
      <div className="dialog-body">{props.children}</div>
      <div className="dialog-actions">
        <button type="button" className="button" onClick={props.onClose}>Keep running</button>
        <button type="button" className="button danger" disabled={props.busy} onClick={props.onConfirm}>{props.action}</button>
      </div>
    </dialog>
  );
}

// Sparkline draws the last values of a series; it carries no axis, the number beside it is the value.
export function Sparkline({ values, label }: { values: number[]; label: string }) {
  if (values.length < 2) return <svg className="spark" viewBox="0 0 100 28" aria-hidden="true" />;
  const top = Math.max(1, ...values);
  const points = values.map((v, i) => `${((i / (values.length - 1)) * 100).toFixed(2)},${(26 - (v / top) * 24).toFixed(2)}`);
  return (
    <svg className="spark" viewBox="0 0 100 28" preserveAspectRatio="none" role="img" aria-label={label}>
      <polygon points={`0,28 ${points.join(' ')} 100,28`} />
      <polyline points={points.join(' ')} />
    </svg>
  );
}
