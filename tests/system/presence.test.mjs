// Who is here and who is typing: many devices, large rooms, sleeping rooms, dead gateways, moves, typing, /live.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { dirname, join as path } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { Client } from './support/client.mjs';
import { call, Cluster, eventually, mint } from './support/cluster.mjs';

const top = path(dirname(fileURLToPath(import.meta.url)), '..', '..');
const storm = path(top, process.env.FLUXY_BUILD_DIR ?? 'build', 'tests', 'bench', 'storm');
const PRESENCE = ['presence', 'subscription_count', 'member_joined', 'member_left', 'presence_delta'];
const users = (frame) => frame?.users?.toSorted();
const last = (client, type) => client.of(type).at(-1);
const type = (isTyping, more = {}) => ({ type: 'typing', isTyping, ...more });

/** A room of everybody, and sockets in it: who: [[gateway, user], ...]. */
async function gather(cluster, id, who, options = {}) {
  const names = [...new Set(who.map(([, user]) => user))];
  const tokens = Object.fromEntries(await Promise.all(names.map(async (user) => [user, await mint(cluster, user, options)])));
  const owner = tokens[names[0]];
  const made = await call(cluster.http(), 'POST', '/rooms', { token: owner, body: { id, name: id, type: 'group', members: names.slice(1).map((userId) => ({ userId, role: 'member' })) } });
  assert.equal(made.status, 200, made.text);
  const clients = [];
  for (const [gateway, user] of who) clients.push(await Client.join(cluster.ws(gateway), id, tokens[user], options.client));
  return { clients, tokens };
}

/** Everybody's last presence lists exactly these. */
const allSee = (clients, names, ms) => eventually(`everybody sees ${names}`, () => clients.every((c) => String(users(last(c, 'presence'))) === String(names.toSorted())), ms);

async function roomsInShards(cluster) {
  const texts = await Promise.all(cluster.shards.map((s) => cluster.metrics(s.admin.startsWith('http') ? s.admin : `http://${s.admin}`)));
  return texts.reduce((sum, text) => sum + Number(/^fluxy_rooms\{state="active"\} (\d+)/m.exec(text)?.[1] ?? NaN), 0);
}

describe('presence and typing', () => {
  let cluster;
  before(async () => {
    cluster = await Cluster.up(undefined, { gateways: 2, shards: 1 });
  });
  after(() => cluster?.remove());

  test('2.2, 2.4 presence: by user over many devices; join and leave on the first and the last', async () => {
    const { clients: [a, b1, b2, b3] } = await gather(cluster, 'devices', [[0, 'ada'], [0, 'bob'], [1, 'bob'], [1, 'bob']]);
    const joined = await a.until((f) => f.type === 'member_joined');
    assert.deepEqual(Object.keys(joined).sort(), ['roomId', 'socketId', 'type', 'userId', 'userInfo']);
    assert.equal(joined.userId, 'bob');
    const full = await a.until((f) => f.type === 'presence' && f.online === 4);
    assert.equal(full.userCount, 2);
    assert.deepEqual(users(full), ['ada', 'bob']);
    assert.deepEqual(full.members.map((m) => m.userId).toSorted(), ['ada', 'bob']);
    await a.until((f) => f.type === 'subscription_count' && f.subscriptionCount === 4);
    assert.equal(a.of('member_joined').length, 1, 'once for three devices');
    assert.ok(![b1, b2, b3].some((c) => c.of('member_joined').some((f) => f.userId === 'bob' && c === b1)), 'not to oneself');
    await b1.close();
    await b2.close();
    await a.until((f) => f.type === 'presence' && f.online === 2);
    assert.equal(a.of('member_left').length, 0, 'one device is left');
    await b3.close();
    const left = await a.until((f) => f.type === 'member_left');
    assert.deepEqual(left, { type: 'member_left', roomId: 'devices', userId: 'bob' });
    await eventually('alone', () => last(a, 'presence').online === 1 && String(users(last(a, 'presence'))) === 'ada');
    await a.close();
  });

  test('2 presenceInfo: only name, avatar_url and role survive, cut and checked', async () => {
    const { clients: [a], tokens } = await gather(cluster, 'info', [[0, 'ada'], [0, 'bob']]);
    const rows = [
      [JSON.stringify({ name: 'B'.repeat(70), role: 'r'.repeat(40), avatar_url: 'https://x.example/a.png', evil: 1 }), { name: 'B'.repeat(64), role: 'r'.repeat(32), avatar_url: 'https://x.example/a.png' }],
      [JSON.stringify({ name: 'x', avatar_url: 'javascript:alert(1)' }), { name: 'x' }],
      [JSON.stringify({ name: 7, role: ['a'] }), {}],
      [JSON.stringify({ name: 'x'.repeat(2100) }), {}],
      ['{"name":', {}],
      ['[]', {}],
    ];
    await eventually('nobody else', () => last(a, 'presence')?.online === 2);
    for (const [presenceInfo, want] of rows) {
      const eve = await mint(cluster, `eve${rows.findIndex(([r]) => r === presenceInfo)}`, { roles: ['admin'] });
      const e = await Client.join(cluster.ws(1), 'info', eve, { query: { presenceInfo } });
      const sub = e.of('subscription_succeeded')[0];
      assert.deepEqual(sub.members.find((m) => m.userId.startsWith('eve')).userInfo, want, presenceInfo.slice(0, 60));
      await e.close();
      await eventually('eve has gone', () => last(a, 'presence')?.online === 2);
    }
    assert.ok(tokens.bob);
    await a.close();
  });

  test('3.1 GET /rooms/{id}/live: who is here, for those who may read', async () => {
    const { clients, tokens } = await gather(cluster, 'live', [[0, 'ada'], [1, 'bob'], [1, 'bob']]);
    const zoe = await mint(cluster, 'zoe');
    const admin = await mint(cluster, 'root', { roles: ['admin'] });
    const get = (token, room = 'live') => call(cluster.http(1), 'GET', `/rooms/${room}/live`, { token });
    for (const token of [tokens.bob, admin]) {
      const { status, json } = await get(token);
      assert.equal(status, 200);
      assert.deepEqual({ ...json, users: undefined, members: undefined, socketIds: undefined, traceId: undefined },
        { roomId: 'live', shardCount: 1, occupied: true, subscriptionCount: 3, userCount: 2, online: 3, truncated: false, users: undefined, members: undefined, socketIds: undefined, traceId: undefined });
      assert.deepEqual(json.users.toSorted(), ['ada', 'bob']);
      assert.deepEqual(json.members.map((m) => m.userId).toSorted(), ['ada', 'bob']);
      assert.deepEqual(json.socketIds.toSorted(), clients.map((c) => c.of('subscription_succeeded')[0].socketId).toSorted());
    }
    for (const [token, room] of [[zoe, 'live'], [tokens.bob, 'no-such-room']]) {
      const { status, json } = await get(token, room);
      assert.equal(status, 403);
      assert.equal(json.error, 'forbidden');
    }
    await Promise.all(clients.map((c) => c.close()));
    const empty = await eventually('everybody has gone', async () => {
      const { json } = await get(admin);
      return !json.occupied && json;
    });
    assert.deepEqual([empty.subscriptionCount, empty.userCount, empty.online, empty.users, empty.members, empty.socketIds], [0, 0, 0, [], [], []]);
  });

  test('2.3, 2.4 typing: to the others, with intent, ended by the server after ten seconds', async () => {
    const { clients: [a, b1, b2] } = await gather(cluster, 'types', [[0, 'ada'], [1, 'bob'], [1, 'bob']]);
    b1.send(type(true, { userId: 'ada', intent: 'viewing_thread', partialText: 'secret' }));
    const began = Date.now();
    const frame = await a.until((f) => f.type === 'typing');
    assert.deepEqual({ userId: frame.userId, isTyping: frame.isTyping, intent: frame.intent }, { userId: 'bob', isTyping: true, intent: 'viewing_thread' });
    assert.equal('seq' in frame || 'partialText' in frame, false);
    await b2.until((f) => f.type === 'typing' && f.isTyping);
    const end = await a.until((f) => f.type === 'typing' && !f.isTyping, 14000);
    assert.equal(end.intent, 'idle');
    const took = Date.now() - began;
    assert.ok(took > 9000 && took < 13000, `ended after ${took} ms`);
    assert.equal(b1.of('typing').length, 0, 'not echoed to the socket that sent it');
    // The last word counts: true after false.
    for (const on of [true, false, true]) b1.send(type(on));
    await eventually('true, false, true', () => a.of('typing').slice(2).map((f) => f.isTyping).join() === 'true,false,true');
    await b1.close();
    await eventually('ended with its socket', () => last(a, 'typing').isTyping === false);
    assert.equal(a.of('member_left').length, 0, 'the other device is still there');
    await Promise.all([a, b2].map((c) => c.close()));
  });

  test('section 13, presence at scale: above 200 users counts and deltas; back to a list', async () => {
    const admins = await Promise.all(Array.from({ length: 205 }, (_, i) => mint(cluster, `m${i}`, { roles: ['admin'] })));
    await call(cluster.http(), 'POST', '/rooms', { token: admins[0], body: { id: 'scale', name: 'scale', type: 'group' } });
    const join = (i, native = false) => Client.join(cluster.ws(i), 'scale', admins[i], { native, keep: i < 2, query: { replay: 'off' } });
    const old = await join(0);
    const native = await join(1, true);
    const rest = await Promise.all(Array.from({ length: 198 }, (_, i) => Client.open(cluster.ws(i), 'scale', admins[i + 2], { keep: false, query: { replay: 'off' } })));
    for (const c of [old, native]) {
      const full = await c.until((f) => f.type === 'presence' && f.userCount === 200, 20000);
      assert.equal(full.users.length, 200);
      assert.equal(full.members.length, 200);
      assert.equal(c.of('presence_delta').length, 0);
    }
    const [mark0, mark1] = [old.frames.length, native.frames.length];
    const extra = await Client.join(cluster.ws(0), 'scale', admins[200]);
    const sub = extra.of('subscription_succeeded')[0];
    assert.deepEqual([sub.subscriptionCount, sub.userCount, sub.members], [201, 201, []]);
    const counts = await old.until((f) => f.type === 'presence' && f.userCount === 201);
    assert.equal('users' in counts || 'members' in counts, false);
    assert.equal(counts.online, 201);
    const delta = await native.until((f) => f.type === 'presence_delta' && f.joined.some((m) => m.userId === 'm200'));
    assert.deepEqual({ ...delta, joined: delta.joined.map((m) => m.userId) }, { type: 'presence_delta', roomId: 'scale', joined: ['m200'], left: [], online: 201, userCount: 201 });
    await extra.close();
    const again = await old.until((f) => f.type === 'presence' && f.userCount === 200 && old.frames.indexOf(f) > mark0);
    assert.equal(again.users.length, 200, 'listed in full again');
    assert.equal(old.of('presence_delta').length, 0, 'old clients get none');
    assert.equal([...old.frames.slice(mark0), ...native.frames.slice(mark1)].filter((f) => f.type === 'member_joined').length, 0);
    await Promise.all([old, native, ...rest].map((c) => c.close()));
  });

  test('a storm of joins in a small room: four frames a second, and the list is whole', async () => {
    const admins = await Promise.all(Array.from({ length: 60 }, (_, i) => mint(cluster, `s${i}`, { roles: ['admin'] })));
    await call(cluster.http(), 'POST', '/rooms', { token: admins[0], body: { id: 'small-storm', name: 'x', type: 'group' } });
    const a = await Client.join(cluster.ws(0), 'small-storm', admins[0]);
    const times = [];
    a.onframe = (f) => PRESENCE.includes(f.type) && times.push(performance.now());
    const rest = [];
    for (let i = 1; i < 60; i++) rest.push(await Client.open(cluster.ws(i), 'small-storm', admins[i], { keep: false }));
    await a.until((f) => f.type === 'presence' && f.userCount === 60);
    for (let i = 4; i < times.length; i++) assert.ok(times[i] - times[i - 4] > 1000, `five frames in ${times[i] - times[i - 4]} ms`);
    await Promise.all([a, ...rest].map((c) => c.close()));
  });

  test('section 13: the bytes of a storm grow with its joins', async () => {
    const results = [];
    for (const joins of [250, 500, 1000]) {
      const urls = cluster.gateways.flatMap((g) => ['--url', g.http]);
      const { stdout } = await promisify(execFile)(storm, [...urls, '--api-key', cluster.apiKey, '--joins', String(joins), '--rate', '500', '--prefix', `storm-${joins}`]);
      results.push(JSON.parse(stdout));
    }
    for (const r of results) {
      assert.ok(r.everybodyKnows, JSON.stringify(r));
      assert.ok(r.mostInOneSecond <= 4, JSON.stringify(r));
    }
    const [small, , big] = results;
    assert.ok(big.presenceBytesPerJoin < 1.5 * small.presenceBytesPerJoin, JSON.stringify(results));
    assert.ok(big.bytesPerJoin < 1.5 * small.bytesPerJoin, JSON.stringify(results));
  });
});

describe('presence when processes go', () => {
  test('a gateway is killed: its users are gone within 15 s, from rooms that are awake and rooms that sleep', async (t) => {
    const cluster = await Cluster.up(t, { gateways: 3, shards: 2, env: { FLUXY_ROOM_IDLE_MS: '300' } });
    // In each: ada and cid at gateways that live, bob at one that dies, cid there as well.
    const rooms = await Promise.all(['nap-1', 'nap-2', 'nap-3'].map((id) => gather(cluster, id, [[0, 'ada'], [2, 'bob'], [1, 'cid'], [2, 'cid']])));
    const alone = await gather(cluster, 'nap-4', [[0, 'ada'], [1, 'bob']]);
    await Promise.all(rooms.map(({ clients }) => allSee(clients, ['ada', 'bob', 'cid'])));
    await eventually('all rooms sleep', async () => (await roomsInShards(cluster)) === 0);
    const before = Date.now();
    await cluster.node('kill', 'gateway-3');
    for (const { clients: [a, , c] } of rooms) {
      for (const one of [a, c]) {
        const left = await one.until((f) => f.type === 'member_left', 15000 - (Date.now() - before));
        assert.equal(left.userId, 'bob');
      }
      await allSee([a, c], ['ada', 'cid'], 15000 - (Date.now() - before));
      await eventually('three sockets less one each', () => last(a, 'presence').online === 2);
      assert.deepEqual([...a.of('member_left'), ...c.of('member_left')].map((f) => f.userId), ['bob', 'bob'], 'cid has another device');
    }
    t.diagnostic(`gone after ${Date.now() - before} ms`);
    assert.ok(Date.now() - before < 15000);
    await eventually('they sleep again', async () => (await roomsInShards(cluster)) === 0);
    assert.equal(alone.clients[0].of('member_left').length, 0);
    // Who leaves a sleeping room is missed, too.
    await rooms[0].clients[2].close();
    const left = await rooms[0].clients[0].until((f) => f.type === 'member_left' && f.userId === 'cid');
    assert.equal(left.roomId, 'nap-1');
    // A room that sleeps is asked when its sockets are back.
    await eventually('they sleep once more', async () => (await roomsInShards(cluster)) === 0);
    const { json } = await call(cluster.http(1), 'GET', '/rooms/nap-2/live', { token: rooms[1].tokens.ada });
    assert.deepEqual(json.users.toSorted(), ['ada', 'cid']);
    assert.equal(json.online, 2);
    await Promise.all([...rooms.flatMap(({ clients: [a, , c] }) => [a, c]), ...alone.clients].map((c) => c.close()));
  });

  test('shards are killed, stopped and started: presence is whole, nobody leaves or joins, typing ends', async (t) => {
    const cluster = await Cluster.up(t, { gateways: 3, shards: 3 });
    const names = ['ada', 'bob', 'cid'];
    const rooms = await Promise.all(['m-1', 'm-2', 'm-3', 'm-4'].map((id) => gather(cluster, id, [[0, 'ada'], [1, 'bob'], [2, 'cid']], { client: { native: true } })));
    const all = rooms.flatMap(({ clients }) => clients);
    await Promise.all(rooms.map(({ clients }) => allSee(clients, names)));
    const marks = new Map(all.map((c) => [c, c.frames.length]));
    for (const { clients } of rooms) clients[1].send(type(true));
    await Promise.all(rooms.map(({ clients }) => clients[0].until((f) => f.type === 'typing' && f.isTyping)));
    for (const [verb, node] of [['kill', 'shard-1'], ['stop', 'shard-2'], ['start', 'shard-1']]) {
      await cluster.node(verb, node);
      for (const [i, { clients }] of rooms.entries()) {
        clients[0].message(`after ${verb} ${node}`, `${i}-${verb}-${node}`);
        for (const c of clients) await c.until((f) => f.type === 'message' && f.content === `after ${verb} ${node}`, 15000);
      }
    }
    await Promise.all(rooms.map(({ clients }) => clients[0].until((f) => f.type === 'typing' && !f.isTyping, 25000)));
    for (const { clients, tokens } of rooms) {
      const { json } = await call(cluster.http(), 'GET', `/rooms/${clients[0].of('subscription_succeeded')[0].roomId}/live`, { token: tokens.ada });
      assert.deepEqual(json.users.toSorted(), names);
      assert.equal(json.online, 3);
      await allSee(clients, names);
    }
    for (const c of all) {
      const news = c.frames.slice(marks.get(c)).filter((f) => f.type === 'member_left' || f.type === 'member_joined');
      assert.deepEqual(news, []);
    }
    await Promise.all(all.map((c) => c.close()));
  });
});
