// Rooms that move while people are in them: drains, joins, restarts with another weight. Sockets stay open, nothing is lost
// or doubled, nobody leaves and joins, token streams and typing go on. FLUXY_TEST_MOVES sets how often all shards are restarted.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Client, ResumingClient } from './support/client.mjs';
import { call, Cluster, eventually, mint } from './support/cluster.mjs';
import { allSee } from './support/room.mjs';

const ROUNDS = Number(process.env.FLUXY_TEST_MOVES ?? 1);
const SHARDS = ['shard-1', 'shard-2', 'shard-3'];

async function counter(cluster, name) {
  const texts = await Promise.all(cluster.shards.filter((s) => s.running !== false).map((s) => cluster.metrics(s.admin.startsWith('http') ? s.admin : `http://${s.admin}`).catch(() => '')));
  return texts.map((text) => Number(text.split('\n').find((line) => line.startsWith(`${name} `))?.split(' ').at(-1) ?? 0));
}

/** Restarts each shard in order: drained, started again; in between `meanwhile` must come true. */
async function restartAll(cluster, meanwhile) {
  for (const name of SHARDS) {
    await cluster.command('drain', name);
    await meanwhile(`${name} is gone`);
    await cluster.command('start', name);
    await meanwhile(`${name} is back`);
  }
}

describe('rooms move', () => {
  let cluster, speakers, watchers, already;
  const noticed = () => watchers.flatMap((c) => c.frames.filter((f) => ['member_joined', 'member_left'].includes(f.type)));
  const typing = (on) => speakers[0].until((f) => f.type === 'typing' && f.userId === 'mia' && f.isTyping === on, 20000);
  before(async () => {
    cluster = await Cluster.up(undefined, { shards: 3 });
  });
  after(() => cluster?.remove());

  test(`all shards restarted in turn, ${ROUNDS} times: writers, a stream, typing, presence`, { timeout: 120000 + ROUNDS * 60000 }, async (t) => {
    const rooms = Array.from({ length: 8 }, (_, i) => `mv-${i}`);
    const names = ['mia', 'ned', 'oto'];
    const tokens = Object.fromEntries(await Promise.all(names.map(async (user) => [user, await mint(cluster, user)])));
    for (const id of rooms) {
      const made = await call(cluster.http(), 'POST', '/rooms', { token: tokens.mia, body: { id, name: id, type: 'group', members: names.slice(1).map((userId) => ({ userId, role: 'member' })) } });
      assert.equal(made.status, 200, made.text);
    }
    const writers = rooms.flatMap((id, i) => [tokens.mia, tokens.ned].map((token, k) => new ResumingClient([cluster.ws(i + k)], id, token)));
    t.after(() => writers.forEach((c) => c.stop()));
    await Promise.all(writers.map((c) => c.ready(20000)));
    // In each room a model speaks all the time, and somebody who only looks on.
    speakers = await Promise.all(rooms.map((id, i) => Client.join(cluster.ws(i), id, tokens.oto, { native: true })));
    watchers = await Promise.all(rooms.map((id, i) => Client.join(cluster.ws(i + 1), id, tokens.mia, { native: true })));
    await allSee(watchers, names, 15000);
    already = noticed().length;

    const said = rooms.map(() => '');
    let n = 0;
    for (const [i, c] of speakers.entries()) c.send({ type: 'stream', op: 'start', clientMessageId: `st-${i}` });
    await Promise.all(speakers.map((c) => c.until((f) => f.type === 'stream' && f.op === 'started')));
    const timer = setInterval(() => {
      for (const c of writers) if (c.unacked.size < 20) c.post(`m${n}`, `text ${n++}`);
      for (const [i, c] of speakers.entries()) {
        if (said[i].length > 40000) continue;
        const word = `w${said[i].length} `;
        said[i] += word;
        c.send({ type: 'stream', op: 'delta', content: word });
      }
    }, 25);
    const acked = () => writers.reduce((sum, c) => sum + c.acks.size, 0);
    const meanwhile = async (what) => {
      const from = acked();
      await eventually(`traffic flows, ${what}`, () => acked() > from + 200, 30000);
    };
    watchers[0].send({ type: 'typing', isTyping: true }); // and says no more: somebody must end it
    await typing(true);
    try {
      for (let round = 0; round < ROUNDS; round++) await restartAll(cluster, meanwhile);
    } finally {
      clearInterval(timer);
    }
    // First the messages: the writers count those only, and the end of a stream takes a number, too.
    await Promise.all(writers.map((c) => c.until('every message acknowledged', () => c.unacked.size === 0)));
    for (const c of speakers) c.send({ type: 'stream', op: 'end', frameId: 'end' });
    await Promise.all(speakers.map((c) => c.until((f) => f.type === 'ack' && f.frameId === 'end', 20000)));

    for (const [i, id] of rooms.entries()) {
      assert.deepEqual(speakers[i].frames.filter((f) => f.type === 'error'), [], `${id}: no delta was refused`);
      const started = speakers[i].frames.find((f) => f.type === 'stream' && f.op === 'started');
      const [row] = await cluster.sql(`select content, flags & 1 from timeline where project_id = '${cluster.project}' and id = ${started.id}`);
      assert.equal(row[0], said[i].trim(), `${id}: every delta once, in order`);
      assert.equal(row[1], '0', `${id}: it is over`);
      const shown = watchers[i].frames.find((f) => f.type === 'edit' && f.id === started.id && f.streaming === false);
      assert.equal(shown?.content, said[i].trim(), `${id}: as it was shown`);
      const seqs = await cluster.sql(`select seq from timeline where project_id = '${cluster.project}' and room_id = '${id}' and client_id like 'm%' group by seq, client_id having count(*) > 1`);
      assert.deepEqual(seqs, [], `${id}: no key twice`);
    }
    for (const c of writers) {
      c.check();
      assert.equal(c.reconnects, 0, 'no socket was closed');
    }
    assert.equal(noticed().length, already, 'nobody has left or joined');
  });

  test('a shard that comes back with more weight takes only its share', { timeout: 180000 }, async () => {
    const token = await mint(cluster, 'rob');
    const all = 60 + speakers.length; // rooms with sockets
    const ids = Array.from({ length: 60 }, (_, i) => `mv-w${i}`);
    const clients = [];
    for (const [i, id] of ids.entries()) {
      const made = await call(cluster.http(), 'POST', '/rooms', { token, body: { id, name: id, type: 'group' } });
      assert.equal(made.status, 200, made.text);
      clients.push(await Client.join(cluster.ws(i), id, token, { native: true }));
    }
    await cluster.command('drain', 'shard-3');
    Object.assign(cluster, await cluster.status());
    const at = async (metric) => {
      const values = await counter(cluster, metric);
      return Object.fromEntries(cluster.shards.map((s, i) => [s.name, values[i]]));
    };
    const active = () => at('fluxy_rooms{state="active"}');
    const moves = () => at('fluxy_room_moves_total{reason="ring"}');
    await eventually('the two others have all rooms', async () => {
      const has = await active();
      return has['shard-1'] + has['shard-2'] === all;
    }, 20000);
    const before = await moves();
    await cluster.command('up', '--env', 'FLUXY_WEIGHT=3', '--gateways', '2', '--shards', '3');
    Object.assign(cluster, await cluster.status());
    try {
      await eventually('nothing moves any more, and shard-3 has rooms', async () => {
        const waiting = await counter(cluster, 'fluxy_rooms_moving{state="waiting"}');
        const has = await active();
        return waiting.every((v) => v === 0) && has['shard-3'] > 0 && Object.values(has).reduce((a, b) => a + b) === all;
      }, 20000);
      const [has, behind] = [await active(), await moves()];
      const gone = behind['shard-1'] - before['shard-1'] + (behind['shard-2'] - before['shard-2']);
      assert.equal(gone, has['shard-3'], 'what has moved has moved to it');
      assert.ok(has['shard-3'] >= all * 0.35 && has['shard-3'] <= all * 0.85, `three of five parts: ${has['shard-3']} of ${all}`);
      assert.ok(clients.every((c) => !c.closed), 'no socket was closed');
    } finally {
      await cluster.command('up', '--env', 'FLUXY_WEIGHT=', '--gateways', '2', '--shards', '3');
    }
    await Promise.all(clients.map((c) => c.close()));
  });

  test('after all that: who was typing and says no more is not typing, every socket is open', { timeout: 120000 }, async () => {
    await typing(false);
    assert.ok([...speakers, ...watchers].every((c) => !c.closed));
    await Promise.all([...speakers, ...watchers].map((c) => c.close()));
  });
});
