// A room over WebSocket: connect snapshot, messages both ways, presence, typing, resume, refusals.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Client } from './support/client.mjs';
import { call, Cluster, eventually, mint } from './support/cluster.mjs';

describe('room socket', () => {
  let cluster, ada, bob, eve;
  const room = async (id, type = 'group', members = ['bob']) => {
    const got = await call(cluster.http(), 'POST', '/rooms', { token: ada, body: { id, name: id, type, members: members.map((userId) => ({ userId, role: 'member' })) } });
    assert.equal(got.status, 200, got.text);
    return id;
  };
  const join = (gateway, id, token, options) => Client.join(cluster.ws(gateway), id, token, options);
  const post = (token, roomId, content) => call(cluster.http(), 'POST', '/messages', { token, body: { roomId, content } });

  before(async () => {
    cluster = await Cluster.up();
    [ada, bob, eve] = await Promise.all(['ada', 'bob', 'eve'].map((user) => mint(cluster, user)));
  });
  after(() => cluster?.remove());

  test('frames on connect come in the documented order', async () => {
    const id = await room('w-connect');
    await post(ada, id, 'before');
    const a = await join(0, id, ada, { query: { replay: 'connect', cache: '1' } });
    await a.until((f) => f.type === 'subscription_count');
    assert.deepEqual(a.frames.map((f) => f.type).slice(0, 5), ['cache_snapshot', 'replay', 'subscription_succeeded', 'presence', 'subscription_count']);
    const [cache, replay, subscribed, presence, count] = a.frames;
    assert.equal(cache.event.content, 'before');
    assert.deepEqual(replay.messages.map((m) => m.content), ['before']);
    assert.deepEqual(replay.reactions, {});
    assert.equal(replay.currentSeq, 1);
    assert.equal(replay.hasMore, false);
    assert.equal(subscribed.roomId, id);
    assert.match(subscribed.socketId, /^[0-9a-f-]{36}$/);
    assert.equal(subscribed.subscriptionCount, 1);
    assert.deepEqual(presence.users, ['ada']);
    assert.equal(presence.online, 1);
    assert.equal(count.subscriptionCount, 1);
    const b = await join(1, id, bob);
    assert.equal(b.frames[0].type, 'history');
    const off = await join(1, id, bob, { query: { replay: 'off' } });
    assert.equal(off.frames[0].type, 'subscription_succeeded');
    await Promise.all([a, b, off].map((c) => c.close()));
  });

  test('a message reaches everybody once, through both gateways, with its ack', async () => {
    const id = await room('w-talk');
    const a = await join(0, id, ada);
    const b = await join(1, id, bob);
    a.send({ type: 'message', userId: 'mallory', content: 'hi @bob', clientMessageId: 'c-1', frameId: 'f-1' });
    const at = await b.until((f) => f.type === 'message');
    assert.equal(at.userId, 'ada', 'the identity comes from the token');
    assert.equal(at.seq, 1);
    assert.equal(at.clientMessageId, 'c-1');
    assert.deepEqual(at.mentions, ['bob']);
    const ack = await a.until((f) => f.type === 'ack');
    assert.deepEqual({ ...ack }, { type: 'ack', roomId: id, clientMessageId: 'c-1', frameId: 'f-1', id: at.id, seq: 1, createdAt: at.createdAt, duplicate: false, durability: 'commit' });
    assert.equal((await a.until((f) => f.type === 'message')).id, at.id);
    const [row] = await cluster.sql(`select seq, id, content from timeline where project_id = '${cluster.project}' and room_id = '${id}'`);
    assert.deepEqual(row, ['1', String(at.id), 'hi @bob']);
    // The same key again, over the other gateway: only the sender hears of it, with the original.
    const a2 = await join(1, id, ada);
    a2.message('hi @bob', 'c-1');
    const repeat = await a2.until((f) => f.type === 'ack');
    assert.equal(repeat.duplicate, true);
    assert.equal(repeat.seq, 1);
    assert.equal(a2.of('message')[0].id, at.id);
    a2.message('done', 'c-2');
    await b.until((f) => f.content === 'done');
    assert.equal(b.of('message').length, 2);
    await Promise.all([a, a2, b].map((c) => c.close()));
  });

  test('REST and socket share one order', async () => {
    const id = await room('w-order');
    const a = await join(0, id, ada);
    for (let i = 0; i < 30; i++) {
      if (i % 2) a.message(`s${i}`);
      else await post(bob, id, `r${i}`);
    }
    await eventually('30 messages', () => a.of('message').length === 30);
    assert.deepEqual(a.of('message').map((f) => f.seq), Array.from({ length: 30 }, (_, i) => i + 1));
    const full = a.of('message').find((f) => f.content === 'r0');
    for (const key of ['id', 'roomId', 'userId', 'senderId', 'createdAt', 'parentId', 'mentions', 'preview', 'attachments', 'seq', 'version']) assert.ok(key in full, key);
    await a.close();
  });

  test('a burst of one sender keeps its order', async () => {
    const id = await room('w-burst');
    const a = await join(0, id, ada);
    const b = await join(1, id, bob);
    for (let i = 0; i < 500; i++) a.message(`n${i}`, `burst-${i}`);
    await eventually('500 messages', () => b.of('message').length === 500, 20000);
    assert.deepEqual(b.of('message').map((f) => f.content), Array.from({ length: 500 }, (_, i) => `n${i}`));
    assert.deepEqual(b.of('message').map((f) => f.seq), Array.from({ length: 500 }, (_, i) => i + 1));
    await Promise.all([a.close(), b.close()]);
  });

  test('presence and member frames are by user, not by socket', async () => {
    const id = await room('w-presence');
    const a = await join(0, id, ada, { query: { presenceInfo: JSON.stringify({ name: 'Ada L.', role: 'x'.repeat(99), evil: 1 }) } });
    const b1 = await join(1, id, bob);
    await a.until((f) => f.type === 'member_joined' && f.userId === 'bob');
    const b2 = await join(0, id, bob);
    await a.until((f) => f.type === 'presence' && f.online === 3);
    assert.equal(a.of('member_joined').length, 1);
    const presence = a.of('presence').at(-1);
    assert.deepEqual(presence.users.toSorted(), ['ada', 'bob']);
    const me = presence.members.find((m) => m.userId === 'ada');
    assert.equal(me.userInfo.name, 'Ada L.');
    assert.equal('evil' in me.userInfo, false);
    await b1.close();
    await a.until((f) => f.type === 'presence' && f.online === 2 && a.frames.indexOf(f) > a.frames.indexOf(presence));
    assert.equal(a.of('member_left').length, 0);
    await b2.close();
    const left = await a.until((f) => f.type === 'member_left');
    assert.equal(left.userId, 'bob');
    await a.close();
  });

  test('typing goes to the others, is no event, and ends with the socket', async () => {
    const id = await room('w-typing');
    const a = await join(0, id, ada);
    const b = await join(1, id, bob);
    b.send({ type: 'typing', isTyping: true, userId: 'ada' });
    const frame = await a.until((f) => f.type === 'typing');
    assert.equal(frame.userId, 'bob');
    assert.equal(frame.isTyping, true);
    assert.equal('seq' in frame, false);
    await b.close();
    await a.until((f) => f.type === 'typing' && f.isTyping === false);
    await a.close();
  });

  test('ping, unknown frames, bad JSON and bad content leave the socket open', async () => {
    const id = await room('w-bad');
    const a = await join(0, id, ada);
    a.send({ type: 'ping' });
    const pong = await a.until((f) => f.type === 'pong');
    assert.ok(Math.abs(pong.ts - Date.now()) < 5000);
    const refusals = [
      ['{"type":"launch"}', 'unknown_event_type'], ['{nope', 'invalid_json'], ['[]', 'invalid_json'], ['"x"', 'invalid_json'],
      ['{"type":"message","content":""}', 'invalid_content'], ['{"type":"message"}', 'invalid_content'], ['{"type":"message","content":7}', 'invalid_content'],
      [JSON.stringify({ type: 'message', content: 'x'.repeat(4001) }), 'invalid_content'],
      ['{"type":"message","content":"x","clientMessageId":"a b"}', 'invalid_client_message_id'],
      ['{"type":"message","content":"x","parentId":123456789}', 'message_not_found'],
      ['{"type":"message","content":"\\ud800"}', 'invalid_json'], ['{"type":"message","content":"a\\u0000b"}', 'invalid_json'],
      ['{"type":"message","type":"ping","content":"x"}', 'invalid_json'], ['{"content":"x"}', 'unknown_event_type'],
      ['['.repeat(5000), 'invalid_json'], [`{"type":"message","content":"x","deep":${'['.repeat(200)}${']'.repeat(200)}}`, 'invalid_json'],
    ];
    for (const [frame, code] of refusals) {
      const before = a.of('error').length;
      a.send(frame);
      const error = await a.until((f) => f.type === 'error' && a.of('error').indexOf(f) === before);
      assert.equal(error.code, code, frame.slice(0, 60));
      assert.equal(typeof error.message, 'string');
      assert.equal(error.retryable, false);
    }
    a.message('still here', 'ok-1');
    assert.equal((await a.until((f) => f.type === 'ack')).seq, 1);
    await a.close();
  });

  test('refusals finish the handshake and close 1008 with a reason word', async () => {
    const id = await room('w-refuse', 'group', []);
    const cases = [[eve, id, 'not_member'], ['x.y.z', id, 'invalid_token'], [ada, 'no-such-room', 'not_member'], ['', id, 'invalid_token']];
    for (const [token, target, word] of cases) {
      const client = await Client.open(cluster.ws(), target, token);
      assert.deepEqual(await client.untilClosed(), { code: 1008, reason: word });
    }
  });

  test('a public room takes anybody of the project and makes them a member', async () => {
    const id = await room('w-public', 'public', []);
    const a = await join(0, id, ada, { native: true });
    const e = await join(1, id, eve, { native: true });
    const change = await a.until((f) => f.type === 'membership');
    assert.deepEqual({ ...change }, { type: 'membership', roomId: id, userId: 'eve', change: 'added', role: 'member', seq: 1 });
    e.message('hello', 'e1');
    assert.equal((await a.until((f) => f.type === 'message')).seq, 2);
    const { json } = await call(cluster.http(), 'GET', `/rooms/${id}/members`, { token: ada });
    assert.deepEqual(json.members.map((m) => m.userId).sort(), ['ada', 'eve']);
    const old = await join(0, id, bob);
    assert.equal(old.of('membership').length, 0, 'old clients need nothing of it');
    await Promise.all([a, e, old].map((c) => c.close()));
  });

  test('resume on connect and by frame: exactly what was missed, in both forms', async () => {
    const id = await room('w-resume');
    const a = await join(0, id, ada, { native: true });
    for (let i = 1; i <= 5; i++) await post(bob, id, `m${i}`);
    await a.until((f) => f.seq === 5);
    const { generation } = await a.until((f) => f.type === 'subscription_succeeded');
    await a.close();
    for (let i = 6; i <= 300; i++) await post(bob, id, `m${i}`);
    const back = await join(1, id, ada, { native: true, query: { lastSeq: '5', generation } });
    const replays = back.of('replay');
    assert.equal(replays[0].fromSeq, 5);
    assert.equal(replays.at(-1).toSeq, 300);
    assert.equal(replays.at(-1).more, false);
    replays.reduce((at, f) => (assert.equal(f.fromSeq, at), f.toSeq), 5);
    const rows = replays.flatMap((f) => f.messages);
    assert.deepEqual(rows.map((m) => m.seq), Array.from({ length: 295 }, (_, i) => i + 6));
    const events = replays.flatMap((f) => f.events);
    assert.equal(events.length, 295);
    assert.equal(events[0].eventType, 'create');
    assert.equal(events[0].seq, 6);
    assert.equal(events[0].messageId, rows[0].id);
    assert.ok(!back.frames.some((f) => f.type === 'message'));
    await post(bob, id, 'live');
    assert.equal((await back.until((f) => f.type === 'message')).seq, 301);
    // As a frame, on an open socket.
    const b = await join(0, id, bob);
    b.send({ type: 'resume', lastSeq: 299 });
    const answer = await b.until((f) => f.type === 'replay' && f.fromSeq === 299);
    assert.deepEqual(answer.messages.map((m) => m.seq), [300, 301]);
    assert.equal(answer.currentSeq, 301);
    assert.equal(answer.lastSeq, 301);
    // What cannot be resumed says so, with a snapshot.
    for (const query of [{ lastSeq: '100000', generation }, { lastSeq: '5', generation: 'other' }]) {
      const odd = await join(0, id, ada, { native: true, query });
      const reset = odd.of('replay')[0];
      assert.equal(reset.reset, true);
      assert.equal(reset.messages.at(-1).seq, 301);
      await odd.close();
    }
    b.send({ type: 'resume', lastSeq: 'x' });
    assert.equal((await b.until((f) => f.type === 'error')).code, 'invalid_cursor');
    await Promise.all([back, b].map((c) => c.close()));
  });

  test('an idle room leaves its shard while sockets stay, and wakes for a message', async (t) => {
    const quiet = await Cluster.up(t, { env: { FLUXY_ROOM_IDLE_MS: '500' } });
    const token = await mint(quiet, 'ada');
    await call(quiet.http(), 'POST', '/rooms', { token, body: { id: 'nap', name: 'nap', type: 'public' } });
    const a = await Client.join(quiet.ws(0), 'nap', token);
    const b = await Client.join(quiet.ws(1), 'nap', token);
    const active = async () => {
      const texts = await Promise.all(quiet.shards.map((s) => quiet.metrics(s.admin.startsWith('http') ? s.admin : `http://${s.admin}`)));
      return texts.reduce((sum, text) => sum + Number(/^fluxy_rooms\{state="active"\} (\d+)/m.exec(text)?.[1] ?? NaN), 0);
    };
    await eventually('no room in any shard', async () => (await active()) === 0);
    a.send({ type: 'ping' });
    await a.until((f) => f.type === 'pong');
    assert.equal(await active(), 0, 'a ping wakes nothing');
    a.message('good morning', 'wake-1');
    await b.until((f) => f.type === 'message' && f.content === 'good morning');
    await a.until((f) => f.type === 'ack');
    assert.equal(a.of('member_left').length + b.of('member_left').length, 0);
    assert.equal(a.of('message').length, 1);
    await Promise.all([a.close(), b.close()]);
  });
});
