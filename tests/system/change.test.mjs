// Messages that change: edit, delete, reaction, whisper, expiry; the same over the socket and over REST, live, in history
// and for those who resume.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Client } from './support/client.mjs';
import { call, Cluster, eventually, mint } from './support/cluster.mjs';

describe('changes of messages', () => {
  let cluster, ada, bob, cyd, root;
  const rest = (method, path, token, body) => call(cluster.http(), method, path, { token, body });
  const room = async (id, members = ['bob', 'cyd']) => {
    const got = await rest('POST', '/rooms', ada, { id, name: id, type: 'group', members: members.map((userId) => ({ userId, role: 'member' })) });
    assert.equal(got.status, 200, got.text);
    return id;
  };
  const join = (gateway, id, token, options) => Client.join(cluster.ws(gateway), id, token, options);
  const post = async (token, roomId, content, more = {}) => {
    const got = await rest('POST', '/messages', token, { roomId, content, ...more });
    assert.equal(got.status, 200, got.text);
    return got.json.message;
  };
  const history = async (token, roomId, query = '') => (await rest('GET', `/api/messages?roomId=${roomId}&order=asc${query}`, token)).json;

  // Both at once, so that no room is handed over with what is in memory.
  const restartShards = async () => {
    for (const shard of ['shard-1', 'shard-2']) await cluster.node('kill', shard);
    for (const shard of ['shard-1', 'shard-2']) await cluster.node('start', shard);
  };

  before(async () => {
    cluster = await Cluster.up();
    [ada, bob, cyd] = await Promise.all(['ada', 'bob', 'cyd'].map((user) => mint(cluster, user)));
    root = await mint(cluster, 'root', { roles: ['admin'] });
  });
  after(() => cluster?.remove());

  test('an edit reaches everybody, with a seq and a version, and stays', async () => {
    const id = await room('c-edit');
    const m = await post(ada, id, 'frist @bob');
    const a = await join(0, id, ada, { native: true });
    const b = await join(1, id, bob);
    a.send({ type: 'edit', userId: 'mallory', messageId: m.id, content: 'first @cyd', frameId: 'e1' });
    const edit = await b.until((f) => f.type === 'edit');
    assert.equal(edit.id, m.id);
    assert.equal(edit.content, 'first @cyd');
    assert.equal(edit.userId, 'ada');
    assert.deepEqual(edit.mentions, ['cyd']);
    assert.equal(edit.seq, 2);
    assert.equal(edit.version, 2);
    assert.equal(edit.streaming, false);
    const ack = await a.until((f) => f.type === 'ack' && f.frameId === 'e1');
    assert.equal(ack.id, m.id);
    assert.equal(ack.seq, 2);
    assert.equal(ack.duplicate, false);
    assert.equal((await b.until((f) => f.type === 'message_updated')).content, 'first @cyd');
    assert.equal(a.of('message_updated').length, 0, 'native clients get one form');
    const patched = await rest('PATCH', `/messages/${m.id}`, ada, { content: 'once more' });
    assert.equal(patched.status, 200, patched.text);
    assert.equal(patched.json.message.id, m.id);
    assert.equal(patched.json.message.roomId, id);
    assert.equal(patched.json.message.seq, 3);
    assert.equal((await a.until((f) => f.type === 'edit' && f.seq === 3)).content, 'once more');
    const { messages, currentSeq } = await history(bob, id);
    assert.equal(currentSeq, 3);
    assert.deepEqual(messages.map((x) => [x.id, x.content, x.version, x.seq, x.updatedSeq]), [[m.id, 'once more', 3, 1, 3]]);
    assert.ok(messages[0].editedAt > messages[0].createdAt);
    await Promise.all([a, b].map((c) => c.close()));
  });

  test('only the author edits, only the living can be edited', async () => {
    const id = await room('c-rights');
    const m = await post(ada, id, 'mine');
    const b = await join(1, id, bob);
    b.send({ type: 'edit', messageId: m.id, content: 'ours', frameId: 'x' });
    assert.equal((await b.until((f) => f.type === 'error' && f.frameId === 'x')).code, 'forbidden');
    assert.equal((await rest('PATCH', `/messages/${m.id}`, bob, { content: 'ours' })).status, 403);
    assert.equal((await rest('DELETE', `/messages/${m.id}`, bob)).status, 403);
    assert.equal((await rest('PATCH', '/messages/1', ada, { content: 'x' })).json.error, 'message_not_found');
    assert.equal((await rest('PATCH', '/messages/nonsense', ada, { content: 'x' })).status, 404);
    assert.equal((await rest('PATCH', `/messages/${m.id}`, ada, { content: '  ' })).json.error, 'invalid_content');
    assert.equal((await rest('PATCH', `/messages/${m.id}`, await mint(cluster, 'stranger'), { content: 'x' })).json.error, 'message_not_found');
    assert.equal((await rest('DELETE', `/messages/${m.id}`, ada)).status, 200);
    assert.equal((await rest('PATCH', `/messages/${m.id}`, ada, { content: 'late' })).status, 409);
    b.send({ type: 'reaction', messageId: m.id, emoji: '👍', op: 'add', frameId: 'y' });
    assert.equal((await b.until((f) => f.type === 'error' && f.frameId === 'y')).code, 'message_deleted');
    await b.close();
  });

  test('a delete leaves a tombstone, and is done once', async () => {
    const id = await room('c-delete');
    const m = await post(ada, id, 'secret words');
    await post(ada, id, 'stays');
    const b = await join(1, id, bob, { native: true });
    const old = await join(0, id, cyd);
    const gone = await rest('DELETE', `/messages/${m.id}`, ada);
    assert.equal(gone.json.ok, true);
    assert.equal(gone.json.hard, false);
    const frame = await b.until((f) => f.type === 'delete');
    assert.deepEqual([frame.id, frame.userId, frame.hard, frame.seq], [m.id, 'ada', false, 3]);
    await old.until((f) => f.type === 'message_deleted');
    const again = await rest('DELETE', `/messages/${m.id}`, ada);
    assert.equal(again.status, 200);
    assert.equal(again.json.deletedAt, gone.json.deletedAt);
    assert.equal(again.json.seq, 3);
    const { messages, currentSeq } = await history(bob, id);
    assert.deepEqual(messages.map((x) => x.content), ['stays']);
    assert.equal(currentSeq, 3);
    const [[content, extra]] = await cluster.sql(`select '<' || content || '>', extra is null from timeline where project_id = '${cluster.project}' and id = ${m.id}`);
    assert.deepEqual([content, extra], ['<>', 't']);
    assert.equal((await rest('DELETE', `/messages/${m.id}?hard=true`, ada)).status, 403);
    const hard = await rest('DELETE', `/messages/${m.id}?hard=true`, root);
    assert.equal(hard.json.hard, true);
    assert.equal((await b.until((f) => f.type === 'delete' && f.hard)).deletedBy, 'root');
    await Promise.all([b, old].map((c) => c.close()));
  });

  test('reactions count, each user once per emoji', async () => {
    const id = await room('c-react');
    const m = await post(ada, id, 'like it?');
    const a = await join(0, id, ada, { native: true });
    const b = await join(1, id, bob, { native: true });
    b.send({ type: 'reaction', userId: 'ada', messageId: m.id, emoji: '👍', op: 'add', frameId: 'r1' });
    const frame = await a.until((f) => f.type === 'reaction');
    assert.deepEqual([frame.userId, frame.messageId, frame.emoji, frame.op, frame.seq], ['bob', m.id, '👍', 'add', 2]);
    b.send({ type: 'reaction', messageId: m.id, emoji: '👍', op: 'add', frameId: 'r2' });
    const repeat = await b.until((f) => f.type === 'ack' && f.frameId === 'r2');
    assert.equal(repeat.duplicate, true);
    const made = await rest('POST', `/messages/${m.id}/reactions`, ada, { emoji: '👍' });
    assert.deepEqual(made.json.reaction, { roomId: id, userId: 'ada', messageId: m.id, emoji: '👍', op: 'add', seq: 3 });
    await rest('POST', `/messages/${m.id}/reactions`, cyd, { emoji: '🎉' });
    let page = await history(ada, id);
    assert.deepEqual(page.reactions, { [m.id]: { '👍': 2, '🎉': 1 } });
    assert.deepEqual(page.messages[0].reactions, { '👍': 2, '🎉': 1 });
    assert.deepEqual(page.messages[0].myReactions, ['👍']);
    assert.equal((await rest('DELETE', `/messages/${m.id}/reactions`, ada, { emoji: '👍' })).json.reaction.op, 'remove');
    page = await history(ada, id);
    assert.deepEqual(page.reactions, { [m.id]: { '👍': 1, '🎉': 1 } });
    assert.equal((await rest('POST', `/messages/${m.id}/reactions`, ada, { emoji: 'a b' })).json.error, 'invalid_emoji');
    assert.equal((await rest('POST', `/messages/${m.id}/reactions`, ada, {})).json.error, 'invalid_emoji');
    const late = await join(0, id, cyd);
    assert.deepEqual(late.frames[0].reactions, { [m.id]: { '👍': 1, '🎉': 1 } });
    await Promise.all([a, b, late].map((c) => c.close()));
  });

  test('a whisper is nobody else\'s by any path', async () => {
    const id = await room('c-whisper', ['bob', 'cyd']);
    const a = await join(0, id, ada, { native: true });
    const b = await join(1, id, bob, { native: true });
    const c = await join(1, id, cyd, { native: true });
    const r = await join(0, id, root, { native: true });
    const oldC = await join(0, id, cyd);
    a.message('psst @bob @cyd', 'w1', { visibility: 'whisper', visibleTo: ['bob'] });
    const heard = await b.until((f) => f.type === 'message');
    assert.equal(heard.visibility, 'whisper');
    assert.deepEqual(heard.visibleTo, ['ada', 'bob']);
    assert.deepEqual(heard.mentions, ['bob'], 'a mention of somebody who may not see it is none');
    assert.equal(heard.seq, 1);
    assert.deepEqual(await c.until((f) => f.type === 'skip'), { type: 'skip', roomId: id, seq: 1 });
    await r.until((f) => f.type === 'skip');
    const m = heard.id;
    assert.equal((await rest('PATCH', `/messages/${m}`, cyd, { content: 'x' })).json.error, 'message_not_found');
    assert.equal((await rest('POST', `/messages/${m}/reactions`, cyd, { emoji: '👍' })).json.error, 'message_not_found');
    assert.equal((await rest('POST', '/messages', cyd, { roomId: id, content: 're', replyTo: m })).json.error, 'message_not_found');
    await rest('POST', `/messages/${m}/reactions`, bob, { emoji: '🤫' });
    await a.until((f) => f.type === 'reaction');
    await rest('PATCH', `/messages/${m}`, ada, { content: 'psst again' });
    await b.until((f) => f.type === 'edit');
    await post(ada, id, 'for all');
    await Promise.all([c, r, oldC].map((x) => x.until((f) => f.content === 'for all')));
    for (const token of [cyd, root]) assert.deepEqual((await history(token, id)).messages.map((x) => x.content), ['for all']);
    assert.deepEqual((await history(bob, id)).messages.map((x) => x.content), ['psst again', 'for all']);
    const back = await Client.join(cluster.ws(1), id, cyd, { native: true, query: { lastSeq: '0' } });
    await back.until((f) => f.type === 'replay' && !f.more);
    const frames = [...c.frames, ...r.frames, ...oldC.frames, ...back.frames];
    assert.equal(JSON.stringify(frames).includes('psst'), false);
    assert.deepEqual(c.frames.filter((f) => f.seq).map((f) => [f.type, f.seq]), [['skip', 1], ['skip', 2], ['skip', 3], ['message', 4]]);
    const refused = async (more, code) => assert.equal((await rest('POST', '/messages', ada, { roomId: id, content: 'x', ...more })).json.error, code);
    await refused({ visibility: 'whisper' }, 'invalid_visibility');
    await refused({ visibility: 'whisper', visibleTo: ['nobody'] }, 'invalid_visibility');
    await refused({ visibility: 'whisper', visibleTo: ['ada'] }, 'invalid_visibility');
    await refused({ visibleTo: ['bob'] }, 'invalid_visibility');
    const toRole = await post(bob, id, 'to the owner', { visibility: 'whisper', visibleTo: ['role:owner'] });
    assert.deepEqual(toRole.visibleTo, ['bob', 'ada']);
    await Promise.all([a, b, c, r, oldC, back].map((x) => x.close()));
  });

  test('a change with a clientMessageId is made once, by whichever socket it comes again', async () => {
    const id = await room('c-key');
    const m = await post(ada, id, 'once');
    const a = await join(0, id, ada, { native: true });
    a.send({ type: 'edit', messageId: m.id, content: 'edited', clientMessageId: 'k1' });
    const ack = await a.until((f) => f.type === 'ack' && f.clientMessageId === 'k1');
    assert.deepEqual([ack.seq, ack.duplicate], [2, false]);
    const again = await join(1, id, ada, { native: true });
    again.send({ type: 'edit', messageId: m.id, content: 'edited', clientMessageId: 'k1' });
    const repeat = await again.until((f) => f.type === 'ack' && f.clientMessageId === 'k1');
    assert.deepEqual([repeat.seq, repeat.duplicate], [2, true]);
    again.send({ type: 'reaction', messageId: m.id, emoji: '👍', op: 'add', clientMessageId: 'k 2' });
    assert.equal((await again.until((f) => f.type === 'error')).code, 'invalid_client_message_id');
    again.send({ type: 'edit', messageId: 1, content: 'x', clientMessageId: 'k3' });
    assert.equal((await again.until((f) => f.type === 'error' && f.clientMessageId === 'k3')).code, 'message_not_found');
    assert.deepEqual((await history(ada, id)).messages.map((x) => x.version), [2]);
    await Promise.all([a, again].map((c) => c.close()));
  });

  test('who resumes gets each changed row once, in its last state', async () => {
    const id = await room('c-resume');
    const ms = [];
    for (let i = 0; i < 6; i++) ms.push(await post(ada, id, `m${i}`));
    const b = await join(1, id, bob, { native: true });
    await b.close();
    await rest('PATCH', `/messages/${ms[0].id}`, ada, { content: 'edited' }); // 7
    await rest('PATCH', `/messages/${ms[0].id}`, ada, { content: 'edited twice' }); // 8
    await rest('DELETE', `/messages/${ms[1].id}`, ada); // 9
    await rest('POST', `/messages/${ms[2].id}/reactions`, cyd, { emoji: '👍' }); // 10
    const late = await post(ada, id, 'new'); // 11
    await rest('PATCH', `/messages/${late.id}`, ada, { content: 'new, edited' }); // 12
    const back = await Client.join(cluster.ws(0), id, bob, { native: true, query: { lastSeq: '6' } });
    const replay = back.frames.find((f) => f.type === 'replay');
    assert.deepEqual([replay.fromSeq, replay.toSeq, replay.currentSeq, replay.more, replay.reset], [6, 12, 12, false, false]);
    assert.deepEqual(replay.events.map((e) => [e.seq, e.eventType, e.messageId]), [[8, 'update', ms[0].id], [9, 'delete', ms[1].id], [10, 'update', ms[2].id], [12, 'create', late.id]]);
    assert.deepEqual(replay.messages.map((m) => [m.content, m.updatedSeq]), [['edited twice', 8], ['m2', 10], ['new, edited', 12]]);
    assert.deepEqual(replay.reactions, { [ms[2].id]: { '👍': 1 } });
    back.send({ type: 'resume', lastSeq: 9 });
    const again = await back.until((f) => f.type === 'replay' && f.fromSeq === 9);
    assert.deepEqual(again.events.map((e) => e.seq), [10, 12]);
    await back.close();
  });

  test('changes of a message that has long left memory', async () => {
    const id = await room('c-old');
    const first = await post(ada, id, 'long ago');
    await cluster.sql(`insert into timeline (project_id, room_id, seq, updated_seq, id, created_at, dedupe, kind, version, user_id, content, message_no)
      select '${cluster.project}', '${id}', 1 + i, 1 + i, ${first.id} + i, now() + i * interval '1 millisecond', gen_random_uuid(), 1, 1, 'ada', 'filler', 1 + i from generate_series(1, 1500) i`);
    await cluster.sql(`update rooms set last_seq = 1501, last_id = ${first.id} + 1500, last_created_at = now() + interval '1501 milliseconds', message_count = 1501, fence = 0 where project_id = '${cluster.project}' and room_id = '${id}'`);
    await restartShards();
    const b = await join(1, id, bob, { native: true });
    assert.equal((await rest('PATCH', `/messages/${first.id}`, ada, { content: 'not forgotten' })).json.message?.seq, 1502);
    assert.equal((await b.until((f) => f.type === 'edit')).content, 'not forgotten');
    await rest('POST', `/messages/${first.id}/reactions`, bob, { emoji: '👴' });
    await b.until((f) => f.type === 'reaction' && f.seq === 1503);
    const back = await Client.join(cluster.ws(0), id, cyd, { native: true, query: { lastSeq: '1501' } });
    const replay = back.frames.find((f) => f.type === 'replay');
    assert.deepEqual(replay.events.map((e) => [e.seq, e.eventType]), [[1503, 'update']]);
    assert.equal(replay.messages[0].content, 'not forgotten');
    await Promise.all([b, back].map((c) => c.close()));
  });

  test('an expired message is gone on time, also while the room sleeps', async () => {
    const id = await room('c-expire');
    const b = await join(1, id, bob, { native: true });
    const soon = await post(ada, id, 'burns', { expiresInSeconds: 60 });
    assert.ok(soon.expiresAt);
    const live = await b.until((f) => f.type === 'message');
    assert.equal(live.expiresAt, soon.expiresAt);
    // Time is not waited for: the row's hour is moved, and the room forgets what it knew.
    await cluster.sql(`update timeline set expires_at = now() + interval '1 second' where project_id = '${cluster.project}' and id = ${soon.id}`);
    await restartShards();
    const expired = await b.until((f) => f.type === 'message_expired', 15000);
    assert.equal(expired.id, soon.id);
    assert.equal((await b.until((f) => f.type === 'delete')).seq, 2);
    assert.deepEqual((await history(bob, id)).messages, []);
    const [[content, flags]] = await cluster.sql(`select '<' || content || '>', flags from timeline where project_id = '${cluster.project}' and id = ${soon.id}`);
    assert.deepEqual([content, Number(flags) & 4], ['<>', 4]);
    const refused = async (more) => assert.equal((await rest('POST', '/messages', ada, { roomId: id, content: 'x', ...more })).json.error, 'invalid_expiry');
    await refused({ expiresInSeconds: 59 });
    await refused({ expiresInSeconds: 604801 });
    await refused({ expiresAt: '2020-01-01T00:00:00Z' });
    await refused({ expiresAt: 'tomorrow' });
    await b.close();
  });

  test('two who change at once: every change has its number, none is lost', async () => {
    const id = await room('c-race');
    const m = await post(ada, id, 'v0');
    const sockets = await Promise.all([ada, bob, cyd].map((token, i) => join(i % 2, id, token, { native: true })));
    for (let i = 1; i <= 20; i++) {
      sockets[0].send({ type: 'edit', messageId: m.id, content: `v${i}`, frameId: `e${i}` });
      sockets[1].send({ type: 'reaction', messageId: m.id, emoji: `e${i}`, op: 'add', frameId: `r${i}` });
      sockets[2].send({ type: 'reaction', messageId: m.id, emoji: `e${i}`, op: 'add', frameId: `r${i}` });
    }
    await Promise.all(sockets.map((s) => eventually('all acknowledged', () => s.of('ack').length === 20)));
    await Promise.all(sockets.map((s) => s.until((f) => f.seq === 61)));
    for (const s of sockets) {
      const seqs = s.frames.filter((f) => ['edit', 'reaction'].includes(f.type)).map((f) => f.seq);
      assert.deepEqual(seqs, Array.from({ length: 60 }, (_, i) => i + 2));
    }
    const { messages } = await history(bob, id);
    assert.equal(messages[0].content, 'v20');
    assert.equal(messages[0].version, 21);
    assert.equal(Object.values(messages[0].reactions).reduce((a, b) => a + b), 40);
    await Promise.all(sockets.map((s) => s.close()));
  });
});
