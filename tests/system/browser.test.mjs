// Two browser windows chat through two different gateways; gateways and a shard die in between.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { chromium } from 'playwright-core';
import { Cluster, eventually } from './support/cluster.mjs';

const executablePath = process.env.FLUXY_CHROMIUM ?? '/usr/bin/chromium';

test('two windows, two gateways, and what dies in between', { timeout: 180000 }, async (t) => {
  const cluster = await Cluster.up(t);
  const browser = await chromium.launch({
    executablePath,
    args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
  });
  t.after(() => browser.close());
  const errors = [];
  const open = async (gateway, name) => {
    const page = await (await browser.newContext({ ignoreHTTPSErrors: true })).newPage();
    page.on('pageerror', (error) => errors.push(error.message));
    await page.goto(`${gateway}/demo`);
    await page.fill('#name', name);
    await page.fill('#room', 'lounge');
    await page.click('#join button');
    await page.waitForSelector('#state[data-state="live"]');
    return page;
  };
  const say = async (page, text) => {
    await page.fill('#text', text);
    await page.press('#text', 'Enter');
  };
  const lines = (page) => page.$$eval('#timeline li[data-seq]', (all) => all.map((li) => li.childNodes[1].textContent));
  const shows = (page, text) => eventually(`"${text}" on the page`, async () => (await lines(page)).includes(text), 20000);

  const ada = await open(cluster.gateways[0].http, 'ada');
  const bob = await open(cluster.gateways[1].https, 'bob');
  await eventually('both are listed', async () => (await ada.$$('#people li')).length === 2);

  await say(ada, 'hello bob');
  await shows(bob, 'hello bob');
  await bob.type('#text', 'hm');
  await eventually('typing is shown', async () => (await ada.textContent('#typing')).includes('bob'));
  await bob.fill('#text', '');
  await say(bob, 'hello ada');
  await shows(ada, 'hello ada');

  // A gateway dies: its window says so, and what was said meanwhile is there afterwards.
  await cluster.command('kill', 'gateway-1');
  await ada.waitForSelector('#state[data-state="reconnecting"]');
  await say(ada, 'written while away');
  await say(bob, 'are you there?');
  await cluster.command('start', 'gateway-1');
  await ada.waitForSelector('#state[data-state="live"]', { timeout: 30000 });
  await shows(ada, 'are you there?');
  await shows(bob, 'written while away');

  // A shard dies: nobody's socket notices.
  for (const shard of ['shard-1', 'shard-2']) {
    await cluster.command('kill', shard);
    await say(bob, `without ${shard}`);
    await shows(ada, `without ${shard}`);
    await cluster.command('start', shard);
  }
  await say(ada, 'the end');
  await shows(bob, 'the end');

  const want = await lines(bob);
  assert.deepEqual(await lines(ada), want, 'both windows show the same');
  assert.equal(new Set(want).size, want.length, 'nothing twice');
  const seqs = await ada.$$eval('#timeline li[data-seq]', (all) => all.map((li) => Number(li.dataset.seq)));
  assert.deepEqual(seqs, seqs.toSorted((a, b) => a - b));

  // Back through history, to the first message.
  for (let i = 0; i < 120; i++) await bob.evaluate((n) => document.getElementById('composer') && (document.getElementById('text').value = `fill ${n}`, document.getElementById('composer').requestSubmit()), i);
  await shows(ada, 'fill 119');
  const late = await open(cluster.gateways[0].http, 'carol');
  await eventually('the whole history after scrolling up', async () => {
    await late.evaluate(() => (document.getElementById('timeline').scrollTop = 0));
    await late.evaluate(() => document.getElementById('timeline').dispatchEvent(new Event('scroll')));
    return (await lines(late))[0] === 'hello bob';
  }, 20000);
  assert.deepEqual(await lines(late), await lines(ada).then(async (l) => ((await lines(bob)).length >= l.length ? await lines(bob) : l)));
  assert.ok(await late.$('#timeline li.start'));
  assert.deepEqual(errors, []);
  if (process.env.FLUXY_SCREENSHOT) await ada.screenshot({ path: process.env.FLUXY_SCREENSHOT });
});
