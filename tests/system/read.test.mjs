// Read state: pointers over both ways in, what is unread, receipts, drafts.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Client } from './support/client.mjs';
import { call, Cluster, eventually, mint } from './support/cluster.mjs';

describe('read state', () => {
  let cluster, ada, bob, eve, admin;
  const api = (method, path, token, body, gateway = 0) => call(cluster.http(gateway), method, path, { token, body });
  const make = async (id, members = ['bob'], type = 'group') => {
    const got = await api('POST', '/rooms', ada, { id, name: id, type, members: members.map((userId) => ({ userId })) });
    assert.equal(got.status, 200, got.text);
  };
  const post = async (token, roomId, content, more = {}) => {
    const got = await api('POST', '/messages', token, { roomId, content, ...more });
    assert.equal(got.status, 200, got.text);
    return got.json.message;
  };
  const unread = async (token, room) => (await api('GET', `/rooms/${room}/unread`, token, undefined, 1)).json;
  const listed = async (token, room) => (await api('GET', '/rooms', token, undefined, 1)).json.rooms.find((r) => r.id === room).unreadCount;
  const read = (token, room, messageId, gateway = 0) => api('POST', `/rooms/${room}/read`, token, { messageId }, gateway);
  const metric = async (name) => {
    const all = await Promise.all(cluster.shards.map((s) => cluster.metrics(s.admin.startsWith('http') ? s.admin : `http://${s.admin}`)));
    return all.map((text) => Number(text.split('\n').find((l) => l.startsWith(name))?.split(' ').at(-1) ?? 0)).reduce((a, b) => a + b);
  };

  before(async () => {
    cluster = await Cluster.up();
    [ada, bob, eve] = await Promise.all(['ada', 'bob', 'eve'].map((user) => mint(cluster, user)));
    admin = await mint(cluster, 'root', { roles: ['admin'] });
  });
  after(() => cluster?.remove());

  test('unread counts what is live and visible after the pointer, own messages included', async () => {
    await make('count', ['bob', 'eve']);
    assert.deepEqual(await unread(bob, 'count'), { unreadCount: 0, lastReadMessageId: 0, firstUnreadMessageId: null });
    const sent = [];
    for (let i = 0; i < 6; i++) sent.push(await post(i % 2 ? bob : ada, 'count', `m${i}`));
    assert.deepEqual(await unread(bob, 'count'), { unreadCount: 6, lastReadMessageId: 0, firstUnreadMessageId: sent[0].id });
    assert.deepEqual([(await read(bob, 'count', sent[1].id)).status, (await read(bob, 'count', sent[1].id)).json], [200, { ok: true }]);
    assert.deepEqual(await unread(bob, 'count'), { unreadCount: 4, lastReadMessageId: sent[1].id, firstUnreadMessageId: sent[2].id });
    await read(bob, 'count', sent[0].id);
    assert.equal((await unread(bob, 'count')).lastReadMessageId, sent[1].id, 'a pointer does not go back');
    await api('DELETE', `/messages/${sent[2].id}`, ada);
    assert.deepEqual(await unread(bob, 'count'), { unreadCount: 3, lastReadMessageId: sent[1].id, firstUnreadMessageId: sent[3].id }, 'a deleted one does not count');
    await api('DELETE', `/messages/${sent[0].id}`, ada);
    assert.equal((await unread(bob, 'count')).unreadCount, 3, 'nor does one that was read before');
    const secret = await post(ada, 'count', 'psst', { visibility: 'whisper', visibleTo: ['eve'] });
    assert.equal((await unread(bob, 'count')).unreadCount, 3, 'a whisper to others is not there');
    assert.equal((await unread(eve, 'count')).unreadCount, 5, 'for whom it is meant it is');
    await read(bob, 'count', sent[5].id);
    assert.deepEqual(await unread(bob, 'count'), { unreadCount: 0, lastReadMessageId: sent[5].id, firstUnreadMessageId: null });
    await api('DELETE', `/messages/${secret.id}`, ada);
    assert.equal((await unread(eve, 'count')).unreadCount, 4, 'a deleted whisper is taken off once');
    await post(ada, 'count', 'one more');
    for (const [token, n] of [[ada, 5], [bob, 1], [eve, 5]]) {
      assert.equal((await unread(token, 'count')).unreadCount, n);
      assert.equal(await listed(token, 'count'), n, 'the room list says the same');
    }
  });

  test('a message whose time is over is not unread, also while nobody has removed it', async () => {
    await make('expiring');
    const first = await post(ada, 'expiring', 'stays');
    const going = await post(ada, 'expiring', 'goes', { expiresInSeconds: 60 });
    assert.equal((await unread(bob, 'expiring')).unreadCount, 2);
    await cluster.sql(`UPDATE timeline SET expires_at = now() - interval '1 ms' WHERE id = ${going.id}`);
    assert.deepEqual(await unread(bob, 'expiring'), { unreadCount: 1, lastReadMessageId: 0, firstUnreadMessageId: first.id });
    assert.equal(await listed(bob, 'expiring'), 1);
  });

  test('read frames: told to the room when the pointer moves, without a pause of what follows', async () => {
    await make('frames');
    const [a, b] = await Promise.all([Client.join(cluster.ws(0), 'frames', ada), Client.join(cluster.ws(1), 'frames', bob, { native: true })]);
    const sent = [];
    for (let i = 0; i < 3; i++) sent.push(await post(ada, 'frames', `m${i}`));
    b.send({ type: 'read', userId: 'ada', messageId: sent[1].id });
    b.message('after it', 'b1');
    const frame = await a.until((f) => f.type === 'read');
    assert.deepEqual({ ...frame, createdAt: '' }, { type: 'read', roomId: 'frames', userId: 'bob', messageId: sent[1].id, createdAt: '' });
    assert.ok(Date.parse(frame.createdAt));
    await b.until((f) => f.type === 'read');
    await b.until((f) => f.type === 'ack' && f.clientMessageId === 'b1');
    assert.equal((await unread(bob, 'frames')).lastReadMessageId, sent[1].id);
    b.send({ type: 'read', messageId: sent[0].id });
    b.send({ type: 'read', messageId: sent[2].id });
    await a.until((f) => f.type === 'read' && f.messageId === sent[2].id);
    assert.deepEqual(a.of('read').map((f) => f.messageId), [sent[1].id, sent[2].id], 'only forward');
    for (const bad of [{}, { messageId: 'x' }, { messageId: 0 }, { messageId: 1.5 }, { messageId: 2 ** 60 }]) {
      b.send({ type: 'read', frameId: JSON.stringify(bad).replace(/[^!-~]/g, ''), ...bad });
      assert.equal((await b.until((f) => f.type === 'error' && f.frameId === JSON.stringify(bad))).code, 'bad_request');
    }
    b.send({ type: 'read', frameId: 'none', messageId: sent[2].id + 5_000_000 });
    assert.equal((await b.until((f) => f.type === 'error' && f.frameId === 'none')).code, 'message_not_found');
    await Promise.all([a.close(), b.close()]);
  });

  test('that a whisper was read is told to those who may see it, and to nobody else', async () => {
    await make('hush', ['bob', 'eve']);
    const [a, b, e] = await Promise.all([ada, bob, eve].map((t, i) => Client.join(cluster.ws(i), 'hush', t, { native: true })));
    const secret = await post(ada, 'hush', 'psst', { visibility: 'whisper', visibleTo: ['eve'] });
    assert.equal((await read(bob, 'hush', secret.id)).json.error, 'message_not_found');
    assert.equal((await read(eve, 'hush', secret.id)).json.ok, true);
    await Promise.all([a, e].map((c) => c.until((f) => f.type === 'read' && f.messageId === secret.id)));
    const open = await post(ada, 'hush', 'all');
    await read(eve, 'hush', open.id);
    await b.until((f) => f.type === 'read' && f.messageId === open.id);
    assert.deepEqual(b.of('read').map((f) => f.messageId), [open.id]);
    assert.ok(!JSON.stringify(b.frames).includes(String(secret.id)));
    await Promise.all([a, b, e].map((c) => c.close()));
  });

  test('POST /rooms/{id}/read answers after its write; many are one write a second', async () => {
    await make('many', Array.from({ length: 20 }, (_, i) => `m${i}`));
    const sent = [];
    for (let i = 0; i < 10; i++) sent.push(await post(ada, 'many', `n${i}`));
    const tokens = await Promise.all(Array.from({ length: 20 }, (_, i) => mint(cluster, `m${i}`)));
    const before = await metric('fluxy_reads_total{result="moved"}');
    const began = performance.now();
    const answers = await Promise.all(sent.flatMap((m, k) => tokens.map((t, i) => read(t, 'many', m.id, i + k))));
    assert.ok(answers.every((a) => a.status === 200), answers.find((a) => a.status !== 200)?.text);
    const seconds = Math.ceil((performance.now() - began) / 1000);
    const rows = await cluster.sql("SELECT user_id, message_id, message_no FROM read_state WHERE room_id = 'many' ORDER BY user_id");
    assert.equal(rows.length, 20);
    assert.ok(rows.every((r) => r[1] === String(sent[9].id) && r[2] === '10'), JSON.stringify(rows));
    const moved = (await metric('fluxy_reads_total{result="moved"}')) - before;
    assert.ok(moved >= 20 && moved <= 20 * (seconds + 2), `${moved} moves written for 200 reads in ${seconds} s`);
    assert.equal(await metric('fluxy_reads_waiting'), 0);
  });

  test('a pointer that is not written yet counts in the answers of its room', async () => {
    await make('pending');
    const b = await Client.join(cluster.ws(0), 'pending', bob, { native: true });
    const sent = [];
    for (let i = 0; i < 8; i++) sent.push(await post(ada, 'pending', `p${i}`));
    for (const [i, m] of sent.entries()) {
      b.send({ type: 'read', messageId: m.id });
      b.message(`said ${i}`, `s${i}`);
      await b.until((f) => f.type === 'ack' && f.clientMessageId === `s${i}`);
      const got = await unread(bob, 'pending');
      assert.equal(got.lastReadMessageId, m.id);
      assert.equal(got.unreadCount, 7 - i + i + 1);
    }
    await b.close();
  });

  test('who may not read a room cannot mark it as read', async () => {
    await make('private');
    await make('square', [], 'public');
    const inside = await post(ada, 'private', 'x');
    const outside = await post(ada, 'square', 'y');
    assert.equal((await read(eve, 'private', inside.id)).status, 403);
    assert.equal((await api('GET', '/rooms/private/unread', eve)).status, 403);
    assert.equal((await read(eve, 'square', outside.id)).json.error, 'not_member');
    assert.equal((await read(bob, 'private', outside.id)).status, 404, 'a message of another room');
    assert.equal((await read(bob, 'none', inside.id)).status, 403);
    assert.equal((await read(admin, 'private', inside.id)).status, 200);
    for (const messageId of ['1', 0, -1, 1.5, null, undefined, 2 ** 60]) assert.equal((await read(bob, 'private', messageId)).status, 400, String(messageId));
    const other = await cluster.command('project', 'add', 'tenant-r', '--json');
    const twin = await mint(cluster, 'bob', { key: other.apiKey, roles: ['owner'] });
    assert.equal((await read(twin, 'private', inside.id)).status, 403);
    await api('POST', '/rooms', twin, { id: 'private', name: 'x', type: 'group' });
    assert.equal((await read(twin, 'private', inside.id)).status, 404);
    assert.equal((await unread(bob, 'private')).unreadCount, 1);
  });

  test('drafts: one per member and room, blank clears, 404 for strangers', async () => {
    await make('drafts');
    const draft = (token, body) => api('PUT', '/rooms/drafts/draft', token, body);
    assert.deepEqual((await api('GET', '/rooms/drafts/draft', bob)).json, { draft: null });
    const put = await draft(bob, { content: '  half a "thought" ', replyToId: 7 });
    assert.deepEqual({ ...put.json.draft, updatedAt: '' }, { content: '  half a "thought" ', replyToId: 7, updatedAt: '' });
    assert.deepEqual((await api('GET', '/rooms/drafts/draft', bob, undefined, 1)).json, put.json);
    assert.deepEqual((await api('GET', '/rooms/drafts/draft', ada)).json, { draft: null }, 'nobody else sees it');
    assert.equal((await draft(bob, { content: 'y'.repeat(4000) })).json.draft.replyToId, null);
    assert.equal((await draft(bob, { content: 'y'.repeat(4001) })).json.error, 'invalid_content');
    assert.equal((await draft(bob, { content: 5 })).status, 400);
    assert.equal((await draft(bob, { content: 'x', replyToId: 'y' })).status, 400);
    assert.deepEqual((await draft(bob, { content: ' \n ' })).json, { draft: null });
    assert.deepEqual((await api('GET', '/rooms/drafts/draft', bob)).json, { draft: null });
    for (const method of ['GET', 'PUT']) {
      const got = await api(method, '/rooms/drafts/draft', eve, method === 'PUT' ? { content: 'x' } : undefined);
      assert.deepEqual([got.status, got.json.error], [404, 'not_a_member']);
    }
  });

  test('deliveries: who has got a message, told to those who may see it', async () => {
    await make('sent', ['bob', 'eve']);
    const [a, b] = await Promise.all([Client.join(cluster.ws(0), 'sent', ada), Client.join(cluster.ws(1), 'sent', bob, { native: true })]);
    const message = await post(ada, 'sent', 'come in');
    const secret = await post(ada, 'sent', 'psst', { visibility: 'whisper', visibleTo: ['eve'] });
    const delivered = (token, id) => api('POST', `/messages/${id}/delivered`, token);
    assert.deepEqual((await delivered(bob, message.id)).json, { ok: true, messageId: message.id, userId: 'bob', status: 'delivered' });
    assert.deepEqual(await a.until((f) => f.type === 'delivery_updated'), { type: 'delivery_updated', roomId: 'sent', messageId: message.id, userId: 'bob', status: 'delivered' });
    assert.equal((await delivered(bob, message.id)).status, 200);
    assert.equal((await delivered(ada, message.id)).status, 200, 'one\'s own is no news');
    assert.equal((await delivered(eve, secret.id)).status, 200);
    await a.until((f) => f.type === 'delivery_updated' && f.messageId === secret.id);
    assert.equal((await delivered(eve, message.id)).status, 200);
    await b.until((f) => f.type === 'delivery_updated' && f.userId === 'eve');
    assert.deepEqual(b.of('delivery_updated').map((f) => [f.userId, f.messageId]), [['bob', message.id], ['eve', message.id]]);
    const { json } = await api('GET', `/messages/${message.id}/deliveries`, bob, undefined, 1);
    assert.deepEqual(json.deliveries.map((d) => [d.messageId, d.userId, d.status, Number.isNaN(Date.parse(d.deliveredAt))]), [[message.id, 'bob', 'delivered', false], [message.id, 'eve', 'delivered', false]]);
    const page = (await api('GET', `/messages/${message.id}/deliveries?limit=1`, ada)).json;
    assert.deepEqual([page.deliveries.length, page.hasMore, page.nextCursor], [1, true, 'bob']);
    assert.deepEqual((await api('GET', `/messages/${message.id}/deliveries?cursor=bob`, ada)).json.deliveries.map((d) => d.userId), ['eve']);
    assert.equal((await delivered(bob, secret.id)).status, 404);
    assert.equal((await api('GET', `/messages/${secret.id}/deliveries`, bob)).status, 404);
    const stranger = await mint(cluster, 'stranger');
    assert.equal((await delivered(stranger, message.id)).status, 404);
    assert.equal((await delivered(bob, message.id + 9_000_000)).status, 404);
    await api('DELETE', `/messages/${message.id}`, ada);
    assert.equal((await delivered(bob, message.id)).status, 404);
    await Promise.all([a.close(), b.close()]);
  });

  test('pointers on their way survive the drain of their shard', async () => {
    const rooms = Array.from({ length: 12 }, (_, i) => `move-${i}`);
    const sockets = [];
    for (const room of rooms) {
      await make(room);
      await post(ada, room, 'zero');
      sockets.push(await Client.join(cluster.ws(0), room, bob, { native: true }));
    }
    const sent = [];
    for (const room of rooms) sent.push(await post(ada, room, 'one'));
    sockets.forEach((s, i) => s.send({ type: 'read', messageId: sent[i].id }));
    await Promise.all(sockets.map((s) => s.until((f) => f.type === 'read')));
    const last = [];
    for (const room of rooms) last.push(await post(ada, room, 'two'));
    sockets.forEach((s, i) => s.send({ type: 'read', messageId: last[i].id, frameId: `f${i}` }));
    await cluster.node('drain', cluster.shards[0].name ?? 'shard-1');
    for (const [i, room] of rooms.entries()) {
      await eventually(`the pointer of ${room}`, async () => (await unread(bob, room))?.lastReadMessageId === last[i].id);
    }
    await Promise.all(sockets.map((s) => s.close()));
  });
});
