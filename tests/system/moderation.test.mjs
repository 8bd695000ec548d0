// Moderation: mute, ban, announcements, reports, blocks, the audit log; enforced in the room on every way in.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { call, Cluster, eventually, mint } from './support/cluster.mjs';
import { Client } from './support/client.mjs';

describe('moderation', () => {
  let cluster;
  const tokens = {};
  const api = (method, path, who, body, gateway = 0) => call(cluster.http(gateway), method, path, { token: tokens[who], body });
  const ok = async (method, path, who, body, gateway) => {
    const got = await api(method, path, who, body, gateway);
    assert.equal(got.status, 200, `${method} ${path} ${JSON.stringify(body)}: ${got.text}`);
    return got.json;
  };
  const refused = async (word, method, path, who, body) => {
    const got = await api(method, path, who, body);
    assert.equal(got.json?.error, word, `${method} ${path} ${JSON.stringify(body)}: ${got.status} ${got.text}`);
    return got;
  };
  /** A room of olga (owner) with mod (moderator), ann and bob. */
  const room = async (more = {}) => {
    const id = `mod-${randomUUID().slice(0, 8)}`;
    const members = [{ userId: 'mod', role: 'moderator' }, { userId: 'adm', role: 'admin' }, { userId: 'ann' }, { userId: 'bob' }];
    await ok('POST', '/rooms', 'olga', { id, name: 'Moderated', type: 'group', members, ...more });
    return id;
  };
  const post = (roomId, who, content = 'hello') => api('POST', '/messages', who, { roomId, content });

  before(async () => {
    cluster = await Cluster.up();
    for (const user of ['olga', 'mod', 'adm', 'ann', 'bob', 'eve']) tokens[user] = await mint(cluster, user);
    tokens.root = await mint(cluster, 'root', { roles: ['admin'] });
    tokens.pmod = await mint(cluster, 'pmod', { roles: ['mod'] });
  });
  after(() => cluster?.remove());

  test('POST /admin/mute: who is muted cannot write by any way, sees everything, and is free again after unmute', async () => {
    const roomId = await room();
    const bob = await Client.join(cluster.ws(0), roomId, tokens.bob, { native: true });
    const ann = await Client.join(cluster.ws(1), roomId, tokens.ann, { native: true });
    const old = await Client.join(cluster.ws(1), roomId, tokens.olga);
    const own = (await post(roomId, 'bob')).json.message;

    const muted = await ok('POST', '/admin/mute', 'mod', { roomId, userId: 'bob', reason: 'noise' });
    assert.equal(muted.ok, true);
    assert.equal(muted.expiresAt, null);
    const frame = await ann.until((f) => f.type === 'moderation');
    assert.deepEqual({ ...frame, seq: 0 }, { type: 'moderation', roomId, userId: 'bob', seq: 0, action: 'mute', expiresAt: null, by: 'mod' });
    assert.ok(!JSON.stringify(frame).includes('noise'), 'the reason is for the audit log');

    bob.message('over the socket', 'muted-1');
    const error = await bob.until((f) => f.type === 'error' && f.clientMessageId === 'muted-1');
    assert.equal(error.code, 'muted');
    assert.equal(error.message, 'You are muted and cannot send messages right now.');
    assert.equal(error.retryable, false);
    assert.equal((await post(roomId, 'bob')).status, 403);
    await refused('muted', 'POST', '/messages', 'bob', { roomId, content: 'x' });
    bob.send({ type: 'typing', isTyping: true });

    assert.equal((await post(roomId, 'ann', 'he still reads this')).status, 200);
    await bob.until((f) => f.type === 'message' && f.content === 'he still reads this');
    assert.equal((await api('GET', `/api/messages?roomId=${roomId}`, 'bob')).status, 200);
    assert.ok(!ann.frames.some((f) => f.type === 'typing' && f.userId === 'bob'), 'typing of a muted user goes nowhere');

    await ok('POST', '/admin/unmute', 'mod', { roomId, userId: 'bob' });
    const lifted = await ann.until((f) => f.type === 'moderation' && f.action === 'unmute');
    assert.ok(lifted.seq > frame.seq);
    assert.equal((await post(roomId, 'bob')).status, 200);
    // live numbers have no gap for a native client, and an old one hears nothing of all this
    const seqs = ann.frames.filter((f) => f.seq && ['message', 'moderation', 'skip', 'membership'].includes(f.type)).map((f) => f.seq);
    for (let i = 1; i < seqs.length; i++) assert.equal(seqs[i], seqs[i - 1] + 1, `gap in ${seqs}`);
    await old.until((f) => f.type === 'message' && f.userId === 'bob' && f.id > own.id);
    assert.equal(old.of('moderation').length, 0);
    await Promise.all([bob, ann, old].map((c) => c.close()));
  });

  test('a mute with durationSeconds ends by itself, at the moment of the write', async () => {
    const roomId = await room();
    const { expiresAt } = await ok('POST', '/admin/mute', 'mod', { roomId, userId: 'bob', durationSeconds: 1 });
    assert.ok(Math.abs(Date.parse(expiresAt) - Date.now() - 1000) < 3000, expiresAt);
    await refused('muted', 'POST', '/messages', 'bob', { roomId, content: 'x' });
    await eventually('bob may write again', async () => (await post(roomId, 'bob')).status === 200);
    assert.ok(Date.now() >= Date.parse(expiresAt) - 50, 'not before its time');
  });

  test('POST /admin/ban closes the sockets with 1008 banned, removes the member and refuses entry and reads', async () => {
    const roomId = await room();
    const bob = await Client.join(cluster.ws(0), roomId, tokens.bob);
    const second = await Client.join(cluster.ws(1), roomId, tokens.bob, { native: true });
    const ann = await Client.join(cluster.ws(1), roomId, tokens.ann, { native: true });
    await ok('POST', '/admin/ban', 'mod', { roomId, userId: 'bob', reason: 'spam' });
    for (const client of [bob, second]) assert.deepEqual(await client.untilClosed(), { code: 1008, reason: 'banned' });
    await ann.until((f) => f.type === 'moderation' && f.action === 'ban' && f.userId === 'bob');
    await ann.until((f) => f.type === 'member_left' && f.userId === 'bob');

    const again = await Client.open(cluster.ws(1), roomId, tokens.bob);
    assert.deepEqual(await again.untilClosed(), { code: 1008, reason: 'banned' });
    for (const path of [`/rooms/${roomId}`, `/rooms/${roomId}/members`, `/api/messages?roomId=${roomId}`]) await refused('banned', 'GET', path, 'bob');
    await refused('banned', 'POST', '/messages', 'bob', { roomId, content: 'x' });
    const { members } = await ok('GET', `/rooms/${roomId}/members`, 'ann');
    assert.ok(!members.some((m) => m.userId === 'bob'));

    await ok('POST', '/admin/unban', 'mod', { roomId, userId: 'bob' });
    await refused('forbidden', 'POST', '/messages', 'bob', { roomId, content: 'no member any more' });
    await ok('POST', `/rooms/${roomId}/members`, 'olga', { userId: 'bob' });
    assert.equal((await post(roomId, 'bob')).status, 200);
    await ann.close();
  });

  test('a ban holds in a public room, also after the room has gone to another shard', async () => {
    const roomId = await room({ type: 'public' });
    await ok('POST', '/admin/ban', 'mod', { roomId, userId: 'eve' }); // who was never here
    const refusedNow = await Client.open(cluster.ws(0), roomId, tokens.eve);
    assert.deepEqual(await refusedNow.untilClosed(), { code: 1008, reason: 'banned' });
    await ok('POST', '/admin/mute', 'mod', { roomId, userId: 'ann', durationSeconds: 3600 });
    for (const shard of ['shard-1', 'shard-2']) {
      await cluster.node('kill', shard);
      await eventually('the room answers', async () => (await api('GET', `/rooms/${roomId}`, 'olga')).status === 200, 15000);
      await refused('banned', 'GET', `/api/messages?roomId=${roomId}`, 'eve');
      await refused('muted', 'POST', '/messages', 'ann', { roomId, content: 'x' });
      await cluster.node('start', shard);
    }
  });

  test('a ban ends by itself; a ban does not hide a mute, a report hides nothing', async () => {
    const roomId = await room({ type: 'public' });
    await ok('POST', '/admin/mute', 'mod', { roomId, userId: 'bob' });
    await ok('POST', '/admin/ban', 'mod', { roomId, userId: 'bob', durationSeconds: 1 });
    await refused('banned', 'GET', `/rooms/${roomId}`, 'bob');
    const back = await eventually('bob may come back', async () => {
      const client = await Client.open(cluster.ws(0), roomId, tokens.bob);
      return client.until((f) => f.type === 'subscription_succeeded').then(() => client, () => undefined);
    });
    const message = (await post(roomId, 'ann', 'report me')).json.message;
    await ok('POST', '/reports', 'bob', { roomId, messageId: message.id, reason: 'rude' });
    await refused('muted', 'POST', '/messages', 'bob', { roomId, content: 'x' });
    await back.close();
  });

  test('nobody moderates an equal or a superior; the project stands above the room', async () => {
    const roomId = await room();
    for (const [who, target, word] of [
      ['ann', 'bob', 'forbidden'], ['eve', 'bob', 'forbidden'],
      ['mod', 'olga', 'forbidden'], ['mod', 'adm', 'forbidden'], ['mod', 'mod', 'forbidden'], ['adm', 'olga', 'forbidden'],
      ['root', 'olga', 'last_owner'],
    ]) await refused(word, 'POST', '/admin/ban', who, { roomId, userId: target });
    for (const [who, target] of [['mod', 'ann'], ['adm', 'mod'], ['olga', 'adm'], ['root', 'olga'], ['pmod', 'bob']]) {
      await ok('POST', '/admin/mute', who, { roomId, userId: target });
    }
    await refused('forbidden', 'POST', '/admin/mute', 'root', { roomId: 'no-such-room', userId: 'bob' });
  });

  test('moderation refuses what is malformed', async () => {
    const roomId = await room();
    for (const body of [
      {}, { roomId }, { userId: 'bob' }, { roomId, userId: 'a b' }, { roomId: 'a b', userId: 'bob' }, { roomId, userId: 7 },
      { roomId, userId: 'bob', durationSeconds: 0 }, { roomId, userId: 'bob', durationSeconds: -1 }, { roomId, userId: 'bob', durationSeconds: 1e12 },
      { roomId, userId: 'bob', durationSeconds: '60' }, { roomId, userId: 'bob', reason: 'x'.repeat(1001) }, { roomId, userId: 'bob', reason: {} },
    ]) assert.equal((await api('POST', '/admin/mute', 'mod', body)).status, 400, JSON.stringify(body));
    assert.equal((await post(roomId, 'bob')).status, 200, 'none of them has done anything');
    assert.equal((await call(cluster.http(), 'POST', '/admin/mute', { body: { roomId, userId: 'bob' } })).status, 401);
  });

  test('every action is in GET /admin/audit/events, once, and the list is for those in office', async () => {
    const roomId = await room();
    await ok('POST', '/admin/mute', 'mod', { roomId, userId: 'bob', reason: 'noise', durationSeconds: 60 });
    await ok('POST', '/admin/unmute', 'mod', { roomId, userId: 'bob' });
    await ok('POST', '/admin/ban', 'adm', { roomId, userId: 'bob' });
    await ok('POST', '/admin/unban', 'olga', { roomId, userId: 'bob' });
    const { events } = await ok('GET', `/admin/audit/events?roomId=${roomId}`, 'root');
    assert.deepEqual(events.map((e) => [e.action, e.actor_user_id, e.target_id]), [
      ['room.unban', 'olga', 'bob'], ['room.ban', 'adm', 'bob'], ['room.unmute', 'mod', 'bob'], ['room.mute', 'mod', 'bob'],
    ]);
    assert.equal(events[3].room_id, roomId);
    assert.equal(events[3].target_type, 'user');
    assert.equal(events[3].metadata.reason, 'noise');
    assert.equal(JSON.parse(events[3].metadata_json).durationSeconds, 60);
    assert.equal(events[3].project_id, cluster.project);
    assert.ok(Date.parse(events[3].created_at));
    const one = await ok('GET', `/admin/audit/events?roomId=${roomId}&action=room.ban&limit=1`, 'root');
    assert.deepEqual(one.events.map((e) => e.action), ['room.ban']);
    for (const who of ['ann', 'olga', 'pmod']) await refused('forbidden', 'GET', '/admin/audit/events', who);
    assert.equal((await api('GET', '/admin/audit/events?limit=201', 'root')).status, 400);
  });

  test('POST /admin/announcement is a stored message of the caller, also where he could not write', async () => {
    const roomId = await room({ type: 'announcement' });
    const ann = await Client.join(cluster.ws(1), roomId, tokens.ann, { native: true });
    const { message, ...rest } = await ok('POST', '/admin/announcement', 'pmod', { roomId, content: 'Hear, hear', userId: 'system' });
    assert.deepEqual(rest, { ok: true });
    assert.equal(message.userId, 'pmod', 'userId in the body is nobody\'s identity');
    const frame = await ann.until((f) => f.type === 'message' && f.content === 'Hear, hear');
    assert.equal(frame.id, message.id);
    assert.equal(frame.seq, 1);
    const { messages } = await ok('GET', `/api/messages?roomId=${roomId}`, 'ann');
    assert.deepEqual(messages.map((m) => m.id), [message.id]);
    await refused('forbidden', 'POST', '/admin/announcement', 'ann', { roomId, content: 'x' });
    await refused('invalid_content', 'POST', '/admin/announcement', 'mod', { roomId, content: ' ' });
    const { events } = await ok('GET', `/admin/audit/events?roomId=${roomId}`, 'root');
    assert.deepEqual(events.map((e) => [e.action, e.actor_user_id, e.target_type, e.target_id]), [['room.announcement', 'pmod', 'room', roomId]]);
    await ann.close();
  });

  test('moderators delete messages of others, audited; members do not', async () => {
    const roomId = await room();
    const ann = await Client.join(cluster.ws(0), roomId, tokens.ann, { native: true });
    const message = (await post(roomId, 'bob', 'to go')).json.message;
    await refused('forbidden', 'DELETE', `/messages/${message.id}`, 'ann');
    await ok('DELETE', `/messages/${message.id}`, 'mod');
    await ann.until((f) => f.type === 'delete' && f.id === message.id);
    const own = (await post(roomId, 'bob', 'his own')).json.message;
    await ok('DELETE', `/messages/${own.id}`, 'bob');
    const { events } = await ok('GET', `/admin/audit/events?roomId=${roomId}`, 'root');
    assert.deepEqual(events.map((e) => [e.action, e.actor_user_id, e.target_type, e.target_id]), [['message.delete', 'mod', 'message', String(message.id)]]);
    await ann.close();
  });

  test('who is muted or banned cannot edit, react or signal; he may take back what he wrote', async () => {
    const roomId = await room();
    const message = (await post(roomId, 'bob', 'original')).json.message;
    const bob = await Client.join(cluster.ws(0), roomId, tokens.bob, { native: true });
    await ok('POST', '/admin/mute', 'mod', { roomId, userId: 'bob' });
    await refused('muted', 'PATCH', `/messages/${message.id}`, 'bob', { content: 'changed' });
    await refused('muted', 'POST', `/messages/${message.id}/reactions`, 'bob', { emoji: '👍' });
    bob.send({ type: 'edit', messageId: message.id, content: 'changed', frameId: 'e1' });
    bob.send({ type: 'reaction', messageId: message.id, emoji: '👍', op: 'add', frameId: 'r1' });
    for (const frameId of ['e1', 'r1']) assert.equal((await bob.until((f) => f.type === 'error' && f.frameId === frameId)).code, 'muted', frameId);
    await ok('DELETE', `/messages/${message.id}`, 'bob');
    const other = (await post(roomId, 'ann', 'of ann')).json.message;
    await ok('POST', '/admin/ban', 'mod', { roomId, userId: 'bob' });
    await refused('banned', 'POST', `/messages/${other.id}/reactions`, 'bob', { emoji: '👍' });
    await bob.untilClosed();
  });

  test('slow mode: one message of a member in so many seconds, by whatever way; moderators are free', async () => {
    const roomId = await room();
    await ok('PATCH', `/rooms/${roomId}`, 'olga', { settings: { slowModeSeconds: 3600 } });
    assert.equal((await post(roomId, 'bob', 'the first')).status, 200);
    const got = await refused('slow_mode', 'POST', '/messages', 'bob', { roomId, content: 'the second' });
    assert.equal(got.status, 429);
    const wait = Number(got.headers.get('retry-after'));
    assert.ok(wait > 3590 && wait <= 3600, `${wait}`);
    const bob = await Client.join(cluster.ws(0), roomId, tokens.bob, { native: true });
    bob.message('over the socket', 'slow-1');
    const error = await bob.until((f) => f.type === 'error' && f.clientMessageId === 'slow-1');
    assert.equal(error.code, 'slow_mode');
    assert.ok(error.retryable && error.retryAfterMs > 3_590_000);
    // the repeat of what was sent costs nothing, and what was refused did not cost the turn of others
    const again = { roomId, content: 'with a key', clientMessageId: 'slow-key' };
    await ok('POST', '/messages', 'ann', again);
    assert.equal((await ok('POST', '/messages', 'ann', again)).message.content, 'with a key');
    for (let i = 0; i < 3; i++) assert.equal((await post(roomId, 'mod', `moderator ${i}`)).status, 200);
    await ok('PATCH', `/rooms/${roomId}`, 'olga', { settings: { slowModeSeconds: 0 } });
    for (let i = 0; i < 2; i++) assert.equal((await post(roomId, 'bob', `free ${i}`)).status, 200);
    await bob.close();
  });

  test('a refused message does not take the turn of slow mode', async () => {
    const roomId = await room();
    await ok('PATCH', `/rooms/${roomId}`, 'olga', { settings: { slowModeSeconds: 3600 } });
    await refused('message_not_found', 'POST', '/messages', 'bob', { roomId, content: 'x', replyTo: 999999999 });
    assert.equal((await post(roomId, 'bob', 'the first')).status, 200);
  });

  test('messagesPerMinute of a room counts for its members', async () => {
    const roomId = await room();
    await ok('PATCH', `/rooms/${roomId}`, 'olga', { settings: { messagesPerMinute: 2 } });
    for (let i = 0; i < 2; i++) assert.equal((await post(roomId, 'bob', `m${i}`)).status, 200);
    const got = await refused('rate_limit_exceeded', 'POST', '/messages', 'bob', { roomId, content: 'one more' });
    assert.ok(Number(got.headers.get('retry-after')) >= 1);
  });

  test('blocked words are refused in messages and edits, whole and without case, and are nobody\'s to read', async () => {
    const roomId = await room();
    await ok('PATCH', `/rooms/${roomId}`, 'olga', { settings: { blockedWords: ['Darn', 'cheap pills', 'ДУРАК'] } });
    for (const content of ['darn!', 'oh DARN it', 'buy  cheap\tpills', 'дурак', 'da\u200brn']) {
      const got = await refused('blocked_content', 'POST', '/messages', 'bob', { roomId, content });
      assert.equal(got.status, 422);
      assert.ok(!got.text.toLowerCase().includes('darn'), 'does not say which word');
    }
    for (const content of ['darning socks', 'cheap', 'pills, cheap']) assert.equal((await post(roomId, 'bob', content)).status, 200, content);
    const message = (await post(roomId, 'bob', 'harmless')).json.message;
    await refused('blocked_content', 'PATCH', `/messages/${message.id}`, 'bob', { content: 'darn' });
    const bob = await Client.join(cluster.ws(0), roomId, tokens.bob);
    bob.message('darn', 'blocked-1');
    assert.equal((await bob.until((f) => f.type === 'error' && f.clientMessageId === 'blocked-1')).code, 'blocked_content');
    assert.ok(!(await ok('GET', `/rooms/${roomId}`, 'bob')).room.settings?.blockedWords);
    await bob.close();
  });

  test('token streams: blocked words are kept out as they come, and who is muted adds nothing', async () => {
    const roomId = await room();
    await ok('PATCH', `/rooms/${roomId}`, 'olga', { settings: { blockedWords: ['darn'] } });
    const bob = await Client.join(cluster.ws(0), roomId, tokens.bob, { native: true });
    const send = async (frame) => {
      const frameId = randomUUID();
      bob.send({ type: 'stream', ...frame, frameId });
      return bob.until((f) => f.frameId === frameId && (f.type === 'ack' || f.type === 'error'));
    };
    const history = async () => (await ok('GET', `/api/messages?roomId=${roomId}&order=asc`, 'ann')).messages.map((m) => m.content);
    assert.equal((await send({ op: 'start' })).type, 'ack');
    for (const content of ['these socks ', 'dar', 'ning ', 'are dar']) bob.send({ type: 'stream', op: 'delta', content });
    assert.equal((await send({ op: 'delta', content: 'n cheap' })).code, 'blocked_content');
    bob.send({ type: 'stream', op: 'delta', content: 'n' }); // may become "darned"
    assert.equal((await send({ op: 'end', content: 'darn it' })).code, 'blocked_content');
    assert.equal((await send({ op: 'end' })).type, 'ack');
    assert.deepEqual(await history(), ['these socks darning are'], 'it did not, so it is cut');

    assert.equal((await send({ op: 'start', content: 'so far ' })).type, 'ack');
    await ok('POST', '/admin/mute', 'mod', { roomId, userId: 'bob' });
    assert.equal((await send({ op: 'delta', content: 'and no further' })).code, 'muted');
    assert.equal((await send({ op: 'end', content: 'something else' })).type, 'ack');
    assert.equal((await history()).at(-1), 'so far', 'what there was remains');
    assert.equal((await send({ op: 'start' })).code, 'muted');
    await bob.close();
  });

  test('POST /reports and GET /admin/reports', async () => {
    const roomId = await room();
    const message = (await post(roomId, 'ann', 'something rude')).json.message;
    assert.deepEqual(await ok('POST', '/reports', 'bob', { roomId, messageId: message.id, reason: 'rude' }), { ok: true });
    await refused('message_not_found', 'POST', '/reports', 'bob', { roomId, messageId: message.id + 1_000_000 });
    await refused('forbidden', 'POST', '/reports', 'eve', { roomId, messageId: message.id });
    assert.equal((await api('POST', '/reports', 'bob', { roomId, messageId: 'x' })).status, 400);
    assert.deepEqual(await ok('POST', '/reports', 'bob', { roomId, messageId: message.id, reason: 'rude' }), { ok: true }, 'sent again it is the same report');
    for (const who of ['root', 'pmod', 'mod']) {
      const { reports } = await ok('GET', `/admin/reports?roomId=${roomId}`, who);
      assert.equal(reports.length, 1, who);
      assert.deepEqual({ ...reports[0], id: 0, created_at: '' }, {
        id: 0, project_id: cluster.project, room_id: roomId, user_id: 'bob', action: 'report', reason: 'rude', target_message_id: message.id, created_at: '',
      });
    }
    await refused('forbidden', 'GET', `/admin/reports?roomId=${roomId}`, 'ann');
    await refused('forbidden', 'GET', '/admin/reports', 'eve');
    for (const reason of ['very rude', undefined, undefined]) await ok('POST', '/reports', 'bob', { roomId, messageId: message.id, reason });
    await ok('POST', '/reports', 'ann', { roomId, messageId: message.id, reason: 'rude' });
    const list = (await ok('GET', `/admin/reports?roomId=${roomId}`, 'mod')).reports;
    assert.deepEqual(list.map((r) => [r.user_id, r.reason]), [['ann', 'rude'], ['bob', null], ['bob', 'very rude'], ['bob', 'rude']]);
    const all = await ok('GET', '/admin/reports?limit=1', 'mod');
    assert.equal(all.reports.length, 1, 'a moderator of some room sees the reports of his rooms');
  });

  test('GET and POST /blocks, DELETE /blocks/{userId}', async () => {
    assert.deepEqual((await ok('GET', '/blocks', 'ann')).blocks, []);
    assert.deepEqual(await ok('POST', '/blocks', 'ann', { userId: 'bob' }), { ok: true });
    await ok('POST', '/blocks', 'ann', { userId: 'bob' });
    await ok('POST', '/blocks', 'ann', { userId: 'eve' });
    const { blocks } = await ok('GET', '/blocks', 'ann');
    assert.deepEqual(blocks.map((b) => b.userId).sort(), ['bob', 'eve']);
    assert.ok(Date.parse(blocks[0].createdAt));
    assert.deepEqual((await ok('GET', '/blocks', 'bob')).blocks, [], 'blocks are one\'s own');
    await ok('DELETE', '/blocks/bob', 'ann');
    await ok('DELETE', '/blocks/bob', 'ann');
    assert.deepEqual((await ok('GET', '/blocks', 'ann')).blocks.map((b) => b.userId), ['eve']);
    assert.equal((await api('POST', '/blocks', 'ann', { userId: 'ann' })).status, 400);
    assert.equal((await api('POST', '/blocks', 'ann', {})).status, 400);
  });
});
