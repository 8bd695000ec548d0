// Connections that are cut while a batch is under way: committed or not, nobody knows at first, and yet each message is
// stored once and acknowledged as what it is.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ResumingClient } from './support/client.mjs';
import { call, eventually, mint } from './support/cluster.mjs';
import { clusterOn, Proxy, urlOf } from './support/postgres.mjs';
import { verify } from './support/traffic.mjs';

const ROUNDS = Number(process.env.FLUXY_TEST_CUTS ?? 4);

test('connections are cut before, during and behind COMMIT', { timeout: 180000 + ROUNDS * 20000 }, async (t) => {
  let proxy;
  const { cluster } = await clusterOn(t, async (primary) => {
    proxy = await Proxy.before(t, primary);
    return urlOf(primary, [proxy.port]);
  });
  const users = ['ann', 'bob'];
  const tokens = await Promise.all(users.map((u) => mint(cluster, u)));
  const rooms = ['one', 'two', 'three', 'four'];
  for (const id of rooms) {
    const got = await call(cluster.http(), 'POST', '/rooms', { token: tokens[0], body: { id, name: id, type: 'group', members: users.map((userId) => ({ userId, role: 'member' })) } });
    assert.equal(got.status, 200, got.text);
  }
  const clients = rooms.flatMap((id) => tokens.map((token, i) => new ResumingClient([cluster.ws(i)], id, token)));
  t.after(() => clients.forEach((c) => c.stop()));
  await Promise.all(clients.map((c) => c.ready(20000)));
  const acked = () => clients.reduce((sum, c) => sum + c.acks.size, 0);
  let n = 0;
  const timer = setInterval(() => {
    for (const c of clients) if (c.unacked.size < 10) c.post(`m${n}`, `text ${n++}`);
  }, 10);
  t.after(() => clearInterval(timer));
  for (let round = 0; round < ROUNDS; round++) {
    for (const how of ['answer', 'request', 'both']) {
      const before = acked();
      await eventually('traffic flows', () => acked() > before + 40, 30000);
      const cuts = proxy.cuts;
      proxy.cut = how;
      await eventually(`a batch is cut (${how})`, () => proxy.cuts > cuts, 30000);
    }
  }
  const last = acked();
  await eventually('traffic flows', () => acked() > last + 100, 30000);
  clearInterval(timer);
  await Promise.all(clients.map((c) => c.until('every message acknowledged', () => c.unacked.size === 0)));
  await verify(cluster, { clients, rooms });
  for (const c of clients) assert.equal(c.reconnects, 0);
  const metrics = await Promise.all(cluster.shards.map((shard) => cluster.metrics(shard.admin)));
  const unknown = metrics.reduce((sum, text) => sum + Number(/^fluxy_commit_unknown_total (\d+)$/m.exec(text)[1]), 0);
  assert.ok(unknown >= ROUNDS * 3, `batches of unknown outcome: ${unknown}`);
});
