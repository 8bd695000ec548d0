// Redis goes, forgets, is overwritten by others, refuses: traffic goes on without a pause, nobody loses his place on the
// ring, and all of it heals by itself. FLUXY_TEST_OUTAGE_MS sets how long it is away.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { Cluster, eventually } from './support/cluster.mjs';
import { load, verify } from './support/traffic.mjs';

const run = promisify(execFile);
const OUTAGE_MS = Number(process.env.FLUXY_TEST_OUTAGE_MS ?? 4000);
const nodes = ['gateway-1', 'gateway-2', 'shard-1', 'shard-2'];

const redis = async (cluster, ...words) => (await run('redis-cli', ['-u', cluster.redis, ...words])).stdout;
const figures = (cluster, metric) => Promise.all(nodes.map((name) => cluster.figure(name, metric)));
const sum = async (cluster, metric) => (await figures(cluster, metric)).reduce((a, b) => a + b, 0);
const all = (what, cluster, metric, value) => eventually(what, async () => (await figures(cluster, metric)).every((n) => n === value), 20000);

test('without Redis for long, then emptied, garbled and refusing: no pause, no eviction, one ring', { timeout: 400000 }, async (t) => {
  const cluster = await Cluster.up(t);
  const traffic = await load(cluster, t);
  await traffic.flows();
  const [epoch] = await figures(cluster, 'fluxy_ring_generation');
  traffic.longestGap();
  const well = async (what) => {
    await all(`Redis is well after: ${what}`, cluster, 'fluxy_registry_up', 1);
    await eventually(`leases are confirmed after: ${what}`, async () => (await cluster.figure('shard-1', 'fluxy_lease_confirmed')) + (await cluster.figure('shard-2', 'fluxy_lease_confirmed')) === 2, 20000);
    await traffic.flows();
    t.diagnostic(`${what}: longest wait of a client ${traffic.longestGap()} ms`);
    assert.deepEqual(await figures(cluster, 'fluxy_ring_generation'), nodes.map(() => epoch), what);
  };

  await cluster.command('kill', 'redis');
  const back = Date.now() + OUTAGE_MS;
  await all('everybody knows that Redis is away', cluster, 'fluxy_registry_up', 0);
  await eventually('shards ask the database whether their rooms are theirs', async () => (await cluster.figure('shard-1', 'fluxy_fence_checks_total')) > 0, 10000);
  await eventually('it has been away for long', () => Date.now() > back, OUTAGE_MS + 1000);
  await cluster.command('start', 'redis');
  await well(`Redis gone for ${OUTAGE_MS} ms, and back without its data`);
  assert.ok((await sum(cluster, 'fluxy_ring_restores_total')) > 0);

  await redis(cluster, 'FLUSHALL');
  await well('FLUSHALL');

  const garbled = await sum(cluster, 'fluxy_registry_garbled_total');
  await redis(cluster, 'SET', 'fluxy:ring:epoch', '9007199254740992');
  await redis(cluster, 'HSET', 'fluxy:ring:members', 'x', 'y');
  await redis(cluster, 'SET', 'fluxy:ring:evictions', 'z');
  await eventually('somebody noticed', async () => (await sum(cluster, 'fluxy_registry_garbled_total')) > garbled);
  await well('garbage in the keys of the ring');
  const logs = Object.values(await cluster.logs()).join('\n');
  assert.match(logs, /what redis holds of the ring is not ours; it counts as empty/);

  await redis(cluster, 'CONFIG', 'SET', 'maxmemory', '1');
  await all('everybody knows that Redis takes no writes', cluster, 'fluxy_registry_up', 0);
  assert.match(Object.values(await cluster.logs()).join('\n'), /redis refuses the registry script[^\n]*OOM/);
  await redis(cluster, 'CONFIG', 'SET', 'maxmemory', '0');
  await well('Redis out of memory');

  assert.equal(await sum(cluster, 'fluxy_ring_evictions_total{outcome="done"}'), 0);
  assert.equal(await sum(cluster, 'fluxy_ring_returns_total'), 0);
  await traffic.settle();
  await verify(cluster, traffic);
  assert.ok(traffic.clients.every((c) => c.reconnects === 0), 'no socket was closed');
});
