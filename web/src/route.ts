// Where the user is, kept in the address's fragment: #/, #/jobs/<id>, #/jobs/<id>/<tab>?vertex=… . The server
// sees one page only, so any address can be sent to a colleague and nothing depends on how the UI is mounted.
import { useSyncExternalStore } from 'react';

export const jobTabs = ['overview', 'why', 'source', 'checkpoints', 'ledger', 'files', 'exceptions', 'spec'] as const;
export type JobTab = (typeof jobTabs)[number];

export type Route =
  | { page: 'overview' }
  | { page: 'job'; id: string; tab: JobTab; vertex?: string; file?: string }
  | { page: 'unknown' };

function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part; // a hand-made address; it names nothing and the page says so
  }
}

// parse reads a fragment, with or without its "#".
export function parse(hash: string): Route {
  const [path = '', query = ''] = hash.replace(/^#/, '').split('?', 2);
  const parts = path.split('/').filter(Boolean).map(decode);
  if (parts.length === 0) return { page: 'overview' };
  const [first, id, tab = 'overview', ...rest] = parts;
  const known = jobTabs.find((t) => t === tab);
  if (first !== 'jobs' || !id || !known || rest.length > 0) return { page: 'unknown' };
  const params = new URLSearchParams(query);
  const [vertex, file] = [params.get('vertex'), params.get('file')];
  return { page: 'job', id, tab: known, ...(vertex && { vertex }), ...(file && { file }) };
}

// jobHref is the address of a job's page.
export function jobHref(id: string, tab: JobTab = 'overview', params: { vertex?: string; file?: string } = {}): string {
  const query = new URLSearchParams(params).toString();
  return `#/jobs/${encodeURIComponent(id)}${tab === 'overview' ? '' : `/${tab}`}${query && `?${query}`}`;
}

function subscribe(changed: () => void): () => void {
  addEventListener('hashchange', changed);
  return () => removeEventListener('hashchange', changed);
}

// useHash is the fragment now.
export function useHash(): string {
  return useSyncExternalStore(subscribe, () => location.hash);
}
