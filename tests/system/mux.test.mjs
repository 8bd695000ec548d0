// One socket, many rooms: GET /ws with subscribe and unsubscribe.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Client } from './support/client.mjs';
import { call, Cluster, eventually, mint } from './support/cluster.mjs';
import { Mux, RoomView } from './support/mux.mjs';
import { forge } from './support/token.mjs';

const makeRoom = async (cluster, token, id, members = ['bob'], type = 'group') => {
  const got = await call(cluster.http(), 'POST', '/rooms', { token, body: { id, name: id, type, members: members.map((userId) => ({ userId, role: 'member' })) } });
  assert.equal(got.status, 200, got.text);
  return id;
};

describe('one socket, many rooms', () => {
  let cluster, ada, bob;
  const room = (id, ...more) => makeRoom(cluster, ada, id, ...more);
  const post = (token, roomId, content) => call(cluster.http(), 'POST', '/messages', { token, body: { roomId, content } });

  before(async () => {
    cluster = await Cluster.up();
    [ada, bob] = await Promise.all(['ada', 'bob'].map((user) => mint(cluster, user)));
  });
  after(() => cluster?.remove());

  test('a subscription is confirmed, then comes the snapshot, then what happens, each frame with its room', async () => {
    const [a, b] = await Promise.all([room('m-a'), room('m-b')]);
    await post(ada, a, 'before');
    const mux = await Mux.open(cluster.ws(), bob);
    const subscribed = await mux.subscribe(a);
    assert.equal(subscribed.type, 'subscription_succeeded');
    assert.equal(subscribed.currentSeq, 1);
    const history = await mux.until((f) => f.type === 'history');
    assert.deepEqual(history.messages.map((m) => m.content), ['before']);
    assert.deepEqual(mux.frames.map((f) => f.type).slice(0, 2), ['subscription_succeeded', 'history']);
    await mux.subscribe(b);
    const other = await Client.join(cluster.ws(1), a, ada);
    other.message('to a');
    mux.say(b, 'to b', 'c-1', { frameId: 'f-1' });
    assert.equal((await mux.until((f) => f.content === 'to a')).roomId, a);
    assert.equal((await mux.until((f) => f.content === 'to b')).roomId, b);
    const ack = await mux.until((f) => f.type === 'ack');
    assert.deepEqual([ack.roomId, ack.clientMessageId, ack.frameId, ack.seq], [b, 'c-1', 'f-1', 1]);
    mux.send({ type: 'typing', roomId: a, isTyping: true });
    assert.equal((await other.until((f) => f.type === 'typing')).userId, 'bob');
    mux.send({ type: 'ping' });
    await mux.until((f) => f.type === 'pong');
    for (const f of mux.frames) if (f.type !== 'pong') assert.ok([a, b].includes(f.roomId), JSON.stringify(f));
    await Promise.all([mux.close(), other.close()]);
  });

  test('lastSeq continues where the reader was, room by room', async () => {
    const [a, b] = await Promise.all([room('m-resume-a'), room('m-resume-b')]);
    const first = await Mux.open(cluster.ws(), bob);
    const { generation } = await first.subscribe(a);
    await first.subscribe(b);
    for (const id of [a, b]) for (const n of [1, 2, 3]) await post(ada, id, `${id} ${n}`);
    await first.until((f) => f.content === `${b} 3`);
    await first.close();
    await post(ada, a, `${a} 4`);
    const second = await Mux.open(cluster.ws(1), bob);
    await second.subscribe(a, { lastSeq: 2, generation });
    const replay = await second.until((f) => f.type === 'replay');
    assert.deepEqual([replay.roomId, replay.fromSeq, replay.toSeq, replay.reset], [a, 2, 4, false]);
    assert.deepEqual(replay.messages.map((m) => m.seq), [3, 4]);
    await second.subscribe(b, { replayLimit: 1 });
    const history = await second.until((f) => f.type === 'history');
    assert.deepEqual(history.messages.map((m) => m.content), [`${b} 3`]);
    second.send({ type: 'resume', roomId: b, lastSeq: 1 });
    assert.deepEqual((await second.until((f) => f.type === 'replay' && f.roomId === b)).messages.map((m) => m.seq), [2, 3]);
    await second.subscribe(await room('m-resume-c'), { lastSeq: 99 });
    assert.equal((await second.until((f) => f.roomId === 'm-resume-c' && f.type === 'replay')).reset, true);
    await second.close();
  });

  test('nothing comes behind unsubscribed', async () => {
    const [a, b] = await Promise.all([room('m-leave-a'), room('m-leave-b')]);
    const mux = await Mux.open(cluster.ws(), bob);
    await mux.subscribe(a);
    await mux.subscribe(b);
    mux.send({ type: 'unsubscribe', roomId: a, frameId: 'u' });
    const left = await mux.until((f) => f.type === 'unsubscribed');
    assert.deepEqual(left, { type: 'unsubscribed', roomId: a, frameId: 'u' });
    const at = mux.frames.indexOf(left);
    await post(ada, a, 'unheard');
    await post(ada, b, 'heard');
    await mux.until((f) => f.content === 'heard');
    assert.deepEqual(mux.frames.slice(at + 1).filter((f) => f.roomId === a), []);
    const live = await eventually('bob is gone from the room', async () => {
      const watcher = await Client.join(cluster.ws(), a, ada);
      const presence = await watcher.until((f) => f.type === 'presence');
      await watcher.close();
      return presence.users.includes('bob') ? undefined : presence;
    });
    assert.deepEqual(live.users, ['ada']);
    await mux.subscribe(a);
    assert.equal((await mux.until((f) => f.type === 'history' && f.roomId === a && f.messages.length > 0)).messages[0].content, 'unheard');
    await mux.close();
  });

  test('presence: false leaves out who is here, and nothing else', async () => {
    const [a, b] = await Promise.all([room('m-quiet'), room('m-loud')]);
    const mux = await Mux.open(cluster.ws(), bob);
    await mux.subscribe(a, { presence: false });
    await mux.subscribe(b);
    const [inA, inB] = await Promise.all([Client.join(cluster.ws(1), a, ada), Client.join(cluster.ws(1), b, ada)]);
    await inA.until((f) => f.type === 'presence' && f.users.includes('bob'));
    await mux.until((f) => f.roomId === b && f.type === 'member_joined' && f.userId === 'ada');
    inA.send({ type: 'typing', isTyping: true });
    inA.message('done');
    await mux.until((f) => f.content === 'done');
    assert.deepEqual(mux.inRoom(a).map((f) => f.type), ['subscription_succeeded', 'history', 'typing', 'message']);
    await Promise.all([mux.close(), inA.close(), inB.close()]);
  });

  test('errors of a room never close the socket', async () => {
    const a = await room('m-errors');
    await makeRoom(cluster, ada, 'm-secret', []);
    const mux = await Mux.open(cluster.ws(), bob);
    await mux.subscribe(a);
    const expectations = [
      [{ type: 'subscribe', roomId: 'm-secret', frameId: '1' }, 'not_member', true],
      [{ type: 'subscribe', roomId: 'm-nowhere', frameId: '2' }, 'not_member', true],
      [{ type: 'subscribe', roomId: a, frameId: '3' }, 'already_subscribed'],
      [{ type: 'subscribe', roomId: 'no such id', frameId: '4' }, 'invalid_id'],
      [{ type: 'subscribe', roomId: '@ada', frameId: '5' }, 'invalid_id'],
      [{ type: 'subscribe', roomId: 'x'.repeat(129), frameId: '6' }, 'invalid_id'],
      [{ type: 'subscribe', frameId: '7' }, 'invalid_id'],
      [{ type: 'subscribe', roomId: 'm-other', lastSeq: 1e300, frameId: '8' }, 'invalid_cursor'],
      [{ type: 'subscribe', roomId: 'm-other', lastSeq: -1, frameId: '9' }, 'invalid_cursor'],
      [{ type: 'subscribe', roomId: 'm-other', lastSeq: '5', frameId: '10' }, 'invalid_cursor'],
      [{ type: 'subscribe', roomId: 'm-other', replayLimit: 501, frameId: '11' }, 'invalid_limit'],
      [{ type: 'subscribe', roomId: 'm-other', presence: 'no', frameId: '12' }, 'bad_request'],
      [{ type: 'unsubscribe', roomId: 'm-other', frameId: '13' }, 'not_subscribed'],
      [{ type: 'message', roomId: 'm-other', content: 'x', clientMessageId: 'c', frameId: '14' }, 'not_subscribed'],
      [{ type: 'message', content: 'x', clientMessageId: 'c', frameId: '15' }, 'invalid_id'],
      [{ type: 'fly', roomId: a, frameId: '16' }, 'unknown_event_type'],
      [{ type: 'resume', roomId: a, lastSeq: -1, frameId: '17' }, 'invalid_cursor'],
    ];
    for (const [frame, code, ends] of expectations) {
      mux.send(frame);
      const error = await mux.until((f) => f.type === 'error' && f.frameId === frame.frameId);
      assert.equal(error.code, code, JSON.stringify(frame));
      assert.equal(error.unsubscribed, ends, JSON.stringify(error));
      if (frame.clientMessageId) assert.equal(error.clientMessageId, 'c');
    }
    mux.send('nonsense');
    await mux.until((f) => f.code === 'invalid_json');
    await post(ada, a, 'still here');
    await mux.until((f) => f.content === 'still here');
    // Removed from one room, the socket stays in the other.
    const b = await room('m-removed');
    await mux.subscribe(b);
    await call(cluster.http(), 'DELETE', `/rooms/${b}/members/bob`, { token: ada });
    const removed = await mux.until((f) => f.roomId === b && f.unsubscribed);
    assert.deepEqual([removed.code, removed.retryable], ['not_member', false]);
    await post(ada, a, 'and still');
    await mux.until((f) => f.content === 'and still');
    assert.equal(mux.closed, undefined);
    await mux.close();
  });

  test('200 rooms and not one more', async () => {
    const admin = await mint(cluster, 'root', { roles: ['admin'] });
    const ids = Array.from({ length: 200 }, (_, i) => `m-many-${i}`);
    for (let i = 0; i < ids.length; i += 25) await Promise.all(ids.slice(i, i + 25).map((id) => makeRoom(cluster, ada, id, [])));
    const mux = await Mux.open(cluster.ws(), admin);
    for (const roomId of ids) mux.send({ type: 'subscribe', roomId, presence: false });
    mux.send({ type: 'subscribe', roomId: 'm-many-one-more', frameId: 'more' });
    const refused = await mux.until((f) => f.frameId === 'more');
    assert.equal(refused.code, 'too_many_rooms');
    await eventually('all are live', () => mux.of('subscription_succeeded').length === 200, 20000);
    await Promise.all([0, 99, 199].map((i) => post(ada, ids[i], `in ${i}`)));
    for (const i of [0, 99, 199]) assert.equal((await mux.until((f) => f.content === `in ${i}`)).roomId, ids[i]);
    mux.send({ type: 'unsubscribe', roomId: ids[0] });
    await mux.until((f) => f.type === 'unsubscribed');
    assert.equal((await mux.subscribe(await room('m-many-one-more'))).type, 'subscription_succeeded');
    await mux.close();
  });

  test('a token pinned to a room subscribes to that room only', async () => {
    const [a, b] = await Promise.all([room('m-pinned'), room('m-not-pinned')]);
    const mux = await Mux.open(cluster.ws(), await forge(cluster, 'bob', 60, { roomId: a }));
    assert.equal((await mux.subscribe(b)).code, 'forbidden');
    assert.equal((await mux.subscribe(a)).type, 'subscription_succeeded');
    await mux.close();
    const stranger = await Mux.open(cluster.ws(), 'nonsense');
    assert.deepEqual(await stranger.untilClosed(), { code: 1008, reason: 'invalid_token' });
  });

  test('a token of a project that is not there is refused', async () => {
    const mux = await Mux.open(cluster.ws(), await forge(cluster, 'bob', 60, { tid: 'another' }));
    assert.deepEqual(await mux.untilClosed(), { code: 1008, reason: 'invalid_token' });
  });
});

test('kill -9 of a shard: every room of the socket goes on without a hole', { timeout: 180000 }, async (t) => {
  const cluster = await Cluster.up(t, { gateways: 1, shards: 3 });
  const [ada, bob] = await Promise.all(['ada', 'bob'].map((user) => mint(cluster, user)));
  const ids = Array.from({ length: 12 }, (_, i) => `k-${i}`);
  await Promise.all(ids.map((id) => makeRoom(cluster, ada, id)));
  const views = new Map(ids.map((id) => [id, new RoomView(id)]));
  const reader = await Mux.open(cluster.ws(), bob);
  reader.onframe = (f) => views.get(f.roomId)?.take(f);
  const writer = await Mux.open(cluster.ws(), ada);
  for (const id of ids) await Promise.all([reader.subscribe(id, { presence: false }), writer.subscribe(id, { presence: false })]);
  const unacked = new Map();
  const acked = new Map();
  writer.onframe = (f) => {
    if (f.type === 'ack') {
      unacked.delete(f.clientMessageId);
      acked.set(f.clientMessageId, f);
    } else if (f.type === 'error' && f.retryable && unacked.has(f.clientMessageId)) {
      setTimeout(() => writer.say(...unacked.get(f.clientMessageId), f.clientMessageId), f.retryAfterMs ?? 100);
    } else if (f.type === 'error') {
      assert.fail(JSON.stringify(f));
    }
  };
  let n = 0;
  const sayEverywhere = () => {
    for (const id of ids) {
      const key = `key-${id}-${n}`;
      unacked.set(key, [id, `${id} ${n}`]);
      writer.say(id, `${id} ${n}`, key);
    }
    n++;
  };
  sayEverywhere();
  await eventually('the first round', () => unacked.size === 0);
  const talking = setInterval(sayEverywhere, 50);
  await cluster.node('kill', 'shard-2');
  await eventually('rounds after the kill', () => n > 40, 20000);
  clearInterval(talking);
  await eventually('all is acknowledged', () => unacked.size === 0, 20000);
  await eventually('all is read', () => ids.every((id) => views.get(id).seen.size === n), 10000);
  for (const id of ids) {
    const view = views.get(id);
    assert.deepEqual(view.violations, [], id);
    for (let i = 0; i < n; i++) assert.equal(view.seen.get(acked.get(`key-${id}-${i}`).seq), `${id} ${i}`);
  }
  assert.equal(reader.closed, undefined);
  assert.equal(writer.closed, undefined);
  await Promise.all([reader.close(), writer.close()]);
});
