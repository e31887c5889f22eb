// Whether the jobmanager answers: one fact for the whole page, so that a lost connection is said once.
import { useSyncExternalStore } from 'react';

export interface Connection {
  reason: string | undefined; // why it is lost; undefined while it holds
  since: number; // ms of the browser's clock: the last answer
}

// newConnection is a store in the form that useSyncExternalStore wants.
export function newConnection(now: () => number) {
  let state: Connection = { reason: undefined, since: now() };
  const listeners = new Set<() => void>();
  const set = (next: Connection) => {
    const changed = next.reason !== state.reason;
    state = changed ? next : state;
    if (changed) for (const listener of listeners) listener();
  };
  let lastAnswer = now();
  return {
    answered: () => {
      lastAnswer = now();
      set({ reason: undefined, since: lastAnswer });
    },
    lost: (reason: string) => set({ reason, since: lastAnswer }),
    get: () => state,
    subscribe: (listener: () => void) => {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
  };
}

export const connection = newConnection(Date.now);

export function useConnection(): Connection {
  return useSyncExternalStore(connection.subscribe, connection.get);
}
