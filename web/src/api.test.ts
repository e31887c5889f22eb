import { afterEach, expect, test, vi } from 'vitest';
import { api, ApiError, ConnectionError, firstLine } from './api';

const signal = new AbortController().signal;

function answer(status: number, body: unknown, headers: Record<string, string> = {}) {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  const fetched = vi.fn<typeof fetch>(() => Promise.resolve(new Response(text, { status, headers })));
  vi.stubGlobal('fetch', fetched);
  return fetched;
}

afterEach(() => vi.unstubAllGlobals());

test('asks relative to the page, so that a proxy may add a path', async () => {
  const fetched = answer(200, { jobs: [{ jid: 'caf2', name: 'kdv-2min' }] });
  expect((await api.jobs(signal))[0]?.name).toBe('kdv-2min');
  expect(fetched.mock.calls[0]?.[0]).toBe('./jobs/overview');
});

test('metrics are asked for in one call, as the dashboard does', async () => {
  const fetched = answer(200, [{ id: 'busyTimeMsPerSecond', min: 1, max: 2, avg: 1.5, sum: 3, skew: 33.3 }]);
  expect((await api.metrics('j', 'v', signal))[0]?.max).toBe(2);
  expect(fetched.mock.calls[0]?.[0]).toMatch(/^\.\/jobs\/j\/vertices\/v\/subtasks\/metrics\?get=[A-Za-z]+(,[A-Za-z]+)+$/);
});

test('names of files and jobs cannot leave their path', async () => {
  const fetched = answer(200, 'a,b\n');
  await api.preview('../x', 'a/b?c#d.csv', 20, signal);
  expect(fetched.mock.calls[0]?.[0]).toBe('./jobs/..%2Fx/files/a%2Fb%3Fc%23d.csv?rows=20');
});

test('cancel is Flink\'s PATCH with a JSON body', async () => {
  const fetched = answer(202, {});
  await api.cancel('caf2');
  expect(fetched.mock.calls[0]?.[0]).toBe('./jobs/caf2?mode=cancel');
  expect(fetched.mock.calls[0]?.[1]).toMatchObject({ method: 'PATCH', body: '{}' });
});

test('a refusal carries the message and not the stack trace', async () => {
  answer(404, { errors: ['org.apache.flink.runtime.rest.handler.RestHandlerException: Job could not be found.\n\tat org.apache.flink.Foo'] });
  const error = await api.job('nosuch', signal).catch((e: unknown) => e);
  expect(error).toBeInstanceOf(ApiError);
  expect(error).toMatchObject({ status: 404, message: 'Job could not be found.' });
});

test('a refusal without Flink\'s body still says its status', async () => {
  answer(500, '<html>');
  await expect(api.spec('j', signal)).rejects.toMatchObject({ status: 500, message: 'HTTP status 500' });
});

test('no leader and nobody there are a lost connection', async () => {
  answer(503, { errors: ['no leader'] });
  await expect(api.overview(signal)).rejects.toBeInstanceOf(ConnectionError);
  vi.stubGlobal('fetch', () => Promise.reject(new TypeError('Failed to fetch')));
  await expect(api.overview(signal)).rejects.toBeInstanceOf(ConnectionError);
});

test('a request that its page gave up is not a lost connection', async () => {
  const abort = new AbortController();
  abort.abort();
  vi.stubGlobal('fetch', () => Promise.reject(abort.signal.reason as Error));
  await expect(api.overview(abort.signal)).rejects.toMatchObject({ name: 'AbortError' });
});

test('an answer that is not JSON names the path', async () => {
  answer(200, '<html>');
  await expect(api.overview(signal)).rejects.toMatchObject({ message: 'the answer to ./overview is not JSON' });
});

test('heartbeats come with the server\'s time', async () => {
  answer(200, { taskmanagers: [] }, { Date: 'Tue, 04 Mar 2025 11:55:44 GMT' });
  expect(await api.taskManagers(signal)).toEqual({ taskmanagers: [], now: 1_741_089_344_000 });
});

test.each([
  ['org.apache.flink.runtime.rest.NotFoundException: Job x not found\n\tat a.B', 'Job x not found'],
  ['java.lang.OutOfMemoryError: heap', 'heap'],
  ['read topic sahibinden: no such topic', 'read topic sahibinden: no such topic'],
  ['job.yaml:3:5: unknown field', 'job.yaml:3:5: unknown field'],
])('the first line of %j is %j', (text, line) => expect(firstLine(text)).toBe(line));
