// What all REST answers have in common, what clients ask at their start, and Idempotency-Key.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { call, Cluster, eventually, mint } from './support/cluster.mjs';

const origin = 'https://app.example';

describe('REST conventions', () => {
  let cluster, ada, bob, eve, admin;
  const api = (method, path, options) => call(cluster.http(options?.gateway ?? 0), method, path, options);

  before(async () => {
    cluster = await Cluster.up(undefined, { shards: 1, env: { FLUXY_ALLOWED_ORIGINS: `${origin}, https://other.example` } });
    [ada, bob, eve] = await Promise.all(['ada', 'bob', 'eve'].map((user) => mint(cluster, user)));
    admin = await mint(cluster, 'root', { roles: ['admin'] });
    await api('POST', '/rooms', { token: ada, body: { id: 'r', name: 'r', type: 'group', members: [{ userId: 'bob', role: 'member' }] } });
  });
  after(() => cluster?.remove());

  test('errors are JSON with a trace, whatever went wrong', async () => {
    const cases = [
      ['GET', '/nowhere', {}, 404, 'not_found'],
      ['GET', '/rooms', {}, 401, 'unauthorized'],
      ['GET', '/rooms', { token: 'x' }, 401, 'invalid_token'],
      ['POST', '/auth/token', { body: {} }, 401, 'invalid_api_key'],
      ['PUT', '/rooms', { token: ada, body: {} }, 405, 'method_not_allowed'],
      ['GET', '/rooms/no-such-room', { token: ada }, 403, 'forbidden'],
      ['POST', '/messages', { token: ada, body: '{' }, 400, 'invalid_json'],
      ['POST', '/messages', { token: ada, body: { roomId: 'r', content: '' } }, 400, 'invalid_content'],
      ['POST', '/messages', { token: ada, body: 'x', headers: { 'Content-Type': 'application/xml' } }, 415, 'unsupported_media_type'],
      ['POST', '/messages', { token: ada, body: JSON.stringify({ roomId: 'r', content: 'x'.repeat(1100000) }) }, 413, 'payload_too_large'],
      ['GET', '/ws/room/r', { token: ada }, 426, 'upgrade_required'],
    ];
    for (const [method, path, options, status, word] of cases) {
      const got = await api(method, path, { ...options, headers: { ...options.headers, 'X-Trace-Id': 'my-trace', Origin: origin } });
      assert.equal(got.status, status, `${method} ${path}`);
      assert.match(got.headers.get('content-type'), /^application\/json/, path);
      assert.equal(got.headers.get('x-trace-id'), 'my-trace', path);
      assert.equal(got.headers.get('access-control-allow-origin'), origin, path);
      const { error, traceId, type, title, status: inBody, detail } = got.json;
      assert.equal(error, word, path);
      assert.equal(traceId, 'my-trace', path);
      assert.equal(type, `urn:fluxychat:error:${word}`);
      assert.equal(inBody, status);
      assert.ok(title && detail, path);
    }
  });

  test('CORS: only origins on the list, all headers that clients send, 204', async () => {
    const pre = await api('OPTIONS', '/messages', { headers: { Origin: origin, 'Access-Control-Request-Method': 'POST', 'X-Trace-Id': 't' } });
    assert.equal(pre.status, 204);
    assert.equal(pre.text, '');
    assert.equal(pre.headers.get('x-trace-id'), 't');
    assert.equal(pre.headers.get('access-control-allow-origin'), origin);
    assert.match(pre.headers.get('vary'), /Origin/);
    const allowed = pre.headers.get('access-control-allow-headers').toLowerCase().split(/, */);
    for (const name of ['Content-Type', 'Authorization', 'X-Trace-Id', 'X-Fluxy-Api-Key', 'X-Project-Id', 'Idempotency-Key', 'traceparent', 'Last-Event-ID', 'X-File-Name', 'X-Room-Id']) {
      assert.ok(allowed.includes(name.toLowerCase()), name);
    }
    assert.match(pre.headers.get('access-control-allow-methods'), /POST/);
    const exposed = (await api('GET', '/health', { headers: { Origin: origin } })).headers.get('access-control-expose-headers').split(/, */);
    for (const name of ['X-Trace-Id', 'Retry-After', 'RateLimit', 'RateLimit-Policy', 'Idempotency-Replayed']) assert.ok(exposed.includes(name), name);
    for (const stranger of ['https://evil.example', 'https://app.example.evil.example', 'http://app.example', 'null']) {
      assert.equal((await api('OPTIONS', '/messages', { headers: { Origin: stranger } })).headers.get('access-control-allow-origin'), null, stranger);
      assert.equal((await api('GET', '/rooms', { token: ada, headers: { Origin: stranger } })).headers.get('access-control-allow-origin'), null, stranger);
    }
    assert.equal((await api('GET', '/rooms', { token: ada })).status, 200, 'no browser');
  });

  test('times have three digits, or six', async () => {
    const { json } = await api('GET', '/rooms/r', { token: ada });
    assert.match(json.room.created_at, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}(\d{3})?Z$/);
    const posted = await api('POST', '/messages', { token: ada, body: { roomId: 'r', content: 'x' } });
    assert.match(posted.json.message.createdAt, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}(\d{3})?Z$/);
  });

  test('what a client asks at its start', async () => {
    const flags = await api('GET', '/client/feature-flags');
    assert.equal(flags.status, 200);
    assert.equal(typeof flags.json.flags, 'object');
    assert.ok('flagship' in flags.json);
    assert.deepEqual(flags.json.reconnectBackoff, { baseBackoffMs: 500, maxBackoffMs: 20000 });
    const crdt = await api('GET', '/api/rooms/r/messages/crdt-snapshot', { token: ada });
    assert.equal(crdt.status, 404);
    assert.equal(crdt.json.error, 'not_found');
  });

  test('tokens: anonymous ones are one user per anonId, those for members work, a minted mod is a moderator', async () => {
    const anonymous = async (body, gateway) => (await api('POST', '/tokens/anonymous', { key: cluster.apiKey, body, gateway })).json;
    const first = await anonymous({ anonId: 'browser', displayName: 'Guest' }, 0);
    const again = await anonymous({ anonId: 'browser' }, 1);
    assert.match(first.userId, /^anon_[0-9a-f]{16}$/);
    assert.equal(again.userId, first.userId);
    assert.notEqual((await anonymous({})).userId, first.userId);
    assert.deepEqual(first.claims, { sub: first.userId, tid: cluster.project, roles: ['guest'], anon: true });
    assert.equal((await api('GET', '/rooms', { token: first.token })).status, 200);
    const member = await api('POST', '/admin/member-token', { token: admin, body: { userId: 'zoe' } });
    assert.equal(member.json.claims.sub, 'zoe');
    assert.equal((await api('GET', '/rooms', { token: member.json.token })).status, 200);
    assert.equal((await api('POST', '/admin/member-token', { token: ada, body: { userId: 'zoe' } })).status, 403);
    const mod = await mint(cluster, 'mia', { roles: ['mod'] });
    const claims = JSON.parse(Buffer.from(mod.split('.')[1], 'base64url'));
    assert.deepEqual(claims.roles, ['moderator']);
    assert.equal((await api('POST', '/admin/mute', { token: eve, body: { roomId: 'r', userId: 'bob' } })).status, 403);
    assert.equal((await api('POST', '/admin/mute', { token: mod, body: { roomId: 'r', userId: 'bob' } })).status, 200);
    assert.equal((await api('POST', '/admin/unmute', { token: mod, body: { roomId: 'r', userId: 'bob' } })).status, 200);
  });

  test('a channel is signed for members only', async () => {
    const signed = await api('POST', '/auth/channel', { token: bob, body: { socket_id: '1.2', channel_name: 'presence-r' } });
    assert.equal(signed.status, 200);
    assert.match(signed.json.auth, new RegExp(`^${cluster.project}:[0-9a-f]{64}$`));
    assert.equal(signed.json.roomId, 'r');
    assert.equal((await api('POST', '/auth/channel', { token: eve, body: { socket_id: '1.2', channel_name: 'presence-r' } })).status, 403);
  });

  describe('Idempotency-Key', () => {
    const post = (token, path, key, body, gateway = 0) => api('POST', path, { token, body, gateway, headers: { 'Idempotency-Key': key } });
    const messages = async () => Number((await cluster.sql("SELECT count(*) FROM timeline WHERE room_id = 'r' AND kind = 1"))[0][0]);

    test('the same again gets the same answer, and nothing is done twice', async () => {
      const had = await messages();
      const first = await post(ada, '/messages', 'k1', { roomId: 'r', content: 'once' });
      assert.equal(first.status, 200);
      assert.equal(first.headers.get('idempotency-replayed'), null);
      for (const gateway of [0, 1]) {
        const again = await post(ada, '/messages', 'k1', { roomId: 'r', content: 'once' }, gateway);
        assert.equal(again.status, 200);
        assert.equal(again.text, first.text);
        assert.equal(again.headers.get('idempotency-replayed'), 'true');
      }
      assert.equal(await messages(), had + 1);
      const room = await post(ada, '/rooms', 'k2', { name: 'no id', type: 'group' });
      assert.equal((await post(ada, '/rooms', 'k2', { name: 'no id', type: 'group' })).json.room.id, room.json.room.id);
      assert.notEqual((await post(ada, '/rooms', 'k3', { name: 'no id', type: 'group' })).json.room.id, room.json.room.id);
      const added = await post(ada, '/rooms/r/members', 'k4', { userId: 'kim' });
      assert.equal(added.status, 200);
      await api('DELETE', '/rooms/r/members/kim', { token: ada });
      assert.equal((await post(ada, '/rooms/r/members', 'k4', { userId: 'kim' })).text, added.text);
      assert.equal((await api('GET', '/rooms/r/members', { token: ada })).json.members.some((m) => m.userId === 'kim'), false, 'not added again');
    });

    test('another wish under the same key is refused; another user has keys of his own', async () => {
      assert.equal((await post(ada, '/messages', 'm1', { roomId: 'r', content: 'a' })).status, 200);
      const other = await post(ada, '/messages', 'm1', { roomId: 'r', content: 'b' });
      assert.equal(other.status, 409);
      assert.equal(other.json.error, 'idempotency_mismatch');
      assert.equal((await post(ada, '/rooms', 'm1', { name: 'x', type: 'group' })).json.error, 'idempotency_mismatch');
      const his = await post(bob, '/messages', 'm1', { roomId: 'r', content: 'b' });
      assert.equal(his.status, 200);
      assert.equal(his.json.message.userId, 'bob');
    });

    test('many at once are one', async () => {
      const had = await messages();
      const answers = await Promise.all(Array.from({ length: 12 }, async (_, i) => {
        for (;;) {
          const got = await post(ada, '/messages', 'c1', { roomId: 'r', content: 'all at once' }, i);
          if (got.status !== 409) return got;
          assert.equal(got.json.error, 'conflict');
          assert.equal(got.headers.get('retry-after'), '1');
        }
      }));
      assert.deepEqual([...new Set(answers.map((a) => a.json.message?.id))].length, 1, JSON.stringify(answers.map((a) => a.json)));
      assert.equal(await messages(), had + 1);
    });

    test('a refusal is not kept', async () => {
      const body = { roomId: 'r', content: 'let me in' };
      assert.equal((await post(eve, '/messages', 'f1', body)).status, 403);
      await api('POST', '/rooms/r/members', { token: ada, body: { userId: 'eve' } });
      const now = await post(eve, '/messages', 'f1', body);
      assert.equal(now.status, 200);
      assert.equal(now.headers.get('idempotency-replayed'), null);
      await api('DELETE', '/rooms/r/members/eve', { token: ada });
    });

    test('while the first is under way the second waits; one whose shard died is taken over, and done once', async () => {
      const body = JSON.stringify({ roomId: 'r', content: 'under way' });
      const hash = createHash('sha256');
      for (const part of ['POST', '/messages', body]) {
        const len = Buffer.alloc(8);
        len.writeBigUInt64LE(BigInt(part.length));
        hash.update(len).update(part);
      }
      await cluster.sql(`INSERT INTO idempotency_keys (project_id, user_id, key, request, body) VALUES ('${cluster.project}', 'ada', 'u1', '\\x${hash.digest('hex')}', 'somebody')`);
      const waits = await post(ada, '/messages', 'u1', body);
      assert.equal(waits.status, 409);
      assert.equal(waits.json.error, 'conflict');
      assert.equal(waits.headers.get('retry-after'), '1');
      await cluster.sql("UPDATE idempotency_keys SET created_at = now() - interval '1 minute' WHERE key = 'u1'");
      const done = await post(ada, '/messages', 'u1', body);
      assert.equal(done.status, 200);
      // As if the shard had died between the commit and the kept answer.
      await cluster.sql("UPDATE idempotency_keys SET status = 0, body = 'dead', created_at = now() - interval '1 minute' WHERE key = 'u1'");
      const had = await messages();
      const again = await post(ada, '/messages', 'u1', body);
      assert.equal(again.status, 200);
      assert.equal(again.json.message.id, done.json.message.id);
      assert.equal(await messages(), had);
    });

    test('kill -9 of the shard in between: what is sent again until it is answered is there once', async () => {
      const had = await messages();
      const until = async (i) => {
        for (;;) {
          const got = await post(ada, '/messages', `kill-${i}`, { roomId: 'r', content: `kill ${i}` }, i);
          if (got.status === 200) return got.json.message.id;
          assert.ok([409, 503].includes(got.status), got.text);
          await new Promise((wake) => setTimeout(wake, 50));
        }
      };
      const under = Array.from({ length: 40 }, async (_, i) => {
        if (i >= 20) await new Promise((wake) => setTimeout(wake, i * 5));
        return until(i);
      });
      await eventually('some are stored', async () => await messages() > had);
      await cluster.node('kill', 'shard-1');
      await cluster.node('start', 'shard-1');
      const ids = await Promise.all(under);
      assert.equal(new Set(ids).size, 40);
      assert.equal(await messages(), had + 40);
      for (const i of [0, 19, 39]) assert.equal(await until(i), ids[i], 'the same again');
    });

    test('a message with a key of its own does not need the header', async () => {
      const first = await post(ada, '/messages', 'o1', { roomId: 'r', content: 'a', clientMessageId: 'own-1' });
      const second = await post(ada, '/messages', 'o1', { roomId: 'r', content: 'b', clientMessageId: 'own-2' });
      assert.equal(second.status, 200);
      assert.notEqual(first.json.message.id, second.json.message.id);
    });

    test('keys that are none are refused', async () => {
      for (const key of ['a b', 'x'.repeat(129), 'ä']) {
        assert.equal((await post(ada, '/messages', key, { roomId: 'r', content: 'x' })).json.error, 'bad_request', key);
      }
    });

    test('after a day a key is free, and what was kept goes away', async () => {
      assert.equal((await post(ada, '/messages', 'd1', { roomId: 'r', content: 'yesterday' })).status, 200);
      await post(ada, '/messages', 'd2', { roomId: 'r', content: 'yesterday' });
      await cluster.sql("UPDATE idempotency_keys SET created_at = now() - interval '25 hours' WHERE key IN ('d1', 'd2')");
      const today = await post(ada, '/messages', 'd1', { roomId: 'r', content: 'today' });
      assert.equal(today.status, 200);
      assert.equal(today.json.message.content, 'today');
      await cluster.node('kill', 'shard-1');
      await cluster.node('start', 'shard-1');
      await eventually('the old key is gone', async () => (await cluster.sql("SELECT key FROM idempotency_keys WHERE key = 'd2'")).length === 0, 15000);
      assert.equal((await cluster.sql("SELECT key FROM idempotency_keys WHERE key = 'd1'")).length, 1);
    });
  });

  test('health: what it says, HEAD, and 503 when no shard is there', async () => {
    const good = await eventually('healthy', async () => {
      const got = await api('GET', '/health');
      return got.status === 200 && got;
    });
    assert.equal(good.json.ok, true);
    assert.ok(Math.abs(good.json.ts - Date.now()) < 60000);
    assert.equal(typeof good.json.version, 'string');
    assert.equal(typeof good.json.checks, 'object');
    assert.equal((await fetch(`${cluster.http()}/health`, { method: 'HEAD' })).status, 200);
    await cluster.node('stop', 'shard-1');
    const bad = await eventually('not healthy', async () => {
      const got = await api('GET', '/health');
      return got.status === 503 && got;
    });
    assert.equal(bad.json.ok, false);
    assert.equal((await fetch(`${cluster.http()}/health`, { method: 'HEAD' })).status, 503);
    await cluster.node('start', 'shard-1');
    await eventually('healthy again', async () => (await api('GET', '/health')).status === 200);
  });
});
