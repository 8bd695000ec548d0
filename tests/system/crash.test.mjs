// kill -9 of shards and gateways under load: nothing acknowledged is lost, nothing doubled, nothing shown that is not
// stored. FLUXY_TEST_KILLS sets how often (50 in the long run).
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ResumingClient } from './support/client.mjs';
import { call, Cluster, eventually, mint } from './support/cluster.mjs';

const KILLS = Number(process.env.FLUXY_TEST_KILLS ?? 4);
const ROOMS = 6;
const MEMBERS = 4;

/** Members that write all the time in every room until told to stop. */
async function load(cluster) {
  const users = Array.from({ length: MEMBERS }, (_, i) => `k${i}`);
  const tokens = await Promise.all(users.map((u) => mint(cluster, u)));
  const rooms = Array.from({ length: ROOMS }, (_, i) => `crash-${i}`);
  const clients = [];
  for (const id of rooms) {
    const got = await call(cluster.http(), 'POST', '/rooms', { token: tokens[0], body: { id, name: id, type: 'group', members: users.map((userId) => ({ userId, role: 'member' })) } });
    assert.equal(got.status, 200, got.text);
    for (let i = 0; i < MEMBERS; i++) {
      const bases = i % 2 ? [cluster.ws(1), cluster.ws(0)] : [cluster.ws(0), cluster.ws(1)];
      clients.push(new ResumingClient(bases, id, tokens[i]));
    }
  }
  await Promise.all(clients.map((c) => c.ready(20000)));
  let n = 0;
  const timer = setInterval(() => {
    for (const c of clients) {
      if (c.unacked.size < 20) c.post(`c${n}`, `text ${n++}`);
    }
  }, 20);
  return {
    clients,
    rooms,
    acked: () => clients.reduce((sum, c) => sum + c.acks.size, 0),
    async settle() {
      clearInterval(timer);
      await Promise.all(clients.map((c) => c.until('every message acknowledged', () => c.unacked.size === 0, 60000)));
      for (const id of rooms) {
        const head = Math.max(...clients.filter((c) => c.room === id).map((c) => c.seq));
        await Promise.all(clients.filter((c) => c.room === id).map((c) => c.until(`head ${head}`, () => c.seq >= head)));
      }
    },
  };
}

async function verify(cluster, { clients, rooms }) {
  for (const id of rooms) {
    const rows = await cluster.sql(`select seq, id, client_id, user_id, content from timeline where project_id = '${cluster.project}' and room_id = '${id}' order by seq`);
    assert.deepEqual(rows.map((r) => Number(r[0])), rows.map((_, i) => i + 1), `${id}: gapless seq`);
    assert.equal(new Set(rows.map((r) => r[2])).size, rows.length, `${id}: each key once`);
    const ids = rows.map((r) => Number(r[1]));
    assert.ok(ids.every((v, i) => i === 0 || v > ids[i - 1]), `${id}: ids rise`);
    const stored = new Map(rows.map((r) => [Number(r[0]), r]));
    for (const client of clients.filter((c) => c.room === id)) {
      client.check();
      assert.equal(client.seen.size, rows.length, `${id}: every member saw everything`);
      for (const [seq, seen] of client.seen) {
        assert.equal(String(seen.id), stored.get(seq)[1]);
        assert.equal(seen.content, stored.get(seq)[4]);
      }
      for (const [key, ack] of client.acks) {
        assert.equal(stored.get(ack.seq)?.[2], key, `acknowledged ${key}`);
        assert.equal(stored.get(ack.seq)[1], String(ack.id));
      }
    }
  }
}

test(`kill -9 of a shard at a random moment, ${KILLS} times`, { timeout: 900000 }, async (t) => {
  const cluster = await Cluster.up(t);
  const traffic = await load(cluster);
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
  traffic.clients.forEach((c) => c.stop());
});

test('gateways and shards killed and restarted in turn lose and double nothing', { timeout: 300000 }, async (t) => {
  const cluster = await Cluster.up(t);
  const traffic = await load(cluster);
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
  traffic.clients.forEach((c) => c.stop());
});

test('a shard that joins takes rooms over without a socket noticing', { timeout: 120000 }, async (t) => {
  const cluster = await Cluster.up(t);
  const traffic = await load(cluster);
  await cluster.command('add', 'shard');
  const before = traffic.acked();
  await eventually('traffic flows', () => traffic.acked() > before + 300, 30000);
  await cluster.command('drain', 'shard-1');
  const drained = traffic.acked();
  await eventually('traffic flows', () => traffic.acked() > drained + 300, 30000);
  await traffic.settle();
  await verify(cluster, traffic);
  assert.ok(traffic.clients.every((c) => c.reconnects === 0));
  traffic.clients.forEach((c) => c.stop());
});
