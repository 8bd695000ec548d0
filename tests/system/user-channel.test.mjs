// The channel of a user and the end of connections (WIRE.md 2.4, 5): across two gateways and two shards.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Client } from './support/client.mjs';
import { call, Cluster, eventually, mint } from './support/cluster.mjs';
import { EventReader } from './support/events.mjs';
import { Mux } from './support/mux.mjs';
import { forge } from './support/token.mjs';

describe('user channel', () => {
  let cluster, ada, bob, admin, other;
  const api = (method, path, options) => call(cluster.http(options?.gateway ?? 0), method, path, options);
  const channel = (gateway, user, token, options) => Client.channel(cluster.ws(gateway), user, token, options);
  const emit = (user, token, body, gateway = 0) => api('POST', `/users/${user}/events`, { token, body, gateway });
  const room = async (id, members = ['bob']) => {
    const got = await api('POST', '/rooms', { token: ada, body: { id, name: id, type: 'group', members: members.map((userId) => ({ userId, role: 'member' })) } });
    assert.equal(got.status, 200, got.text);
    return id;
  };
  const refused = async (user, token, options) => {
    const client = await Client.open(cluster.ws(0), undefined, token, { path: `/ws/user/${user}`, ...options });
    return client.untilClosed();
  };

  before(async () => {
    cluster = await Cluster.up(undefined, { gateways: 2, shards: 2 });
    [ada, bob] = await Promise.all(['ada', 'bob'].map((user) => mint(cluster, user)));
    admin = await mint(cluster, 'root', { roles: ['admin'] });
    other = await cluster.command('project', 'add', 'tenant-b', '--json');
  });
  after(() => cluster?.remove());

  test('WIRE 5 GET /ws/user: the first frame, then events through both gateways, once each', async () => {
    const a = await channel(0, 'ada', ada);
    const b = await channel(1, 'ada', ada, { native: true });
    assert.deepEqual(Object.keys(a.frames[0]).sort(), ['connectionCount', 'socketId', 'type', 'userId']);
    assert.equal(a.frames[0].userId, 'ada');
    assert.match(a.frames[0].socketId, /^[0-9a-f-]{36}$/);
    assert.equal(a.frames[0].connectionCount, 1);
    assert.equal(b.frames[0].connectionCount, 2);
    const got = await emit('ada', ada, { name: 'hello', data: { n: 1 } }, 1);
    assert.equal(got.status, 200, got.text);
    assert.deepEqual(got.json, { ok: true, userId: 'ada', delivered: { userChannel: 2, rooms: 0 } });
    for (const client of [a, b]) {
      const event = await client.until((f) => f.type === 'user_event');
      assert.equal(event.userId, 'ada');
      assert.equal(event.name, 'hello');
      assert.deepEqual(event.data, { n: 1 });
      assert.match(event.at, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
    }
    // Without data, from an admin, and not to the socket that asked.
    const second = await emit('ada', admin, { name: 'second', excludeSocketId: b.frames[0].socketId });
    assert.deepEqual(second.json.delivered, { userChannel: 1, rooms: 0 });
    assert.deepEqual((await a.until((f) => f.name === 'second')).data, {});
    await emit('ada', admin, { name: 'third', data: 'any JSON' });
    assert.equal((await b.until((f) => f.name === 'third')).data, 'any JSON');
    await a.until((f) => f.name === 'third');
    assert.deepEqual(a.of('user_event').map((f) => f.name), ['hello', 'second', 'third']);
    assert.deepEqual(b.of('user_event').map((f) => f.name), ['hello', 'third']);
    await Promise.all([a, b].map((c) => c.close()));
    await eventually('nobody listens', async () => (await emit('ada', ada, { name: 'x' })).json.delivered.userChannel === 0);
  });

  test('WIRE 5 GET /ws/user: sub must be the path; a pinned token and a tenant\'s twin hear nothing', async () => {
    assert.deepEqual(await refused('bob', ada), { code: 1008, reason: 'forbidden' });
    assert.deepEqual(await refused('ada', admin), { code: 1008, reason: 'forbidden' });
    const pinned = await forge(cluster, 'ada', 600, { roomId: 'u-one' });
    assert.deepEqual(await refused('ada', pinned), { code: 1008, reason: 'forbidden' });
    assert.equal((await emit('ada', pinned, { name: 'x' })).status, 403);
    assert.deepEqual(await refused('a%20b', ada), { code: 1008, reason: 'forbidden' });
    assert.deepEqual(await refused('ada', 'nonsense'), { code: 1008, reason: 'invalid_token' });
    const twinToken = await mint(cluster, 'ada', { key: other.apiKey, roles: ['owner'] });
    const twin = await channel(0, 'ada', twinToken);
    const a = await channel(0, 'ada', ada);
    assert.equal(a.frames[0].connectionCount, 1, 'the twin is somebody else');
    const got = await emit('ada', twinToken, { name: 'theirs' });
    assert.deepEqual(got.json.delivered, { userChannel: 1, rooms: 0 });
    await emit('ada', ada, { name: 'ours' });
    await a.until((f) => f.name === 'ours');
    await twin.until((f) => f.name === 'theirs');
    assert.equal(a.of('user_event').length, 1);
    assert.equal(twin.of('user_event').length, 1);
    const closed = await api('DELETE', '/users/ada/connections', { token: twinToken });
    assert.deepEqual(closed.json.closed, { userChannel: 1, roomSockets: 0 });
    await twin.untilClosed();
    a.send({ type: 'ping' });
    await a.until((f) => f.type === 'pong');
    await a.close();
  });

  test('POST /users/{id}/events: who may, and what is refused', async () => {
    assert.equal((await emit('bob', ada, { name: 'x' })).status, 403);
    assert.equal((await emit('bob', admin, { name: 'x' })).status, 200);
    for (const [body, status, error] of [
      [{}, 400, 'invalid_event_name'],
      [{ name: '' }, 400, 'invalid_event_name'],
      [{ name: 7 }, 400, 'invalid_event_name'],
      [{ name: 'x'.repeat(129) }, 400, 'invalid_event_name'],
      [{ name: 'x', data: 'y'.repeat(33000) }, 413, 'payload_too_large'],
      [{ name: 'x', fanoutRooms: 'all' }, 400, 'bad_request'],
      [{ name: 'x', fanoutRooms: ['a b'] }, 400, 'invalid_id'],
      [{ name: 'x', fanoutRooms: Array(101).fill('r') }, 400, 'bad_request'],
      [{ name: 'x', excludeSocketId: 3 }, 400, 'bad_request'],
      ['{"name":', 400, 'invalid_json'],
    ]) {
      const got = await emit('ada', ada, body);
      assert.equal(got.status, status, JSON.stringify(body).slice(0, 100));
      assert.equal(got.json.error, error);
    }
    assert.equal((await emit('a%2Fb', admin, { name: 'x' })).json.error, 'invalid_id');
    assert.equal((await api('POST', '/users/ada/events', { body: { name: 'x' } })).status, 401);
  });

  test('fanoutRooms: into the rooms where the user is, to his sockets only', async () => {
    const [one, two] = [await room('u-one'), await room('u-two')];
    const [a1, a2, b1] = [await Client.join(cluster.ws(0), one, ada), await Client.join(cluster.ws(1), two, ada), await Client.join(cluster.ws(1), one, bob)];
    const a1b = await Client.join(cluster.ws(1), one, ada);
    const all = await emit('ada', admin, { name: 'everywhere', data: { x: 1 }, fanoutRooms: true });
    assert.deepEqual(all.json.delivered, { userChannel: 0, rooms: 2 });
    assert.equal((await a1.until((f) => f.name === 'everywhere')).roomId, one);
    await a1b.until((f) => f.name === 'everywhere');
    const there = await a2.until((f) => f.name === 'everywhere');
    assert.equal(there.roomId, two);
    assert.equal(there.userId, 'ada');
    assert.deepEqual(there.data, { x: 1 });
    const some = await emit('ada', ada, { name: 'listed', fanoutRooms: [two, 'u-nowhere'] });
    assert.deepEqual(some.json.delivered, { userChannel: 0, rooms: 1 });
    await a2.until((f) => f.name === 'listed');
    await emit('ada', ada, { name: 'last', fanoutRooms: true, excludeSocketId: a1b.frames.find((f) => f.socketId).socketId });
    await a1.until((f) => f.name === 'last');
    a1b.send({ type: 'ping' });
    await a1b.until((f) => f.type === 'pong');
    assert.deepEqual(a1b.of('user_event').map((f) => f.name), ['everywhere']);
    assert.deepEqual(a1.of('user_event').map((f) => f.name), ['everywhere', 'last']);
    assert.equal(b1.of('user_event').length, 0);
    await Promise.all([a1, a1b, a2, b1].map((c) => c.close()));
  });

  test('a channel only speaks: ping is answered, other frames are refused', async () => {
    const a = await channel(0, 'ada', ada);
    a.send({ type: 'ping' });
    assert.ok((await a.until((f) => f.type === 'pong')).ts > 0);
    a.send({ type: 'message', content: 'x', clientMessageId: 'c1' });
    const error = await a.until((f) => f.type === 'error');
    assert.equal(error.code, 'unknown_event_type');
    assert.equal(error.clientMessageId, 'c1');
    assert.equal('roomId' in error, false);
    a.send({ type: 'client_event', eventName: 'client-x', data: {} });
    await eventually('both refused', () => a.of('error').length === 2);
    await a.close();
  });

  test('no room has the name of a channel', async () => {
    const a = await Client.open(cluster.ws(0), '~bob', ada);
    assert.deepEqual(await a.untilClosed(), { code: 1008, reason: 'not_member' });
    assert.equal((await api('POST', '/messages', { token: ada, body: { roomId: '~ada', content: 'x' } })).status, 400);
    assert.equal((await api('POST', '/events', { token: admin, body: { roomIds: ['~ada'], name: 'x' } })).status, 400);
  });

  test('at most 50 sockets of one user', async () => {
    const eve = await mint(cluster, 'eve');
    const sockets = await Promise.all(Array.from({ length: 50 }, (_, i) => channel(i, 'eve', eve)));
    assert.deepEqual(sockets.map((s) => s.frames[0].connectionCount).sort((x, y) => x - y), Array.from({ length: 50 }, (_, i) => i + 1));
    const more = await refused('eve', eve);
    assert.deepEqual(more, { code: 1008, reason: 'channel_at_capacity' });
    assert.equal((await emit('eve', eve, { name: 'all' })).json.delivered.userChannel, 50);
    await Promise.all(sockets.map((s) => s.until((f) => f.name === 'all')));
    const closed = await api('DELETE', '/users/eve/connections', { token: eve, gateway: 1 });
    assert.deepEqual(closed.json, { ok: true, userId: 'eve', closed: { userChannel: 50, roomSockets: 0 } });
    const codes = await Promise.all(sockets.map((s) => s.untilClosed()));
    assert.ok(codes.every((c) => c.code === 4001 && c.reason === 'connections_closed'));
  });

  test('WIRE 5 DELETE /users/{id}/connections: all sockets on all gateways close 4001, with true counts', async () => {
    const id = await room('u-close');
    const sockets = [await channel(0, 'ada', ada), await channel(1, 'ada', ada), await Client.join(cluster.ws(0), id, ada), await Client.join(cluster.ws(1), id, ada), await Client.join(cluster.ws(1), id, ada, { native: true })];
    const b = await Client.join(cluster.ws(0), id, bob);
    assert.equal((await api('DELETE', '/users/ada/connections', { token: bob })).status, 403);
    assert.equal((await api('DELETE', '/users/ada/connections')).status, 401);
    const got = await api('DELETE', '/users/ada/connections', { token: admin });
    assert.equal(got.status, 200, got.text);
    assert.deepEqual(got.json, { ok: true, userId: 'ada', closed: { userChannel: 2, roomSockets: 3 } });
    for (const socket of sockets) assert.deepEqual(await socket.untilClosed(), { code: 4001, reason: 'connections_closed' });
    await b.until((f) => f.type === 'member_left' && f.userId === 'ada');
    const again = await api('DELETE', '/users/ada/connections', { token: ada });
    assert.deepEqual(again.json.closed, { userChannel: 0, roomSockets: 0 });
    const back = await Client.join(cluster.ws(0), id, ada);
    await Promise.all([back, b].map((c) => c.close()));
  });

  test('sockets with many rooms and event streams are ended, too, and one in a room by its moderator', async () => {
    const [one, two] = [await room('u-mux-1'), await room('u-mux-2')];
    const mux = await Mux.open(cluster.ws(0), bob);
    await mux.subscribe(one);
    const { socketId } = await mux.subscribe(two);
    const reader = await EventReader.open(cluster.http(1), one, bob);
    await reader.until((f) => f.type === 'subscription_succeeded');
    mux.send({ type: 'client_event', roomId: one, eventName: 'client-hi', data: 1 });
    await reader.until((f) => f.type === 'client_event' && f.data === 1);
    const got = await emit('bob', bob, { name: 'both', fanoutRooms: true });
    assert.deepEqual(got.json.delivered, { userChannel: 0, rooms: 2 });
    await Promise.all([one, two].map((id) => mux.until((f) => f.name === 'both' && f.roomId === id)));
    await reader.until((f) => f.name === 'both' && f.roomId === one);
    const closed = await api('DELETE', '/users/bob/connections', { token: bob });
    assert.deepEqual(closed.json.closed, { userChannel: 0, roomSockets: 2 });
    assert.equal((await mux.untilClosed()).code, 4001);
    assert.equal((await reader.until((f) => f.type === 'close')).reason, 'connections_closed');
    const again = await Mux.open(cluster.ws(1), bob);
    const there = await again.subscribe(one);
    assert.notEqual(there.socketId, socketId);
    const ended = await api('POST', `/rooms/${one}/terminate-connection`, { token: ada, body: { socketId: there.socketId } });
    assert.equal(ended.status, 200, ended.text);
    assert.deepEqual(await again.untilClosed(), { code: 4001, reason: 'terminated' });
  });

  test('the shard that owns the user is killed: the socket stays, events flow again, once each', async () => {
    // Users on both shards, so that whichever is killed takes some with it.
    const users = Array.from({ length: 8 }, (_, i) => `k${i}`);
    const tokens = await Promise.all(users.map((user) => mint(cluster, user)));
    const sockets = await Promise.all(users.map((user, i) => channel(i, user, tokens[i])));
    await cluster.node('kill', 'shard-1');
    await Promise.all(users.map((user, i) => eventually(`events reach ${user}`, async () => {
      const got = await emit(user, tokens[i], { name: 'probe' }, i + 1);
      return got.status === 200 && got.json.delivered.userChannel === 1;
    }, 20000)));
    await Promise.all(users.map((user, i) => emit(user, tokens[i], { name: 'after' })));
    await Promise.all(sockets.map((s) => s.until((f) => f.name === 'after')));
    for (const socket of sockets) {
      assert.equal(socket.closed, undefined);
      assert.equal(socket.of('user_subscription_succeeded').length, 1);
      assert.equal(socket.frames.filter((f) => f.name === 'after').length, 1);
    }
    await cluster.node('start', 'shard-1');
    await eventually('every gateway is linked to both shards', async () => {
      const texts = await Promise.all(cluster.gateways.map((g) => cluster.metrics(g.admin.startsWith('http') ? g.admin : `http://${g.admin}`)));
      return texts.every((text) => /^fluxy_links\{state="up"\} 2$/m.test(text));
    }, 20000);
    await Promise.all(users.map((user, i) => eventually(`events reach ${user} after the return`, async () => {
      const got = await emit(user, tokens[i], { name: 'back' }, i);
      return got.status === 200 && got.json.delivered.userChannel === 1;
    }, 20000)));
    await Promise.all(sockets.map((s) => s.until((f) => f.name === 'back')));
    await Promise.all(sockets.map((s) => s.close()));
  });
});
