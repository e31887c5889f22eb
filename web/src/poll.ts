// Asking the jobmanager again and again, but only while somebody looks.
import { useEffect, useRef, useState } from 'react';
import { ApiError, ConnectionError } from './api';
import { connection } from './connection';

export interface Polled<T> {
  data: T | undefined; // the last good answer to this question, kept while later ones fail
  error: ApiError | undefined; // the jobmanager's refusal, when that was its last answer
}

// poller calls ask at once and then every interval ms after an answer came, never two at a time, and not while
// hidden() holds: then it stops until wake is called. It returns the functions that wake and end it.
export function poller(ask: () => Promise<void>, interval: number, hidden: () => boolean) {
  let timer: ReturnType<typeof setTimeout> | undefined;
  let asking = false;
  let ended = false;
  const run = async () => {
    if (asking || ended || hidden()) return;
    asking = true;
    clearTimeout(timer);
    await ask();
    asking = false;
    if (!ended) timer = setTimeout(() => void run(), interval);
  };
  void run();
  return {
    wake: () => void run(),
    end: () => {
      ended = true;
      clearTimeout(timer);
    },
  };
}

// usePolled asks for as long as the component is shown. key names the question: a new key forgets the old answer.
// An interval of 0 asks once, and again only when that failed. An answer that any jobmanager gives does not say that one leads.
export function usePolled<T>(key: string, ask: (signal: AbortSignal) => Promise<T>, interval: number, from: 'leader' | 'any' = 'leader'): Polled<T> {
  const [state, setState] = useState<Polled<T> & { key: string }>({ key, data: undefined, error: undefined });
  const latest = useRef(ask);
  useEffect(() => {
    latest.current = ask;
  });
  useEffect(() => {
    const abort = new AbortController();
    let done = false;
    const once = async () => {
      if (done) return;
      try {
        const data = await latest.current(abort.signal);
        if (abort.signal.aborted) return;
        if (from === 'leader') connection.answered();
        done = interval === 0;
        setState({ key, data, error: undefined });
      } catch (error) {
        if (abort.signal.aborted) return;
        if (error instanceof ApiError) {
          connection.answered();
          setState((old) => ({ key, data: old.key === key ? old.data : undefined, error }));
        } else {
          connection.lost(error instanceof ConnectionError ? error.message : String(error));
        }
      }
    };
    const poll = poller(once, interval || 3000, () => document.hidden);
    document.addEventListener('visibilitychange', poll.wake);
    return () => {
      document.removeEventListener('visibilitychange', poll.wake);
      poll.end();
      abort.abort();
    };
  }, [key, interval, from]);
  return state.key === key ? state : { data: undefined, error: undefined };
}
