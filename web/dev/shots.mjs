// Pictures of the pages for the eye: node dev/shots.mjs DIR [URL]. The server is dev/server.mjs or a real jobmanager.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { openBrowser } from '../e2e/browser.mjs';

const [dir = 'shots', url = 'http://localhost:8081'] = process.argv.slice(2);
mkdirSync(dir, { recursive: true });
const { jobs } = await (await fetch(`${url}/jobs/overview`)).json();
const named = (part) => jobs.find((j) => j.name.includes(part))?.jid ?? jobs[0].jid;
const kdv = named('kdv-2min');
const { files } = await (await fetch(`${url}/jobs/${kdv}/files`)).json();
const finished = files.find((f) => f.state === 'finished')?.name ?? '';

const pages = {
  overview: '#/',
  job: `#/jobs/${kdv}`,
  join: `#/jobs/${named('orders')}`,
  wide: `#/jobs/${named('wide')}`,
  why: `#/jobs/${kdv}/why`,
  source: `#/jobs/${kdv}/source`,
  checkpoints: `#/jobs/${kdv}/checkpoints`,
  ledger: `#/jobs/${kdv}/ledger`,
  files: `#/jobs/${kdv}/files?file=${finished}`,
  exceptions: `#/jobs/${named('test')}/exceptions`,
  spec: `#/jobs/${kdv}/spec`,
  missing: '#/jobs/00000000000000000000000000000000',
};
const browser = await openBrowser();
for (const [theme, width] of [['dark', 1280], ['light', 1280], ['dark', 800]]) {
  const page = await browser.newPage({ colorScheme: theme, viewport: { width, height: 900 } });
  for (const [name, hash] of Object.entries(pages)) {
    await page.goto(`${url}/${hash}`);
    await page.waitForTimeout(name === 'job' ? 6000 : 900);
    await page.screenshot({ path: join(dir, `${name}-${theme}-${width}.png`), fullPage: true });
  }
  await page.close();
}
await browser.close();
