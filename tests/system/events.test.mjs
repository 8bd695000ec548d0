// Events that are not stored: client_event, POST /events, and ending one connection (WIRE.md 2.3, 2.4, 3.1, 5).
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Client } from './support/client.mjs';
import { call, Cluster, eventually, mint } from './support/cluster.mjs';

describe('events', () => {
  let cluster, ada, bob, cid, eve, admin;
  const api = (method, path, options) => call(cluster.http(options?.gateway ?? 0), method, path, options);
  const join = (gateway, id, token, options) => Client.join(cluster.ws(gateway), id, token, options);
  const trigger = (token, body, gateway = 0) => api('POST', '/events', { token, body, gateway });
  const terminate = (token, id, body) => api('POST', `/rooms/${id}/terminate-connection`, { token, body });
  const socketId = (client) => client.frames.find((f) => f.type === 'subscription_succeeded').socketId;
  const room = async (id, type = 'group', members = ['bob']) => {
    const got = await api('POST', '/rooms', { token: ada, body: { id, name: id, type, members: members.map((m) => (typeof m === 'string' ? { userId: m, role: 'member' } : m)) } });
    assert.equal(got.status, 200, got.text);
    return id;
  };
  /** Everything that the socket was sent before this has arrived when this returns. */
  const flushed = async (client) => {
    const n = client.of('pong').length;
    client.send({ type: 'ping' });
    await eventually('a pong', () => client.of('pong').length > n);
  };
  const sum = async (name) => {
    const texts = await Promise.all(cluster.shards.map((s) => cluster.metrics(s.admin.startsWith('http') ? s.admin : `http://${s.admin}`)));
    return texts.reduce((n, text) => n + Number(text.match(new RegExp(`^${name} (\\d+)`, 'm'))?.[1] ?? 0), 0);
  };
  const asleep = async () => eventually('every room sleeps', async () => (await sum('fluxy_rooms\\{state="active"\\}')) === 0, 15000);

  before(async () => {
    cluster = await Cluster.up(undefined, { gateways: 2, shards: 2, env: { FLUXY_ROOM_IDLE_MS: '1000' } });
    [ada, bob, cid, eve] = await Promise.all(['ada', 'bob', 'cid', 'eve'].map((user) => mint(cluster, user)));
    admin = await mint(cluster, 'root', { roles: ['admin'] });
  });
  after(() => cluster?.remove());

  test('WIRE 2.3, 2.4 client_event: to the others, on both gateways, from the token\'s user, not to the sender', async () => {
    const id = await room('e-client', 'group', ['bob', 'cid']);
    const [a, a2, b, c] = [await join(0, id, ada), await join(0, id, ada), await join(0, id, bob), await join(1, id, cid, { native: true })];
    a.send({ type: 'client_event', eventName: 'client-cursor.move_1', data: { x: 1, text: 'ä"\n' }, userId: 'mallory', roomId: 'elsewhere' });
    for (const client of [a2, b, c]) {
      assert.deepEqual(await client.until((f) => f.type === 'client_event'), { type: 'client_event', roomId: id, userId: 'ada', eventName: 'client-cursor.move_1', data: { x: 1, text: 'ä"\n' } });
    }
    a.send({ type: 'client_event', eventName: 'client-bare' });
    assert.deepEqual((await b.until((f) => f.eventName === 'client-bare')).data, {});
    a.message('behind', 'm-1');
    await a.until((f) => f.type === 'ack');
    assert.equal(a.of('client_event').length, 0);
    assert.equal(a.of('error').length, 0);
    const history = await api('GET', `/api/messages?roomId=${id}`, { token: ada });
    assert.deepEqual(history.json.messages.map((m) => [m.content, m.seq]), [['behind', 1]], 'an event takes no seq');
    await Promise.all([a, a2, b, c].map((s) => s.close()));
  });

  test('client_event: what is refused, with which word, and in order', async () => {
    const id = await room('e-refused');
    const [a, b] = [await join(0, id, ada), await join(1, id, bob)];
    const cases = [
      [{ data: {} }, 'invalid_event_name'],
      [{ eventName: 'cursor', data: {} }, 'invalid_event_name'],
      [{ eventName: 'client-', data: {} }, 'invalid_event_name'],
      [{ eventName: 'client-a b', data: {} }, 'invalid_event_name'],
      [{ eventName: 'Client-a', data: {} }, 'invalid_event_name'],
      [{ eventName: `client-${'x'.repeat(122)}`, data: {} }, 'invalid_event_name'],
      [{ eventName: 7, data: {} }, 'invalid_event_name'],
      [{ eventName: 'client-big', data: 'x'.repeat(17000) }, 'payload_too_large'],
    ];
    cases.forEach(([frame], i) => a.send({ type: 'client_event', frameId: `f${i}`, ...frame }));
    a.send({ type: 'client_event', eventName: `client-${'x'.repeat(121)}`, data: null, frameId: 'good' });
    await b.until((f) => f.type === 'client_event');
    await eventually('all are answered', () => a.of('error').length === cases.length);
    assert.deepEqual(a.of('error').map((e) => [e.frameId, e.code, e.roomId, e.retryable]), cases.map(([, code], i) => [`f${i}`, code, id, false]));
    assert.equal(b.of('client_event').length, 1);
    await Promise.all([a, b].map((s) => s.close()));
  });

  test('client_event: who may not write may not send one', async () => {
    const id = await room('e-announce', 'announcement', ['bob', { userId: 'cid', role: 'moderator' }]);
    const [a, b, c] = [await join(0, id, ada), await join(1, id, bob), await join(0, id, cid)];
    b.send({ type: 'client_event', eventName: 'client-x', data: {}, frameId: 'f' });
    const error = await b.until((f) => f.type === 'error');
    assert.equal(error.code, 'forbidden');
    assert.equal(error.frameId, 'f');
    c.send({ type: 'client_event', eventName: 'client-y', data: {} });
    await a.until((f) => f.eventName === 'client-y');
    assert.equal(a.of('client_event').length, 1);
    const open = await room('e-muted');
    const muted = await join(1, open, bob);
    assert.equal((await api('POST', '/admin/mute', { token: admin, body: { roomId: open, userId: 'bob' } })).status, 200);
    muted.send({ type: 'client_event', eventName: 'client-x', data: {} });
    assert.equal((await muted.until((f) => f.type === 'error')).code, 'muted');
    assert.equal((await trigger(bob, { roomIds: [open], name: 'x' })).json.error, 'muted');
    await muted.close();
    await Promise.all([a, b, c].map((s) => s.close()));
  });

  test('a client_event wakes a sleeping room and arrives', async () => {
    const id = await room('e-sleep');
    const [a, b] = [await join(0, id, ada), await join(1, id, bob)];
    await asleep();
    a.send({ type: 'client_event', eventName: 'client-morning', data: {} });
    await b.until((f) => f.eventName === 'client-morning');
    await asleep();
    const got = await trigger(ada, { roomIds: [id], name: 'noon' });
    assert.deepEqual(got.json, { ok: true, triggered: [id] });
    await Promise.all([a, b].map((s) => s.until((f) => f.name === 'noon')));
    await Promise.all([a, b].map((s) => s.close()));
  });

  test('WIRE 5 POST /events: server_event into rooms of both shards; what fails is told by room', async () => {
    const ids = await Promise.all(Array.from({ length: 12 }, (_, i) => room(`e-many-${i}`)));
    const secret = await room('e-secret', 'group', []);
    const [a, b] = [await join(0, ids[0], ada), await join(1, ids[11], bob)];
    const got = await trigger(bob, { roomIds: [...ids, ids[3], secret, 'e-nowhere'], name: 'deploy', data: { v: 2 } });
    assert.equal(got.status, 200, got.text);
    assert.equal(got.json.ok, true);
    assert.deepEqual(got.json.triggered, ids);
    assert.deepEqual(got.json.failed, [{ roomId: secret, error: 'forbidden' }, { roomId: 'e-nowhere', error: 'forbidden' }]);
    assert.deepEqual(await a.until((f) => f.type === 'server_event'), { type: 'server_event', roomId: ids[0], userId: 'bob', name: 'deploy', data: { v: 2 } });
    assert.equal((await b.until((f) => f.type === 'server_event')).roomId, ids[11]);
    const byAdmin = await trigger(admin, { roomIds: [secret, ids[0]], name: 'any' }, 1);
    assert.deepEqual(byAdmin.json, { ok: true, triggered: [secret, ids[0]] });
    assert.deepEqual((await a.until((f) => f.name === 'any')).data, {});
    const none = await trigger(eve, { roomIds: ids.slice(0, 3), name: 'spam' });
    assert.equal(none.status, 403);
    assert.equal(none.json.error, 'forbidden');
    // Not to the socket that asks.
    const a2 = await join(1, ids[0], ada);
    await trigger(ada, { roomIds: [ids[0]], name: 'mine', excludeSocketId: socketId(a2) });
    await a.until((f) => f.name === 'mine');
    await flushed(a2);
    assert.equal(a2.of('server_event').length, 0);
    await Promise.all([a, a2, b].map((s) => s.close()));
  });

  test('POST /events: a hundred rooms in one call, no more', async () => {
    const ids = Array.from({ length: 100 }, (_, i) => `e-hundred-${i}`);
    for (let i = 0; i < ids.length; i += 20) await Promise.all(ids.slice(i, i + 20).map((id) => room(id, 'group', [])));
    const got = await trigger(ada, { roomIds: ids, name: 'x' });
    assert.deepEqual(got.json, { ok: true, triggered: ids });
    const more = await trigger(ada, { roomIds: [...ids, 'e-client'], name: 'x' });
    assert.equal(more.status, 400);
    assert.equal(more.json.error, 'bad_request');
  });

  test('POST /events: event passes agent frames on, and forges nothing', async () => {
    const id = await room('e-raw');
    const [a, b] = [await join(0, id, ada, { native: true }), await join(1, id, bob)];
    const event = { type: 'tool_call', roomId: 'elsewhere', userId: 'mallory', seq: 99, currentSeq: 7, runId: 'run-1', agentId: 'helper', toolCallId: 't1', name: 'search', arguments: '{"q":1}' };
    assert.deepEqual((await trigger(bob, { roomIds: [id], event })).json, { ok: true, triggered: [id] });
    for (const client of [a, b]) {
      assert.deepEqual(await client.until((f) => f.type === 'tool_call'), { type: 'tool_call', roomId: id, userId: 'bob', runId: 'run-1', agentId: 'helper', toolCallId: 't1', name: 'search', arguments: '{"q":1}' });
    }
    for (const type of ['agentRun', 'agent_step', 'agentTyping', 'tool_result', 'tool_error', 'approval_request', 'approval_decision']) {
      await trigger(bob, { roomIds: [id], event: { type, agentId: 'helper' } });
      assert.equal((await a.until((f) => f.type === type)).agentId, 'helper');
    }
    for (const type of ['message', 'edit', 'delete', 'presence', 'member_joined', 'user_event', 'server_event', 'client_event', 'error', 'ack', '', 7, undefined]) {
      const got = await trigger(admin, { roomIds: [id], event: { type, content: 'forged' } });
      assert.equal(got.status, 400, String(type));
      assert.equal(got.json.error, 'invalid_type');
    }
    await flushed(a);
    assert.equal(a.frames.some((f) => f.content === 'forged'), false);
    await Promise.all([a, b].map((s) => s.close()));
  });

  test('13 Idempotency-Key: an event that is asked for again is not sent again', async () => {
    const id = await room('e-key');
    const a = await join(0, id, ada);
    const channel = await Client.channel(cluster.ws(1), 'ada', ada);
    const twice = async (path, body, key) => {
      const first = await api('POST', path, { token: ada, body, headers: { 'Idempotency-Key': key } });
      assert.equal(first.status, 200, first.text);
      const second = await api('POST', path, { token: ada, body, headers: { 'Idempotency-Key': key }, gateway: 1 });
      assert.deepEqual([second.status, second.json], [200, first.json]);
      const other = await api('POST', path, { token: ada, body: { ...body, name: 'other' }, headers: { 'Idempotency-Key': key } });
      assert.deepEqual([other.status, other.json.error], [409, 'idempotency_mismatch']);
    };
    await twice('/events', { roomIds: [id, 'e-bad-key'], name: 'once' }, 'key-1');
    await twice('/users/ada/events', { name: 'once' }, 'key-2');
    await Promise.all([flushed(a), flushed(channel)]);
    assert.deepEqual(a.of('server_event').map((f) => f.name), ['once']);
    assert.deepEqual(channel.of('user_event').map((f) => f.name), ['once']);
    await Promise.all([a, channel].map((s) => s.close()));
  });

  test('POST /events: bad bodies', async () => {
    const id = await room('e-bad');
    for (const [body, status, error] of [
      [{ name: 'x' }, 400, 'bad_request'],
      [{ roomIds: [], name: 'x' }, 400, 'bad_request'],
      [{ roomIds: id, name: 'x' }, 400, 'bad_request'],
      [{ roomIds: [7], name: 'x' }, 400, 'invalid_id'],
      [{ roomIds: [id] }, 400, 'bad_request'],
      [{ roomIds: [id], name: 'x', event: { type: 'agentRun' } }, 400, 'bad_request'],
      [{ roomIds: [id], data: {}, event: { type: 'agentRun' } }, 400, 'bad_request'],
      [{ roomIds: [id], name: '' }, 400, 'invalid_event_name'],
      [{ roomIds: [id], name: 'x'.repeat(129) }, 400, 'invalid_event_name'],
      [{ roomIds: [id], name: 'x', data: [] }, 400, 'bad_request'],
      [{ roomIds: [id], event: 'agentRun' }, 400, 'bad_request'],
      [{ roomIds: [id], name: 'x', data: { y: 'z'.repeat(33000) } }, 413, 'payload_too_large'],
      [{ roomIds: [id], name: 'x', data: { y: 'z'.repeat(100000) } }, 413, 'payload_too_large'],
      [{ roomIds: [id], name: 'x', excludeSocketId: {} }, 400, 'bad_request'],
      ['[]', 400, 'invalid_json'],
    ]) {
      const got = await trigger(ada, body);
      assert.equal(got.status, status, JSON.stringify(body).slice(0, 100) + got.text);
      assert.equal(got.json.error, error, JSON.stringify(body).slice(0, 100));
    }
    assert.equal((await api('POST', '/events', { body: { roomIds: [id], name: 'x' } })).status, 401);
  });

  test('another tenant\'s rooms of the same name hear nothing', async () => {
    const other = await cluster.command('project', 'add', 'tenant-b', '--json');
    const twin = await mint(cluster, 'ada', { key: other.apiKey, roles: ['owner'] });
    const id = await room('e-tenant');
    const a = await join(0, id, ada);
    assert.equal((await trigger(twin, { roomIds: [id], name: 'theirs' })).status, 403);
    await api('POST', '/rooms', { token: twin, body: { id, name: 'mine', type: 'group' } });
    assert.equal((await trigger(twin, { roomIds: [id], name: 'theirs' })).status, 200);
    assert.equal((await terminate(twin, id, { socketId: socketId(a) })).status, 404);
    await flushed(a);
    assert.equal(a.of('server_event').length, 0);
    await a.close();
  });

  test('WIRE 3.1 POST /rooms/{id}/terminate-connection: one socket, by moderators', async () => {
    const id = await room('e-end', 'group', ['bob', { userId: 'cid', role: 'moderator' }]);
    const elsewhere = await room('e-end-2');
    const [b1, b2, b3] = [await join(0, id, bob), await join(1, id, bob), await join(1, elsewhere, bob)];
    assert.equal((await terminate(bob, id, { socketId: socketId(b1) })).status, 403);
    assert.equal((await terminate(eve, id, { socketId: socketId(b1) })).status, 403);
    assert.equal((await terminate(cid, elsewhere, { socketId: socketId(b3) })).status, 403);
    assert.equal((await terminate(cid, id, { socketId: socketId(b3) })).status, 404);
    assert.equal((await terminate(cid, id, { socketId: 'nobody' })).json.error, 'not_found');
    assert.equal((await terminate(cid, id, {})).json.error, 'bad_request');
    assert.equal((await terminate(cid, id, { socketId: socketId(b1), reason: 'x'.repeat(101) })).json.error, 'bad_request');
    const got = await terminate(cid, id, { socketId: socketId(b2), reason: 'please calm down' });
    assert.equal(got.status, 200, got.text);
    assert.equal(got.json.ok, true);
    assert.deepEqual(await b2.untilClosed(), { code: 4001, reason: 'please calm down' });
    await Promise.all([flushed(b1), flushed(b3)]);
    assert.equal((await terminate(admin, id, { socketId: socketId(b2) })).status, 404);
    await asleep();
    assert.equal((await terminate(admin, id, { socketId: socketId(b1) })).status, 200, 'also while the room sleeps');
    assert.deepEqual(await b1.untilClosed(), { code: 4001, reason: 'terminated' });
    await flushed(b3);
    await b3.close();
  });
});
