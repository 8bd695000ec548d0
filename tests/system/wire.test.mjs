// Lines of the wire contract that no other file is about, as a client meets them that knows only the original service:
// numbered as in docs/compatibility.md.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Client } from './support/client.mjs';
import { call, Cluster, eventually, mint } from './support/cluster.mjs';

const uuid = /^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$/;

describe('wire contract', () => {
  let cluster, ada, bob, root, n = 0;
  const api = (method, path, token, body) => call(cluster.http(n % 2), method, path, { token, body });
  const good = async (...args) => {
    const got = await api(...args);
    assert.equal(got.status, 200, got.text);
    return got.json;
  };
  const refused = async (status, word, ...args) => {
    const got = await api(...args);
    assert.deepEqual([got.status, got.json?.error], [status, word], got.text);
  };
  const newRoom = async (more = {}) => (await good('POST', '/rooms', ada, { id: `wire${++n}`, name: `Wire ${n}`, type: 'group', members: [{ userId: 'bob', role: 'member' }], ...more })).room.id;
  const join = (room, token, options) => Client.join(cluster.ws(n % 2), room, token, options);
  const post = async (token, roomId, content, more = {}) => (await good('POST', '/messages', token, { roomId, content, ...more })).message;

  before(async () => {
    cluster = await Cluster.up(undefined, { shards: 1 });
    [ada, bob] = await Promise.all(['ada', 'bob'].map((user) => mint(cluster, user)));
    root = await mint(cluster, 'root', { roles: ['admin'] });
  });
  after(() => cluster?.remove());

  test('0 message ids are numbers, all others texts; 1 to 128 of A-Z a-z 0-9 _ -', async () => {
    const room = await newRoom();
    const m = await post(ada, room, 'x');
    assert.ok(Number.isSafeInteger(m.id) && m.id > 0);
    const longest = 'aB3_-'.repeat(25) + 'xyz';
    assert.equal((await good('POST', '/rooms', ada, { id: longest, name: 'x', type: 'group' })).room.id, longest);
    await refused(403, 'forbidden', 'GET', `/rooms/${'a'.repeat(128)}`, ada);
    await refused(400, 'invalid_id', 'GET', `/rooms/${'a'.repeat(129)}`, ada);
    for (const userId of ['', 'a b', 'ä', 'x'.repeat(129), 'a/b', 'a:b']) await refused(400, 'invalid_id', 'POST', `/rooms/${room}/members`, ada, { userId });
  });

  test('0 casing: messages and members in camelCase, rooms in snake_case', async () => {
    const room = await newRoom();
    const m = await post(ada, room, 'x');
    for (const key of ['roomId', 'userId', 'senderId', 'createdAt', 'parentId']) assert.ok(key in m, key);
    const { room: row } = await good('GET', `/rooms/${room}`, ada);
    for (const key of ['created_at', 'pinned_message_id', 'pinned_at', 'pinned_by_user_id']) assert.ok(key in row, key);
    assert.ok('joinedAt' in (await good('GET', `/rooms/${room}/members`, ada)).members[0]);
  });

  test('1 owner and admin of the project enter any room without membership', async () => {
    const room = await newRoom();
    const socket = await join(room, root);
    await post(root, room, 'from above');
    await socket.until((f) => f.type === 'message' && f.userId === 'root');
    assert.deepEqual((await good('GET', `/rooms/${room}/members`, ada)).members.map((m) => m.userId), ['ada', 'bob']);
    await socket.close();
  });

  test('2 replay: history, the same as replay, or none; replayLimit and historyLimit', async () => {
    const room = await newRoom();
    for (let i = 1; i <= 5; i++) await post(ada, room, `m${i}`);
    const first = async (query) => {
      const socket = await join(room, bob, { query });
      await socket.close();
      return socket.frames[0];
    };
    const history = await first({});
    assert.deepEqual([history.type, history.messages.map((m) => m.content)], ['history', ['m1', 'm2', 'm3', 'm4', 'm5']]);
    for (const replay of ['connect', 'true', '1']) {
      const frame = await first({ replay });
      assert.deepEqual({ ...frame, type: 'history' }, history, replay);
      assert.equal(frame.type, 'replay');
    }
    for (const replay of ['off', 'false', '0']) assert.equal((await first({ replay })).type, 'subscription_succeeded', replay);
    for (const name of ['replayLimit', 'historyLimit']) assert.deepEqual((await first({ [name]: '2' })).messages.map((m) => m.content), ['m4', 'm5'], name);
    assert.equal((await first({ replayLimit: '100000' })).messages.length, 5);
  });

  test('2 cache: the first frame is the newest event', async () => {
    const room = await newRoom();
    await post(ada, room, 'newest');
    for (const cache of ['1', 'true', 'on']) {
      const socket = await join(room, bob, { query: { cache } });
      await socket.close();
      const [snapshot] = socket.frames;
      assert.deepEqual([snapshot.type, snapshot.roomId, snapshot.event.type, snapshot.event.content], ['cache_snapshot', room, 'message', 'newest']);
      assert.ok(Date.parse(snapshot.cachedAt) > 0);
    }
  });

  test('2.2 what a client sends before subscription_succeeded is run then', async () => {
    const room = await newRoom();
    const socket = await Client.open(cluster.ws(), room, bob, {});
    for (let i = 1; i <= 3; i++) socket.message(`early ${i}`, `early-${i}`);
    await socket.until((f) => f.type === 'message' && f.content === 'early 3');
    assert.deepEqual(socket.of('message').map((f) => f.content), ['early 1', 'early 2', 'early 3']);
    assert.ok(socket.frames.findIndex((f) => f.type === 'subscription_succeeded') < socket.frames.findIndex((f) => f.type === 'message'));
    await socket.close();
  });

  test('2.3 userId in a frame or address is never identity', async () => {
    const room = await newRoom();
    const socket = await join(room, bob, { query: { userId: 'ada', apiKey: cluster.apiKey } });
    const other = await join(room, ada);
    socket.send({ type: 'message', userId: 'ada', senderId: 'ada', content: 'who am I', clientMessageId: 'forged' });
    const m = await other.until((f) => f.type === 'message');
    assert.deepEqual([m.userId, m.senderId], ['bob', 'bob']);
    socket.send({ type: 'reaction', userId: 'ada', messageId: m.id, emoji: '👍', op: 'add' });
    socket.send({ type: 'read', userId: 'ada', messageId: m.id });
    socket.send({ type: 'typing', userId: 'ada', isTyping: true });
    for (const type of ['reaction', 'read', 'typing']) assert.equal((await other.until((f) => f.type === type)).userId, 'bob', type);
    assert.equal((await good('POST', '/messages', bob, { roomId: room, content: 'x', userId: 'ada' })).message.userId, 'bob');
    await Promise.all([socket.close(), other.close()]);
  });

  test('2.3 message: every field comes back; the echo with clientMessageId is the ack', async () => {
    const room = await newRoom();
    const a = await join(room, ada), b = await join(room, bob);
    const parent = await post(bob, room, 'question');
    const attachment = { kind: 'image', url: 'https://example.com/a.png', name: 'a.png', sizeBytes: 5, contentType: 'image/png' };
    a.message('  answer @bob ', 'cmsg_1', { parentId: parent.id, attachments: [attachment], expiresInSeconds: 3600 });
    for (const client of [a, b]) {
      const m = await client.until((f) => f.clientMessageId === 'cmsg_1' && f.type === 'message');
      assert.deepEqual([m.content, m.parentId, m.mentions, m.preview, m.visibility, m.kind], ['answer @bob', parent.id, ['bob'], null, 'room', 'text']);
      const { id, ...rest } = m.attachments[0];
      assert.ok(id);
      assert.deepEqual(rest, attachment);
      assert.ok(Date.parse(m.expiresAt) > Date.now() + 3500000);
    }
    await Promise.all([a.close(), b.close()]);
  });

  test('2.3 agentTyping: an agent at work, to the others', async () => {
    const room = await newRoom();
    const a = await join(room, ada), b = await join(room, bob);
    a.send({ type: 'agentTyping', agentId: 'helper', isTyping: true });
    const shown = await b.until((f) => f.type === 'agentTyping');
    assert.deepEqual(shown, { type: 'agentTyping', roomId: room, userId: 'ada', agentId: 'helper', isTyping: true });
    a.send({ type: 'agentTyping', agentId: 'no such handle', isTyping: true, frameId: 'bad' });
    assert.equal((await a.until((f) => f.frameId === 'bad')).code, 'invalid_id');
    assert.deepEqual(a.of('agentTyping'), []);
    await Promise.all([a.close(), b.close()]);
  });

  test('2.4 pong has ts; error has message, code and ids', async () => {
    const room = await newRoom();
    const socket = await join(room, ada);
    socket.send({ type: 'ping' });
    assert.ok(Math.abs((await socket.until((f) => f.type === 'pong')).ts - Date.now()) < 60000);
    socket.send({ type: 'edit', content: 'x', frameId: 'f' });
    const { message, code, frameId, roomId, retryable } = await socket.until((f) => f.type === 'error');
    assert.deepEqual([code, frameId, roomId, retryable], ['bad_request', 'f', room, false]);
    assert.match(message, /messageId required/);
    await socket.close();
  });

  test('2.5, 2.6 a message has the same members by socket, by REST, in history and in lists', async () => {
    const room = await newRoom();
    const b = await join(room, bob, { native: true });
    const byRest = await post(ada, room, 'by rest @bob', { clientMessageId: 'k1', expiresInSeconds: 600 });
    const a = await join(room, ada);
    a.message('by socket @bob', 'k2', { expiresInSeconds: 600 });
    const live = [await b.until((f) => f.type === 'message' && f.clientMessageId === 'k1'), await b.until((f) => f.type === 'message' && f.clientMessageId === 'k2')];
    assert.deepEqual(Object.keys(live[0]).toSorted(), Object.keys(live[1]).toSorted());
    const { type, ...frame } = live[0];
    assert.equal(type, 'message');
    assert.deepEqual(byRest, frame, 'the answer is the frame');
    const late = await join(room, bob);
    const rows = [late.of('history')[0].messages[0], (await good('GET', `/api/messages?roomId=${room}&order=asc`, bob)).messages[0]];
    assert.deepEqual(rows[0], rows[1], 'a row is a row');
    const { preview, ...common } = frame;
    assert.equal(preview, null);
    assert.deepEqual(rows[0], { ...common, editedAt: null, deletedAt: null, updatedSeq: frame.seq });
    await Promise.all([a, b, late].map((client) => client.close()));
  });

  test('2.7 resume by an old client: events and messages, pages until lastSeq is currentSeq', async () => {
    const room = await newRoom();
    for (let i = 0; i < 30; i++) await Promise.all(Array.from({ length: 15 }, (_, k) => post(ada, room, `m${i}-${k}`)));
    const socket = await join(room, bob, { query: { replay: 'off' } });
    const seen = new Set();
    let lastSeq = 0;
    for (let page = 0; ; page++) {
      assert.ok(page < 20, 'it ends');
      const before = socket.of('replay').length;
      socket.send({ type: 'resume', lastSeq });
      await eventually('the answer', () => socket.of('replay').length > before && !socket.of('replay').at(-1).more);
      for (const frame of socket.of('replay').slice(before)) {
        for (const event of frame.events) {
          assert.equal(event.eventType, 'create');
          assert.equal(event.payload.id, event.messageId);
          seen.add(event.messageId);
        }
        assert.deepEqual(frame.messages.map((m) => m.id), frame.events.map((e) => e.messageId));
        lastSeq = frame.lastSeq;
      }
      if (lastSeq >= socket.of('replay').at(-1).currentSeq) break;
    }
    assert.equal(seen.size, 450);
    await socket.close();
  });

  test('2.10 limits: content of 1 to 4000 characters after trimming, 10 attachments, 500 of history', async () => {
    const room = await newRoom();
    const attachments = Array.from({ length: 11 }, (_, i) => ({ kind: 'file', url: '/x', name: `${i}` }));
    assert.equal((await post(ada, room, ` ${'x'.repeat(4000)} `)).content.length, 4000);
    await post(ada, room, 'x', { attachments: attachments.slice(1) });
    await refused(400, 'invalid_content', 'POST', '/messages', ada, { roomId: room, content: 'x'.repeat(4001) });
    await refused(400, 'invalid_content', 'POST', '/messages', ada, { roomId: room, content: ' \n ' });
    await refused(400, 'invalid_attachments', 'POST', '/messages', ada, { roomId: room, content: 'x', attachments });
    await good('GET', `/api/messages?roomId=${room}&limit=500`, ada);
    await refused(400, 'invalid_limit', 'GET', `/api/messages?roomId=${room}&limit=501`, ada);
    await refused(400, 'invalid_limit', 'GET', `/api/messages?roomId=${room}&limit=0`, ada);
  });

  test('3.1 POST /rooms: the creator is owner; an id that cannot be is replaced', async () => {
    const { room } = await good('POST', '/rooms', ada, { id: 'not an id', name: 'x', type: 'group' });
    assert.match(room.id, uuid);
    assert.deepEqual(Object.keys(room).toSorted(), ['created_at', 'id', 'name', 'type']);
    const { members } = await good('GET', `/rooms/${room.id}/members`, ada);
    assert.deepEqual(members.map((m) => [m.userId, m.role, m.notifyEnabled, m.preferences]), [['ada', 'owner', true, {}]]);
    for (const [word, body] of [['invalid_name', { type: 'group' }], ['invalid_name', { name: 'x'.repeat(257), type: 'group' }], ['invalid_type', { name: 'x', type: 'club' }]]) await refused(400, word, 'POST', '/rooms', ada, body);
  });

  test('3.1 announcement rooms: moderators write, members read', async () => {
    const room = await newRoom({ type: 'announcement' });
    const b = await join(room, bob);
    await refused(403, 'forbidden', 'POST', '/messages', bob, { roomId: room, content: 'me too' });
    b.message('me too', 'c1');
    assert.equal((await b.until((f) => f.type === 'error')).code, 'forbidden');
    await post(ada, room, 'hear, hear');
    await b.until((f) => f.type === 'message' && f.content === 'hear, hear');
    await b.close();
  });

  test('3.2 GET /api/messages: newest first, before a createdAt, to the first', async () => {
    const room = await newRoom();
    await Promise.all(Array.from({ length: 25 }, (_, i) => post(ada, room, `m${i}`)));
    const all = [];
    for (let before = ''; ; ) {
      const { messages, reactions } = await good('GET', `/api/messages?roomId=${room}&limit=10${before && `&before=${encodeURIComponent(before)}`}`, bob);
      assert.deepEqual(reactions, {});
      all.push(...messages);
      if (messages.length < 10) break;
      before = messages.at(-1).createdAt;
    }
    assert.equal(all.length, 25);
    const us = (m) => Date.parse(m.createdAt) * 1000 + Number((/\.\d{3}(\d{3})Z$/.exec(m.createdAt) ?? [0, 0])[1]);
    for (let i = 1; i < all.length; i++) assert.ok(all[i].id < all[i - 1].id && us(all[i]) < us(all[i - 1]), 'ids and times fall');
  });

  test('3.2 clientMessageId: the same key is one message by whichever way; what is no key is refused', async () => {
    const room = await newRoom();
    const first = await post(ada, room, 'once', { clientMessageId: 'cmsg_0f8fad5b-d9cb-469f-a165-70867728950e' });
    assert.deepEqual(await post(ada, room, 'other text', { clientMessageId: first.clientMessageId }), first);
    const a = await join(room, ada), b = await join(room, bob);
    a.message('by socket', first.clientMessageId);
    const echo = await a.until((f) => f.type === 'message' && f.clientMessageId === first.clientMessageId);
    assert.deepEqual([echo.id, echo.content], [first.id, 'once'], 'the sender gets the original');
    assert.notEqual((await post(bob, room, 'mine', { clientMessageId: first.clientMessageId })).id, first.id, 'keys are the author\'s');
    await b.until((f) => f.type === 'message' && f.userId === 'bob');
    assert.deepEqual(b.of('message').map((f) => f.userId), ['bob'], 'and nobody else gets it again');
    await good('DELETE', `/messages/${first.id}`, ada);
    assert.equal((await post(ada, room, 'again', { clientMessageId: first.clientMessageId })).id, first.id, 'also after a delete');
    for (const clientMessageId of ['', 'a b', 'ä', 'x'.repeat(129), 17]) await refused(400, 'invalid_client_message_id', 'POST', '/messages', ada, { roomId: room, content: 'x', clientMessageId });
    await Promise.all([a.close(), b.close()]);
  });

  test('3.2 replyTo and parentId name a message of the room', async () => {
    const room = await newRoom(), other = await newRoom();
    const parent = await post(bob, room, 'parent'), stranger = await post(bob, other, 'stranger');
    for (const key of ['replyTo', 'parentId']) assert.equal((await post(ada, room, 'child', { [key]: parent.id })).parentId, parent.id, key);
    await refused(404, 'message_not_found', 'POST', '/messages', ada, { roomId: room, content: 'x', replyTo: stranger.id });
  });

  test('13 seq: on every durable frame, in answers of writes and in rows', async () => {
    const room = await newRoom();
    const b = await join(room, bob, { native: true });
    const m = await post(ada, room, 'x');
    const edited = (await good('PATCH', `/messages/${m.id}`, ada, { content: 'y' })).message;
    const { reaction } = await good('POST', `/messages/${m.id}/reactions`, ada, { emoji: '👍' });
    const pinned = await good('PATCH', `/rooms/${room}/pin`, ada, { messageId: m.id });
    const added = await good('POST', `/rooms/${room}/members`, ada, { userId: 'dan' });
    await good('POST', '/admin/mute', ada, { roomId: room, userId: 'dan' });
    const removed = await good('DELETE', `/rooms/${room}/members/dan`, ada);
    const deleted = await good('DELETE', `/messages/${m.id}`, ada);
    await b.until((f) => f.type === 'delete');
    const seqs = b.frames.filter((f) => f.seq && f.type !== 'ack').map((f) => [f.type, f.seq]);
    const start = m.seq;
    assert.deepEqual(seqs.slice(0, 8).map(([, seq]) => seq), [0, 1, 2, 3, 4, 5, 6, 7].map((i) => start + i), JSON.stringify(seqs));
    assert.deepEqual(seqs.slice(0, 8).map(([type]) => type).filter((type) => type !== 'message_pinned'), ['message', 'edit', 'reaction', 'membership', 'moderation', 'membership', 'delete']);
    assert.deepEqual([edited.seq, reaction.seq, pinned.seq, added.seq, removed.seq, deleted.seq], [1, 2, 3, 4, 6, 7].map((i) => start + i));
    await b.close();
  });

  test('13 frameId, generation, and a cursor that cannot be continued', async () => {
    const room = await newRoom();
    const m = await post(ada, room, 'x');
    const a = await join(room, ada, { native: true });
    const { generation, currentSeq } = a.of('subscription_succeeded')[0];
    assert.deepEqual([generation, currentSeq], [a.of('history')[0].generation, m.seq]);
    a.message('y', undefined, { frameId: 'frame-7' });
    const ack = await a.until((f) => f.type === 'ack');
    assert.deepEqual([ack.frameId, ack.duplicate, ack.durability, ack.seq, ack.roomId], ['frame-7', false, 'commit', m.seq + 1, room]);
    for (const query of [{ lastSeq: '999999', generation }, { lastSeq: '1', generation: 'gother' }]) {
      const back = await join(room, ada, { native: true, query });
      const [frame] = back.frames;
      assert.deepEqual([frame.type, frame.reset, frame.messages.length, frame.currentSeq], ['replay', true, 2, m.seq + 1], JSON.stringify(query));
      await back.close();
    }
    const back = await join(room, ada, { native: true, query: { lastSeq: String(m.seq), generation } });
    assert.deepEqual([back.frames[0].reset, back.frames[0].fromSeq, back.frames[0].toSeq, back.frames[0].events.length], [false, m.seq, m.seq + 1, 1]);
    await Promise.all([a.close(), back.close()]);
  });

  test('13 REST cursors: beforeSeq, afterSeq, aroundSeq, order, hasMore, currentSeq', async () => {
    const room = await newRoom();
    const all = [];
    for (let i = 0; i < 10; i++) all.push(await post(ada, room, `m${i}`));
    const page = async (query) => {
      const got = await good('GET', `/api/messages?roomId=${room}&order=asc&${query}`, bob);
      assert.equal(got.currentSeq, all.at(-1).seq);
      return [got.messages.map((m) => m.content).join(' '), got.hasMore];
    };
    const middle = all[5].seq;
    assert.deepEqual(await page(`beforeSeq=${middle}&limit=2`), ['m3 m4', true]);
    assert.deepEqual(await page(`afterSeq=${middle}&limit=2`), ['m6 m7', true]);
    assert.deepEqual(await page(`aroundSeq=${middle}&limit=3`), ['m4 m5 m6', true]);
    assert.deepEqual(await page(`beforeSeq=${all[2].seq}&limit=5`), ['m0 m1', false]);
    assert.deepEqual(await page(`afterSeq=${all[7].seq}&limit=5`), ['m8 m9', false]);
    await refused(400, 'invalid_cursor', 'GET', `/api/messages?roomId=${room}&afterSeq=1&beforeSeq=2`, bob);
  });
});
