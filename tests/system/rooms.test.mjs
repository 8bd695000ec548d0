// Rooms over REST: making, finding, changing, deleting them; direct messages; members.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Client } from './support/client.mjs';
import { call, Cluster, eventually, mint } from './support/cluster.mjs';

describe('rooms', () => {
  let cluster, ada, bob, eve, admin;
  const api = (method, path, token, body, gateway = 0) => call(cluster.http(gateway), method, path, { token, body });
  const post = (token, roomId, content, more = {}) => api('POST', '/messages', token, { roomId, content, ...more });
  const make = async (token, id, type = 'group', members = []) => {
    const got = await api('POST', '/rooms', token, { id, name: `Room ${id}`, type, members: members.map((userId) => ({ userId })) });
    assert.equal(got.status, 200, got.text);
    return got.json.room;
  };

  before(async () => {
    cluster = await Cluster.up();
    [ada, bob, eve] = await Promise.all(['ada', 'bob', 'eve'].map((user) => mint(cluster, user)));
    admin = await mint(cluster, 'root', { roles: ['admin'] });
  });
  after(() => cluster?.remove());

  test('POST /rooms with an id that exists gives the room to those who may see it, and makes nobody its owner', async () => {
    await make(ada, 'closed');
    assert.equal((await api('POST', '/rooms', eve, { id: 'closed', name: 'mine', type: 'group' })).status, 403);
    const open = await make(ada, 'open', 'public');
    const got = await api('POST', '/rooms', eve, { id: 'open', name: 'mine', type: 'group' });
    assert.equal(got.json.room.name, open.name);
    const { json } = await api('GET', '/rooms/open/members', eve);
    assert.deepEqual(json.members.map((m) => [m.userId, m.role]), [['ada', 'owner'], ['eve', 'member']]);
    assert.deepEqual((await api('GET', '/rooms/closed/members', ada)).json.members.map((m) => m.userId), ['ada']);
  });

  test('GET /rooms is newest first and paged without repeats or holes', async () => {
    const dan = await mint(cluster, 'dan');
    for (let i = 0; i < 7; i++) await make(dan, `page-${i}`, i % 2 ? 'public' : 'group');
    const all = (await api('GET', '/rooms', dan)).json;
    // Rooms are made by the shards that own them: their clocks agree within what one round trip to PostgreSQL tells.
    assert.deepEqual(all.rooms.map((r) => r.id).sort(), [0, 1, 2, 3, 4, 5, 6].map((i) => `page-${i}`));
    const age = (r) => Date.parse(r.created_at);
    assert.ok(all.rooms.every((r, i) => !i || age(r) <= age(all.rooms[i - 1])), JSON.stringify(all.rooms));
    assert.equal(all.hasMore, false);
    assert.equal(all.nextCursor, null);
    const seen = [];
    let cursor = '';
    do {
      const page = (await api('GET', `/rooms?limit=3${cursor && `&cursor=${cursor}`}`, dan, undefined, seen.length)).json;
      seen.push(...page.rooms.map((r) => r.id));
      assert.equal(page.hasMore, page.nextCursor !== null);
      cursor = page.nextCursor;
    } while (cursor);
    assert.deepEqual(seen, all.rooms.map((r) => r.id));
    assert.deepEqual((await api('GET', '/rooms?type=public', dan)).json.rooms.map((r) => r.id),
      all.rooms.filter((r) => r.type === 'public').map((r) => r.id));
    for (const bad of ['limit=0', 'limit=1001', 'limit=x', 'cursor=', 'cursor=12', 'cursor=x.r', 'cursor=1.a%20b', 'type=castle', 'userId=a%20b']) {
      assert.equal((await api('GET', `/rooms?${bad}`, dan)).status, 400, bad);
    }
    assert.equal((await api('GET', '/rooms?userId=dan', eve)).status, 403, 'another user is for admins');
    assert.deepEqual((await api('GET', '/rooms?userId=dan', admin)).json.rooms.map((r) => r.id), all.rooms.map((r) => r.id));
    const everything = (await api('GET', '/rooms', admin)).json.rooms.map((r) => r.id);
    assert.ok(everything.includes('closed') && everything.includes('page-0'));
  });

  test('PATCH /rooms/{id}: name, type and settings, by owners and admins, seen by native sockets', async () => {
    await make(ada, 'change', 'group', ['bob']);
    const [native, old] = await Promise.all([
      Client.join(cluster.ws(1), 'change', bob, { native: true }), Client.join(cluster.ws(0), 'change', bob),
    ]);
    assert.equal((await api('PATCH', '/rooms/change', bob, { name: 'Mine' })).status, 403);
    const got = await api('PATCH', '/rooms/change', ada, { name: 'Better', settings: { slowModeSeconds: 5, blockedWords: ['fie'] } });
    assert.equal(got.status, 200, got.text);
    assert.equal(got.json.ok, true);
    assert.equal(got.json.roomId, 'change');
    const frame = await native.until((f) => f.type === 'room_updated');
    assert.equal(frame.name, 'Better');
    assert.equal(frame.userId, 'ada');
    assert.equal(frame.seq, got.json.seq);
    assert.equal(frame.settings.slowModeSeconds, 5);
    assert.ok(!('blockedWords' in frame.settings), 'what is blocked is not told to everybody');
    assert.equal((await api('GET', '/rooms/change', bob)).json.room.settings.blockedWords, undefined);
    assert.deepEqual((await api('GET', '/rooms/change', ada)).json.room.settings.blockedWords, ['fie']);
    const type = await api('PATCH', '/rooms/change', admin, { type: 'announcement', shardCount: 1 });
    assert.equal(type.json.seq, got.json.seq + 1);
    assert.equal((await post(bob, 'change', 'hello')).status, 403, 'members do not write announcements');
    const { room } = (await api('GET', '/rooms/change', ada)).json;
    assert.deepEqual([room.name, room.type, room.settings.slowModeSeconds], ['Better', 'announcement', 5]);
    assert.equal((await api('PATCH', '/rooms/change', ada, { name: 'Better' })).json.seq, undefined, 'nothing to change takes no number');
    for (const [body, error] of [[{ name: '' }, 'invalid_name'], [{ name: 'x'.repeat(257) }, 'invalid_name'], [{ type: 'castle' }, 'invalid_type'], [{ type: 'dm' }, 'conflict'],
      [{ settings: { speed: 1 } }, 'invalid_settings'], [{ settings: [] }, 'invalid_settings'], [{ settings: { joinPolicy: 'maybe' } }, 'invalid_settings'], [{ e2eEnabled: true }, 'not_implemented'], [{ shardCount: 0 }, 'bad_request']]) {
      assert.equal((await api('PATCH', '/rooms/change', ada, body)).json.error, error, JSON.stringify(body).slice(0, 60));
    }
    const changes = await Promise.all(Array.from({ length: 6 }, (_, i) => api('PATCH', '/rooms/change', ada, i % 2 ? { name: `N${i}` } : { settings: { slowModeSeconds: i } }, i)));
    assert.deepEqual(changes.map((c) => c.status), Array(6).fill(200));
    const last = (await api('GET', '/rooms/change', ada)).json.room;
    assert.match(last.name, /^N[135]$/, 'two kinds of changes at once do not undo one another');
    await eventually('a change after a restart', async () => {
      const room = cluster.shards.length && (await api('GET', '/rooms/change', ada, undefined, 1)).json.room;
      return room?.name === last.name;
    });
    assert.equal(old.of('room_updated').length, 0);
    await Promise.all([native.close(), old.close()]);
  });

  test('joinPolicy: who comes in by himself, and who brings others in', async () => {
    await make(ada, 'policy', 'group');
    assert.equal((await api('GET', '/rooms/policy', eve)).status, 403);
    await api('PATCH', '/rooms/policy', ada, { settings: { joinPolicy: 'open' } });
    const socket = await Client.join(cluster.ws(0), 'policy', eve);
    assert.ok((await api('GET', '/rooms/policy/members', eve)).json.members.some((m) => m.userId === 'eve'));
    await socket.close();
    await api('PATCH', '/rooms/policy', ada, { settings: { joinPolicy: 'closed' } });
    assert.equal((await api('POST', '/rooms/policy/members', ada, { userId: 'bob' })).status, 403);
    assert.equal((await api('POST', '/rooms/policy/members', admin, { userId: 'bob' })).status, 200);
    await make(ada, 'policy-public', 'public');
    await api('PATCH', '/rooms/policy-public', ada, { settings: { joinPolicy: 'invite' } });
    const refused = await Client.open(cluster.ws(0), 'policy-public', eve);
    assert.deepEqual(await refused.untilClosed(), { code: 1008, reason: 'not_member' });
  });

  test('DELETE /rooms/{id}: all of it goes, sockets are told, and the numbers go on in a new room of that name', async () => {
    await make(ada, 'doomed', 'group', ['bob']);
    for (let i = 1; i <= 3; i++) assert.equal((await post(ada, 'doomed', `m${i}`)).json.message.seq, i);
    const [native, old] = await Promise.all([Client.join(cluster.ws(1), 'doomed', bob, { native: true }), Client.join(cluster.ws(0), 'doomed', bob)]);
    assert.equal((await api('DELETE', '/rooms/doomed', bob)).status, 403);
    const got = await api('DELETE', '/rooms/doomed', ada);
    assert.deepEqual([got.status, got.json], [200, { ok: true, roomId: 'doomed' }]);
    assert.equal((await native.until((f) => f.type === 'room_updated')).deleted, true);
    assert.deepEqual(await native.untilClosed(), { code: 1008, reason: 'room_deleted' });
    assert.deepEqual(await old.untilClosed(), { code: 1008, reason: 'room_deleted' });
    assert.equal((await api('GET', '/rooms/doomed', ada)).status, 403);
    assert.equal((await api('GET', '/rooms', ada)).json.rooms.some((r) => r.id === 'doomed'), false);
    assert.equal((await api('DELETE', '/rooms/doomed', admin)).status, 200, 'once more is no error for an admin');
    await eventually('the name is free again', async () => (await api('POST', '/rooms', eve, { id: 'doomed', name: 'Anew', type: 'group' })).status === 200);
    const members = (await api('GET', '/rooms/doomed/members', eve)).json.members;
    assert.deepEqual(members.map((m) => m.userId), ['eve']);
    assert.deepEqual((await api('GET', '/api/messages?roomId=doomed', eve)).json.messages, []);
    assert.ok((await post(eve, 'doomed', 'first')).json.message.seq > 4);
  });

  test('POST /rooms/dm and /chat/open-dm: two users have one room, also when both ask at once', async () => {
    const answers = await Promise.all([
      api('POST', '/rooms/dm', ada, { a: 'ada', b: 'bob' }, 0), api('POST', '/chat/open-dm', bob, { userId: 'ada' }, 1),
      api('POST', '/rooms/dm', bob, { a: 'ada', b: 'bob' }, 1), api('POST', '/chat/open-dm', ada, { userId: 'bob' }, 0),
    ]);
    assert.deepEqual(answers.map((a) => a.status), [200, 200, 200, 200], answers.map((a) => a.text).join());
    assert.equal(new Set(answers.map((a) => a.json.room.id)).size, 1);
    const { id } = answers[0].json.room;
    assert.equal(answers[0].json.room.type, 'dm');
    assert.ok(Date.parse(answers[0].json.room.created_at) && answers[0].json.room.createdAt);
    assert.deepEqual(answers[1].json.thread, { id, adapterSlug: 'web', channelId: id, roomId: id, created: answers[1].json.thread.created });
    assert.deepEqual(answers[1].json.room, { id, type: 'dm' });
    assert.equal((await api('POST', '/chat/open-dm', ada, { userId: 'bob' })).json.thread.created, false);
    const { members } = (await api('GET', `/rooms/${id}/members`, bob)).json;
    assert.deepEqual(members.map((m) => m.userId).toSorted(), ['ada', 'bob']);
    assert.equal((await post(bob, id, 'hi')).status, 200);
    assert.equal((await api('GET', `/rooms/${id}`, eve)).status, 403);
    for (const token of [ada, bob, admin]) {
      assert.equal((await api('POST', `/rooms/${id}/members`, token, { userId: 'eve' })).status, token === admin ? 409 : 403);
    }
    assert.equal((await api('DELETE', `/rooms/${id}/members/bob`, bob)).json.error, 'dm_members', 'one of the two cannot leave the other alone');
    assert.equal((await api('POST', '/rooms/dm', eve, { a: 'ada', b: 'bob' })).status, 403);
    assert.equal((await api('POST', '/rooms/dm', ada, { a: 'ada', b: 'ada' })).status, 400);
    assert.equal((await api('POST', '/rooms/dm', ada, { a: 'ada' })).status, 400);
    assert.equal((await api('POST', '/chat/open-dm', ada, { userId: 'a b' })).status, 400);
  });

  test('a dm made by POST /rooms is of two, and its own id cannot be taken before it', async () => {
    for (const members of [[], [{ userId: 'bob' }, { userId: 'eve' }], [{ userId: 'ada' }]]) {
      assert.equal((await api('POST', '/rooms', ada, { id: 'dm-x', name: 'x', type: 'dm', members })).status, 400);
    }
    const made = await api('POST', '/rooms', ada, { name: 'x', type: 'dm', members: [{ userId: 'eve' }] });
    const { id } = made.json.room;
    assert.equal((await api('POST', '/rooms/dm', eve, { a: 'ada', b: 'eve' })).json.room.id, id, 'the same room');
    const theirs = 'dm_' + 'ab'.repeat(16);
    assert.equal((await api('POST', '/rooms', eve, { id: theirs, name: 'trap', type: 'group', members: [{ userId: 'ada' }] })).json.error, 'invalid_id');
    assert.equal((await api('POST', '/rooms', eve, { id: theirs, name: 'trap', type: 'dm', members: [{ userId: 'ada' }] })).json.error, 'invalid_id');
  });

  test('members: paged, roles, the last owner, and who may change whom', async () => {
    await make(ada, 'crowd', 'group', Array.from({ length: 25 }, (_, i) => `u${String(i).padStart(2, '0')}`));
    const seen = [];
    let cursor = '';
    do {
      const page = (await api('GET', `/rooms/crowd/members?limit=10${cursor && `&cursor=${cursor}`}`, ada)).json;
      seen.push(...page.members.map((m) => m.userId));
      cursor = page.nextCursor;
    } while (cursor);
    assert.equal(seen.length, 26);
    assert.equal(new Set(seen).size, 26);
    assert.equal((await api('GET', '/rooms/crowd/members', ada)).json.members.length, 26);
    for (const bad of ['limit=0', 'limit=1001', 'cursor=a%20b']) assert.equal((await api('GET', `/rooms/crowd/members?${bad}`, ada)).status, 400, bad);
    assert.equal((await api('DELETE', '/rooms/crowd/members/ada', ada)).json.error, 'last_owner');
    assert.equal((await api('POST', '/rooms/crowd/members', ada, { userId: 'ada', role: 'member' })).json.error, 'last_owner');
    assert.equal((await api('POST', '/rooms/crowd/members', ada, { userId: 'bob', role: 'admin' })).json.role, 'admin');
    assert.equal((await api('POST', '/rooms/crowd/members', bob, { userId: 'bob', role: 'owner' })).status, 403);
    assert.equal((await api('POST', '/rooms/crowd/members', bob, { userId: 'u00', role: 'moderator' })).status, 200);
    assert.equal((await api('DELETE', '/rooms/crowd/members/u01', bob)).json.ok, true);
    assert.equal((await api('POST', '/rooms/crowd/members', ada, { userId: 'bob', role: 'owner' })).status, 200);
    assert.equal((await api('DELETE', '/rooms/crowd/members/ada', ada)).json.ok, true, 'with another owner one may go');
    const rows = await cluster.sql("SELECT action, actor_id, target_id FROM audit_events WHERE room_id = 'crowd' ORDER BY id");
    assert.deepEqual(rows, [['member.add', 'ada', 'bob'], ['member.role', 'bob', 'u00'], ['member.remove', 'bob', 'u01'], ['member.role', 'ada', 'bob']]);
  });

  test('PATCH /rooms/{id}/members/me/preferences', async () => {
    await make(ada, 'prefs', 'group', ['bob']);
    const patch = (token, body) => api('PATCH', '/rooms/prefs/members/me/preferences', token, body);
    const got = await patch(bob, { notifyEnabled: false });
    assert.deepEqual([got.json.member.userId, got.json.member.role, got.json.member.notifyEnabled, got.json.member.preferences], ['bob', 'member', false, {}]);
    const second = await patch(bob, { preferences: { colour: 'red', nested: { a: [1] } } });
    assert.deepEqual([second.json.member.notifyEnabled, second.json.member.preferences], [false, { colour: 'red', nested: { a: [1] } }]);
    for (const query of ['', '?limit=1']) {
      const { members } = (await api('GET', `/rooms/prefs/members${query}`, ada)).json;
      const row = members.find((m) => m.userId === 'bob');
      if (row) assert.deepEqual([row.notifyEnabled, row.preferences], [false, { colour: 'red', nested: { a: [1] } }]);
    }
    assert.equal((await patch(eve, { notifyEnabled: true })).json.error, 'forbidden');
    assert.equal((await patch(admin, { notifyEnabled: true })).json.error, 'not_member');
    assert.equal((await patch(bob, { notifyEnabled: 'yes' })).status, 400);
    assert.equal((await patch(bob, { preferences: [] })).status, 400);
    assert.equal((await patch(bob, { preferences: { x: 'y'.repeat(5000) } })).status, 400);
  });

  test('PATCH /rooms/{id}/pin: a durable event for everybody, also for who was away', async () => {
    await make(ada, 'pins', 'group', ['bob']);
    const first = (await post(ada, 'pins', 'one')).json.message;
    const second = (await post(ada, 'pins', 'two')).json.message;
    const whisper = (await post(ada, 'pins', 'psst', { visibility: 'whisper', visibleTo: ['bob'] })).json.message;
    const [old, native] = await Promise.all([Client.join(cluster.ws(0), 'pins', ada), Client.join(cluster.ws(1), 'pins', bob, { native: true })]);
    const pin = (token, messageId) => api('PATCH', '/rooms/pins/pin', token, { messageId });
    const got = await pin(bob, first.id);
    assert.deepEqual(got.json, { ok: true, roomId: 'pins', pinnedMessageId: first.id, seq: whisper.seq + 1 });
    for (const client of [old, native]) {
      const frame = await client.until((f) => f.type === 'message_pinned');
      assert.deepEqual({ ...frame, pinnedAt: '' }, { type: 'message_pinned', roomId: 'pins', pinnedBy: 'bob', pinnedAt: '', seq: got.json.seq, messageId: first.id });
      assert.ok(Date.parse(frame.pinnedAt));
    }
    const { room } = (await api('GET', '/rooms/pins', ada, undefined, 1)).json;
    assert.deepEqual([room.pinned_message_id, room.pinned_by_user_id], [first.id, 'bob']);
    const row = (await api('GET', '/rooms', ada, undefined, 1)).json.rooms.find((r) => r.id === 'pins');
    assert.deepEqual([row.pinned_message_id, row.pinned_by_user_id, row.pinned_at], [first.id, 'bob', room.pinned_at]);
    assert.equal((await pin(ada, first.id)).json.seq, undefined, 'it is pinned already');
    await native.close();
    assert.equal((await pin(ada, second.id)).status, 200);
    const back = await Client.join(cluster.ws(0), 'pins', bob, { native: true, query: { lastSeq: String(got.json.seq) } });
    const replay = await back.until((f) => f.type === 'replay');
    assert.deepEqual(replay.events.map((e) => [e.seq, e.payload.messageId, e.payload.pinnedBy]), [[got.json.seq + 1, second.id, 'ada']]);
    await api('DELETE', `/messages/${second.id}`, ada);
    assert.equal((await back.until((f) => f.type === 'message_pinned')).messageId, null, 'a deleted message does not stay pinned');
    assert.equal((await api('GET', '/rooms/pins', ada)).json.room.pinned_message_id, null);
    await pin(ada, first.id);
    assert.equal((await pin(bob, null)).json.pinnedMessageId, null);
    assert.equal((await api('GET', '/rooms/pins', bob)).json.room.pinned_at, null);
    assert.equal((await pin(bob, second.id)).status, 404);
    assert.equal((await pin(bob, whisper.id)).json.error, 'conflict');
    assert.equal((await pin(bob, whisper.id + 9_000_000)).status, 404);
    assert.equal((await pin(eve, first.id)).status, 403);
    for (const bad of ['1', 0, 1.5, undefined]) assert.equal((await pin(bob, bad)).status, 400, String(bad));
    await Promise.all([old.close(), back.close()]);
  });
});
