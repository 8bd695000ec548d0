// The inbox over all rooms of a user: mentions, unread and snoozed rooms, follow-ups, notifications, pushes.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Client } from './support/client.mjs';
import { call, Cluster, mint } from './support/cluster.mjs';

describe('inbox', () => {
  let cluster, ada, bob, eve;
  const api = (method, path, token, body, gateway = 0) => call(cluster.http(gateway), method, path, { token, body });
  const make = async (id, members = ['bob'], type = 'group') => {
    const got = await api('POST', '/rooms', ada, { id, name: `Room ${id}`, type, members: members.map((m) => (typeof m === 'string' ? { userId: m } : m)) });
    assert.equal(got.status, 200, got.text);
  };
  const post = async (token, roomId, content, more = {}) => {
    const got = await api('POST', '/messages', token, { roomId, content, ...more });
    assert.equal(got.status, 200, got.text);
    return got.json.message;
  };
  const inbox = async (token, query = '') => {
    const got = await api('GET', `/inbox${query}`, token, undefined, 1);
    assert.equal(got.status, 200, got.text);
    return got.json;
  };
  const user = async (name) => mint(cluster, name);

  before(async () => {
    cluster = await Cluster.up();
    [ada, bob, eve] = await Promise.all(['ada', 'bob', 'eve'].map(user));
  });
  after(() => cluster?.remove());

  test('an empty inbox has all of its parts', async () => {
    assert.deepEqual(await inbox(await user('nobody')), {
      mentions: [], unreadRooms: [], snoozedRooms: [], followUps: [],
      counts: { mentions: 0, unreadRooms: 0, unreadMessages: 0, snoozedRooms: 0, followUps: 0 },
    });
  });

  test('mentions: by name and by group, of members, others\' and live', async () => {
    await make('named', ['bob', 'eve', { userId: 'mo', role: 'moderator' }]);
    const mo = await user('mo');
    const direct = await post(ada, 'named', 'hi @bob and @zoe');
    assert.deepEqual(direct.mentions, ['bob']);
    const channel = await post(ada, 'named', '@channel lunch');
    const mods = await post(ada, 'named', '@role:mod look at this');
    assert.deepEqual(mods.mentions, ['@role:moderator']);
    const own = await post(bob, 'named', '@bob remember, @here too');
    const whisper = await post(ada, 'named', '@bob @channel secret for @eve', { visibility: 'whisper', visibleTo: ['eve'] });
    assert.deepEqual(whisper.mentions, ['eve']);
    const gone = await post(ada, 'named', '@bob gone');
    await api('DELETE', `/messages/${gone.id}`, ada);
    const ids = (box) => box.mentions.map((m) => m.messageId);
    const box = await inbox(bob);
    assert.deepEqual(ids(box), [channel.id, direct.id]);
    assert.deepEqual(box.mentions[1], { messageId: direct.id, roomId: 'named', roomName: 'Room named', roomType: 'group', authorId: 'ada', preview: 'hi @bob and @zoe', createdAt: direct.createdAt, isUnread: true });
    assert.deepEqual(ids(await inbox(eve)), [whisper.id, own.id, channel.id]);
    assert.deepEqual(ids(await inbox(mo)), [own.id, mods.id, channel.id]);
    assert.deepEqual(ids(await inbox(ada)), [own.id], 'a group names its author to nobody but the others');
    assert.equal(box.counts.mentions, 2);
    await api('POST', '/rooms/named/read', bob, { messageId: direct.id });
    const after = await inbox(bob);
    assert.deepEqual(after.mentions.map((m) => m.isUnread), [true, false]);
    assert.equal(after.counts.mentions, 1);
    const edited = await post(ada, 'named', 'nobody');
    assert.equal((await api('PATCH', `/messages/${edited.id}`, ada, { content: 'you, @bob' })).status, 200);
    assert.deepEqual(ids(await inbox(bob))[0], edited.id, 'an edit can name somebody');
    await api('DELETE', '/rooms/named/members/bob', ada);
    assert.deepEqual(ids(await inbox(bob)), [], 'who has left finds nothing');
    await api('POST', '/rooms/named/members', ada, { userId: 'bob' });
    assert.deepEqual(ids(await inbox(bob)), [edited.id, direct.id], 'a group meant those who were members then');
  });

  test('unread rooms: exact, the liveliest first; snoozed ones stand apart', async () => {
    const cid = await user('cid');
    for (const room of ['u1', 'u2', 'u3']) await make(room, ['cid', 'eve']);
    const sent = {};
    for (const room of ['u1', 'u2', 'u3', 'u1']) (sent[room] ??= []).push(await post(ada, room, `in ${room}`));
    await post(ada, 'u2', 'not for cid', { visibility: 'whisper', visibleTo: ['eve'] });
    // The rooms may be on two shards, whose clocks are a little apart.
    await cluster.sql(`UPDATE timeline SET created_at = created_at - interval '1 s' WHERE id = ${sent.u2[0].id}`);
    await api('POST', '/rooms/u3/read', cid, { messageId: sent.u3[0].id });
    let box = await inbox(cid);
    assert.deepEqual(box.unreadRooms.map((r) => [r.roomId, r.unreadCount]), [['u1', 2], ['u2', 1]], 'not even the order tells of the whisper');
    assert.deepEqual(box.unreadRooms[0], {
      roomId: 'u1', roomName: 'Room u1', roomType: 'group', unreadCount: 2, lastReadMessageId: 0, firstUnreadMessageId: sent.u1[0].id,
      lastMessage: { id: sent.u1[1].id, userId: 'ada', content: 'in u1', createdAt: sent.u1[1].createdAt }, snoozedUntil: null,
    });
    assert.deepEqual(box.counts, { mentions: 0, unreadRooms: 2, unreadMessages: 3, snoozedRooms: 0, followUps: 0 });
    const until = new Date(Date.now() + 3600_000).toISOString();
    const put = await api('PUT', '/inbox/rooms/u1/snooze', cid, { until });
    assert.deepEqual(put.json, { ok: true, roomId: 'u1', snoozedUntil: until });
    box = await inbox(cid);
    assert.deepEqual(box.unreadRooms.map((r) => r.roomId), ['u2']);
    assert.deepEqual(box.snoozedRooms.map((r) => [r.roomId, r.unreadCount, r.snoozedUntil]), [['u1', 2, until]]);
    assert.deepEqual([box.counts.unreadRooms, box.counts.unreadMessages, box.counts.snoozedRooms], [1, 1, 1]);
    const soon = await api('PUT', '/inbox/rooms/u2/snooze', cid, { minutes: 30 });
    assert.ok(Math.abs(Date.parse(soon.json.snoozedUntil) - Date.now() - 1800_000) < 60_000);
    await cluster.sql("UPDATE snoozes SET until = now() - interval '1 s' WHERE room_id = 'u2'");
    assert.deepEqual((await inbox(cid)).unreadRooms.map((r) => r.roomId), ['u2'], 'a snooze ends by itself');
    assert.deepEqual((await api('DELETE', '/inbox/rooms/u1/snooze', cid)).json, { ok: true, roomId: 'u1', snoozedUntil: null });
    assert.deepEqual((await inbox(cid)).unreadRooms.map((r) => r.roomId), ['u1', 'u2']);
    const stranger = await user('stranger');
    assert.equal((await api('PUT', '/inbox/rooms/u1/snooze', stranger, { until })).json.error, 'not_a_member');
    assert.equal((await api('DELETE', '/inbox/rooms/u1/snooze', stranger)).status, 404);
    for (const bad of [{}, { until: 'later' }, { until: '2001-01-01T00:00:00Z' }, { until: '2990-01-01T00:00:00Z' }, { minutes: 0 }, { minutes: 'x' }, { days: 400 }]) {
      assert.equal((await api('PUT', '/inbox/rooms/u1/snooze', cid, bad)).status, 400, JSON.stringify(bad));
    }
  });

  test('roomId and where narrow it down', async () => {
    const dan = await user('dan');
    for (const room of ['w1', 'w2']) await make(room, ['dan']);
    await post(ada, 'w1', '@dan one');
    await post(ada, 'w2', '@dan two');
    const one = await inbox(dan, '?roomId=w1');
    assert.deepEqual([one.mentions.map((m) => m.roomId), one.unreadRooms.map((r) => r.roomId), one.counts.mentions], [['w1'], ['w1'], 1]);
    const mentions = await inbox(dan, '?where=mentions');
    assert.deepEqual([mentions.mentions.length, mentions.unreadRooms.length, mentions.counts.unreadRooms], [2, 0, null]);
    const unread = await inbox(dan, '?where=unread');
    assert.deepEqual([unread.mentions.length, unread.unreadRooms.length], [0, 2]);
    assert.equal((await inbox(dan, '?where=whatever')).mentions.length, 2);
    assert.equal((await inbox(dan, '?limit=1')).mentions.length, 1);
    assert.equal((await inbox(dan, '?limit=1')).counts.mentions, 2, 'counts count all');
    assert.equal((await api('GET', '/inbox?roomId=w1', eve)).status, 403);
    assert.equal((await api('GET', '/inbox?roomId=nope', dan)).status, 403);
    for (const bad of ['limit=0', 'limit=201', 'roomId=a%20b']) assert.equal((await api('GET', `/inbox?${bad}`, dan)).status, 400, bad);
    const other = await cluster.command('project', 'add', 'tenant-i', '--json');
    const twin = await mint(cluster, 'dan', { key: other.apiKey, roles: ['owner'] });
    assert.deepEqual((await inbox(twin)).unreadRooms, []);
  });

  test('follow-ups: 201, listed by due time, done, removed', async () => {
    const fay = await user('fay');
    await make('follow', ['fay']);
    const [m1, m2] = [await post(ada, 'follow', 'first thing'), await post(ada, 'follow', 'second thing')];
    const add = (token, body) => api('POST', '/inbox/follow-ups', token, body);
    const made = await add(fay, { roomId: 'follow', messageId: m1.id, note: 'call back', dueAt: '2031-01-02T03:04:05.000Z' });
    assert.equal(made.status, 201, made.text);
    const { id, createdAt } = made.json.followUp;
    assert.equal(typeof id, 'string');
    assert.deepEqual(made.json.followUp, { id, roomId: 'follow', messageId: m1.id, note: 'call back', dueAt: '2031-01-02T03:04:05.000Z', doneAt: null, createdAt });
    assert.equal((await add(fay, { roomId: 'follow', messageId: m1.id, note: 'call back', dueAt: '2031-01-02T03:04:05Z' })).json.followUp.id, id, 'the same again is no second one');
    const early = (await add(fay, { messageId: m2.id, dueAt: '2030-01-01T00:00:00Z' })).json.followUp;
    let box = await inbox(fay);
    assert.deepEqual(box.followUps.map((f) => [f.id, f.roomName, f.preview]), [[early.id, 'Room follow', 'second thing'], [id, 'Room follow', 'first thing']]);
    assert.equal(box.counts.followUps, 2);
    const patched = await api('PATCH', `/inbox/follow-ups/${id}`, fay, { note: null, dueAt: null });
    assert.deepEqual([patched.json.followUp.note, patched.json.followUp.dueAt], [null, null]);
    assert.ok(Date.parse((await api('PATCH', `/inbox/follow-ups/${early.id}`, fay, { done: true })).json.followUp.doneAt));
    box = await inbox(fay);
    assert.deepEqual(box.followUps.map((f) => f.id), [id]);
    assert.equal((await api('PATCH', `/inbox/follow-ups/${early.id}`, fay, { done: false })).json.followUp.doneAt, null);
    assert.equal((await api('DELETE', `/inbox/follow-ups/${id}`, eve)).status, 404, 'of another');
    assert.deepEqual((await api('DELETE', `/inbox/follow-ups/${id}`, fay)).json, { ok: true });
    assert.equal((await api('DELETE', `/inbox/follow-ups/${id}`, fay)).status, 404);
    assert.equal((await add(eve, { messageId: m1.id })).json.error, 'message_not_found');
    assert.equal((await add(fay, { messageId: m1.id, roomId: 'other' })).status, 404);
    for (const bad of [{}, { messageId: 'x' }, { messageId: m1.id, note: 'y'.repeat(1001) }, { messageId: m1.id, dueAt: 'soon' }]) assert.equal((await add(fay, bad)).status, 400, JSON.stringify(bad).slice(0, 40));
    assert.equal((await api('PATCH', '/inbox/follow-ups/abc', fay, {})).status, 400);
    await cluster.sql(`INSERT INTO follow_ups (project_id, user_id, room_id, message_id) SELECT '${cluster.project}', 'fay', 'follow', ${m1.id} FROM generate_series(1, 1000)`);
    assert.equal((await add(fay, { messageId: m1.id, note: 'one too many' })).json.error, 'too_many_follow_ups');
  });

  test('notifications: paged, read one by one, all at once, and by reading the room', async () => {
    const gus = await user('gus');
    await make('notes', ['gus']);
    const sent = [];
    for (let i = 0; i < 7; i++) sent.push(await post(ada, 'notes', `@gus number ${i}`));
    const list = async (query = '') => (await api('GET', `/notifications${query}`, gus)).json;
    const all = await list();
    assert.deepEqual(all.notifications.map((n) => n.message_id), sent.map((m) => m.id).toReversed());
    assert.deepEqual(all.notifications[6], { id: String(sent[0].id), type: 'mention', room_id: 'notes', room_name: 'Room notes', room_type: 'group', message_id: sent[0].id, actor_id: 'ada', preview: '@gus number 0', created_at: sent[0].createdAt, read_at: null });
    assert.equal(all.unread_count, 7);
    const seen = [];
    let cursor = '';
    do {
      const page = await list(`?limit=3${cursor && `&cursor=${cursor}`}`);
      seen.push(...page.notifications.map((n) => n.message_id));
      cursor = page.nextCursor;
    } while (cursor);
    assert.deepEqual(seen, all.notifications.map((n) => n.message_id));
    assert.deepEqual((await api('POST', `/notifications/${sent[6].id}/read`, gus)).json, { ok: true });
    assert.deepEqual((await api('POST', `/notifications/${sent[6].id}/read`, gus)).json, { ok: true });
    assert.equal((await list()).unread_count, 6);
    assert.deepEqual((await list('?unread=true')).notifications.map((n) => n.message_id), sent.slice(0, 6).map((m) => m.id).toReversed());
    await api('POST', '/rooms/notes/read', gus, { messageId: sent[1].id });
    assert.equal((await list()).unread_count, 4);
    assert.deepEqual((await api('POST', '/notifications/read-all', gus)).json, { ok: true });
    assert.equal((await list()).unread_count, 0);
    await post(ada, 'notes', '@gus anew');
    assert.equal((await list()).unread_count, 1);
    assert.equal((await api('POST', `/notifications/${sent[6].id}/read`, eve)).status, 404);
    for (const bad of ['limit=0', 'cursor=x', 'unread=perhaps']) assert.equal((await api('GET', `/notifications?${bad}`, gus)).status, 400, bad);
  });

  test('inbox_updated on the user channel, for mentions and direct messages, with the exact unread count', async () => {
    const hal = await user('hal');
    await make('push', ['hal', 'eve']);
    const channel = await Client.channel(cluster.ws(1), 'hal', hal);
    await post(ada, 'push', 'one');
    const named = await post(ada, 'push', `@hal look ${'x'.repeat(300)}`);
    const frame = await channel.until((f) => f.type === 'user_event' && f.name === 'inbox_updated');
    assert.deepEqual(frame.data, { kind: 'mention', roomId: 'push', roomName: 'Room push', unreadCount: 2, messageId: named.id, preview: `@hal look ${'x'.repeat(130)}`, receivedAt: named.createdAt });
    const dm = (await api('POST', '/rooms/dm', ada, { a: 'ada', b: 'hal' })).json.room.id;
    const direct = await post(ada, dm, 'psst');
    const second = await channel.until((f) => f.type === 'user_event' && f.data.roomId === dm);
    assert.deepEqual([second.data.kind, second.data.unreadCount, second.data.messageId], ['dm', 1, direct.id]);
    await post(ada, 'push', '@eve not hal', { visibility: 'whisper', visibleTo: ['eve'] });
    await post(hal, dm, 'my own');
    await api('PATCH', '/rooms/push/members/me/preferences', hal, { notifyEnabled: false });
    await post(ada, 'push', '@hal unwanted');
    await api('PATCH', '/rooms/push/members/me/preferences', hal, { notifyEnabled: true });
    const last = await post(ada, 'push', '@channel wanted');
    await channel.until((f) => f.type === 'user_event' && f.data.messageId === last.id);
    assert.deepEqual(channel.of('user_event').map((f) => f.data.messageId), [named.id, direct.id, last.id]);
    await channel.close();
  });
});
