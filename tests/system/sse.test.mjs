// Event streams: GET /rooms/{id}/stream.
import assert from 'node:assert/strict';
import net from 'node:net';
import { after, before, describe, test } from 'node:test';
import { Client } from './support/client.mjs';
import { call, Cluster, eventually, mint } from './support/cluster.mjs';
import { EventReader } from './support/events.mjs';
import { RoomView } from './support/mux.mjs';
import { forge } from './support/token.mjs';

const makeRoom = async (cluster, token, id, members = ['bob']) => {
  const got = await call(cluster.http(), 'POST', '/rooms', { token, body: { id, name: id, type: 'group', members: members.map((userId) => ({ userId, role: 'member' })) } });
  assert.equal(got.status, 200, got.text);
  return id;
};

describe('event streams', () => {
  let cluster, ada, bob;
  const room = (id, ...more) => makeRoom(cluster, ada, id, ...more);
  const post = (token, roomId, content) => call(cluster.http(), 'POST', '/messages', { token, body: { roomId, content } });

  before(async () => {
    cluster = await Cluster.up(undefined, { env: { FLUXY_EVENT_STREAM_HEARTBEAT: '500ms' } });
    [ada, bob] = await Promise.all(['ada', 'bob'].map((user) => mint(cluster, user)));
  });
  after(() => cluster?.remove());

  test('the stream is what the socket gets, and the reader is not in the room', async () => {
    const id = await room('s-equal');
    await post(ada, id, 'before');
    const socket = await Client.join(cluster.ws(), id, bob);
    const reader = await EventReader.open(cluster.http(1), id, bob);
    assert.equal(reader.status, 200);
    assert.equal(reader.answer.headers.get('content-type'), 'text/event-stream');
    assert.equal(reader.answer.headers.get('cache-control'), 'no-store');
    assert.equal(reader.answer.headers.get('access-control-allow-origin'), '*');
    assert.ok(reader.answer.headers.get('x-trace-id'));
    await reader.until((f) => f.type === 'subscription_succeeded');
    assert.deepEqual(reader.frames.map((f) => f.type).slice(0, 2), ['history', 'subscription_succeeded']);
    assert.deepEqual(reader.frames[0].messages.map((m) => m.content), ['before']);
    assert.equal(reader.frames[1].subscriptionCount, 1, 'the socket alone');
    assert.equal(reader.retry, 2000);
    assert.equal(reader.lastEventId, '1');
    const from = socket.frames.length;
    const at = reader.frames.length;
    const writer = await Client.join(cluster.ws(1), id, ada);
    writer.send({ type: 'typing', isTyping: true });
    for (let i = 0; i < 20; i++) writer.message(`over the socket ${i}`, `c-${i}`);
    await post(ada, id, 'and over REST');
    writer.message('last');
    await Promise.all([socket.until((f) => f.content === 'last'), reader.until((f) => f.content === 'last')]);
    const events = (frames) => frames.filter((f) => ['typing', 'message', 'member_joined'].includes(f.type));
    assert.deepEqual(events(reader.frames.slice(at)), events(socket.frames.slice(from)));
    assert.equal(reader.lastEventId, '23');
    reader.frames.forEach((f, i) => f.type === 'message' && assert.equal(reader.ids[i], String(f.seq)));
    await writer.close();
    reader.close();
    const left = socket.frames.length;
    await eventually('presence without ada', () => socket.frames.slice(left - 5).findLast((f) => f.type === 'presence')?.online === 1);
    assert.deepEqual(socket.of('presence').at(-1).users, ['bob']);
    assert.equal(socket.frames.some((f) => f.userId === 'bob' && /member_/.test(f.type)), false, 'bob reading is no news');
    await socket.close();
  });

  test('a browser that comes back goes on where it was', async () => {
    const id = await room('s-resume');
    for (let i = 1; i <= 5; i++) await post(ada, id, `m${i}`);
    const cases = [[{ lastEventId: 3 }, {}], [{}, { lastEventId: '3' }], [{}, { lastSeq: '3' }], [{ lastEventId: 3 }, { lastSeq: '1', lastEventId: '2' }]];
    for (const [options, query] of cases) {
      const reader = await EventReader.open(cluster.http(), id, bob, { ...options, query });
      const replay = await reader.until((f) => f.type === 'replay');
      assert.equal(reader.frames[0], replay);
      assert.deepEqual(replay.messages.map((m) => m.content), ['m4', 'm5']);
      assert.equal(reader.lastEventId, '5');
      reader.close();
    }
    const lost = await EventReader.open(cluster.http(), id, bob, { lastEventId: 99 });
    assert.equal((await lost.until((f) => f.type === 'replay')).reset, true);
    assert.equal(lost.lastEventId, '5');
    lost.close();
  });

  test('who gets no stream gets an answer', async () => {
    const id = await room('s-refused');
    const eve = await mint(cluster, 'eve');
    const cases = [
      [{ token: bob, headers: { Accept: 'application/json' } }, 406, 'not_acceptable'],
      [{ token: bob, headers: { Accept: 'text/event-stream;q=0' } }, 406, 'not_acceptable'],
      [{ token: eve }, 403, 'forbidden'],
      [{ token: bob, room: 's-nowhere' }, 403, 'forbidden'],
      [{ token: bob, room: 'a%20b' }, 400, 'invalid_id'],
      [{ token: '' }, 401, 'unauthorized'],
      [{ token: 'nonsense' }, 401, 'invalid_token'],
      [{ token: await forge(cluster, 'bob', -5) }, 401, 'token_expired'],
      [{ token: await forge(cluster, 'bob', 60, { roomId: 'other' }) }, 403, 'forbidden'],
      [{ token: bob, lastEventId: 'abc' }, 400, 'invalid_cursor'],
      [{ token: bob, lastEventId: '-1' }, 400, 'invalid_cursor'],
      [{ token: bob, lastEventId: '9007199254740992' }, 400, 'invalid_cursor'],
      [{ token: bob, query: { lastSeq: '1e3' } }, 400, 'invalid_cursor'],
    ];
    for (const [{ token, room: other, ...options }, status, error] of cases) {
      const reader = await EventReader.open(cluster.http(), other ?? id, token, options);
      assert.equal(reader.status, status, error);
      assert.equal((await reader.answer.json()).error, error);
    }
    for (const Accept of ['*/*', 'text/*', 'application/json, text/event-stream;q=0.1']) {
      const reader = await EventReader.open(cluster.http(), id, undefined, { headers: { Accept, Authorization: `Bearer ${bob}` } });
      assert.equal(reader.status, 200, Accept);
      reader.close();
    }
    const wrong = await call(cluster.http(), 'POST', `/rooms/${id}/stream`, { token: bob });
    assert.equal(wrong.status, 405);
    assert.match(wrong.headers.get('allow'), /GET/);
  });

  test('without Accept, over HTTP/1.0, and a second request that is not read', async () => {
    const id = await room('s-plain');
    const { hostname, port } = new URL(cluster.http());
    const socket = net.connect(Number(port), hostname);
    let text = '';
    socket.on('data', (bytes) => (text += bytes));
    socket.write(`GET /rooms/${id}/stream?token=${bob} HTTP/1.0\r\nHost: x\r\n\r\n`);
    await eventually('history', () => text.includes('"type":"history"'));
    assert.doesNotMatch(text, /chunked/i);
    socket.write('GET /health HTTP/1.1\r\nHost: x\r\n\r\n');
    await post(ada, id, 'hello');
    await eventually('the message', () => text.includes('"content":"hello"'));
    assert.equal(text.match(/HTTP\/1\.1 200/g).length, 1);
    socket.destroy();
  });

  test('a silent stream beats', async () => {
    const id = await room('s-beat');
    const reader = await EventReader.open(cluster.http(), id, bob);
    await reader.eventually('two heartbeats', () => reader.comments.length >= 2);
    assert.deepEqual([...new Set(reader.comments)], ['heartbeat']);
    reader.close();
    await eventually('the gateway has noticed', async () => {
      const texts = await Promise.all(cluster.gateways.map((g) => cluster.metrics(g.admin)));
      return texts.every((text) => /^fluxy_event_streams 0$/m.test(text));
    });
  });

  test('the end is told: removed, expired, drained', async () => {
    const id = await room('s-end', ['bob', 'cid', 'dan']);
    const [b, c] = await Promise.all([EventReader.open(cluster.http(), id, bob), EventReader.open(cluster.http(), id, await forge(cluster, 'cid', 8))]);
    await Promise.all([b, c].map((reader) => reader.until((f) => f.type === 'subscription_succeeded')));
    await call(cluster.http(), 'DELETE', `/rooms/${id}/members/bob`, { token: ada });
    await b.untilEnd();
    assert.deepEqual(b.frames.at(-1), { type: 'close', reason: 'not_member' });
    await c.untilEnd();
    assert.deepEqual(c.frames.at(-1), { type: 'close', reason: 'token_expired' });
    assert.equal(c.error, undefined, 'the answer ends in order');
  });

  test('a gateway that is stopped says so', async () => {
    const id = await room('s-drain');
    const reader = await EventReader.open(cluster.http(1), id, bob);
    await reader.until((f) => f.type === 'subscription_succeeded');
    await cluster.node('stop', 'gateway-2');
    await reader.untilEnd();
    assert.deepEqual(reader.frames.at(-1), { type: 'close', reason: 'drain' });
  });
});

test('kill -9 of a shard: a reader notices nothing, and has no hole', { timeout: 180000 }, async (t) => {
  const cluster = await Cluster.up(t, { gateways: 1, shards: 3 });
  const [ada, bob] = await Promise.all(['ada', 'bob'].map((user) => mint(cluster, user)));
  const ids = Array.from({ length: 6 }, (_, i) => `k-${i}`);
  await Promise.all(ids.map((id) => makeRoom(cluster, ada, id)));
  const views = new Map(ids.map((id) => [id, new RoomView(id)]));
  const readers = await Promise.all(ids.map((id) => EventReader.open(cluster.http(), id, bob, { query: { v: '1' } })));
  readers.forEach((reader, i) => {
    reader.frames.forEach((f) => views.get(ids[i]).take(f));
    reader.onframe = (f) => views.get(ids[i]).take(f);
  });
  await Promise.all(readers.map((reader) => reader.until((f) => f.type === 'subscription_succeeded')));
  const posted = new Map(ids.map((id) => [id, 0]));
  let stop = false;
  const writers = ids.map(async (roomId) => {
    for (let n = 0; !stop || n < 50; n++) {
      for (;;) {
        const got = await call(cluster.http(), 'POST', '/messages', { token: ada, body: { roomId, content: `${n}`, clientMessageId: `${roomId}-${n}` } });
        if (got.status === 200) break;
        assert.equal(got.status, 503, got.text);
        await new Promise((wake) => setTimeout(wake, 50));
      }
      posted.set(roomId, n + 1);
    }
  });
  await eventually('the first messages', () => [...posted.values()].every((n) => n > 5));
  await cluster.node('kill', 'shard-1');
  const then = [...posted.values()];
  await eventually('messages after the kill', () => [...posted.values()].every((n, i) => n > then[i] + 10), 20000);
  stop = true;
  await Promise.all(writers);
  await eventually('all is read', () => ids.every((id) => views.get(id).seen.size === posted.get(id)));
  for (const id of ids) {
    assert.deepEqual(views.get(id).violations, [], id);
    assert.deepEqual([...views.get(id).seen.values()], Array.from({ length: posted.get(id) }, (_, n) => `${n}`));
  }
  for (const reader of readers) {
    assert.equal(reader.ended, false);
    reader.close();
  }
});
