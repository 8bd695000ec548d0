// What clients notice of faults: that the generator behind `make bench-stalls` sees what it is there to see, and that the
// promises hold at its load. No times here: those are the benchmark's.
import assert from 'node:assert/strict';
import { dirname, join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { Driver } from '../bench/runner/stalls/driver.mjs';
import { faultsOf, quantile, quantileOfBuckets, summarise } from '../bench/runner/stalls/report.mjs';
import { Cluster } from './support/cluster.mjs';

const top = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
const programs = join(top, process.env.FLUXY_BUILD_DIR ?? 'build', 'tests', 'bench');

let cluster;
let driver;
before(async () => {
  cluster = await Cluster.up(undefined, { gateways: 2, shards: 2 });
  driver = new Driver({ state: cluster, programs }, { rooms: 20, members: 3, rate: 100 });
  const ready = await driver.ready();
  assert.equal(ready.connections, 60);
});
after(async () => {
  await driver?.stop();
  await cluster?.remove();
});

test('a shard is drained and comes back: every message arrives once, no socket closes', async () => {
  const window = await driver.window('drain', async () => {
    await cluster.node('drain', 'shard-2');
    await cluster.node('start', 'shard-2');
  });
  assert.ok(window.messages > 0);
  assert.equal(window.unsettled, 0);
  assert.equal(window.closed, 0);
  assert.equal(window.violations, 0);
  assert.equal(window.rooms.length, 20);
  assert.equal(window.waits.reduce((sum, [, n]) => sum + n, 0), window.messages);
});

test('PostgreSQL is restarted: the messages of that time wait, and the mark says how long each room did', async () => {
  let mark;
  const window = await driver.window('postgres', async () => {
    await cluster.node('stop', 'postgres');
    await cluster.node('start', 'postgres');
    mark = await driver.mark('postgres');
  });
  assert.equal(mark.roomsWithout, 0);
  assert.ok(mark.ackMs.max >= mark.firstMs);
  assert.equal(window.unsettled, 0);
  assert.equal(window.refused, 0);
  assert.ok(window.waitMs.max > 20, `a restart cannot take ${window.waitMs.max} ms`);
});

test('a gateway dies: its clients come back elsewhere and miss nothing', async () => {
  const window = await driver.window('gateway', () => cluster.node('kill', 'gateway-2'));
  assert.equal(window.closed, 30);
  assert.equal(window.unsettled, 0);
  assert.equal(window.violations, 0);
  await cluster.node('start', 'gateway-2');
});

test('a gateway is drained: its clients change over', async () => {
  const window = await driver.window('goaway', () => cluster.node('drain', 'gateway-1'));
  assert.equal(window.closed, 0);
  assert.ok(window.changed >= 30, `${window.changed} changed over`);
  assert.equal(window.unsettled, 0);
  assert.equal(window.violations, 0);
  await cluster.node('start', 'gateway-1');
});

test('the totals: nothing lost, doubled or out of order', async () => {
  const end = await driver.quit();
  assert.deepEqual({ ...end, firstError: '', firstLoss: '' }, { ...end, ok: true, lost: 0, duplicated: 0, reordered: 0, unsettled: 0, firstError: '', firstLoss: '' });
  assert.equal(await driver.ended, 0);
});

test('the verdict names what is wrong', () => {
  const good = { rooms: [10, 90], waits: [[5, 98], [90, 2]], silenceMs: { p99: 1 }, generatorLateMs: 0, messages: 100, unsettled: 0, closed: 0, retryable: 0,
    refused: 0, changed: 0, violations: 0 };
  const scenario = { name: 'x', title: 'x', boundMs: 100, keepsSockets: true };
  const judge = (window, options = {}, marks = []) => {
    const all = { ...scenario, ...options };
    return faultsOf(all, summarise(all, { windows: [{ ...good, ...window }], quiet: [good], marks }), 1);
  };
  assert.deepEqual(judge({}), []);
  assert.match(judge({ rooms: [10, 100] })[0], /p99 100 ms, the bound is 100/);
  assert.match(judge({ unsettled: 1 })[0], /never ended/);
  assert.match(judge({ refused: 1 })[0], /for good/);
  assert.match(judge({ retryable: 1 })[0], /refused with an error that says to try again/);
  assert.deepEqual(judge({ retryable: 1 }, { mayRefuse: true }), []);
  assert.match(judge({ closed: 1 })[0], /sockets were closed/);
  assert.deepEqual(judge({ closed: 1 }, { keepsSockets: false }), []);
  assert.match(judge({}, { movesSockets: true })[0], /nothing has been measured/);
  assert.deepEqual(judge({ changed: 1 }, { movesSockets: true }), []);
  assert.match(judge({ violations: 1 })[0], /must not be/);
  const mark = { firstMs: 1, ackMs: { p99: 999, max: 999 }, roomsWithout: 0 };
  assert.match(judge({}, { markBoundMs: 1000 })[0], /not marked/);
  assert.deepEqual(judge({}, { markBoundMs: 1000 }, [mark]), []);
  assert.match(judge({}, { markBoundMs: 1000 }, [mark, { ...mark, ackMs: { p99: 1000, max: 1000 } }])[0], /p99 1000 ms after/);
  assert.match(judge({}, { markBoundMs: 1000 }, [{ ...mark, roomsWithout: 2 }])[0], /2 rooms did not go on/);

  assert.equal(quantile(Array.from({ length: 100 }, (_, i) => 100 - i), 0.99), 99);
  assert.equal(quantileOfBuckets([[7, 1], [3, 98], [9, 1]], 0.99), 7);
});
