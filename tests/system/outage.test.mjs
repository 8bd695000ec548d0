// Static stability: what still works while Redis or PostgreSQL is away, and that all of it comes back by itself.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Client } from './support/client.mjs';
import { call, Cluster, eventually, mint } from './support/cluster.mjs';

async function scene(t) {
  const cluster = await Cluster.up(t);
  const [ada, bob] = await Promise.all(['ada', 'bob'].map((u) => mint(cluster, u)));
  await call(cluster.http(), 'POST', '/rooms', { token: ada, body: { id: 'storm', name: 'storm', type: 'group', members: [{ userId: 'bob' }] } });
  const a = await Client.join(cluster.ws(0), 'storm', ada);
  const b = await Client.join(cluster.ws(1), 'storm', bob);
  return { cluster, ada, bob, a, b };
}

test('without Redis everything that runs keeps running, also when it comes back empty', { timeout: 120000 }, async (t) => {
  const { cluster, bob, a, b } = await scene(t);
  await cluster.command('kill', 'redis');
  a.message('no redis', 'm1');
  await b.until((f) => f.content === 'no redis');
  const c = await Client.join(cluster.ws(0), 'storm', bob);
  c.message('a new socket too', 'm2');
  await a.until((f) => f.content === 'a new socket too');
  await cluster.command('start', 'redis');
  a.message('back', 'm3');
  await b.until((f) => f.content === 'back');
  await a.until((f) => f.content === 'back');
  assert.deepEqual(a.of('message').map((f) => f.seq), [1, 2, 3]);
  await cluster.command('kill', 'shard-1');
  a.message('and a shard may die now', 'm4');
  await b.until((f) => f.content === 'and a shard may die now', 20000);
  assert.equal(a.closed ?? b.closed, undefined);
});

test('without PostgreSQL sockets stay, typing flows, memory is read, writes are refused in time', { timeout: 120000 }, async (t) => {
  const { cluster, ada, a, b } = await scene(t);
  a.message('one', 'm1');
  await b.until((f) => f.content === 'one');
  await cluster.command('kill', 'postgres');
  b.send({ type: 'typing', isTyping: true });
  await a.until((f) => f.type === 'typing' && f.userId === 'bob');
  const page = await call(cluster.http(), 'GET', '/api/messages?roomId=storm&limit=1', { token: ada });
  assert.equal(page.json?.messages?.[0]?.content, 'one', page.text);
  const asked = Date.now();
  a.message('two', 'm2');
  const error = await a.until((f) => f.type === 'error', 15000);
  assert.ok(Date.now() - asked < 12000);
  assert.ok(['unavailable', 'outcome_unknown'].includes(error.code), error.code);
  assert.equal(error.retryable, true);
  assert.equal(error.clientMessageId, 'm2');
  // Longer than any cache of who may enter: memory is still read, and who knows the way still comes in.
  const down = Date.now();
  await eventually('8 seconds without PostgreSQL', () => Date.now() - down > 8000);
  const late = await call(cluster.http(1), 'GET', '/api/messages?roomId=storm&limit=1', { token: ada });
  assert.equal(late.json?.messages?.[0]?.content, 'one', late.text);
  const again = await Client.join(cluster.ws(1), 'storm', ada);
  assert.equal(again.of('history')[0].messages.at(-1).content, 'one');
  await again.close();
  await cluster.command('start', 'postgres');
  await eventually('writes flow again', async () => {
    a.message('two', 'm2');
    return a.until((f) => f.type === 'ack' && f.clientMessageId === 'm2', 2000).catch(() => undefined);
  }, 30000);
  await b.until((f) => f.content === 'two');
  assert.equal(b.of('message').filter((f) => f.content === 'two').length, 1);
  assert.equal(a.closed ?? b.closed, undefined);
  const rows = await cluster.sql(`select count(*) from timeline where room_id = 'storm'`);
  assert.equal(rows[0][0], '2');
});
