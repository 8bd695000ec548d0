// kill -9 of shards and gateways under load: nothing acknowledged is lost, nothing doubled, nothing shown that is not
// stored. FLUXY_TEST_KILLS sets how often (50 in the long run).
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Cluster, eventually } from './support/cluster.mjs';
import { load, verify } from './support/traffic.mjs';

const KILLS = Number(process.env.FLUXY_TEST_KILLS ?? 4);

test(`kill -9 of a shard at a random moment, ${KILLS} times`, { timeout: 900000 }, async (t) => {
  const cluster = await Cluster.up(t);
  const traffic = await load(cluster, t);
  for (let k = 0; k < KILLS; k++) {
    const before = traffic.acked();
    await eventually('traffic flows', () => traffic.acked() > before + 50 + Math.random() * 200, 30000);
    const victim = `shard-${1 + (k % 2)}`;
    await cluster.command('kill', victim);
    const down = traffic.acked();
    await eventually('the other shard serves', () => traffic.acked() > down + 100, 30000);
    await cluster.command('start', victim);
  }
  await traffic.settle();
  await verify(cluster, traffic);
  assert.ok(traffic.clients.every((c) => c.reconnects === 0), 'no socket was closed by a shard that died');
});

test('gateways and shards killed and restarted in turn lose and double nothing', { timeout: 300000 }, async (t) => {
  const cluster = await Cluster.up(t);
  const traffic = await load(cluster, t);
  for (const [verb, name] of [['kill', 'gateway-1'], ['kill', 'shard-1'], ['stop', 'gateway-2'], ['stop', 'shard-2']]) {
    const before = traffic.acked();
    await eventually('traffic flows', () => traffic.acked() > before + 100, 30000);
    await cluster.command(verb, name);
    const down = traffic.acked();
    await eventually(`traffic flows without ${name}`, () => traffic.acked() > down + 100, 30000);
    await cluster.command('start', name);
  }
  await traffic.settle();
  await verify(cluster, traffic);
});

test('a shard that joins takes rooms over without a socket noticing', { timeout: 120000 }, async (t) => {
  const cluster = await Cluster.up(t);
  const traffic = await load(cluster, t);
  await cluster.command('add', 'shard');
  const before = traffic.acked();
  await eventually('traffic flows', () => traffic.acked() > before + 300, 30000);
  await cluster.command('drain', 'shard-1');
  const drained = traffic.acked();
  await eventually('traffic flows', () => traffic.acked() > drained + 300, 30000);
  await traffic.settle();
  await verify(cluster, traffic);
  assert.ok(traffic.clients.every((c) => c.reconnects === 0));
});
