// What an old client meets on a room socket beside messages: the order of frames, texts of errors, frames that mean
// nothing here.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Client } from './support/client.mjs';
import { call, Cluster, mint } from './support/cluster.mjs';

describe('an old client on a room socket', () => {
  let cluster;
  const tokens = {};
  const room = async (id) => {
    const got = await call(cluster.http(), 'POST', '/rooms', { token: tokens.ada, body: { id, name: id, type: 'group', members: ['bob', 'cyd'].map((userId) => ({ userId, role: 'member' })) } });
    assert.equal(got.status, 200, got.text);
    return id;
  };
  const join = (gateway, id, user, options) => Client.join(cluster.ws(gateway), id, tokens[user], options);
  const nextError = async (client, frame) => {
    const before = client.of('error').length;
    client.socket.send(typeof frame === 'object' && !(frame instanceof Uint8Array) ? JSON.stringify(frame) : frame);
    return client.until((f) => f.type === 'error' && client.of('error').indexOf(f) >= before);
  };

  before(async () => {
    cluster = await Cluster.up();
    for (const user of ['ada', 'bob', 'cyd']) tokens[user] = await mint(cluster, user);
  });
  after(() => cluster?.remove());

  test('WIRE 2.2: cache_snapshot, replay, streamState, subscription_succeeded; then presence, subscription_count', async () => {
    const id = await room('f-order');
    const author = await join(0, id, 'ada');
    author.message('said', 'c-1');
    await author.until((f) => f.type === 'ack');
    author.send({ type: 'stream', op: 'start', content: 'so ' });
    await author.until((f) => f.type === 'stream' && f.op === 'started');
    const again = await join(1, id, 'ada', { query: { replay: 'connect', cache: '1', userId: 'ada', apiKey: 'fc_none' } });
    await again.until((f) => f.type === 'subscription_count');
    assert.deepEqual(again.frames.map((f) => f.type).slice(0, 6), ['cache_snapshot', 'replay', 'streamState', 'subscription_succeeded', 'presence', 'subscription_count']);
    const state = again.frames[2];
    assert.deepEqual([state.roomId, state.userId, state.content, state.streaming, state.parentId], [id, 'ada', 'so ', true, null]);
    assert.equal(typeof state.messageId, 'number');
    author.send({ type: 'stream', op: 'end' });
    await again.until((f) => f.type === 'edit' && f.streaming === false);
    await Promise.all([author, again].map((c) => c.close()));
  });

  test('WIRE 2.3: types that mean nothing here, binary frames', async () => {
    const id = await room('f-unknown');
    const a = await join(0, id, 'ada');
    for (const type of ['location_update', 'location_track_ended', 'stage_join', 'stage_leave', 'stage_vad', 'stage_promote', 'launch', 'subscribe', 'unsubscribe']) {
      const error = await nextError(a, { type });
      assert.deepEqual([error.message, error.code, error.roomId], ['unknown_event_type', 'unknown_event_type', id], type);
    }
    assert.equal((await nextError(a, new Uint8Array([0, 1, 2, 255]))).message, 'unknown_event_type');
    a.message('still here', 'c-1');
    assert.equal((await a.until((f) => f.type === 'ack')).duplicate, false);
    await a.close();
  });

  test('WIRE 2.4: texts of errors are those that clients compare, code is the word', async () => {
    const id = await room('f-texts');
    const a = await join(0, id, 'ada'), b = await join(1, id, 'bob');
    a.message('mine', 'c-1');
    const { id: messageId } = await a.until((f) => f.type === 'message');
    const rows = [
      ['{nope', 'Invalid message format or internal error', 'invalid_json'],
      [{ type: 'edit', content: 'x' }, 'messageId required', 'bad_request'],
      [{ type: 'edit', messageId: 999999999, content: 'x' }, 'message not found', 'message_not_found'],
      [{ type: 'delete', messageId: 999999999 }, 'message not found', 'message_not_found'],
      [{ type: 'reaction', messageId: 999999999, emoji: '👍', op: 'add' }, 'message not found', 'message_not_found'],
      [{ type: 'edit', messageId, content: 'ours' }, 'forbidden', 'forbidden'],
      [{ type: 'delete', messageId }, 'forbidden', 'forbidden'],
    ];
    for (const [frame, message, code] of rows) {
      const error = await nextError(b, frame);
      assert.deepEqual([error.message, error.code], [message, code], JSON.stringify(frame));
    }
    const big = await nextError(b, { type: 'message', content: 'x'.repeat(256000) });
    assert.deepEqual([big.message, big.code], ['payload_too_large', 'payload_too_large']);
    const root = await mint(cluster, 'root', { roles: ['admin'] });
    assert.equal((await call(cluster.http(), 'POST', '/admin/mute', { token: root, body: { roomId: id, userId: 'bob' } })).status, 200);
    const muted = await nextError(b, { type: 'message', userId: 'bob', content: 'hm', clientMessageId: 'm-1' });
    assert.deepEqual([muted.message, muted.code, muted.clientMessageId, muted.retryable], ['You are muted and cannot send messages right now.', 'muted', 'm-1', false]);
    await Promise.all([a, b].map((c) => c.close()));
  });
});

test('WIRE 2.4, 2.10: rate_limit_exceeded says when, in the text as well', async (t) => {
  const cluster = await Cluster.up(t, { gateways: 1, shards: 1, env: { FLUXY_RATE_LIMIT_SCALE: '1' } });
  const token = await mint(cluster, 'ada');
  await call(cluster.http(), 'POST', '/rooms', { token, body: { id: 'f-rate', name: 'f-rate', type: 'group' } });
  const a = await Client.join(cluster.ws(0), 'f-rate', token);
  for (let i = 0; i < 70; i++) a.message(`m${i}`, `c-${i}`);
  const error = await a.until((f) => f.type === 'error');
  assert.equal(error.code, 'rate_limit_exceeded');
  assert.match(error.message, /^rate_limit_exceeded: retry in \d+s$/);
  assert.equal(error.retryable, true);
  assert.ok(error.retryAfterMs > 0);
  assert.equal(Number(/(\d+)s$/.exec(error.message)[1]), Math.ceil(error.retryAfterMs / 1000));
  await a.close();
});
