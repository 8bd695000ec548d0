// A network that falls into two parts, between processes that all live: in the end there is one order, nothing is lost or
// doubled, and everybody sees the same.
import { test } from 'node:test';
import { eventually } from './support/cluster.mjs';
import { isWhole, members, relayed } from './support/scene.mjs';
import { load, verify } from './support/traffic.mjs';

test('a cluster in two halves, both of which reach the database and serve the same rooms, becomes one again', { timeout: 240000 }, async (t) => {
  const it = await relayed(t);
  const traffic = await load(it.cluster, t);
  await traffic.flows();
  // gateway-1 and shard-1 keep each other and the old ring; Redis is with the others.
  await Promise.all([
    it.proxy.set('registry:gateway-1', '*', 'both', 'hold'),
    it.proxy.set('registry:shard-1', '*', 'both', 'hold'),
    it.proxy.set('link:shard-1', 'gateway-2', 'both', 'hold'),
    it.proxy.set('link:shard-2', 'gateway-1', 'both', 'hold'),
  ]);
  await eventually('the halves have different rings', async () => (await members(it, 'gateway-2')) === 1 && (await members(it, 'gateway-1')) === 2, 30000);
  const claims = await it.cluster.figure('shard-1', 'fluxy_room_moves_total{reason="fence"}');
  await eventually('both serve the same rooms', async () => (await it.cluster.figure('shard-1', 'fluxy_room_moves_total{reason="fence"}')) > claims, 30000);
  const at = traffic.acked();
  await eventually('writes go on', () => traffic.acked() > at + 100, 30000);
  await it.proxy.heal();
  await isWhole(it);
  await traffic.flows();
  await traffic.settle();
  await verify(it.cluster, traffic);
});
