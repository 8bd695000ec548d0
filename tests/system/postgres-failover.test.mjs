// Failover to a synchronous streaming replica that is promoted, with all hosts in the URL: nothing that was acknowledged
// is lost, nobody is reset, no socket closes, and the old primary is left alone when it comes back.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Client, ResumingClient } from './support/client.mjs';
import { call, eventually, mint } from './support/cluster.mjs';
import { clusterWithStandby } from './support/postgres.mjs';
import { verify } from './support/traffic.mjs';

async function makeRoom(cluster, id, token, members = []) {
  const got = await call(cluster.http(), 'POST', '/rooms', { token, body: { id, name: id, type: 'group', members: members.map((userId) => ({ userId, role: 'member' })) } });
  assert.equal(got.status, 200, got.text);
}

async function failOver(cluster, standby) {
  await cluster.command('kill', 'postgres');
  await standby.promote();
}

const pids = async (cluster) => (await cluster.status()).shards.map((shard) => shard.pid);

test('kill -9 of the primary, a synchronous standby is promoted: nothing acknowledged is lost, nobody is reset', { timeout: 180000 }, async (t) => {
  const { cluster, primary, standby } = await clusterWithStandby(t);
  await primary.set('synchronous_standby_names', '*');
  await eventually('replication is synchronous', async () => (await primary.sql('SELECT sync_state FROM pg_stat_replication'))[0]?.[0] === 'sync');
  const users = ['ann', 'bob'];
  const tokens = await Promise.all(users.map((u) => mint(cluster, u)));
  const rooms = ['one', 'two', 'three'];
  for (const id of rooms) await makeRoom(cluster, id, tokens[0], users);
  const clients = rooms.flatMap((id) => tokens.map((token, i) => new ResumingClient([cluster.ws(i)], id, token)));
  t.after(() => clients.forEach((c) => c.stop()));
  await Promise.all(clients.map((c) => c.ready(20000)));
  const acked = () => clients.reduce((sum, c) => sum + c.acks.size, 0);
  const before = await pids(cluster);
  let n = 0;
  const timer = setInterval(() => {
    for (const c of clients) if (c.unacked.size < 20) c.post(`m${n}`, `text ${n++}`);
  }, 10);
  t.after(() => clearInterval(timer));
  await eventually('traffic flows', () => acked() > 200, 30000);

  await failOver(cluster, standby);
  const promoted = Date.now();
  const then = acked();
  await eventually('writes flow', () => acked() > then, 30000);
  t.diagnostic(`writes flow ${Date.now() - promoted} ms after the promotion`);
  await eventually('in all rooms', () => acked() > then + 300, 30000);
  clearInterval(timer);
  await Promise.all(clients.map((c) => c.until('every message acknowledged', () => c.unacked.size === 0)));

  await verify(cluster, { clients, rooms }, (text) => standby.sql(text));
  for (const c of clients) {
    assert.equal(c.resets, 0);
    assert.equal(c.reconnects, 0);
    assert.notEqual(c.generation, 'g1', 'an open socket has heard of the new generation');
  }
  assert.deepEqual(await pids(cluster), before);
  for (const shard of cluster.shards) assert.match(await cluster.metrics(shard.admin), /^fluxy_pg_replaced_total 1$/m);

  // The old primary comes back by itself, and nobody has fenced it. Connections are lost: none goes to it.
  await cluster.command('start', 'postgres');
  await primary.set('synchronous_standby_names', ''); // or nothing could ever be written there, by anybody
  const late = await Client.join(cluster.ws(), 'one', tokens[0], { native: true });
  for (const round of [1, 2]) {
    await standby.sql(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'fluxy-shard%'`);
    await eventually(`message ${round} after it is back`, async () => {
      late.message('late', `late-${round}`);
      return late.until((f) => f.type === 'ack' && f.clientMessageId === `late-${round}`, 1000).catch(() => undefined);
    }, 20000);
  }
  assert.equal((await standby.sql(`SELECT count(*) FROM timeline WHERE content = 'late'`))[0][0], '2');
  assert.equal((await primary.sql(`SELECT count(*) FROM timeline WHERE content = 'late'`))[0][0], '0');
  await late.close();
});
