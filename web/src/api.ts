// The REST API as the UI uses it: Flink's own shapes, and the few paths that Pencere adds beside them. Field names
// are those on the wire. Times are ms since 1970 UTC, durations ms, sizes bytes.

export type JobState =
  | 'INITIALIZING' | 'CREATED' | 'RUNNING' | 'FAILING' | 'FAILED' | 'CANCELLING' | 'CANCELED'
  | 'FINISHED' | 'RESTARTING' | 'SUSPENDED' | 'RECONCILING';

export type ExecutionState =
  | 'CREATED' | 'SCHEDULED' | 'DEPLOYING' | 'INITIALIZING' | 'RUNNING' | 'FINISHED' | 'CANCELING'
  | 'CANCELED' | 'FAILED' | 'RECONCILING';

export interface Config {
  'refresh-interval': number;
  'flink-version': string;
  features: { 'web-cancel': boolean };
}

export interface Overview {
  taskmanagers: number;
  'slots-total': number;
  'slots-available': number;
  'jobs-running': number;
  'jobs-finished': number;
  'jobs-cancelled': number;
  'jobs-failed': number;
}

export interface JobSummary {
  jid: string;
  name: string;
  'start-time': number;
  'end-time': number; // -1 while the job runs
  duration: number;
  state: JobState;
  tasks: Record<string, number>; // by lower-case execution state, and "total"
}

export interface IOMetrics {
  'read-bytes': number;
  'write-bytes': number;
  'read-records': number;
  'write-records': number;
}

export interface Vertex {
  id: string;
  name: string;
  parallelism: number;
  status: ExecutionState;
  'start-time': number; // -1 before the first subtask started
  duration: number;
  tasks: Partial<Record<ExecutionState, number>>;
  metrics: IOMetrics;
}

export interface PlanInput {
  num: number;
  id: string;
  ship_strategy: string;
}

export interface PlanNode {
  id: string;
  description?: string;
  inputs?: PlanInput[];
}

export interface Job {
  jid: string;
  name: string;
  state: JobState;
  'start-time': number;
  'end-time': number;
  duration: number;
  now: number;
  vertices: Vertex[];
  plan: { nodes?: PlanNode[] }; // {} for a job that failed before it had a graph
  'ledger-imbalance'?: string; // "" when every record is accounted for; Flink has no such thing
}

export interface Subtask {
  subtask: number;
  status: ExecutionState;
  attempt: number;
  endpoint: string;
  'start-time': number;
  duration: number;
  metrics: IOMetrics;
  'taskmanager-id': string;
}

export interface VertexDetails {
  id: string;
  subtasks: Subtask[];
}

// Metric is one metric of a vertex over its subtasks.
export interface Metric {
  id: string;
  min?: number;
  max?: number;
  avg?: number;
  sum?: number;
}

// WatermarkEntry is "<subtask>.currentInputWatermark", or currentOutputWatermark of a source, and its ms as text;
// "-9223372036854775808" is none.
export interface WatermarkEntry {
  id: string;
  value: string;
}

export interface ExceptionEntry {
  exceptionName: string;
  stacktrace: string;
  timestamp: number;
  taskName?: string | null;
  endpoint?: string | null;
  taskManagerId?: string | null;
  concurrentExceptions?: ExceptionEntry[];
}

export interface JobExceptions {
  'root-exception'?: string | null; // Flink 1.x only
  timestamp?: number | null;
  exceptionHistory?: { entries: ExceptionEntry[]; truncated: boolean };
}

export interface TaskManager {
  id: string;
  path: string;
  dataPort: number;
  timeSinceLastHeartbeat: number; // despite its name the time of the last heartbeat
  slotsNumber: number;
  freeSlots: number;
  hardware: { cpuCores: number; physicalMemory: number };
  memoryConfiguration?: { totalProcessMemory?: number | null };
}

// Member is a jobmanager of the cluster, as the one that is asked knows it.
export interface Member {
  id: string;
  address: string; // for Raft; "" of one that runs alone
  voter: boolean;
  leader: boolean;
  reachable: boolean;
  joining: boolean; // its disk was empty, and it has not caught up
  state: '' | 'FOLLOWER' | 'CANDIDATE' | 'LEADER' | 'SHUTDOWN'; // "" of one that is not reached
  term: number;
  lastIndex: number;
  appliedIndex: number;
}

export type PartFileState = 'in-progress' | 'pending' | 'finished';

export interface PartFile {
  name: string;
  'vertex-id': string;
  subtask: number;
  state: PartFileState;
  rows: number;
  bytes: number;
  'last-modification': number;
}

export interface JobFiles {
  path: string;
  files: PartFile[];
}

export interface Split {
  topic: string;
  partition: number;
  subtask: number;
  'current-offset': number; // the next to be read
  'end-offset': number; // -1 unknown
  lag: number; // -1 unknown
  watermark: number; // -9223372036854775808 is none
  idle: boolean;
  state: 'reading' | 'waiting' | 'finished';
  reason: string;
}

// Checkpoint has the fields of its status only: discarded when completed, a failure when failed.
export interface Checkpoint {
  id: number;
  status: 'IN_PROGRESS' | 'COMPLETED' | 'FAILED';
  checkpoint_type: string;
  trigger_timestamp: number;
  latest_ack_timestamp: number; // -1 before the first
  state_size: number;
  end_to_end_duration: number; // -1 before the first ack
  num_subtasks: number;
  num_acknowledged_subtasks: number;
  discarded?: boolean;
  failure_timestamp?: number;
  failure_message?: string;
}

// Quantiles has "NaN" for percentiles of nothing.
export interface Quantiles {
  avg: number;
  p99: number | 'NaN';
}

export interface Checkpoints {
  counts: { restored: number; total: number; in_progress: number; completed: number; failed: number };
  summary: { end_to_end_duration: Quantiles };
  latest: {
    completed: Checkpoint | null;
    failed: Checkpoint | null;
    restored: { id: number; restore_timestamp: number; is_savepoint: boolean } | null;
  };
  history: Checkpoint[];
}

export interface CheckpointConfig {
  mode: string;
  interval: number;
  timeout: number;
  min_pause: number;
  max_concurrent: number;
  tolerable_failed_checkpoints: number;
}

// Fates are what became of records: read is the sum of those up to open when the ledger balances.
export interface Fates {
  read: number;
  emitted: number;
  filtered: number;
  late: number;
  'dead-lettered': number;
  skipped: number;
  collapsed: number;
  open: number;
  lost: number; // gone before they could be read
  truncations: number; // how often the partition was cut or made anew, by which nobody knows how many are gone
}

export type SplitFates = Fates & { topic: string; partition: number };

export interface Ledger {
  balanced: boolean;
  imbalance: string;
  'checkpoint-id': number; // 0 before the first
  total: Fates;
  splits: SplitFates[];
}

// Finding says why a job gives no output, and what to do about it.
export interface Finding {
  severity: 'problem' | 'waiting' | 'ok' | 'note';
  kind: string;
  sentence: string;
  remedy: string; // "" when there is nothing to do
}

// WhySplit is a split as far as windows wait for it.
export interface WhySplit {
  topic: string;
  partition: number;
  'current-offset': number;
  'end-offset': number; // -1 unknown
  state: 'reading' | 'waiting' | 'finished';
  watermark: number;
  idle: boolean; // left out of the watermark
  silent: number; // for how long no record has come
  'missing-event-time'?: number; // from which on a record lets the first of the windows fire; absent when it does not hold that back
}

export interface OpenWindow {
  start: number;
  end: number;
  'fires-at': number; // the least watermark that fires it
  groups: number;
}

// Why has the findings, the most likely cause first, and what they rest on.
export interface Why {
  findings: Finding[];
  facts: { splits: WhySplit[]; windows: OpenWindow[]; 'open-windows': number };
}

// ApiError is an answer of the jobmanager that is not the one asked for.
export class ApiError extends Error {
  readonly status: number;

  constructor(status: number, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'ApiError';
    this.status = status;
  }
}

// ConnectionError means that nobody who could answer was reached: refused, timed out, or no leader (502, 503, 504).
export class ConnectionError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'ConnectionError';
  }
}

const requestTimeout = 10_000;

// firstLine takes the message out of what may be a whole Java stack trace.
export function firstLine(text: string): string {
  const line = text.split('\n', 1)[0] ?? '';
  return line.replace(/^(?:[a-z]\w*\.)+[A-Z]\w*(?:Exception|Error): /, '');
}

function messageOf(status: number, body: string): string {
  try {
    const { errors } = JSON.parse(body) as { errors?: unknown };
    if (Array.isArray(errors) && errors.length > 0) return errors.map((e) => firstLine(String(e))).join('\n');
  } catch {
    // A proxy's page and not the jobmanager's JSON; the status says more.
  }
  return `HTTP status ${status}`;
}

async function request(path: string, init: RequestInit): Promise<Response> {
  const timeout = AbortSignal.timeout(requestTimeout);
  const signal = init.signal ? AbortSignal.any([init.signal, timeout]) : timeout;
  let response: Response;
  try {
    response = await fetch(path, { ...init, signal });
  } catch (cause) {
    if (init.signal?.aborted) throw cause;
    throw new ConnectionError('the jobmanager does not answer', { cause });
  }
  if (response.status >= 502 && response.status <= 504) {
    throw new ConnectionError(`no jobmanager leads (HTTP status ${response.status})`);
  }
  if (!response.ok) throw new ApiError(response.status, messageOf(response.status, await response.text()));
  return response;
}

async function json<T>(response: Response, path: string): Promise<T> {
  const body = await response.text();
  try {
    return JSON.parse(body) as T;
  } catch (cause) {
    throw new ApiError(response.status, `the answer to ${path} is not JSON`, { cause });
  }
}

async function getJSON<T>(path: string, signal: AbortSignal): Promise<T> {
  return json<T>(await request(path, { signal }), path);
}

async function getText(path: string, signal: AbortSignal): Promise<string> {
  return (await request(path, { signal })).text();
}

// taskManagers gives with them the time on the server's clock, to which their heartbeats belong.
async function taskManagers(signal: AbortSignal): Promise<{ taskmanagers: TaskManager[]; now: number }> {
  const response = await request('./taskmanagers', { signal });
  const { taskmanagers } = await json<{ taskmanagers: TaskManager[] }>(response, './taskmanagers');
  return { taskmanagers, now: Date.parse(response.headers.get('Date') ?? '') || Date.now() };
}

const job = (id: string) => `./jobs/${encodeURIComponent(id)}`;
const vertex = (id: string, vertexId: string) => `${job(id)}/vertices/${encodeURIComponent(vertexId)}`;

// watermarks are those that come into a vertex. Into a source comes none: it has those that it gives out.
async function watermarks(id: string, of: { id: string; parallelism: number }, signal: AbortSignal): Promise<WatermarkEntry[]> {
  const incoming = await getJSON<WatermarkEntry[]>(`${vertex(id, of.id)}/watermarks`, signal);
  if (incoming.length > 0) return incoming;
  const names = Array.from({ length: of.parallelism }, (_, subtask) => `${subtask}.currentOutputWatermark`);
  return getJSON<WatermarkEntry[]>(`${vertex(id, of.id)}/metrics?get=${names.join(',')}`, signal);
}

// The metrics that the operator graph shows.
export const graphMetrics = [
  'numRecordsInPerSecond', 'numRecordsOutPerSecond', 'busyTimeMsPerSecond', 'backPressuredTimeMsPerSecond',
  'numRecordsDeadLettered', 'numRecordsEmpty', 'numRecordsInErrors', 'numLateRecordsDropped', 'numRecordsLost',
] as const;

// api has one function a path. All reject with ApiError or ConnectionError, or with the signal's reason.
export const api = {
  config: (s: AbortSignal) => getJSON<Config>('./config', s),
  overview: (s: AbortSignal) => getJSON<Overview>('./overview', s),
  jobs: async (s: AbortSignal) => (await getJSON<{ jobs: JobSummary[] }>('./jobs/overview', s)).jobs,
  taskManagers,
  members: async (s: AbortSignal) => (await getJSON<{ members: Member[] }>('./cluster/members', s)).members,
  job: (id: string, s: AbortSignal) => getJSON<Job>(job(id), s),
  vertex: (id: string, v: string, s: AbortSignal) => getJSON<VertexDetails>(vertex(id, v), s),
  watermarks,
  metrics: (id: string, v: string, s: AbortSignal) =>
    getJSON<Metric[]>(`${vertex(id, v)}/subtasks/metrics?get=${graphMetrics.join(',')}`, s),
  exceptions: (id: string, s: AbortSignal) => getJSON<JobExceptions>(`${job(id)}/exceptions?maxExceptions=20`, s),
  spec: (id: string, s: AbortSignal) => getText(`${job(id)}/spec`, s),
  files: (id: string, s: AbortSignal) => getJSON<JobFiles>(`${job(id)}/files`, s),
  preview: (id: string, name: string, rows: number, s: AbortSignal) =>
    getText(`${job(id)}/files/${encodeURIComponent(name)}?rows=${rows}`, s),
  splits: async (id: string, s: AbortSignal) => (await getJSON<{ splits: Split[] }>(`${job(id)}/splits`, s)).splits,
  checkpoints: (id: string, s: AbortSignal) => getJSON<Checkpoints>(`${job(id)}/checkpoints`, s),
  checkpointConfig: (id: string, s: AbortSignal) => getJSON<CheckpointConfig>(`${job(id)}/checkpoints/config`, s),
  ledger: (id: string, s: AbortSignal) => getJSON<Ledger>(`${job(id)}/ledger`, s),
  why: (id: string, s: AbortSignal) => getJSON<Why>(`${job(id)}/why`, s),
  cancel: async (id: string) => {
    const headers = { 'Content-Type': 'application/json' };
    await request(`${job(id)}?mode=cancel`, { method: 'PATCH', body: '{}', headers });
  },
};
