// Token streams: start, deltas, end; who comes in the middle; streams that nobody ends.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Client } from './support/client.mjs';
import { call, Cluster, eventually, mint } from './support/cluster.mjs';

describe('token streams', () => {
  let cluster, ada, bob, cyd;
  const room = async (id) => {
    const got = await call(cluster.http(), 'POST', '/rooms', { token: ada, body: { id, name: id, type: 'group', members: ['bob', 'cyd'].map((userId) => ({ userId, role: 'member' })) } });
    assert.equal(got.status, 200, got.text);
    return id;
  };
  const join = (gateway, id, token, options) => Client.join(cluster.ws(gateway), id, token, options);
  const history = async (token, id) => (await call(cluster.http(), 'GET', `/api/messages?roomId=${id}&order=asc`, { token })).json.messages;
  const row = async (id) => (await cluster.sql(`select '<' || content || '>', flags & 1 from timeline where project_id = '${cluster.project}' and id = ${id}`))[0];

  before(async () => {
    cluster = await Cluster.up();
    [ada, bob, cyd] = await Promise.all(['ada', 'bob', 'cyd'].map((user) => mint(cluster, user)));
  });
  after(() => cluster?.remove());

  test('a stream grows before everybody\'s eyes and is kept at its end', async () => {
    const id = await room('s-grow');
    const a = await join(0, id, ada, { native: true });
    const b = await join(1, id, bob, { native: true });
    const old = await join(1, id, cyd);
    a.send({ type: 'stream', op: 'start', clientMessageId: 'st-1', frameId: 'f1' });
    const started = await a.until((f) => f.type === 'stream' && f.op === 'started');
    const ack = await a.until((f) => f.type === 'ack' && f.frameId === 'f1');
    assert.equal(ack.id, started.id);
    assert.equal(ack.clientMessageId, 'st-1');
    const first = await b.until((f) => f.type === 'message');
    assert.deepEqual([first.id, first.content, first.streaming, first.seq], [started.id, '', true, 1]);
    const words = Array.from({ length: 300 }, (_, i) => `w${i} `);
    for (const content of words) a.send({ type: 'stream', op: 'delta', content });
    await eventually('all deltas were shown', () => b.of('stream').map((f) => f.content).join('') === words.join(''));
    let text = '';
    for (const f of b.of('stream')) {
      assert.deepEqual([f.op, f.id, f.userId, f.offset], ['delta', started.id, 'ada', text.length]);
      text += f.content;
    }
    assert.ok(b.of('stream').length < 100, 'deltas are gathered');
    const so_far = await old.until((f) => f.type === 'edit' && f.content === text);
    assert.equal(so_far.streaming, true);
    assert.equal(so_far.seq, undefined, 'what is not stored has no number');
    assert.equal(old.of('stream').length, 0);
    const middle = await join(0, id, cyd, { native: true });
    const state = middle.frames.find((f) => f.type === 'streamState');
    assert.deepEqual([state.messageId, state.userId, state.content, state.streaming, state.parentId], [started.id, 'ada', text, true, null]);
    assert.ok(middle.frames.indexOf(state) < middle.frames.findIndex((f) => f.type === 'subscription_succeeded'));
    assert.equal(a.of('edit').length + a.of('stream').length, 1, 'the author is not shown his own text');
    a.send({ type: 'stream', op: 'end', frameId: 'f2' });
    for (const c of [a, b, old, middle]) {
      const edit = await c.until((f) => f.type === 'edit' && f.streaming === false);
      assert.deepEqual([edit.id, edit.content, edit.seq, edit.version], [started.id, text.trim(), 2, 1]);
    }
    assert.equal((await a.until((f) => f.type === 'ack' && f.frameId === 'f2')).seq, 2);
    const [message] = await history(bob, id);
    assert.equal(message.content, text.trim());
    assert.equal(message.streaming, undefined);
    assert.deepEqual(await row(started.id), [`<${text.trim()}>`, '0']);
    await Promise.all([a, b, old, middle].map((c) => c.close()));
  });

  test('one open stream per user; end may bring the whole text; frames keep their order', async () => {
    const id = await room('s-order');
    const a = await join(0, id, ada, { native: true });
    const b = await join(1, id, bob, { native: true });
    a.send({ type: 'stream', op: 'start', content: 'Hel' });
    a.send({ type: 'stream', op: 'delta', content: 'lo' });
    a.send({ type: 'stream', op: 'end', content: 'Hello @bob' });
    a.send({ type: 'message', content: 'behind', clientMessageId: 'behind' });
    const edit = await b.until((f) => f.type === 'edit' && !f.streaming);
    assert.equal(edit.content, 'Hello @bob');
    assert.deepEqual(edit.mentions, ['bob']);
    await b.until((f) => f.type === 'message' && f.content === 'behind');
    assert.deepEqual((await history(bob, id)).map((m) => m.content), ['Hello @bob', 'behind']);
    a.send({ type: 'stream', op: 'start', frameId: '1' });
    a.send({ type: 'stream', op: 'start', frameId: '2' });
    assert.equal((await a.until((f) => f.type === 'error' && f.frameId === '2')).code, 'stream_open');
    b.send({ type: 'stream', op: 'delta', content: 'x', frameId: '3' });
    assert.equal((await b.until((f) => f.type === 'error' && f.frameId === '3')).code, 'stream_not_open');
    for (const [frame, code] of [
      [{ op: 'flip' }, 'bad_request'],
      [{}, 'bad_request'],
      [{ op: 'delta' }, 'invalid_content'],
      [{ op: 'delta', content: 7 }, 'invalid_content'],
      [{ op: 'delta', content: 'x'.repeat(17000) }, 'invalid_content'],
      [{ op: 'start', parentId: 1 }, 'stream_open'],
    ]) {
      const frameId = `bad-${JSON.stringify(frame).length}-${code}`;
      a.send({ type: 'stream', frameId, ...frame });
      assert.equal((await a.until((f) => f.type === 'error' && f.frameId === frameId)).code, code);
    }
    const { id: open } = a.of('stream').findLast((f) => f.op === 'started');
    assert.equal((await call(cluster.http(), 'PATCH', `/messages/${open}`, { token: ada, body: { content: 'no' } })).json.error, 'message_streaming');
    a.send({ type: 'stream', op: 'abort', frameId: '4' });
    const gone = await b.until((f) => f.type === 'delete');
    assert.equal(gone.id, open, 'a stream without a text leaves nothing');
    await a.until((f) => f.type === 'ack' && f.frameId === '4');
    await Promise.all([a, b].map((c) => c.close()));
  });

  test('a stream is bounded, and deleting its message ends it', async () => {
    const id = await room('s-bound');
    const a = await join(0, id, ada, { native: true });
    a.send({ type: 'stream', op: 'start' });
    const started = await a.until((f) => f.type === 'stream' && f.op === 'started');
    for (let i = 0; i < 5; i++) a.send({ type: 'stream', op: 'delta', content: 'x'.repeat(16000), frameId: `d${i}` });
    assert.equal((await a.until((f) => f.type === 'error' && f.frameId === 'd4')).code, 'payload_too_large');
    assert.equal((await call(cluster.http(), 'DELETE', `/messages/${started.id}`, { token: ada })).status, 200);
    a.send({ type: 'stream', op: 'end', frameId: 'late' });
    assert.equal((await a.until((f) => f.type === 'error' && f.frameId === 'late')).code, 'stream_not_open');
    await a.close();
  });

  test('a stream whose author goes is ended with what there is', async () => {
    const id = await room('s-gone');
    const a = await join(0, id, ada, { native: true });
    const b = await join(1, id, bob, { native: true });
    a.send({ type: 'stream', op: 'start' });
    const started = await a.until((f) => f.type === 'stream' && f.op === 'started');
    a.send({ type: 'stream', op: 'delta', content: 'half a sent' });
    await b.until((f) => f.type === 'stream' && f.op === 'delta');
    await a.close();
    const edit = await b.until((f) => f.type === 'edit' && f.streaming === false, 15000);
    assert.deepEqual([edit.id, edit.content], [started.id, 'half a sent']);
    await b.close();
  });

  test('after kill -9 of the shard a stream is ended with what was stored', async () => {
    const id = await room('s-crash');
    const a = await join(0, id, ada, { native: true });
    const b = await join(1, id, bob, { native: true });
    a.send({ type: 'stream', op: 'start' });
    const started = await a.until((f) => f.type === 'stream' && f.op === 'started');
    a.send({ type: 'stream', op: 'delta', content: 'stored, ' });
    await eventually('the text is stored meanwhile', async () => (await row(started.id))[0] === '<stored, >');
    await cluster.node('kill', 'shard-1');
    await cluster.node('kill', 'shard-2');
    await cluster.node('start', 'shard-1');
    await cluster.node('start', 'shard-2');
    a.send({ type: 'stream', op: 'delta', content: 'lost', frameId: 'after' });
    assert.equal((await a.until((f) => f.type === 'error' && f.frameId === 'after', 15000)).code, 'stream_not_open');
    const edit = await b.until((f) => f.type === 'edit' && f.streaming === false, 20000);
    assert.deepEqual([edit.id, edit.content], [started.id, 'stored,']);
    assert.deepEqual(await row(started.id), ['<stored,>', '0']);
    await Promise.all([a, b].map((c) => c.close()));
  });
});
