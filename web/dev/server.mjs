// A stand-in for a jobmanager, to look at the UI without a cluster: node dev/server.mjs [port]. It serves made-up
// but lively answers and the built dist. It is no part of the product.
import { createReadStream, existsSync } from 'node:fs';
import { createServer } from 'node:http';
import { extname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';

const port = Number(process.argv[2] ?? 8081);
const dist = fileURLToPath(new URL('../dist', import.meta.url));
const born = Date.now() - 47 * 60_000;
const day = Date.UTC(2025, 2, 4, 11, 54, 0);
const hex = (n) => n.toString(16).padStart(2, '0').repeat(16);

const states = ['CREATED', 'SCHEDULED', 'DEPLOYING', 'INITIALIZING', 'RUNNING', 'FINISHED', 'CANCELING', 'CANCELED', 'FAILED', 'RECONCILING'];
const counts = (of) => Object.fromEntries(states.map((s) => [s, of[s] ?? 0]));

function job(n, name, state, parallelism, { age = 47 * 60_000, lasted = -1, rate = 412_000, chain = 3 } = {}) {
  const shapes = {
    3: [['Source: sahibinden -> Compute -> LocalGroup', 'HASH'], ['GlobalWindowAggregate -> Calc -> Sink: csv', null]],
    2: [['Source: listings -> Calc -> Sink: csv', null]],
    5: [['Source: orders -> Calc', 'HASH'], ['Source: payments -> Calc', 'HASH'], ['WindowJoin', 'HASH'], ['GroupAggregate', 'FORWARD'], ['Sink: csv', null]],
  };
  return { n, id: hex(n), name, state, parallelism, start: Date.now() - age, lasted, rate, shape: shapes[chain], chain };
}

const jobs = [
  job(0xca, 'kdv-2min', 'RUNNING', 4),
  job(0xb2, 'orders-joined-with-payments', 'RUNNING', 8, { age: 3 * 86_400_000 + 4e6, rate: 38_000, chain: 5 }),
  job(0x1f, 'listings-wide', 'RUNNING', 1000, { age: 5 * 3_600_000, rate: 1_900_000, chain: 2 }),
  job(0x7e, 'kdv-hourly', 'RESTARTING', 2, { age: 130_000, rate: 0 }),
  job(0x44, 'backfill-2025-03', 'FINISHED', 4, { age: 9e6, lasted: 754_000 }),
  job(0xf0, 'kdv-2min-test', 'FAILED', 2, { age: 8e6, lasted: 2_802 }),
  job(0xd5, 'kdv-2min-old', 'CANCELED', 2, { age: 26 * 3.6e6, lasted: 3_600_000 }),
];

const ended = (j) => ['FINISHED', 'FAILED', 'CANCELED'].includes(j.state);
const endTime = (j) => (ended(j) ? j.start + j.lasted : -1);
const lasts = (j) => (ended(j) ? j.lasted : Date.now() - j.start);
const taskState = (j, i) => (j.state === 'RESTARTING' ? (i % 2 ? 'SCHEDULED' : 'DEPLOYING') : j.state === 'FAILED' && i > 0 ? 'CANCELED' : j.state === 'CANCELLING' ? 'CANCELING' : j.state);
const tally = (j) => Array.from({ length: j.parallelism }, (_, i) => taskState(j, i)).reduce((m, s) => ({ ...m, [s]: (m[s] ?? 0) + 1 }), {});
const wave = (t, n) => 1 + 0.18 * Math.sin(t / 7000 + n) + 0.05 * Math.sin(t / 1300 + 2 * n);
const flowing = (j) => (j.state === 'RUNNING' ? j.rate * wave(Date.now(), j.n) : 0);
const mark = (j) => day + (Date.now() - born) * 3 - (j.n % 7) * 1000;
const io = (records) => ({
  'read-bytes': records[0] * 148, 'read-bytes-complete': true, 'write-bytes': records[1] * 96, 'write-bytes-complete': true,
  'read-records': records[0], 'read-records-complete': true, 'write-records': records[1], 'write-records-complete': true,
  'accumulated-backpressured-time': 0, 'accumulated-idle-time': 0, 'accumulated-busy-time': 'NaN',
});
const flow = (j, v) => {
  const read = Math.floor((lasts(j) / 1000) * (j.rate || 900));
  const last = v === j.shape.length - 1;
  return v === 0 || (j.chain === 5 && v === 1) ? [read, last ? Math.floor(read * 0.98) : Math.floor(read * 0.31)] : [Math.floor(read * 0.31), Math.floor(read * (last ? 0.12 : 0.2))];
};
const vid = (j, v) => hex((j.n + 37 * (v + 1)) % 256);

function details(j) {
  const vertices = j.shape.map(([name], v) => ({
    id: vid(j, v), slotSharingGroupId: hex(9), name, maxParallelism: 128, parallelism: j.parallelism,
    status: taskState(j, v), 'start-time': j.start + 400, 'end-time': endTime(j), duration: lasts(j) - 400,
    tasks: counts(tally(j)), metrics: io(flow(j, v)),
  }));
  const inputs = j.chain === 5 ? { 2: [0, 1], 3: [2], 4: [3] } : { 1: [0] };
  const nodes = j.shape.map((_, v) => ({
    id: vid(j, v), parallelism: j.parallelism, operator: '', operator_strategy: '', description: `${j.shape[v][0]}<br/>`, optimizer_properties: {},
    ...(inputs[v] && { inputs: inputs[v].map((from, num) => ({ num, id: vid(j, from), ship_strategy: j.shape[from][1], exchange: 'pipelined_bounded' })) }),
  }));
  return {
    'ledger-imbalance': ledger(j).imbalance, jid: j.id, name: j.name, isStoppable: false, state: j.state, 'job-type': 'STREAMING', 'start-time': j.start, 'end-time': endTime(j), duration: lasts(j),
    maxParallelism: 128, now: Date.now(), timestamps: {}, vertices, 'status-counts': {}, plan: { jid: j.id, name: j.name, type: 'STREAMING', nodes: nodes.toReversed() },
  };
}

function subtasks(j, v) {
  return Array.from({ length: j.parallelism }, (_, i) => ({
    subtask: i, status: taskState(j, i), attempt: j.state === 'RESTARTING' ? 3 : 0, host: 'tm', endpoint: `10.0.0.${1 + (i % 3)}:6121`, 'start-time': j.start + 400, start_time: j.start + 400,
    'end-time': -1, duration: lasts(j), metrics: io(flow(j, v).map((r) => Math.floor((r / j.parallelism) * (1 + 0.1 * Math.sin(i))))), 'taskmanager-id': `10.0.0.${1 + (i % 3)}:6121-${['6ab837', 'c01d2e', '99f1b4'][i % 3]}`, 'status-duration': {},
  }));
}

const aggregate = (id, max, sum) => ({ id, min: max / 2, max, avg: max * 0.7, sum, skew: 4 });
function metrics(j, v) {
  const [read, written] = flow(j, v);
  const t = Date.now() / 9000;
  const rate = flowing(j);
  return [
    aggregate('numRecordsInPerSecond', rate, v === 0 ? rate : rate * 0.31), aggregate('numRecordsOutPerSecond', rate, (rate * written) / Math.max(1, read)),
    aggregate('busyTimeMsPerSecond', rate && 430 + 200 * Math.sin(t + v), 0), aggregate('backPressuredTimeMsPerSecond', rate && (v === 0 ? 90 + 80 * Math.sin(t) : 0), 0),
  ];
}

function splits(j) {
  return Array.from({ length: Math.min(j.parallelism * 2, 1200) }, (_, p) => {
    const offset = Math.floor((flow(j, 0)[0] / j.parallelism / 2) * (1 + 0.05 * Math.sin(p)));
    const waiting = p === 5;
    const lag = ended(j) || p % 3 === 0 ? 0 : Math.floor(900 * wave(Date.now(), p));
    return {
      topic: 'sahibinden', partition: p, subtask: p % j.parallelism, 'current-offset': offset, 'end-offset': waiting ? -1 : offset + lag, lag: waiting ? -1 : lag,
      watermark: p === 7 ? -9223372036854775808 : mark(j) - (p % 5) * 700, idle: p === 7, state: ended(j) ? 'finished' : waiting ? 'waiting' : 'reading',
      reason: waiting ? 'broker 2 (kafka-2:9092): connection refused, next try in 4 s' : '',
    };
  });
}

function files(j) {
  const windows = Math.min(40, Math.floor(lasts(j) / 120_000));
  const all = [];
  for (let w = windows; w >= 0; w--) {
    for (let s = 0; s < Math.min(4, j.parallelism); s++) {
      const state = w === windows && !ended(j) ? 'in-progress' : w === windows - 1 && s === 1 && !ended(j) ? 'pending' : 'finished';
      all.push({ name: `part-${j.id}-${s}-${w}.csv`, 'vertex-id': vid(j, j.shape.length - 1), subtask: s, state, rows: 128_400 + 731 * s + 17 * w, bytes: 9_800_123 + 52_111 * s * (w + 1), 'last-modification': Date.now() - (windows - w) * 120_000 - s * 900 });
    }
  }
  return { path: '/data/out_data', files: all };
}

function checkpoints(j) {
  const last = Math.max(5, Math.floor(lasts(j) / 10_000));
  const at = (id) => {
    const took = 20 + ((id * 7) % 31);
    const triggered = j.start + id * 10_000;
    const common = { id, is_savepoint: false, savepointFormat: null, trigger_timestamp: triggered, num_subtasks: j.parallelism * j.shape.length, checkpoint_type: 'CHECKPOINT', tasks: {} };
    return id === last - 3
      ? { ...common, className: 'failed', status: 'FAILED', latest_ack_timestamp: -1, checkpointed_size: 0, state_size: 0, end_to_end_duration: 310, num_acknowledged_subtasks: 0, failure_timestamp: triggered + 310, failure_message: 'declined by subtask 2: write /data/out_data: no space left on device' }
      : { ...common, className: 'completed', status: 'COMPLETED', latest_ack_timestamp: triggered + took, checkpointed_size: 48_120 * j.parallelism, state_size: 48_120 * j.parallelism, end_to_end_duration: took, num_acknowledged_subtasks: common.num_subtasks, external_path: '', discarded: id < last };
  };
  const history = Array.from({ length: Math.min(10, last) }, (_, i) => at(last - i));
  return {
    counts: { restored: 1, total: last, in_progress: 0, completed: last - 1, failed: 1 }, summary: { end_to_end_duration: { min: 20, max: 50, avg: 34, p50: 33, p99: 49 } },
    latest: { completed: history[0], savepoint: null, failed: at(last - 3), restored: { id: 1, restore_timestamp: j.start + 12_000, is_savepoint: false } }, history,
  };
}

function why(j) {
  const end = Math.floor(mark(j) / 120_000) * 120_000;
  const missing = end + 4_999;
  const split = (partition, watermark, silent, rest = {}) => ({ topic: 'sahibinden', partition, 'current-offset': 81_204, 'end-offset': 81_204, state: 'reading', reason: '', watermark, idle: false, silent, ...rest });
  const text = (ms) => new Date(ms).toISOString().slice(0, 19).replace('T', ' ');
  return {
    findings: [
      { severity: 'problem', kind: 'watermark-held-back', 'vertex-id': '', splits: [{ topic: 'sahibinden', partition: 3 }],
        sentence: `Partition 3 holds the watermark back, without a record for 19 min: the others have passed the end of window [${text(end - 120_000)}, ${text(end)}) with 1,204 rows.`,
        remedy: `Set source.watermark.idle_after, for example to 30s, and silent partitions are left out; or write a record of partition 3 with timestamp_column ≥ ${text(missing)}.` },
      { severity: 'note', kind: 'rows-late', 'vertex-id': '', splits: [], sentence: '3 rows of 120,400 were late: the rows before in the same partition had already ended the window.', remedy: '' },
    ],
    facts: {
      'open-windows': 2, windows: [{ start: end - 120_000, end, 'fires-at': end - 1, groups: 1204 }, { start: end, end: end + 120_000, 'fires-at': end + 119_999, groups: 87 }],
      splits: [split(0, mark(j), 200), split(1, mark(j) - 900, 350), split(2, mark(j) - 600_000, 45_000, { idle: true }), split(3, end - 60_000, 1_140_000, { 'missing-event-time': missing })],
    },
  };
}

function ledger(j) {
  const names = ['read', 'emitted', 'filtered', 'late', 'dead-lettered', 'skipped', 'collapsed', 'open', 'lost', 'truncations'];
  const rows = Array.from({ length: Math.min(j.parallelism * 2, 1200) }, (_, p) => {
    const read = 1_204_113 + 911 * p;
    const fates = [read, 0, Math.floor(read / 50), 12 * p, 0, 3, Math.floor(read / 3), 4_211];
    fates[1] = read - fates.slice(2).reduce((a, b) => a + b, 0) - (j.state === 'FAILED' && p === 1 ? 2 : 0);
    fates.push(p === 2 ? 4120 : 0, p === 3 ? 1 : 0);
    return { topic: 'sahibinden', partition: p, ...Object.fromEntries(names.map((n, i) => [n, fates[i]])) };
  });
  const total = Object.fromEntries(names.map((n) => [n, rows.reduce((sum, r) => sum + r[n], 0)]));
  const balanced = j.state !== 'FAILED';
  return { balanced, imbalance: balanced ? '' : 'ledger of split sahibinden-1 does not balance: 2 missing', 'checkpoint-id': 281, total, splits: rows };
}

const failure = `read topic sahibinden, partition 3, offset 1,204: field price: "on sekiz bin" is not a BIGINT
  record: {"id":7,"product":"Televizyon","price":"on sekiz bin"}
  source.on_error is fail; set it to skip or ignore to go on without such records`;
const lost = 'org.apache.flink.runtime.jobmaster.JobMasterException: TaskManager with id 10.0.0.2:6121-c01d2e is no longer reachable.\n\tat org.apache.flink.runtime.jobmaster.JobMaster.notify(JobMaster.java:1640)\n\tat java.base/java.lang.Thread.run(Thread.java:840)';
function exceptions(j) {
  if (j.state !== 'FAILED' && j.state !== 'RESTARTING') return { 'root-exception': null, timestamp: null, 'all-exceptions': [], truncated: false, exceptionHistory: { entries: [], truncated: false } };
  const at = endTime(j) > 0 ? endTime(j) : Date.now() - 4000;
  const entry = (stacktrace, timestamp, more = {}) => ({ exceptionName: 'DecodeError', stacktrace, timestamp, taskName: `${j.shape[0][0]} (1/${j.parallelism})`, endpoint: '10.0.0.1:6121', taskManagerId: '10.0.0.1:6121-6ab837', failureLabels: {}, concurrentExceptions: [], ...more });
  const entries = [entry(failure, at, { concurrentExceptions: [entry(lost, at + 12)] }), entry(lost, at - 61_000, { exceptionName: 'JobMasterException', taskName: null })];
  return { 'root-exception': failure, timestamp: at, 'all-exceptions': [], truncated: false, exceptionHistory: { entries, truncated: false } };
}

const spec = `# Listings of sahibinden with VAT, every two minutes
name: kdv-2min
parallelism: auto
source:
  kafka: {brokers: "\${KAFKA_BROKERS:localhost:9092}", topic: sahibinden, group: flink-group-sahibinden, start: earliest}
  format: json
  on_error: fail                 # fail | ignore | skip
  schema:
    id: INT
    product: STRING
    description: STRING
    price: BIGINT
    kdv: DOUBLE
    timestamp_column: TIMESTAMP(3)
  watermark: {column: timestamp_column, delay: 5s, idle_after: 30s}
compute:
  price_with_kdv: price * (1 + kdv)
window:
  tumble: 2m
  group_by: [id, product, description, price, kdv, price_with_kdv]
select: [id, product, description, price, kdv, price_with_kdv, window_start]
sink:
  csv: {path: out_data}
checkpoint: {interval: 10s}
`;
const preview = Array.from({ length: 20 }, (_, i) => `${i + 7},${['Televizyon', 'Bisiklet', 'Koltuk', 'Telefon'][i % 4]},"ikinci el, ${['LG OLED TV', '28 jant', 'deri', 'ekranı çizik'][i % 4]}",${18000 + 250 * i},0.18,${((18000 + 250 * i) * 1.18).toFixed(1)},"2025-03-04 11:54:00"`).join('\n') + '\n';

const tm = (i, free) => ({
  id: `10.0.0.${i}:6121-${['', '6ab837', 'c01d2e', '99f1b4'][i]}`, path: `10.0.0.${i}:6121`, dataPort: 6121, jmxPort: -1, timeSinceLastHeartbeat: Date.now() - 700 * i, slotsNumber: 8, freeSlots: free,
  totalResource: { cpuCores: 8 }, freeResource: { cpuCores: free }, hardware: { cpuCores: 8, physicalMemory: 33_554_432_000, freeMemory: 9e9, managedMemory: 0 }, memoryConfiguration: { totalProcessMemory: 536_870_912 },
});

function answer(method, path, query) {
  if (path === '/config') return { 'refresh-interval': 1500, 'timezone-name': 'UTC', 'timezone-offset': 0, 'flink-version': '1.20.5', 'flink-revision': 'dev', features: { 'web-submit': true, 'web-cancel': true, 'web-rescale': false, 'web-history': false } };
  if (path === '/taskmanagers') return { taskmanagers: empty ? [] : [tm(2, 0), tm(1, 0), tm(3, 5)] };
  if (path === '/cluster/members') {
    const member = (n, more) => ({ id: `jm${n}`, address: `10.0.0.${n}:6124`, voter: true, leader: n === 2, reachable: true, joining: false, state: n === 2 ? 'LEADER' : 'FOLLOWER', term: 7, lastIndex: 10_482, appliedIndex: 10_482, ...more });
    return { members: [member(1), member(2), member(3, { reachable: false, state: '', term: 0, lastIndex: 0, appliedIndex: 0 })] };
  }
  if (path === '/jobs/overview') {
    return { jobs: empty ? [] : jobs.map((j) => ({ jid: j.id, name: j.name, 'start-time': j.start, 'end-time': endTime(j), duration: lasts(j), state: j.state, 'last-modification': j.start, tasks: Object.fromEntries([['total', j.parallelism * j.shape.length], ...Object.entries(counts(tally(j))).map(([s, n]) => [s.toLowerCase(), n * j.shape.length])]) })) };
  }
  const inState = (...s) => (empty ? 0 : jobs.filter((j) => s.includes(j.state)).length);
  if (path === '/overview') return { taskmanagers: empty ? 0 : 3, 'slots-total': empty ? 0 : 24, 'slots-available': empty ? 0 : 5, 'jobs-running': inState('RUNNING', 'RESTARTING', 'CANCELLING'), 'jobs-finished': inState('FINISHED'), 'jobs-cancelled': inState('CANCELED'), 'jobs-failed': inState('FAILED'), 'flink-version': '1.20.5', 'flink-commit': 'dev' };
  const [, , id, kind, v, what] = path.split('/');
  const j = jobs.find((candidate) => candidate.id === id);
  if (!path.startsWith('/jobs/')) return undefined;
  if (!j) return [404, { errors: [`org.apache.flink.runtime.rest.NotFoundException: Job ${id} not found\n\tat java.lang.Thread.run`] }];
  if (method === 'PATCH') {
    j.state = 'CANCELLING';
    setTimeout(() => Object.assign(j, { state: 'CANCELED', lasted: Date.now() - j.start }), 3000);
    return [202, {}];
  }
  if (!kind) return details(j);
  if (kind === 'exceptions') return exceptions(j);
  if (kind === 'spec') return spec.replace('kdv-2min', j.name);
  if (kind === 'splits') return { splits: splits(j) };
  if (kind === 'checkpoints') return v ? { mode: 'exactly_once', interval: 10_000, timeout: 600_000, min_pause: 200, max_concurrent: 1, tolerable_failed_checkpoints: 0 } : checkpoints(j);
  if (kind === 'ledger') return ledger(j);
  if (kind === 'why') return why(j);
  if (kind === 'files') return v ? (query.get('rows') && !v.includes('-3-') ? preview : [404, { errors: [`part file ${v}: not on the jobmanager's disk`] }]) : files(j);
  const index = j.shape.findIndex((_, i) => vid(j, i) === v);
  if (!what) return { id: v, name: j.shape[index][0], parallelism: j.parallelism, maxParallelism: 128, now: Date.now(), subtasks: subtasks(j, index), aggregated: {} };
  if (what === 'watermarks') return Array.from({ length: j.parallelism }, (_, i) => ({ id: `${i}.currentInputWatermark`, value: j.state === 'RUNNING' ? String(mark(j) - (i % 4) * 500) : '-9223372036854775808' }));
  return metrics(j, index);
}

// SIGUSR1 empties the cluster, SIGUSR2 makes it lose its leader and find it again.
let empty = false;
let leaderless = false;
process.on('SIGUSR1', () => (empty = !empty));
process.on('SIGUSR2', () => (leaderless = !leaderless));

const contentTypes = { '.html': 'text/html; charset=utf-8', '.js': 'text/javascript', '.css': 'text/css', '.svg': 'image/svg+xml' };
createServer((request, response) => {
  const { pathname, searchParams } = new URL(request.url, 'http://localhost');
  const send = (status, type, body) => response.writeHead(status, { 'Content-Type': type }).end(body);
  const file = join(dist, normalize(pathname === '/' ? '/index.html' : pathname));
  if (existsSync(file) && extname(file)) {
    response.writeHead(200, { 'Content-Type': contentTypes[extname(file)] ?? 'application/octet-stream' });
    return createReadStream(file).pipe(response);
  }
  if (leaderless) return send(503, 'application/json', '{"errors":["no leader"]}');
  const result = answer(request.method, pathname, searchParams) ?? [404, { errors: [`Unable to load requested file ${pathname}.`] }];
  const [status, body] = Array.isArray(result) && typeof result[0] === 'number' ? result : [200, result];
  return typeof body === 'string' ? send(status, 'text/plain; charset=utf-8', body) : send(status, 'application/json; charset=UTF-8', JSON.stringify(body));
}).listen(port, () => console.log(`http://localhost:${port}/`));
