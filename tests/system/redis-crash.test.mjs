// What only Redis can change while Redis is away: who owns what. A shard that dies then is not replaced until it is back.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { call, Cluster, eventually } from './support/cluster.mjs';
import { gather } from './support/room.mjs';

const nodes = ['gateway-1', 'gateway-2', 'shard-1', 'shard-2'];

test('a shard that dies while Redis is away: errors that may be retried, in bounded time, and new owners soon after Redis is back', { timeout: 240000 }, async (t) => {
  const cluster = await Cluster.up(t);
  const rooms = [];
  for (let i = 0; i < 6; i++) rooms.push(await gather(cluster, `r${i}`, [[i % 2, 'ada'], [(i + 1) % 2, 'bob']]));
  await cluster.command('kill', 'redis');
  await eventually('everybody knows that Redis is away', async () => {
    const up = await Promise.all(nodes.map((name) => cluster.figure(name, 'fluxy_registry_up')));
    return up.every((n) => n === 0);
  }, 20000);
  await cluster.command('kill', 'shard-1');
  // Each room either goes on, or its writers are told within the bound that they may try again.
  const asked = Date.now();
  const answers = await Promise.all(rooms.map(async ({ clients: [ada], tokens }, i) => {
    ada.message('over the socket', `m${i}`);
    const [frame, rest] = await Promise.all([
      ada.until((f) => (f.type === 'ack' || f.type === 'error') && f.clientMessageId === `m${i}`, 15000),
      call(cluster.http(), 'POST', '/messages', { token: tokens.ada, body: { roomId: `r${i}`, content: 'over REST', clientMessageId: `p${i}` } }),
    ]);
    return { frame, rest };
  }));
  t.diagnostic(`answered within ${Date.now() - asked} ms`);
  const stuck = answers.map(({ frame }, i) => i).filter((i) => answers[i].frame.type === 'error');
  assert.ok(stuck.length > 0 && stuck.length < rooms.length, `some rooms were the dead shard's: ${stuck.length}`);
  for (const [i, { frame, rest }] of answers.entries()) {
    if (!stuck.includes(i)) {
      assert.equal(rest.status, 200, rest.text);
      continue;
    }
    assert.ok(['unavailable', 'outcome_unknown'].includes(frame.code) && frame.retryable, JSON.stringify(frame));
    assert.ok([503, 504].includes(rest.status), rest.text);
    assert.ok(['unavailable', 'outcome_unknown'].includes(rest.json?.error), rest.text);
  }
  await cluster.command('start', 'redis');
  const back = Date.now();
  await Promise.all(stuck.map((i) => eventually(`r${i} takes writes`, async () => {
    rooms[i].clients[0].message('over the socket', `m${i}`);
    return rooms[i].clients[0].until((f) => f.type === 'ack' && f.clientMessageId === `m${i}`, 500).catch(() => undefined);
  }, 30000)));
  t.diagnostic(`${stuck.length} rooms had new owners ${Date.now() - back} ms after Redis was back`);
  for (const { clients } of rooms) for (const c of clients) assert.equal(c.closed, undefined);
  const rows = await cluster.sql(`select client_id, count(*) from timeline where client_id like 'm%' group by 1`);
  assert.equal(rows.length, rooms.length);
  assert.ok(rows.every((r) => r[1] === '1'));
});
