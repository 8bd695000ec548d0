// What somebody must not learn, nor reach, by a side way: of whispers, of rooms that are not his, with a token for one room.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Client } from './support/client.mjs';
import { call, Cluster, mint } from './support/cluster.mjs';
import { forge } from './support/token.mjs';

describe('confined', () => {
  let cluster;
  const tokens = {};
  const api = (method, path, who, body, gateway = 0) => call(cluster.http(gateway), method, path, { token: tokens[who] ?? who, body });
  const ok = async (method, path, who, body) => {
    const got = await api(method, path, who, body);
    assert.ok(got.status === 200 || got.status === 201, `${method} ${path}: ${got.text}`);
    return got.json;
  };
  const word = async (method, path, who, body) => (await api(method, path, who, body)).json.error;
  const room = (id, members = ['bob', 'cyd'], type = 'group') => ok('POST', '/rooms', 'ada', { id, name: id, type, members: members.map((userId) => ({ userId })) });
  const post = async (who, roomId, content, more = {}) => (await ok('POST', '/messages', who, { roomId, content, ...more })).message;
  const whisper = (to, more = {}) => ({ visibility: 'whisper', visibleTo: to, ...more });

  before(async () => {
    cluster = await Cluster.up();
    for (const user of ['ada', 'bob', 'cyd', 'eve']) tokens[user] = await mint(cluster, user);
    tokens.root = await mint(cluster, 'root', { roles: ['admin'] });
  });
  after(() => cluster?.remove());

  test('a reply to a whisper is for those of the whisper, and never for more', async () => {
    await room('re');
    const cyd = await Client.join(cluster.ws(1), 're', tokens.cyd, { native: true });
    const secret = await post('ada', 're', 'psst', whisper(['bob']));
    const reply = await post('bob', 're', 'psst yourself', { replyTo: secret.id });
    assert.deepEqual([reply.visibility, reply.visibleTo.toSorted(), reply.parentId], ['whisper', ['ada', 'bob'], secret.id]);
    const named = await post('bob', 're', 'psst again', whisper(['ada'], { replyTo: secret.id }));
    assert.equal(named.parentId, secret.id);
    for (const more of [{ visibility: 'room' }, whisper(['ada', 'cyd'])]) assert.equal(await word('POST', '/messages', 'bob', { roomId: 're', content: 'psst', replyTo: secret.id, ...more }), 'invalid_visibility');
    const bob = await Client.join(cluster.ws(0), 're', tokens.bob, { native: true });
    bob.message('psst by frame', 'r1', { parentId: secret.id });
    await bob.until((f) => f.type === 'message' && f.content === 'psst by frame' && f.visibility === 'whisper');
    bob.send({ type: 'stream', op: 'start', parentId: secret.id, frameId: 's1' });
    assert.equal((await bob.until((f) => f.frameId === 's1')).code, 'invalid_visibility');
    const open = await post('bob', 're', 'for all');
    await cyd.until((f) => f.id === open.id);
    assert.equal(JSON.stringify(cyd.frames).includes('psst'), false);
    assert.equal(cyd.frames.some((f) => f.parentId === secret.id), false);
    assert.equal(cyd.of('skip').at(-1).toSeq ?? cyd.of('skip').at(-1).seq, open.seq - 1);
    const seen = (await ok('GET', '/api/messages?roomId=re', 'cyd')).messages;
    assert.deepEqual(seen.map((m) => [m.content, m.parentId]), [['for all', null]]);
    await Promise.all([bob.close(), cyd.close()]);
  });

  test('a stream that asks for fewer eyes or an end is refused, not shown to all for ever', async () => {
    await room('st');
    const ada = await Client.join(cluster.ws(0), 'st', tokens.ada, { native: true });
    const cases = [[whisper(['bob']), 'invalid_visibility'], [{ visibleTo: ['bob'] }, 'invalid_visibility'], [{ visibility: 'secret' }, 'invalid_visibility'],
      [{ expiresInSeconds: 60 }, 'invalid_expiry'], [{ expiresAt: '2099-01-01T00:00:00.000Z' }, 'invalid_expiry']];
    for (const [i, [more, code]] of cases.entries()) {
      ada.send({ type: 'stream', op: 'start', frameId: `c${i}`, ...more });
      assert.equal((await ada.until((f) => f.frameId === `c${i}`)).code, code, JSON.stringify(more));
    }
    assert.deepEqual((await ok('GET', '/api/messages?roomId=st', 'bob')).messages, []);
    ada.send({ type: 'stream', op: 'start', visibility: 'room', frameId: 'open' });
    await ada.until((f) => f.type === 'stream' && f.op === 'started');
    await ada.close();
  });

  test('nobody is told by another word that there is a whisper, or a room, that is not his', async () => {
    await room('told', ['bob', 'cyd']);
    const secret = await post('ada', 'told', 'psst', whisper(['bob']));
    for (const id of [secret.id, secret.id + 9_000_000]) assert.equal(await word('DELETE', `/messages/${id}?hard=true`, 'cyd'), 'message_not_found');
    assert.equal(await word('DELETE', `/messages/${secret.id}?hard=true`, 'bob'), 'forbidden');
    for (const id of ['told', 'no-such-room']) assert.equal(await word('PATCH', `/rooms/${id}/members/me/preferences`, 'eve', { notifyEnabled: false }), 'forbidden');
    assert.equal(await word('PATCH', '/rooms/told/members/me/preferences', 'root', { notifyEnabled: false }), 'not_member');
  });

  test('who is banned does not become a member again before the ban is lifted', async () => {
    await room('ban', ['bob']);
    await ok('POST', '/admin/ban', 'ada', { roomId: 'ban', userId: 'bob' });
    assert.equal(await word('POST', '/rooms/ban/members', 'ada', { userId: 'bob' }), 'banned');
    assert.equal(await word('POST', '/rooms/ban/members', 'root', { userId: 'bob' }), 'banned');
    assert.equal(await word('POST', '/rooms/ban/members', 'eve', { userId: 'bob' }), 'forbidden', 'who may not add is not told of the ban');
    await post('ada', 'ban', 'giraffe @bob');
    for (const path of ['/rooms', '/inbox', '/notifications', '/search/conversations?q=giraffe']) assert.equal((await api('GET', path, 'bob')).text.includes('"ban"'), false, path);
    await ok('POST', '/admin/unban', 'ada', { roomId: 'ban', userId: 'bob' });
    await ok('POST', '/rooms/ban/members', 'ada', { userId: 'bob' });
    assert.equal((await ok('GET', '/api/messages?roomId=ban', 'bob')).messages.length, 1);
  });

  test('a room that is made anew gives out nothing of the deleted one, not even to who was in it', async () => {
    await room('anew', ['bob', 'cyd']);
    const m = await post('ada', 'anew', 'walrus @bob');
    await ok('POST', '/reports', 'bob', { roomId: 'anew', messageId: m.id, reason: 'told in confidence' });
    const sent = await call(cluster.http(), 'POST', '/upload', { token: tokens.ada, body: 'x'.repeat(600_000), headers: { 'Content-Type': 'text/plain', 'X-File-Name': 'a.txt', 'X-Room-Id': 'anew' } });
    assert.equal((await api('GET', sent.json.file.url, 'bob')).status, 200, sent.text);
    await ok('DELETE', '/rooms/anew', 'ada');
    await ok('POST', '/rooms', 'eve', { id: 'anew', name: 'anew', type: 'group', members: [{ userId: 'bob' }] });
    for (const who of ['eve', 'bob', 'ada']) assert.equal((await api('GET', sent.json.file.url, who)).status, 404, who);
    assert.deepEqual((await ok('GET', '/admin/reports', 'eve')).reports, []);
    assert.deepEqual((await ok('GET', '/admin/reports?roomId=anew', 'root')).reports, []);
    for (const path of ['/api/messages?roomId=anew', '/search/messages?q=walrus', '/inbox', '/notifications', '/export/messages.json?roomId=anew']) assert.equal((await api('GET', path, 'bob')).text.replace('"query":"walrus"', '').includes('walrus'), false, path);
    assert.deepEqual(await cluster.sql(`select count(*) from file_chunks where key = '${sent.json.file.key}'`), [['0']]);
  });

  test('a token for one room neither reads nor changes what is noted of another', async () => {
    await Promise.all([room('mine', ['bob']), room('other', ['bob'])]);
    const pinned = await forge(cluster, 'bob', 600, { roomId: 'mine' });
    const ids = {};
    for (const id of ['mine', 'other']) {
      const m = await post('ada', id, 'hello @bob');
      const f = await ok('POST', '/inbox/follow-ups', 'bob', { messageId: m.id, note: `note of ${id}` });
      ids[id] = { message: m.id, follow: f.followUp.id };
    }
    for (const [method, path, body] of [['PATCH', `/inbox/follow-ups/${ids.other.follow}`, { note: 'x' }], ['PATCH', `/inbox/follow-ups/${ids.other.follow}`, { note: 'x', roomId: 'other' }],
      ['DELETE', `/inbox/follow-ups/${ids.other.follow}`], ['POST', `/notifications/${ids.other.message}/read`]]) assert.equal(await word(method, path, pinned, body), 'not_found', `${method} ${path}`);
    assert.equal(await word('POST', '/notifications/read-all', pinned), 'forbidden');
    const { followUps } = await ok('GET', '/inbox', 'bob');
    assert.deepEqual(followUps.map((f) => f.note).toSorted(), ['note of mine', 'note of other']);
    assert.equal((await ok('GET', '/notifications?roomId=other', 'bob')).unread_count, 1);
    assert.equal((await ok('PATCH', `/inbox/follow-ups/${ids.mine.follow}`, pinned, { note: 'y' })).followUp.note, 'y');
    await ok('POST', `/notifications/${ids.mine.message}/read`, pinned);
    await ok('DELETE', `/inbox/follow-ups/${ids.mine.follow}`, pinned);
    assert.equal((await ok('GET', '/notifications?roomId=mine', 'bob')).unread_count, 0);
  });
});
