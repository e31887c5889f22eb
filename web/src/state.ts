// What a state means to the eye. One tone has one colour everywhere; the state's name always stands beside it.
export type Tone = 'good' | 'done' | 'bad' | 'warn' | 'busy' | 'off';

const tones: Record<string, Tone> = {
  RUNNING: 'good',
  READING: 'good',
  FINISHED: 'done',
  COMPLETED: 'done',
  FAILED: 'bad',
  FAILING: 'bad',
  RESTARTING: 'warn',
  CANCELLING: 'warn',
  CANCELING: 'warn',
  WAITING: 'warn',
  CREATED: 'busy',
  SCHEDULED: 'busy',
  DEPLOYING: 'busy',
  INITIALIZING: 'busy',
  RECONCILING: 'busy',
  PENDING: 'busy',
  'IN-PROGRESS': 'good',
  PROBLEM: 'bad',
  LEADER: 'good',
  FOLLOWER: 'done',
  CANDIDATE: 'warn',
  'CATCHES UP': 'busy',
  'NOT REACHED': 'bad',
  OK: 'good',
};

// tone gives the tone of any state of a job, a subtask, a split or a part file, and of the severity of a finding.
export function tone(state: string): Tone {
  return tones[state.toUpperCase()] ?? 'off';
}

// terminal tells whether a job in this state will never run again.
export function terminal(state: string): boolean {
  return state === 'FINISHED' || state === 'FAILED' || state === 'CANCELED';
}

// Worst first, so that what needs a look is read first.
const order = [
  'failed', 'canceling', 'canceled', 'reconciling', 'created', 'scheduled', 'deploying', 'initializing', 'running', 'finished',
];

// taskCounts lists the states that tasks are in, from either of Flink's spellings, leaving out "total" and zeroes.
export function taskCounts(tasks: Partial<Record<string, number>>): { state: string; count: number }[] {
  return Object.entries(tasks)
    .map(([state, count]) => ({ state: state.toLowerCase(), count: count ?? 0 }))
    .filter(({ state, count }) => count > 0 && state !== 'total')
    .toSorted((a, b) => order.indexOf(a.state) - order.indexOf(b.state));
}
