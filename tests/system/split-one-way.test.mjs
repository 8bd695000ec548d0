// Networks that fail in one direction only, or between two processes only. FLUXY_TEST_CUTS=all does more of them, and for longer.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { eventually } from './support/cluster.mjs';
import { isWhole, relayed } from './support/scene.mjs';
import { load, verify } from './support/traffic.mjs';

const LASTS_MS = process.env.FLUXY_TEST_CUTS ? 8000 : 2000;

test('one-way and partial cuts, one after another: nothing is lost or doubled, and each heals', { timeout: 240000 }, async (t) => {
  const it = await relayed(t);
  const traffic = await load(it.cluster, t);
  await traffic.flows();
  const cuts = [
    ['what gateway-1 says does not reach shard-1', ['link:shard-1', 'gateway-1', 'up', 'hold']],
    ['shard-1 gets no answer from Redis', ['registry:shard-1', '*', 'down', 'hold']],
    ['what shard-2 says does not reach gateway-2', ['link:shard-2', 'gateway-2', 'down', 'hold']],
    ['gateway-2 does not reach Redis', ['registry:gateway-2', '*', 'both', 'hold']],
    ['shard-2 does not reach the database', ['database:shard-2', '*', 'both', 'hold']],
  ];
  for (const [what, rule] of process.env.FLUXY_TEST_CUTS ? cuts : cuts.slice(0, 2)) {
    traffic.longestGap();
    await it.proxy.set(...rule);
    const end = Date.now() + LASTS_MS;
    await eventually('it has lasted', () => Date.now() > end, LASTS_MS + 1000);
    await it.proxy.heal();
    await isWhole(it);
    await traffic.flows(60000);
    t.diagnostic(`${what} for ${LASTS_MS} ms: longest wait of a client ${traffic.longestGap()} ms`);
  }
  await traffic.settle();
  await verify(it.cluster, traffic);
  assert.ok(traffic.clients.every((c) => c.reconnects === 0), 'no socket was closed');
});
