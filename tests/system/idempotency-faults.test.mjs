// Idempotency-Key over an outage of PostgreSQL: a request that was cut off leaves its key free, and is done once.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { call, Cluster, eventually, mint } from './support/cluster.mjs';

test('who comes again after an outage need not wait until the key counts as dead', { timeout: 120000 }, async (t) => {
  const cluster = await Cluster.up(t, { gateways: 1, shards: 1 });
  const ada = await mint(cluster, 'ada');
  const post = (path, body, key) => call(cluster.http(), 'POST', path, { token: ada, body, headers: key ? { 'Idempotency-Key': key } : {} });
  assert.equal((await post('/rooms', { id: 'keys', name: 'keys', type: 'group' })).status, 200);
  const { json } = await post('/messages', { roomId: 'keys', content: 'like it?' });
  const path = `/messages/${json.message.id}/reactions`;
  // The key is written down; then the change cannot be committed, for somebody holds the room's row.
  const blocked = cluster.sql(`begin; select 1 from rooms where room_id = 'keys' for update; select pg_sleep(60)`).catch(() => 'cut off');
  await eventually('the row is held', async () => (await cluster.sql(`select 1 from pg_stat_activity where query like '%pg_sleep%' and wait_event = 'PgSleep'`)).length > 0);
  const first = post(path, { emoji: '👍' }, 'once');
  await eventually('the key is written down', async () => (await cluster.sql(`select 1 from idempotency_keys where key = 'once'`)).length === 1);
  await cluster.command('kill', 'postgres');
  assert.equal(await blocked, 'cut off');
  const refused = await first;
  assert.ok(refused.status === 503 && refused.json.retryable !== false, refused.text);
  await cluster.command('start', 'postgres');
  const back = Date.now();
  let again;
  await eventually('it is done', async () => (again = await post(path, { emoji: '👍' }, 'once')).status === 200, 60000);
  assert.ok(Date.now() - back < 15000, `free after ${Date.now() - back} ms, not when it counts as dead`);
  t.diagnostic(`done ${Date.now() - back} ms after the return`);
  assert.equal(again.json.reaction.op, 'add');
  const page = await call(cluster.http(), 'GET', '/api/messages?roomId=keys', { token: ada });
  assert.deepEqual(page.json.messages[0].reactions, { '👍': 1 });
  assert.equal(page.json.currentSeq, 2);
});
