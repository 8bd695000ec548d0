// Tokens that end while a socket is open: warning, refresh in place, grace, close; roles that change.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Client } from './support/client.mjs';
import { call, Cluster, mint } from './support/cluster.mjs';
import { Mux } from './support/mux.mjs';
import { forge } from './support/token.mjs';

describe('tokens on an open socket', () => {
  let cluster, ada;
  const room = async (id, type = 'group') => {
    const got = await call(cluster.http(), 'POST', '/rooms', { token: ada, body: { id, name: id, type, members: [{ userId: 'bob', role: 'member' }] } });
    assert.equal(got.status, 200, got.text);
    return id;
  };

  before(async () => {
    cluster = await Cluster.up(undefined, { gateways: 1, shards: 1, env: { FLUXY_TOKEN_WARNING: '4s', FLUXY_TOKEN_GRACE: '4s' } });
    ada = await mint(cluster, 'ada');
  });
  after(() => cluster?.remove());

  const endOf = (token) => JSON.parse(Buffer.from(token.split('.')[1], 'base64url')).exp * 1000;
  /** Until a little behind the moment: the clocks are one. */
  const past = (moment) => new Promise((wake) => setTimeout(wake, Math.max(0, moment - Date.now() + 5)));

  // Each waits for an end to come: all at once.
  describe('as time goes by', { concurrency: true }, () => {
    test('native: warned, then writes are refused and reads go on, then 1008', async () => {
      const id = await room('t-native');
      const token = await forge(cluster, 'bob', 8);
      const client = await Client.join(cluster.ws(), id, token, { native: true });
      const warning = await client.until((f) => f.type === 'token_expiring');
      assert.equal(Date.parse(warning.expiresAt), endOf(token));
      assert.ok(Date.now() < endOf(token));
      client.message('in time', 'c-1');
      await client.until((f) => f.type === 'ack');
      await past(endOf(token));
      client.message('too late', 'c-2', { frameId: 'f-2' });
      const error = await client.until((f) => f.type === 'error');
      assert.deepEqual([error.code, error.clientMessageId, error.frameId, error.retryable], ['token_expired', 'c-2', 'f-2', false]);
      await call(cluster.http(), 'POST', '/messages', { token: ada, body: { roomId: id, content: 'still read' } });
      await client.until((f) => f.content === 'still read');
      assert.deepEqual(await client.untilClosed(), { code: 1008, reason: 'token_expired' });
      assert.ok(Date.now() - endOf(token) >= 3900, 'the grace is kept');
      assert.equal(client.of('token_expiring').length, 1);
      const again = await Client.open(cluster.ws(), id, await forge(cluster, 'bob', -1), { native: true });
      assert.deepEqual(await again.untilClosed(), { code: 1008, reason: 'token_expired' });
    });

    test('an old client is not warned; it is sent away with 4002, or with its first write after the end', async () => {
      const id = await room('t-old');
      const token = await forge(cluster, 'bob', 6);
      const [quiet, busy] = await Promise.all([Client.join(cluster.ws(), id, token), Client.join(cluster.ws(), id, token)]);
      await past(endOf(token));
      busy.message('too late', 'c-1');
      assert.deepEqual(await busy.untilClosed(), { code: 4002, reason: 'token_expired' });
      assert.equal(busy.of('error')[0].code, 'token_expired');
      assert.equal(quiet.closed, undefined);
      assert.deepEqual(await quiet.untilClosed(), { code: 4002, reason: 'token_expired' });
      assert.ok(Date.now() - endOf(token) >= 3900, 'the grace is kept');
      assert.deepEqual([...quiet.of('token_expiring'), ...busy.of('token_expiring')], []);
      assert.equal((await cluster.sql(`select count(*) from timeline where room_id = '${id}' and content = 'too late'`))[0][0], '0');
    });

    test('a fresh token keeps the socket open, for all of its rooms', async () => {
      const [a, b] = [await room('t-fresh-a'), await room('t-fresh-b')];
      const first = await forge(cluster, 'bob', 8);
      const mux = await Mux.open(cluster.ws(), first);
      await mux.subscribe(a);
      await mux.subscribe(b);
      await mux.until((f) => f.type === 'token_expiring');
      mux.send({ type: 'token', token: await forge(cluster, 'bob', 3600), frameId: 'f-1' });
      const refreshed = await mux.until((f) => f.type === 'token_refreshed');
      assert.equal(refreshed.frameId, 'f-1');
      assert.ok(Date.parse(refreshed.expiresAt) - Date.now() > 3590_000);
      await past(endOf(first) + 5000); // the first one's end, and its grace
      mux.say(a, 'on', 'c-1');
      mux.say(b, 'and on', 'c-2');
      await mux.until((f) => f.type === 'ack' && f.clientMessageId === 'c-1');
      await mux.until((f) => f.type === 'ack' && f.clientMessageId === 'c-2');
      assert.equal(mux.closed, undefined);
      await mux.close();
    });
  });

  test('what is no fresh token of this user changes nothing', async () => {
    const id = await room('t-bad');
    const client = await Client.join(cluster.ws(), id, await forge(cluster, 'bob', 60), { native: true });
    const cases = [
      [{ token: 'nonsense' }, 'invalid_token'],
      [{ token: 7 }, 'invalid_token'],
      [{}, 'invalid_token'],
      [{ token: 'x'.repeat(5000) }, 'invalid_token'],
      [{ token: await forge(cluster, 'bob', -5) }, 'token_expired'],
      [{ token: await forge(cluster, 'mallory', 60) }, 'forbidden'],
      [{ token: await forge(cluster, 'bob', 60, { roomId: 'other' }) }, 'forbidden'],
      [{ token: await forge(cluster, 'bob', 60, { tid: 'another' }) }, 'invalid_token'],
      [{ token: `${(await forge(cluster, 'bob', 60)).slice(0, -3)}AAA` }, 'invalid_token'],
    ];
    for (const [i, [fields, code]] of cases.entries()) {
      client.send({ type: 'token', frameId: `f-${i}`, ...fields });
      const answer = await client.until((f) => f.frameId === `f-${i}`);
      assert.deepEqual([answer.type, answer.code], ['error', code], `case ${i}`);
    }
    client.message('still bob', 'c');
    assert.equal((await client.until((f) => f.type === 'message')).userId, 'bob');
    client.send({ type: 'token', token: await forge(cluster, 'bob', 60, { roomId: id }), frameId: 'pinned here' });
    assert.equal((await client.until((f) => f.frameId === 'pinned here')).type, 'token_refreshed');
    await client.close();
  });

  test('new roles count for the frames behind them, and who came in by a role that is gone leaves', async () => {
    const news = await room('t-news', 'announcement');
    const client = await Client.join(cluster.ws(), news, await forge(cluster, 'bob', 60), { native: true });
    client.message('may I?', 'c-1');
    assert.equal((await client.until((f) => f.type === 'error')).code, 'forbidden');
    client.send({ type: 'token', token: await forge(cluster, 'bob', 60, { roles: ['admin'] }) });
    await client.until((f) => f.type === 'token_refreshed');
    client.message('now?', 'c-2');
    assert.equal((await client.until((f) => f.type === 'ack')).clientMessageId, 'c-2');
    await client.close();
    const admin = await Mux.open(cluster.ws(), await forge(cluster, 'root', 60, { roles: ['admin'] }));
    const open = await room('t-open');
    await admin.subscribe(open);
    await admin.subscribe(news);
    admin.send({ type: 'token', token: await forge(cluster, 'root', 60), frameId: 'f' });
    await admin.until((f) => f.type === 'token_refreshed');
    for (const id of [open, news]) {
      const error = await admin.until((f) => f.type === 'error' && f.roomId === id);
      assert.deepEqual([error.code, error.unsubscribed], ['not_member', true]);
    }
    assert.equal(admin.closed, undefined);
    await admin.close();
  });

  test('a cursor in the address must be one', async () => {
    const id = await room('t-cursor');
    const token = await forge(cluster, 'bob', 60);
    for (const lastSeq of ['', 'x', '-1', '1.5', '1e3', '9007199254740992']) {
      const client = await Client.open(cluster.ws(), id, token, { query: { lastSeq } });
      assert.deepEqual(await client.untilClosed(), { code: 1008, reason: 'invalid_cursor' }, lastSeq);
    }
    const client = await Client.join(cluster.ws(), id, token, { native: true, query: { lastSeq: '0' } });
    client.send({ type: 'resume', lastSeq: -1, frameId: 'f' });
    assert.equal((await client.until((f) => f.frameId === 'f')).code, 'invalid_cursor');
    await client.close();
  });
});
