// A shard that is stopped (SIGSTOP: a frozen machine, a long pause of its hypervisor) and wakes up much later: its rooms have
// gone on elsewhere, and it does no harm with what it still believes. FLUXY_TEST_STOPPED_MS sets for how long: at first
// longer than a lease, in the long run also longer than the hold-down.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Cluster, eventually } from './support/cluster.mjs';
import { load, verify } from './support/traffic.mjs';

const STOPPED_MS = Number(process.env.FLUXY_TEST_STOPPED_MS ?? 7000);

test('a shard that was stopped for longer than its lease wakes up, writes nothing, and takes rooms again', { timeout: 240000 }, async (t) => {
  const cluster = await Cluster.up(t);
  const traffic = await load(cluster, t);
  await traffic.flows();
  traffic.longestGap();
  await cluster.command('pause', 'shard-1');
  const wake = Date.now() + STOPPED_MS;
  await eventually('shard-1 is off the ring', async () => (await cluster.figure('shard-2', 'fluxy_ring_members')) === 1, 20000);
  await traffic.flows();
  t.diagnostic(`longest wait of a client while its shard was stopped: ${traffic.longestGap()} ms`);
  await eventually('it has been stopped for long', () => Date.now() > wake, STOPPED_MS + 1000);
  await cluster.command('resume', 'shard-1');
  await eventually('it is back on the ring', async () => (await cluster.figure('shard-1', 'fluxy_lease_confirmed')) === 1, 20000);
  await eventually('and has rooms', async () => (await cluster.figure('shard-1', 'fluxy_rooms{state="active"}')) > 0, 20000);
  assert.equal(await cluster.figure('shard-1', 'fluxy_ring_returns_total'), 1);
  await traffic.flows();
  t.diagnostic(`longest wait of a client when it woke up: ${traffic.longestGap()} ms`);
  await traffic.settle();
  await verify(cluster, traffic);
  assert.ok(traffic.clients.every((c) => c.reconnects === 0), 'no socket was closed');
});
