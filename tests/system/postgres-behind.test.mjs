// A standby that is behind is promoted: each room goes on from what it has, in another generation. Who has seen what is
// gone is told to start over, by whatever way it listens; who has not goes on without noticing; all agree.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Client, ResumingClient } from './support/client.mjs';
import { call, eventually, mint } from './support/cluster.mjs';
import { EventReader } from './support/events.mjs';
import { clusterWithStandby } from './support/postgres.mjs';

async function makeRoom(cluster, id, token, members = []) {
  const got = await call(cluster.http(), 'POST', '/rooms', { token, body: { id, name: id, type: 'group', members: members.map((userId) => ({ userId, role: 'member' })) } });
  assert.equal(got.status, 200, got.text);
}

test('a standby that is behind is promoted: who has seen what is gone starts over, who has not goes on, all agree', { timeout: 180000 }, async (t) => {
  const { cluster, standby } = await clusterWithStandby(t, { env: { FLUXY_ROOM_IDLE_MS: '500' } });
  const [ann, bob] = await Promise.all(['ann', 'bob'].map((u) => mint(cluster, u)));
  await makeRoom(cluster, 'r', ann, ['bob']);
  await makeRoom(cluster, 'quiet', ann, ['bob']);
  const writer = await Client.join(cluster.ws(0), 'r', ann, { native: true });
  const post = async (text) => {
    writer.message(text, text);
    return writer.until((f) => f.type === 'ack' && f.clientMessageId === text);
  };
  const open = new ResumingClient([cluster.ws(1)], 'r', bob, { mayReset: true });
  const quiet = new ResumingClient([cluster.ws(1)], 'quiet', bob);
  t.after(() => [open, quiet].forEach((c) => c.stop()));
  const old = await Client.join(cluster.ws(0), 'r', bob);
  await Promise.all([open.ready(), quiet.ready()]);
  quiet.post('q1', 'q1');
  for (const text of ['m1', 'm2', 'm3']) await post(text);
  await quiet.until('acknowledged', () => quiet.unacked.size === 0);
  await standby.catchUp();
  await standby.stop();
  for (const text of ['lost4', 'lost5']) await post(text);
  await open.until('what will be lost', () => open.seq === 5);
  await old.until((f) => f.content === 'lost5');

  // Rooms that sleep are in no shard's memory, and their sockets must be told all the same.
  await eventually('all rooms are asleep', async () => {
    const metrics = await Promise.all(cluster.shards.map((shard) => cluster.metrics(shard.admin)));
    return metrics.every((text) => /^fluxy_rooms\{state="active"\} 0$/m.test(text));
  }, 30000);
  await cluster.command('kill', 'postgres');
  await standby.start();
  await standby.promote();
  await open.until('told to start over', () => open.resets === 1);
  for (const text of ['new4', 'new5', 'new6']) {
    await eventually(`${text} is written`, async () => {
      writer.message(text, text);
      return writer.until((f) => f.type === 'ack' && f.clientMessageId === text, 2000).catch(() => undefined);
    }, 20000);
  }
  const rows = await standby.sql(`SELECT seq, id, content FROM timeline WHERE project_id = '${cluster.project}' AND room_id = 'r' ORDER BY seq`);
  assert.deepEqual(rows.map((r) => r[2]), ['m1', 'm2', 'm3', 'new4', 'new5', 'new6']);
  const lost = writer.of('ack').find((f) => f.clientMessageId === 'lost5');
  assert.ok(rows.every((r) => Number(r[1]) !== lost.id), 'no id names two messages');

  await open.until('all of it', () => open.seq === 6);
  open.check();
  assert.deepEqual([...open.seen.values()].map((m) => [String(m.id), m.content]), rows.map((r) => r.slice(1)));
  assert.equal(open.reconnects, 0);
  await quiet.until('the new generation', () => quiet.generation === open.generation);
  assert.deepEqual([quiet.resets, quiet.reconnects], [0, 0], 'nothing of that room was lost');
  quiet.post('q2', 'q2');
  await quiet.until('acknowledged', () => quiet.unacked.size === 0);
  quiet.check();
  await old.until((f) => f.content === 'new6');
  assert.deepEqual(old.of('replay').at(-1)?.messages.map((m) => m.content).slice(0, 3), ['m1', 'm2', 'm3']);
  assert.equal(old.closed, undefined);

  const back = async (lastSeq, generation) => {
    const client = await Client.join(cluster.ws(1), 'r', bob, { native: true, query: { lastSeq: String(lastSeq), generation } });
    const [frame] = client.of('replay');
    await client.close();
    return { reset: frame.reset, generation: frame.generation, contents: frame.messages.map((m) => m.content) };
  };
  const all = rows.map((r) => r[2]);
  const now = open.generation;
  assert.deepEqual(await back(5, 'g1'), { reset: true, generation: now, contents: all }, 'had seen what is gone');
  assert.deepEqual(await back(3, 'g1'), { reset: false, generation: now, contents: all.slice(3) }, 'had not');
  assert.deepEqual(await back(2, 'g1'), { reset: false, generation: now, contents: all.slice(2) });
  assert.deepEqual(await back(5, now), { reset: false, generation: now, contents: all.slice(5) });
  const read = async (lastEventId) => {
    const reader = await EventReader.open(cluster.http(), 'r', bob, { lastEventId });
    const frame = await reader.until((f) => f.messages);
    reader.close();
    return { contents: frame.messages.map((m) => m.content), id: reader.ids[reader.frames.indexOf(frame)] };
  };
  assert.deepEqual(await read('5'), { contents: all, id: `6-${now}` }, 'an event stream that had seen what is gone');
  assert.deepEqual(await read('3'), { contents: all.slice(3), id: `6-${now}` });
  assert.deepEqual(await read(`5-${now}`), { contents: all.slice(5), id: `6-${now}` });
  await Promise.all([old.close(), writer.close()]);
});
