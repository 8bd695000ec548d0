// REST surface of the first milestone: tokens, rooms, members, messages, history, errors, CORS.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { call, Cluster, mint } from './support/cluster.mjs';

describe('REST', () => {
  let cluster, ada, bob, eve, admin;
  const api = (method, path, options) => call(cluster.http(options?.gateway ?? 0), method, path, options);
  const post = (token, body, gateway) => api('POST', '/messages', { token, body, gateway });

  before(async () => {
    cluster = await Cluster.up();
    [ada, bob, eve] = await Promise.all(['ada', 'bob', 'eve'].map((user) => mint(cluster, user)));
    admin = await mint(cluster, 'root', { roles: ['admin'] });
  });
  after(() => cluster?.remove());

  test('POST /auth/token mints, clamps the ttl and drops unknown roles', async () => {
    const got = await api('POST', '/auth/token', { key: cluster.apiKey, body: { userId: 'ada', roles: ['member', 'wizard'], ttlSeconds: 5 } });
    assert.equal(got.status, 200);
    assert.equal(got.json.expiresIn, 60);
    assert.deepEqual(got.json.claims, { sub: 'ada', tid: cluster.project, roles: ['member'] });
    const claims = JSON.parse(Buffer.from(got.json.token.split('.')[1], 'base64url'));
    assert.equal(claims.exp - claims.iat, 60);
    const long = await api('POST', '/auth/token', { key: cluster.apiKey, body: { userId: 'ada', ttlSeconds: 1e9 } });
    assert.equal(long.json.expiresIn, 86400);
    const byQuery = await api('POST', `/auth/token?apiKey=${cluster.apiKey}`, { body: { userId: 'ada' } });
    assert.equal(byQuery.status, 200);
    assert.equal(byQuery.json.expiresIn, 3600);
    assert.deepEqual(byQuery.json.claims.roles, ['member']);
  });

  test('POST /auth/token refuses bad keys, ids and bodies', async () => {
    assert.equal((await api('POST', '/auth/token', { body: { userId: 'ada' } })).status, 401);
    const wrong = await api('POST', '/auth/token', { key: 'fc_' + '0'.repeat(32), body: { userId: 'ada' } });
    assert.equal(wrong.status, 401);
    assert.equal(wrong.json.error, 'invalid_api_key');
    assert.ok(wrong.json.traceId);
    for (const userId of ['', 'a b', 'x'.repeat(129), 7, null, undefined]) {
      assert.equal((await api('POST', '/auth/token', { key: cluster.apiKey, body: { userId } })).status, 400, JSON.stringify(userId));
    }
    assert.equal((await api('POST', '/auth/token', { key: cluster.apiKey, body: '{"userId":' })).status, 400);
  });

  test('every answer names its trace, and an asked one is echoed', async () => {
    const got = await api('GET', '/rooms', { token: ada, headers: { 'X-Trace-Id': 'trace-me-1' } });
    assert.equal(got.headers.get('x-trace-id'), 'trace-me-1');
    const none = await api('GET', '/nowhere');
    assert.equal(none.status, 404);
    assert.equal(none.json.traceId, none.headers.get('x-trace-id'));
    assert.equal(none.json.error, 'not_found');
    assert.equal(none.json.status, 404);
    assert.ok(none.json.title && none.json.type && none.json.detail);
    const problem = await api('GET', '/nowhere', { headers: { Accept: 'application/problem+json' } });
    assert.match(problem.headers.get('content-type'), /application\/problem\+json/);
  });

  test('CORS preflight', async () => {
    const got = await api('OPTIONS', '/messages', { headers: { Origin: 'https://app.example', 'Access-Control-Request-Method': 'POST' } });
    assert.equal(got.status, 204);
    assert.match(got.headers.get('access-control-allow-headers'), /X-Fluxy-Api-Key/i);
    const real = await api('GET', '/rooms', { token: ada, headers: { Origin: 'https://app.example' } });
    assert.ok(real.headers.get('access-control-allow-origin'));
    assert.match(real.headers.get('access-control-expose-headers'), /X-Trace-Id/i);
  });

  test('a method that a path does not have is 405 with Allow', async () => {
    const got = await api('PUT', '/rooms', { token: ada, body: {} });
    assert.equal(got.status, 405);
    assert.match(got.headers.get('allow'), /GET/);
  });

  test('tokens: none, broken, expired by nature, in the query', async () => {
    assert.equal((await api('GET', '/rooms')).status, 401);
    assert.equal((await api('GET', '/rooms', { token: 'x.y.z' })).status, 401);
    const [head, body, mac] = ada.split('.');
    assert.equal((await api('GET', '/rooms', { token: `${head}.${body}.${mac.slice(0, -4)}AAAA` })).json.error, 'invalid_token');
    const none = Buffer.from('{"alg":"none","typ":"JWT"}').toString('base64url');
    assert.equal((await api('GET', '/rooms', { token: `${none}.${body}.` })).status, 401);
    assert.equal((await api('GET', `/rooms?token=${ada}`)).status, 200);
  });

  test('rooms: create, open again, list', async () => {
    const made = await api('POST', '/rooms', { token: ada, body: { id: 'r-list', name: 'Liste', type: 'group', members: [{ userId: 'bob', role: 'member' }] } });
    assert.equal(made.status, 200);
    assert.equal(made.json.room.id, 'r-list');
    assert.equal(made.json.room.type, 'group');
    assert.equal(made.json.room.name, 'Liste');
    assert.ok(Date.parse(made.json.room.created_at));
    const again = await api('POST', '/rooms', { token: bob, body: { id: 'r-list', name: 'Other', type: 'public' }, gateway: 1 });
    assert.equal(again.status, 200);
    assert.equal(again.json.room.name, 'Liste');
    const stranger = await api('POST', '/rooms', { token: eve, body: { id: 'r-list', name: 'x', type: 'group' } });
    assert.equal(stranger.status, 403);
    const unnamed = await api('POST', '/rooms', { token: ada, body: { id: 'bad id!', name: 'No id', type: 'group' } });
    assert.match(unnamed.json.room.id, /^[0-9a-f-]{36}$/);
    for (const body of [{ name: '', type: 'group' }, { name: 'x' }, { name: 'x', type: 'castle' }, { name: 'x'.repeat(257), type: 'group' }, [], { name: 'x', type: 'group', members: [{ userId: 'a b' }] }]) {
      assert.equal((await api('POST', '/rooms', { token: ada, body })).status, 400, JSON.stringify(body).slice(0, 60));
    }
    for (const [token, has] of [[ada, true], [bob, true], [eve, false], [admin, true]]) {
      const { json } = await api('GET', '/rooms', { token, gateway: 1 });
      assert.equal(json.rooms.some((r) => r.id === 'r-list'), has);
    }
    const room = (await api('GET', '/rooms?type=group', { token: bob })).json.rooms.find((r) => r.id === 'r-list');
    assert.deepEqual(Object.keys(room).sort(), ['created_at', 'id', 'name', 'pinned_at', 'pinned_by_user_id', 'pinned_message_id', 'type', 'unreadCount']);
    assert.equal((await api('GET', '/rooms?type=public', { token: bob })).json.rooms.some((r) => r.id === 'r-list'), false);
  });

  test('members: add, list, remove, and who may', async () => {
    await api('POST', '/rooms', { token: ada, body: { id: 'r-mem', name: 'M', type: 'group' } });
    assert.equal((await api('GET', '/rooms/r-mem/members', { token: eve })).status, 403);
    assert.equal((await api('POST', '/rooms/r-mem/members', { token: eve, body: { userId: 'eve' } })).status, 403);
    const added = await api('POST', '/rooms/r-mem/members', { token: admin, body: { userId: 'bob', role: 'moderator' } });
    assert.equal(added.status, 200);
    assert.equal(added.json.ok, true);
    assert.equal(added.json.role, 'moderator');
    assert.equal((await api('POST', '/rooms/r-mem/members', { token: ada, body: { userId: 'eve' } })).status, 200, 'the owner may');
    const { json } = await api('GET', '/rooms/r-mem/members', { token: bob });
    assert.deepEqual(json.members.map((m) => [m.userId, m.role]).sort(), [['ada', 'owner'], ['bob', 'moderator'], ['eve', 'member']]);
    assert.ok(Date.parse(json.members[0].joinedAt));
    assert.equal((await api('DELETE', '/rooms/r-mem/members/eve', { token: ada })).json.ok, true);
    assert.equal((await api('GET', '/rooms/r-mem/members', { token: eve })).status, 403);
    assert.equal((await api('POST', '/rooms/r-mem/members', { token: ada, body: { userId: 'x', role: 'king' } })).status, 400);
    assert.equal((await api('GET', '/rooms/no-such-room/members', { token: ada })).status, 403);
  });

  test('messages: post, repeat, reply, and what is refused', async () => {
    await api('POST', '/rooms', { token: ada, body: { id: 'r-msg', name: 'M', type: 'group', members: [{ userId: 'bob', role: 'member' }] } });
    const first = await post(ada, { roomId: 'r-msg', content: '  hello @bob  ', clientMessageId: 'one' });
    assert.equal(first.status, 200);
    const { message } = first.json;
    assert.ok(Number.isSafeInteger(message.id) && message.id > 0);
    assert.equal(message.seq, 1);
    assert.equal(message.content, 'hello @bob');
    assert.equal(message.userId, 'ada');
    assert.equal(message.senderId, 'ada');
    assert.equal(message.parentId, null);
    assert.equal(message.clientMessageId, 'one');
    assert.deepEqual(message.mentions, ['bob']);
    const again = await post(ada, { roomId: 'r-msg', content: 'hello @bob', clientMessageId: 'one' }, 1);
    assert.equal(again.json.message.id, message.id);
    assert.equal(again.json.message.seq, 1);
    const other = await post(bob, { roomId: 'r-msg', content: 'the same key of another author', clientMessageId: 'one' });
    assert.equal(other.json.message.seq, 2);
    const reply = await post(bob, { roomId: 'r-msg', content: 're', replyTo: message.id });
    assert.equal(reply.json.message.parentId, message.id);
    assert.equal((await post(bob, { roomId: 'r-msg', content: 're', replyTo: 999999999 })).status, 404);
    assert.equal((await post(eve, { roomId: 'r-msg', content: 'let me in' })).status, 403);
    assert.equal((await post(ada, { roomId: 'r-none', content: 'x' })).status, 403);
    for (const body of [{ roomId: 'r-msg' }, { roomId: 'r-msg', content: '   ' }, { roomId: 'r-msg', content: 'x'.repeat(4001) }, { roomId: 'r-msg', content: 5 },
      { roomId: 'a b', content: 'x' }, { content: 'x' }, { roomId: 'r-msg', content: 'a\u0000b' }, '{"roomId":"r-msg","content":"\\ud800"}', '[]', '"x"', '', '{"roomId":"r-msg","content":"x","content":"y"}']) {
      const got = await post(ada, body);
      assert.equal(got.status, 400, JSON.stringify(body).slice(0, 60));
      assert.ok(got.json.error);
    }
    for (const clientMessageId of ['', 'a b', 'x'.repeat(129), 'é']) {
      assert.equal((await post(ada, { roomId: 'r-msg', content: 'x', clientMessageId })).json.error, 'invalid_client_message_id');
    }
    assert.equal((await post(ada, { roomId: 'r-msg', content: 'x', pad: 'y'.repeat(1 << 20) })).status, 413);
    assert.equal((await post(ada, { roomId: 'r-msg', content: 'four \u{1F600}' })).json.message.content, 'four \u{1F600}');
  });

  test('history: both kinds of cursor, both orders, to the first message', async () => {
    await api('POST', '/rooms', { token: ada, body: { id: 'r-his', name: 'H', type: 'group' } });
    for (let i = 1; i <= 25; i++) assert.equal((await post(ada, { roomId: 'r-his', content: `m${i}` }, i)).json.message.seq, i);
    const page = async (query) => (await api('GET', `/api/messages?roomId=r-his&${query}`, { token: ada, gateway: 1 })).json;
    const newest = await page('limit=10');
    assert.deepEqual(newest.messages.map((m) => m.seq), [25, 24, 23, 22, 21, 20, 19, 18, 17, 16]);
    assert.equal(newest.hasMore, true);
    assert.equal(newest.currentSeq, 25);
    assert.deepEqual(newest.reactions, {});
    for (const key of ['id', 'roomId', 'userId', 'senderId', 'content', 'createdAt', 'parentId', 'editedAt', 'deletedAt', 'expiresAt', 'kind', 'visibility', 'seq', 'updatedSeq', 'version', 'mentions', 'attachments']) {
      assert.ok(key in newest.messages[0], key);
    }
    const walk = async (first, next) => {
      const seen = [];
      for (let got = await page(first); ; got = await page(next(got.messages.at(-1)))) {
        seen.push(...got.messages.map((m) => m.seq));
        if (got.messages.length < 10) return seen;
      }
    };
    const down = Array.from({ length: 25 }, (_, i) => 25 - i);
    assert.deepEqual(await walk('limit=10', (m) => `limit=10&before=${encodeURIComponent(m.createdAt)}`), down);
    assert.deepEqual(await walk('limit=10', (m) => `limit=10&beforeSeq=${m.seq}`), down);
    assert.deepEqual(await walk('limit=10&afterSeq=0&order=asc', (m) => `limit=10&order=asc&afterSeq=${m.seq}`), down.toReversed());
    const around = (await page('limit=5&aroundSeq=12&order=asc')).messages.map((m) => m.seq);
    assert.ok(around.includes(12) && around.length === 5);
    const times = (await page('limit=50&order=asc')).messages.map((m) => m.createdAt);
    assert.deepEqual(times, times.toSorted());
    assert.equal(new Set(times).size, 25);
    for (const bad of ['limit=0', 'limit=501', 'limit=x', 'beforeSeq=-1', 'before=yesterday', 'afterSeq=1e99']) {
      assert.equal((await api('GET', `/api/messages?roomId=r-his&${bad}`, { token: ada })).status, 400, bad);
    }
    assert.equal((await api('GET', '/api/messages?roomId=r-his', { token: eve })).status, 403);
  });

  test('a second tenant sees nothing of the first', async () => {
    const other = await cluster.command('project', 'add', 'tenant-b', '--json');
    assert.notEqual(other.project, cluster.project);
    const twin = await mint(cluster, 'ada', { key: other.apiKey, roles: ['owner'] });
    await api('POST', '/rooms', { token: ada, body: { id: 'r-iso', name: 'secret', type: 'public' } });
    await post(ada, { roomId: 'r-iso', content: 'secret' });
    assert.equal((await api('GET', '/api/messages?roomId=r-iso', { token: twin })).status, 403);
    assert.equal((await api('GET', '/rooms', { token: twin })).json.rooms.length, 0);
    const same = await api('POST', '/rooms', { token: twin, body: { id: 'r-iso', name: 'mine', type: 'public' } });
    assert.equal(same.json.room.name, 'mine');
    assert.equal((await post(twin, { roomId: 'r-iso', content: 'x' })).json.message.seq, 1);
    assert.equal((await api('GET', '/api/messages?roomId=r-iso', { token: twin })).json.messages.length, 1);
    const claims = { ...JSON.parse(Buffer.from(twin.split('.')[1], 'base64url')), tid: cluster.project };
    const parts = twin.split('.');
    parts[1] = Buffer.from(JSON.stringify(claims)).toString('base64url');
    assert.equal((await api('GET', '/rooms', { token: parts.join('.') })).status, 401);
  });

  test('health, probes and metrics of every process', async () => {
    const health = await api('GET', '/health');
    assert.equal(health.status, 200);
    assert.equal(health.json.ok, true);
    for (const node of [...cluster.gateways, ...cluster.shards]) {
      const admin = node.admin.startsWith('http') ? node.admin : `http://${node.admin}`;
      assert.equal((await fetch(`${admin}/healthz`)).status, 200);
      assert.equal((await fetch(`${admin}/readyz`)).status, 200);
      const text = await cluster.metrics(admin);
      assert.match(text, /^# TYPE fluxy_build_info gauge$/m);
      assert.match(text, /^process_resident_memory_bytes \d+/m);
    }
  });

  test('logs are JSON lines, carry the trace through gateway and shard, and no token', async () => {
    const logs = Object.entries(await cluster.logs()).filter(([name]) => /gateway|shard/.test(name));
    assert.ok(logs.length >= 4);
    for (const [name, text] of logs) {
      for (const row of text.split('\n').filter(Boolean)) assert.doesNotThrow(() => JSON.parse(row), `${name}: ${row}`);
      assert.ok(!text.includes(ada.split('.')[2]), 'a token in the log');
      assert.ok(!text.includes(cluster.apiKey), 'an API key in the log');
    }
  });
});
