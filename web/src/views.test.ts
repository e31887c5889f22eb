import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Member, TaskManager } from './api';
import { newConnection } from './connection';
import { rootOf } from './exceptions';
import { operators } from './graphview';
import { difference, lost } from './ledger';
import { leftOut, loadOf, watermarksBySubtask } from './joboverview';
import { memberState, quorum } from './members';
import { address } from './overview';
import { poller } from './poll';
import { jobHref, parse } from './route';
import { taskCounts, terminal, tone } from './state';
import { sorted, visible, type Column } from './table';
import { distance, splitState, wants } from './why';
import { highlight } from './yaml';

describe('state', () => {
  test('both of Flink\'s spellings of task counts read alike, worst first', () => {
    expect(taskCounts({ running: 1, canceling: 0, total: 2, failed: 1 })).toEqual([{ state: 'failed', count: 1 }, { state: 'running', count: 1 }]);
    expect(taskCounts({ RUNNING: 2, FAILED: 0 })).toEqual([{ state: 'running', count: 2 }]);
  });
  test('CANCELLING still runs, CANCELED does not', () => {
    expect(['CANCELLING', 'CANCELED', 'FINISHED', 'FAILED', 'FAILING', 'SUSPENDED'].map(terminal)).toEqual([false, true, true, true, false, false]);
  });
  test('a state that nobody knows has the quiet tone', () => expect([tone('in-progress'), tone('HIBERNATING')]).toEqual(['good', 'off']));
});

describe('job managers', () => {
  const follower: Member = { id: 'a', address: 'a:6124', voter: true, leader: false, reachable: true, joining: false, state: 'FOLLOWER', term: 2, lastIndex: 9, appliedIndex: 9 };
  const leader: Member = { ...follower, id: 'b', leader: true, state: 'LEADER' };
  const gone: Member = { ...follower, id: 'c', reachable: false, state: '' };
  const empty: Member = { ...follower, id: 'd', joining: true };

  test('one that has not heard of its successor leads nobody', () => {
    expect([leader, { ...leader, leader: false }, gone, empty].map(memberState)).toEqual(['LEADER', 'FOLLOWER', 'NOT REACHED', 'CATCHES UP']);
  });
  test.each([
    [[leader], 'Runs alone: none may be lost'],
    [[follower, leader, { ...follower, id: 'e' }], '3 of 3 voters are there; 1 more may be lost'],
    [[follower, leader, gone], '2 of 3 voters are there; 0 more may be lost'],
    [[follower, leader, { ...gone, voter: false }], '2 of 2 voters are there; 0 more may be lost'],
    [[follower, follower, gone], '2 of 3 voters are there, and none leads yet'],
    [[leader, gone, gone], '1 of 3 voters are there, 2 are needed: nothing can be decided'],
    [[leader, gone, empty], '1 of 3 voters are there, 2 are needed: nothing can be decided'],
    [[{ ...empty, voter: false }], 'There is no cluster yet'],
  ])('how many may be lost, %#', (members, want) => expect(quorum(members)).toBe(want));
});

describe('watermarks and load', () => {
  const running = [{ id: '0.currentInputWatermark', value: '1741087600000' }, { id: '1.currentInputWatermark', value: '1741087590000' }];
  const none = { id: '10.currentInputWatermark', value: '-9223372036854775808' };

  test('by subtask, without those that have none', () => {
    expect(watermarksBySubtask([...running, none])).toEqual(new Map([[0, 1741087600000], [1, 1741087590000]]));
  });
  test('a vertex is as far as its slowest subtask, and nowhere while one has no watermark', () => {
    expect(loadOf([], running).watermark).toBe(1741087590000);
    expect(loadOf([], [...running, none]).watermark).toBeUndefined();
    expect(loadOf([], []).watermark).toBeUndefined();
  });
  test('rates add up, shares are those of the busiest; what is not reported stays unknown', () => {
    const metric = (id: string) => ({ id, min: 1, max: 2, avg: 1.5, sum: 3, skew: 33 });
    expect(loadOf([metric('numRecordsInPerSecond'), metric('busyTimeMsPerSecond')], [])).toEqual({
      recordsIn: 3, recordsOut: undefined, busy: 2, backPressured: undefined, watermark: undefined,
    });
  });
  test('what was left out adds up by its reason; nothing is said of what nobody reports', () => {
    const metric = (id: string, sum: number) => ({ id, sum });
    const load = loadOf([metric('numRecordsDeadLettered', 1200), metric('numRecordsEmpty', 2), metric('numRecordsInErrors', 3), metric('numRecordsLost', 0)], []);
    expect(leftOut([load, loadOf([metric('numLateRecordsDropped', 1)], []), {}])).toEqual({ records: 1206, reasons: '1,200 dead letters, 5 skipped, 1 late' });
    expect(leftOut([{}])).toBeUndefined();
    expect(leftOut([loadOf([metric('numRecordsLost', 0)], [])])).toEqual({ records: 0, reasons: 'none' });
  });
  test('operators of a chain', () => expect(operators('Source: src[1] -> Calc[2]')).toEqual(['Source: src[1]', 'Calc[2]']));
});

describe('task manager address', () => {
  const tm = (path: string) => ({ path, dataPort: 40947 }) as TaskManager;
  test.each([
    ['pekko.tcp://flink@127.0.0.1:37317/user/rpc/taskmanager_0', '127.0.0.1:40947'],
    ['pekko.tcp://flink@[::1]:37317/user/rpc/taskmanager_0', '[::1]:40947'],
    ['taskmanager-1:6121', 'taskmanager-1:6121'],
  ])('%s is at %s', (path, text) => expect(address(tm(path))).toBe(text));
});

describe('exceptions', () => {
  const entry = { exceptionName: 'E', stacktrace: 'E: newest', timestamp: 5 };
  test('Flink 1.x names the root', () => {
    expect(rootOf({ 'root-exception': 'E: root', timestamp: 7, exceptionHistory: { entries: [entry], truncated: false } })).toEqual({ text: 'E: root', timestamp: 7 });
  });
  test('Flink 2.x has only the history', () => {
    expect(rootOf({ exceptionHistory: { entries: [entry], truncated: false } })).toEqual({ text: 'E: newest', timestamp: 5 });
  });
  test('a job that never failed has none', () => {
    expect(rootOf({ 'root-exception': null, timestamp: null, exceptionHistory: { entries: [], truncated: false } })).toBeNull();
    expect(rootOf({})).toBeNull();
  });
});

describe('ledger', () => {
  const balanced = { read: 28, emitted: 1, filtered: 2, late: 3, 'dead-lettered': 4, skipped: 5, collapsed: 6, open: 7, lost: 0, truncations: 0 };
  test('every fate counts once', () => expect(difference(balanced)).toBe(0));
  test('missing records are positive, doubled ones negative', () => {
    expect([difference({ ...balanced, read: 30 }), difference({ ...balanced, emitted: 4 })]).toEqual([2, -3]);
  });
  test('what was lost is not missing, and is never less than is known', () => {
    expect(difference({ ...balanced, lost: 9 })).toBe(0);
    expect([lost(balanced), lost({ ...balanced, lost: 9000 }), lost({ ...balanced, lost: 9, truncations: 1 }), lost({ ...balanced, truncations: 2 })])
      .toEqual(['0', '9,000', '9 and more', 'not known']);
  });
});

describe('why', () => {
  const split = { topic: 't', partition: 0, 'current-offset': 5, 'end-offset': 5, state: 'reading', watermark: 1_741_089_300_000, idle: false, silent: 900 } as const;
  test('a split that holds the next window back says which record it lacks', () => {
    expect(wants({ ...split, 'missing-event-time': 1_741_089_364_999 })).toBe('≥ 2025-03-04 11:56:04.999 UTC');
    expect(wants(split)).toBe('–');
  });
  test('an idle split is shown as such, and never hides that it waits for a broker', () => {
    expect([split, { ...split, idle: true }, { ...split, idle: true, state: 'waiting' as const }].map(splitState)).toEqual(['reading', 'idle', 'waiting']);
  });
  test('the distance of a window is that of the slowest split that counts', () => {
    const window = { start: 0, end: 1_741_089_360_000, 'fires-at': 1_741_089_359_999, groups: 1 };
    expect(distance(window, [split, { ...split, watermark: 1_741_089_340_000 }])).toBe('59 s');
    expect(distance(window, [split, { ...split, watermark: 0, idle: true }, { ...split, watermark: 0, state: 'finished' }])).toBe('59 s');
    expect(distance(window, [{ ...split, watermark: -9_223_372_036_854_775_808 }])).toBe('no watermark yet');
    expect(distance(window, [{ ...split, idle: true }, { ...split, idle: true, watermark: 0 }])).toBe('59 s');
    expect(distance(window, [{ ...split, watermark: 1_741_089_360_000 }])).toBe('due');
    expect(distance(window, [])).toBe('–');
  });
});

describe('routes', () => {
  test.each(['#/jobs/caf2', '#/jobs/caf2/files?file=part-a+b%26c.csv', '#/jobs/caf2?vertex=cbc3', '#/jobs/caf2/ledger', '#/jobs/caf2/why', '#/jobs/a%2Fb/spec'])('%s is read as it is written', (hash) => {
    const route = parse(hash);
    if (route.page !== 'job') throw new Error('not a job');
    expect(jobHref(route.id, route.tab, { ...(route.vertex && { vertex: route.vertex }), ...(route.file && { file: route.file }) })).toBe(hash);
  });
  test.each(['', '#', '#/'])('%j is the overview', (hash) => expect(parse(hash)).toEqual({ page: 'overview' }));
  test.each(['#/nosuch', '#/jobs', '#/jobs/caf2/nosuch', '#/jobs/caf2/files/x', '#/%'])('%s is unknown', (hash) => expect(parse(hash)).toEqual({ page: 'unknown' }));
});

describe('table', () => {
  test('a short table is drawn whole, a long one by the screenful', () => {
    expect(visible(40, 0)).toEqual({ first: 0, end: 40 });
    expect(visible(1000, 0)).toEqual({ first: 0, end: 23 });
    expect(visible(1000, 20_000)).toEqual({ first: 490, end: 523 });
    expect(visible(1000, 1e9)).toEqual({ first: 977, end: 1000 });
  });
  test('rows sort by number or text, and as they came without a column', () => {
    const rows = ['tm-10', 'tm-9', 'tm-1'];
    const by = (sort: (row: string) => string | number): Column<string> => ({ key: 'k', head: 'K', width: 1, sort, cell: String });
    expect(sorted(rows, by(String), false)).toEqual(['tm-1', 'tm-9', 'tm-10']);
    expect(sorted(rows, by((r) => r.length), true)).toEqual(['tm-10', 'tm-9', 'tm-1']);
    expect(sorted(rows, undefined, true)).toBe(rows);
  });
});

describe('yaml', () => {
  const kinds = (line: string) => highlight(line).filter((t) => t.text.trim() !== '').map((t) => `${t.kind} ${t.text}`);
  test('a flow mapping', () => {
    expect(kinds('  watermark: {column: ts, delay: 5s}')).toEqual([
      'key watermark', 'punctuation :', 'punctuation {', 'key column', 'punctuation :', 'plain  ts', 'punctuation ,', 'key delay', 'punctuation :', 'number 5s', 'punctuation }',
    ]);
  });
  test('variables inside text, and # that is no comment', () => {
    expect(kinds('  brokers: "${KAFKA:localhost:9092}" # the first')).toEqual([
      'key brokers', 'punctuation :', 'plain  "', 'variable ${KAFKA:localhost:9092}', 'plain " ', 'comment # the first',
    ]);
    expect(kinds("field: 'a # b'")).toEqual(['key field', 'punctuation :', "string 'a # b'"]);
  });
  test('no character is lost, whatever the line', () => {
    for (const line of ['', ' ', '- a: [1, "b\\"c", ${X}] # d', '"unclosed', "it's: {", ': : :', '${', '\t- - x: ~', 'ş: "ğ"']) {
      expect(highlight(line).map((t) => t.text).join('')).toBe(line);
    }
  });
  test('a line too long to be written by hand is plain', () => {
    const line = `${'- '.repeat(500_000)}"`;
    expect(highlight(line)).toEqual([{ kind: 'plain', text: line }]);
  });
});

describe('connection', () => {
  test('is lost once, remembers the last answer, and comes back', () => {
    let now = 100;
    const connection = newConnection(() => now);
    const changed = vi.fn<() => void>();
    connection.subscribe(changed);
    connection.answered();
    expect(changed).not.toHaveBeenCalled();
    now = 200;
    connection.lost('gone');
    connection.lost('gone');
    expect(connection.get()).toEqual({ reason: 'gone', since: 100 });
    expect(changed).toHaveBeenCalledOnce();
    now = 300;
    connection.answered();
    expect(connection.get().reason).toBeUndefined();
    expect(changed).toHaveBeenCalledTimes(2);
  });
});

describe('poller', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  test('asks at once and then after each answer', async () => {
    const ask = vi.fn<() => Promise<void>>(() => Promise.resolve());
    const poll = poller(ask, 1000, () => false);
    await vi.advanceTimersByTimeAsync(2500);
    expect(ask).toHaveBeenCalledTimes(3);
    poll.end();
    await vi.advanceTimersByTimeAsync(5000);
    expect(ask).toHaveBeenCalledTimes(3);
  });

  test('a slow answer is waited for', async () => {
    const ask = vi.fn<() => Promise<void>>(() => new Promise((done) => setTimeout(done, 4000)));
    const poll = poller(ask, 1000, () => false);
    await vi.advanceTimersByTimeAsync(3000);
    poll.wake();
    await vi.advanceTimersByTimeAsync(1900);
    expect(ask).toHaveBeenCalledOnce();
    await vi.advanceTimersByTimeAsync(200);
    expect(ask).toHaveBeenCalledTimes(2);
    poll.end();
  });

  test('nobody looks, nobody asks', async () => {
    let hidden = true;
    const ask = vi.fn<() => Promise<void>>(() => Promise.resolve());
    const poll = poller(ask, 1000, () => hidden);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(ask).not.toHaveBeenCalled();
    hidden = false;
    poll.wake();
    await vi.advanceTimersByTimeAsync(0);
    expect(ask).toHaveBeenCalledOnce();
    poll.end();
  });
});
