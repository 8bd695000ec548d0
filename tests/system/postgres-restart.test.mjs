// PostgreSQL is restarted, killed, stopped for a while, slow: writes flow again by themselves, soon after it is back, and
// shards that find it gone do not storm it when it returns.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Client, ResumingClient } from './support/client.mjs';
import { call, Cluster, eventually, mint } from './support/cluster.mjs';
import { Primary } from './support/postgres.mjs';
import { verify } from './support/traffic.mjs';

describe('PostgreSQL goes and comes', { timeout: 180000 }, () => {
  let cluster, primary, tokens, clients, timer, pids;
  const rooms = ['one', 'two', 'three', 'four'];
  const shardPids = async () => (await cluster.status()).shards.map((shard) => shard.pid);
  const acked = () => clients.reduce((sum, c) => sum + c.acks.size, 0);
  const counter = async (shard, name) => Number(new RegExp(`^${name} (\\d+)$`, 'm').exec(await cluster.metrics(shard.admin))[1]);

  before(async () => {
    cluster = await Cluster.up();
    primary = await Primary.of(cluster);
    const users = ['ann', 'bob'];
    tokens = await Promise.all(users.map((u) => mint(cluster, u)));
    for (const id of rooms) {
      const got = await call(cluster.http(), 'POST', '/rooms', { token: tokens[0], body: { id, name: id, type: 'group', members: users.map((userId) => ({ userId, role: 'member' })) } });
      assert.equal(got.status, 200, got.text);
    }
    clients = rooms.flatMap((id) => tokens.map((token, i) => new ResumingClient([cluster.ws(i)], id, token)));
    await Promise.all(clients.map((c) => c.ready(20000)));
    pids = await shardPids();
    let n = 0;
    timer = setInterval(() => {
      for (const c of clients) if (c.unacked.size < 10) c.post(`m${n}`, `text ${n++}`);
    }, 20);
    await eventually('traffic flows', () => acked() > 100, 30000);
  });
  after(async () => {
    clearInterval(timer);
    for (const c of clients ?? []) c.stop();
    await cluster?.remove();
  });

  /** Until messages are acknowledged that were sent after the server answers again; how long that took. */
  async function flows(returned) {
    await returned;
    const back = Date.now(), then = acked();
    await eventually('writes flow', () => acked() > then, 30000);
    const took = Date.now() - back;
    await eventually('all of them', () => acked() > then + 100, 30000);
    return took;
  }

  const answers = () => eventually('PostgreSQL answers', () => primary.sql('SELECT 1').catch(() => undefined), 60000);

  test('a restart', async (t) => {
    await cluster.command('stop', 'postgres');
    const started = cluster.command('start', 'postgres');
    t.diagnostic(`writes flow ${await flows(answers())} ms after it answers`);
    await started;
  });

  test('kill -9, and an outage in which few of the connections try', async (t) => {
    await cluster.command('kill', 'postgres');
    const failed = () => Promise.all(cluster.shards.map((s) => counter(s, 'fluxy_pg_connects_total\\{result="failed"\\}')));
    await eventually('all have noticed', async () => (await Promise.all(cluster.shards.map((s) => counter(s, 'fluxy_pg_connections')))).every((n) => n === 0));
    const begun = Date.now(), before = await failed();
    await eventually('three seconds without PostgreSQL', () => Date.now() - begun > 3000);
    const seconds = (Date.now() - begun) / 1000, now = await failed();
    // One connection looks for it, at most each 300 ms; nine would be ten times as much.
    for (const [i, n] of now.entries()) {
      assert.ok(n > before[i], 'somebody looks for it');
      assert.ok((n - before[i]) / seconds < 9, `${(n - before[i]) / seconds} attempts a second`);
    }
    const started = cluster.command('start', 'postgres');
    t.diagnostic(`writes flow ${await flows(answers())} ms after it answers`);
    await started;
  });

  test('a slow disk', async () => {
    await primary.sql('CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(0.3); RETURN NULL; END $$');
    await primary.sql('CREATE TRIGGER slow AFTER INSERT ON timeline FOR EACH STATEMENT EXECUTE FUNCTION slow()');
    const then = acked();
    await eventually('writes go on, in larger batches', () => acked() > then + 100, 60000);
    await primary.sql('DROP FUNCTION slow CASCADE');
    for (const c of clients) c.check(); // nobody was refused: it is within the deadline
  });

  test('it hangs', async () => {
    const client = await Client.join(cluster.ws(), 'one', tokens[0], { native: true });
    await cluster.command('pause', 'postgres');
    client.message('while it hangs', 'hang');
    const error = await client.until((f) => f.type === 'error' && f.clientMessageId === 'hang', 20000);
    assert.ok(['unavailable', 'outcome_unknown'].includes(error.code), error.code);
    assert.equal(error.retryable, true);
    client.send({ type: 'typing', isTyping: true });
    await cluster.command('resume', 'postgres');
    await eventually('the same message is acknowledged', async () => {
      client.message('while it hangs', 'hang');
      return client.until((f) => f.type === 'ack' && f.clientMessageId === 'hang', 1000).catch(() => undefined);
    }, 30000);
    await client.close();
  });

  test('at the end everything is stored once, and everybody has seen it', async () => {
    clearInterval(timer);
    await Promise.all(clients.map((c) => c.until('every message acknowledged', () => c.unacked.size === 0)));
    await verify(cluster, { clients, rooms });
    for (const c of clients) assert.deepEqual([c.reconnects, c.resets, c.generation], [0, 0, 'g1']);
    assert.deepEqual(await shardPids(), pids, 'no process has restarted');
  });
});
