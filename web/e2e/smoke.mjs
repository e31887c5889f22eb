// Drives a real browser through the UI of a running cluster: PENCERE_UI=http://localhost:8081 npm run e2e
// The cluster needs one running or completed job with a graph. Nothing there is changed. It fails when a page shows an
// error or not what the REST API says, and when the browser reports any.
import assert from 'node:assert/strict';
import { openBrowser } from './browser.mjs';

const base = (process.env.PENCERE_UI ?? 'http://localhost:8081').replace(/\/+$/, '');
const patience = 15_000; // ms for anything to appear

const rest = async (path) => {
  const response = await fetch(base + path);
  assert.equal(response.status, 200, `GET ${path}`);
  return response.json();
};

const problems = [];
const browser = await openBrowser();
const page = await browser.newPage({ viewport: { width: 1280, height: 800 } });
page.setDefaultTimeout(patience);
page.on('pageerror', (error) => problems.push(`page: ${error}`));
page.on('console', (message) => message.type() === 'error' && problems.push(`console: ${message.text()}`));
page.on('response', (response) => response.status() >= 400 && problems.push(`${response.status()} ${response.url()}`));

const steps = {
  async 'the overview shows the cluster, its jobs and its task managers'() {
    await page.goto(`${base}/`);
    for (const heading of ['Running jobs', 'Completed jobs', 'Task managers', 'Job managers']) {
      await page.getByRole('heading', { name: heading, exact: true }).waitFor();
    }
    const { taskmanagers } = await rest('/taskmanagers');
    for (const { id } of taskmanagers) await page.getByText(id, { exact: true }).first().waitFor();
    await page.getByText('Runs alone: none may be lost', { exact: true }).waitFor();
    await page.locator(`a[href="#/jobs/${job.jid}"]`).waitFor();
  },

  async 'a job opens from the table, with its state'() {
    await page.locator(`a[href="#/jobs/${job.jid}"]`).click();
    await page.getByRole('heading', { level: 1, name: job.name, exact: true }).waitFor();
    await page.locator('.job-title .badge').getByText(/^[A-Z]+$/).waitFor();
  },

  async 'the graph has every vertex and every edge'() {
    await page.locator('.node').first().waitFor();
    const edges = job.plan.nodes.flatMap((node) => node.inputs ?? []);
    assert.equal(await page.locator('.node').count(), job.vertices.length);
    assert.equal(await page.locator('.edge').count(), edges.length);
    for (const { ship_strategy: strategy } of edges) await page.locator('.edge', { hasText: strategy }).first().waitFor();
  },

  async 'the numbers of a running job are live'() {
    if (job.state !== 'RUNNING') return;
    const read = page.locator('.tile.flow', { hasText: 'Read' });
    const records = async () => Number((await read.locator('.muted').textContent()).replace(/\D/g, ''));
    const first = await records();
    await read.getByText(/^[1-9][\d.,]*[kM]?\/s$/).waitFor();
    for (const deadline = Date.now() + patience; (await records()) <= first; await page.waitForTimeout(100)) {
      assert.ok(Date.now() < deadline, `${first} records were read and no more`);
    }
    for (const node of await page.locator('.node').all()) await node.locator('.node-mark', { hasText: /\d{4}-/ }).waitFor();
  },

  async 'a vertex shows its subtasks'() {
    const vertex = job.vertices.at(-1);
    await page.locator(`a.node[href*="${vertex.id}"]`).click();
    const rows = page.locator('table[aria-label="Subtasks"]');
    await rows.waitFor();
    assert.equal(Number(await rows.getAttribute('aria-rowcount')), vertex.parallelism + 1);
  },

  async 'the source shows each split'() {
    await page.getByRole('link', { name: 'Source', exact: true }).click();
    await page.getByRole('heading', { name: 'Source splits' }).waitFor();
    const { splits } = await rest(`/jobs/${job.jid}/splits`);
    await page.locator(splits.length > 0 ? 'table[aria-label="Source splits"]' : 'text=No splits yet').waitFor();
  },

  async 'checkpoints show what the REST API counts'() {
    await page.getByRole('link', { name: 'Checkpoints', exact: true }).click();
    await page.getByRole('heading', { name: 'Configuration' }).waitFor();
    await page.getByText('exactly once', { exact: true }).waitFor();
    const { history } = await rest(`/jobs/${job.jid}/checkpoints`);
    await page.locator(history.length > 0 ? 'table[aria-label="Checkpoints"]' : 'text=No checkpoints yet').waitFor();
  },

  async 'the ledger says whether it balances'() {
    const ledger = await rest(`/jobs/${job.jid}/ledger`);
    await page.getByRole('link', { name: 'Ledger', exact: true }).click();
    const verdict = !ledger.balanced ? 'DOES NOT BALANCE' : ledger['checkpoint-id'] > 0 ? 'BALANCED' : /^(NO CHECKPOINT YET|BALANCED)$/;
    await page.locator('.panel-head .badge').getByText(verdict, { exact: true }).waitFor();
  },

  async 'files are listed, and a finished one shows its first rows'() {
    await page.getByRole('link', { name: 'Files', exact: true }).click();
    await page.getByRole('heading', { name: 'Part files' }).waitFor();
    const { files } = await rest(`/jobs/${job.jid}/files`);
    if (files.length === 0) return;
    const link = page.locator('table[aria-label="Part files"] a').first();
    if (!files.some((f) => f.state === 'finished' && f.rows > 0)) return;
    const name = await link.textContent();
    const preview = await fetch(`${base}/jobs/${job.jid}/files/${encodeURIComponent(name)}?rows=20`);
    if (preview.status !== 200) return; // written to a disk that the jobmanager does not see
    await link.click();
    const first = page.locator('pre.code code').first();
    await first.waitFor();
    assert.equal(await first.textContent(), (await preview.text()).split('\n')[0]);
  },

  async 'exceptions and the spec open'() {
    await page.getByRole('link', { name: 'Exceptions', exact: true }).click();
    await page.getByText(/^(No exceptions|Root exception)$/).waitFor();
    await page.getByRole('link', { name: 'Spec', exact: true }).click();
    const spec = await (await fetch(`${base}/jobs/${job.jid}/spec`)).text();
    await page.locator('pre.yaml code').first().waitFor();
    const shown = await page.locator('pre.yaml code').allTextContents();
    assert.equal(shown.join('\n').trimEnd(), spec.split('\n').map((line) => line || ' ').join('\n').trimEnd());
  },

  async 'the keyboard reaches a job, and Cancel asks before it does anything'() {
    await page.goto(`${base}/#/`);
    const link = page.locator(`a[href="#/jobs/${job.jid}"]`);
    await link.waitFor();
    await link.focus();
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { level: 1, name: job.name, exact: true }).waitFor();
    const cancel = page.getByRole('button', { name: 'Cancel job' });
    if ((await cancel.count()) === 0) return; // completed meanwhile, or switched off
    await cancel.click();
    await page.getByRole('dialog').waitFor();
    await page.keyboard.press('Escape');
    await page.getByRole('dialog').waitFor({ state: 'hidden' });
  },

  async 'nothing is wider than the window, down to 800 px'() {
    await page.setViewportSize({ width: 800, height: 900 });
    for (const hash of ['', `jobs/${job.jid}`, `jobs/${job.jid}/why`, `jobs/${job.jid}/source`, `jobs/${job.jid}/checkpoints`, `jobs/${job.jid}/ledger`, `jobs/${job.jid}/files`, `jobs/${job.jid}/spec`]) {
      await page.goto(`${base}/#/${hash}`);
      await page.locator('.panel').first().waitFor();
      const beyond = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
      assert.ok(beyond <= 0, `#/${hash} is ${beyond} px too wide`);
    }
  },

  async 'a lost connection is said and mends itself'() {
    await page.goto(`${base}/#/`);
    await page.locator('.tile').first().waitFor();
    const before = problems.length;
    const cut = (route) => route.abort('connectionrefused');
    await page.route('**/overview', cut);
    await page.route('**/taskmanagers', cut);
    await page.getByText('Connection lost').waitFor();
    await page.unroute('**/overview', cut);
    await page.unroute('**/taskmanagers', cut);
    await page.getByText('Connection lost').waitFor({ state: 'detached' });
    problems.splice(before); // the browser's own words about the cut
  },
};

let job;
try {
  const { jobs } = await rest('/jobs/overview');
  const best = jobs.find((j) => j.state === 'RUNNING') ?? jobs.find((j) => j.state === 'FINISHED');
  assert.ok(best, `no running or finished job at ${base}`);
  job = await rest(`/jobs/${best.jid}`);
  for (const [name, step] of Object.entries(steps)) {
    await step();
    console.log(`ok   ${name}`);
  }
  assert.deepEqual(problems, [], 'what the browser reported');
  console.log('ok   the browser reported nothing');
} catch (error) {
  console.error(`FAIL ${error.stack ?? error}`);
  for (const problem of problems) console.error(`     ${problem}`);
  if (process.env.PENCERE_UI_SHOT) await page.screenshot({ path: process.env.PENCERE_UI_SHOT, fullPage: true });
  process.exitCode = 1;
} finally {
  await browser.close();
}
