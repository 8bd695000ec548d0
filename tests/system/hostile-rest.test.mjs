// Every REST call that changes something, with bodies that no good client sends: each gets a clear refusal, and gateway
// and shard live on. The routes come from the routing tables of the gateway, so that none is forgotten; `fields` says for
// a route what a good body is, and each of its fields is spoilt in turn.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import net from 'node:net';
import { after, before, describe, test } from 'node:test';
import { Client } from './support/client.mjs';
import { call, Cluster, eventually, mint } from './support/cluster.mjs';

const root = new URL('../../', import.meta.url);
const source = (path) => readFileSync(new URL(path, root), 'utf8');
const words = new Map([...source('common/json/errors.def').matchAll(/^ERR\((\w+), (\d+),/gm)].map((m) => [m[1], Number(m[2])]));
const routes = readdirSync(new URL('gateway/api/', root)).filter((name) => /\.(c|def)$/.test(name))
  .flatMap((name) => [...source(`gateway/api/${name}`).matchAll(/\{\{HTTP_(POST|PUT|PATCH|DELETE), "([^"]+)"\},\s*([\w|\s]+?),/g)])
  .map(([, method, path, needs]) => ({ name: `${method} ${path}`, method, path, wantsBody: needs.includes('NEEDS_BODY'), demo: needs.includes('ONLY_DEMO'), upload: needs.includes('STREAMS_BODY') }));

// A good body of each route, one line each. `free`: fields of which any value will do (what is not understood is passed over).
const fields = {
  'POST /auth/token': { body: { userId: 'ada', roles: ['member'], ttlSeconds: 60 } },
  'POST /auth/signin': { body: { userId: 'ada', roles: ['member'], ttlSeconds: 60 } },
  'POST /auth/channel': { body: { socket_id: '1.2', channel_name: 'private-h', channel_data: 'x' } },
  'POST /tokens/anonymous': { body: { anonId: 'browser', displayName: 'x', ttlSeconds: 60 } },
  'POST /admin/member-token': { body: { userId: 'ada', roles: ['member'], ttlSeconds: 60, projectId: 'x' } },
  'POST /rooms': { body: { id: 'h', name: 'x', type: 'group', members: [{ userId: 'bob', role: 'member' }] }, free: ['id', 'name', 'type', 'members'] }, // it exists
  'POST /rooms/{}/members': { body: { userId: 'bob', role: 'member' } },
  'POST /messages': { body: { roomId: 'h', content: 'x', clientMessageId: 'c', replyTo: 1, attachments: [] } },
  'PATCH /messages/{}': { body: { content: 'x' } },
  'POST /messages/{}/reactions': { body: { emoji: '+1' } },
  'DELETE /messages/{}/reactions': { body: { emoji: '+1' } },
  'POST /admin/mute': { body: { roomId: 'h', userId: 'bob', durationSeconds: 60, reason: 'x' } },
  'POST /admin/unmute': { body: { roomId: 'h', userId: 'bob' } },
  'POST /admin/ban': { body: { roomId: 'h', userId: 'eve', durationSeconds: 60 } },
  'POST /admin/unban': { body: { roomId: 'h', userId: 'eve' } },
  'POST /reports': { body: { roomId: 'h', messageId: 1, reason: 'x' } },
  'POST /blocks': { body: { userId: 'eve' } },
  'PATCH /rooms/{}': { body: { name: 'x', type: 'group' } },
  'PATCH /rooms/{}/pin': { body: { messageId: 1 } },
  'POST /rooms/{}/read': { body: { messageId: 1 } },
  'PUT /rooms/{}/draft': { body: { content: 'x', replyToId: 1 } },
  'POST /rooms/dm': { body: { a: 'ada', b: 'bob' } },
  'POST /chat/open-dm': { body: { userId: 'bob' } },
  'PATCH /rooms/{}/members/me/preferences': { body: { notifyEnabled: true, preferences: { a: 1 } } },
  'POST /rooms/{}/terminate-connection': { body: { socketId: 'x', reason: 'x' } },
  'POST /events': { body: { roomIds: ['h'], name: 'x', data: {} } },
  'POST /users/{}/events': { body: { name: 'x', data: {} }, free: ['data'] },
};

// What no field is: at least one of these is of a wrong kind for whatever a field should be.
const spoilt = [7.5, true, [[]], { a: 1 }, 1e300, -1, 9007199254740993n, 'x'.repeat(100000)];
const suits = (good, bad) => (typeof good === 'number' && bad === -1) || (good === true && bad === true) || (good?.constructor === Object && bad?.constructor === Object);

describe('hostile REST bodies', () => {
  let cluster, token, witness, messageId;

  before(async () => {
    cluster = await Cluster.up(undefined, { gateways: 1, shards: 1 });
    token = await mint(cluster, 'ada', { roles: ['admin'] });
    await call(cluster.http(), 'POST', '/rooms', { token, body: { id: 'h', name: 'h', type: 'group', members: [{ userId: 'bob' }, { userId: 'eve' }] } });
    messageId = (await call(cluster.http(), 'POST', '/messages', { token, body: { roomId: 'h', content: 'x' } })).json.message.id;
    witness = await Client.join(cluster.ws(), 'h', await mint(cluster, 'bob'));
  });
  after(() => cluster?.remove());

  const target = (route) => {
    const taken = route.method !== 'DELETE' || route.path.endsWith('s'); // what is deleted is not what the others need
    const first = route.path.startsWith('/messages/') ? (taken ? messageId : 999) : taken && route.path.startsWith('/rooms/') ? 'h' : 'zed';
    return route.path.replace('{}', first).replace('{}', 'zed').replace('{}', 'zed');
  };
  const send = async (route, body) => {
    const answer = await fetch(cluster.http() + target(route), { method: route.method, body, headers: { Authorization: `Bearer ${token}`, 'X-Fluxy-Api-Key': cluster.apiKey, 'Content-Type': 'application/json' } });
    const text = await answer.text();
    let json;
    try {
      json = JSON.parse(text);
    } catch {
      assert.fail(`${route.name}: no JSON: ${text.slice(0, 200)}`);
    }
    if (answer.status >= 400) {
      assert.ok(words.has(json.error), `${route.name}: ${json.error} is no word`);
      assert.equal(answer.status, words.get(json.error), `${route.name}: ${json.error}`);
      assert.ok(answer.status < 500, `${route.name}: ${text}`);
      assert.ok(json.traceId && json.detail, text);
    }
    return { status: answer.status, json };
  };
  const alive = async () => {
    assert.equal((await call(cluster.http(), 'GET', '/health')).status, 200);
    const content = `alive ${Math.random()}`;
    assert.equal((await call(cluster.http(), 'POST', '/messages', { token, body: { roomId: 'h', content } })).status, 200);
    await witness.until((f) => f.type === 'message' && f.content === content);
  };

  test('the routes are found', () => {
    assert.ok(routes.length > 15, `${routes.length}`);
    const known = new Set(routes.map((r) => r.name));
    for (const name of Object.keys(fields)) assert.ok(known.has(name), `${name} is no route (any more)`);
  });

  // Not JSON, or not one object of it.
  const broken = [
    ['nothing', ''],
    ['text', 'hello'],
    ['an array', '[]'],
    ['a string', '"x"'],
    ['null', 'null'],
    ['half of an object', '{"userId":'],
    ['two objects', '{}{}'],
    ['a comment', '{/* */}'],
    ['single quotes', "{'userId': 'a'}"],
    ['a key twice', '{"userId":"a","userId":"b","roomId":"h","roomId":"x"}'],
    ['deep arrays', `{"a":${'['.repeat(5000)}${']'.repeat(5000)}}`],
    ['deep objects', `${'{"a":'.repeat(1000)}1${'}'.repeat(1000)}`],
    ['bytes that are no UTF-8', Buffer.from([...Buffer.from('{"userId":"'), 0xff, 0xfe, 0xc0, 0x80, ...Buffer.from('"}')])],
    ['a cut character', Buffer.from([...Buffer.from('{"userId":"'), 0xe2, 0x82, ...Buffer.from('"}')])],
    ['an encoded surrogate', Buffer.from([...Buffer.from('{"userId":"'), 0xed, 0xa0, 0x80, ...Buffer.from('"}')])],
    ['a lone surrogate', '{"userId":"\\ud800","content":"\\ud800"}'],
    ['surrogates the wrong way round', '{"userId":"\\udc00\\ud800"}'],
    ['a NUL', '{"userId":"a\\u0000b","content":"a\\u0000b"}'],
    ['a NUL in a key', '{"user\\u0000Id":"a"}'],
    ['a raw control character', '{"userId":"a\u0001b"}'],
    ['a number beyond all bounds', '{"a":1e999999}'],
    ['a whole number beyond all bounds', `{"a":${'9'.repeat(400)}}`],
    ['a byte order mark', '\ufeff{}'],
  ];

  for (const route of routes.filter((r) => !r.demo && !r.upload)) {
    test(`${route.name}: bodies that are no object`, async () => {
      for (const [name, body] of broken) {
        const got = await send(route, body);
        if (route.wantsBody) assert.equal(got.json.error, 'invalid_json', `${route.name}, ${name}: ${JSON.stringify(got)}`);
      }
      await alive();
    });

    test(`${route.name}: a body of 10 MB`, async () => {
      const { hostname, port } = new URL(cluster.http());
      const answer = await new Promise((resolve, reject) => {
        const socket = net.connect(Number(port), hostname);
        socket.setTimeout(10000, () => reject(new Error('no answer')));
        socket.on('data', (data) => {
          resolve(data.toString('latin1'));
          socket.destroy();
        });
        socket.on('error', () => {});
        socket.write(`${route.method} ${target(route)} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${token}\r\nContent-Length: 10485760\r\n\r\n${'x'.repeat(65536)}`);
      });
      assert.match(answer, /^HTTP\/1\.1 413 /);
      assert.match(answer, /"error":"payload_too_large"/);
    });
  }

  for (const [name, { body, free = [] }] of Object.entries(fields)) {
    test(`${name}: fields of a wrong kind`, async () => {
      const route = routes.find((r) => r.name === name);
      for (const field of Object.keys(body)) {
        for (const bad of spoilt) {
          const text = JSON.stringify({ ...body, [field]: bad }, (key, v) => (typeof v === 'bigint' ? Number(v) : v)).replace('9007199254740992', '9007199254740993');
          const got = await send(route, text);
          const what = `${name}, ${field}: ${text.slice(0, 150)} gives ${JSON.stringify(got).slice(0, 300)}`;
          if (free.includes(field) || suits(body[field], bad)) continue;
          if (field === 'ttlSeconds' && Number.isInteger(bad)) continue; // is held within its bounds
          assert.ok(got.status >= 400, what);
        }
      }
      for (const field of Object.keys(body)) { // all the others are there
        const rest = { ...body };
        delete rest[field];
        await send(route, JSON.stringify(rest));
      }
      await send(route, '{}');
      await send(route, JSON.stringify({ ...body, unknown: { a: [1, 2, 3] }, __proto__: null, constructor: 1 }));
      await alive();
    });
  }

  test('10000 members in one call', async () => {
    const members = Array.from({ length: 10000 }, (_, i) => ({ userId: `u${i}` }));
    const got = await send({ name: 'POST /rooms', method: 'POST', path: '/rooms' }, JSON.stringify({ name: 'x', type: 'group', members }));
    assert.equal(got.status, 400);
    assert.match(got.json.detail, /members/);
    await alive();
  });

  test('many attachments, long names, wide objects', async () => {
    const route = { name: 'POST /messages', method: 'POST', path: '/messages' };
    const attachment = { kind: 'file', url: 'https://x.example/', name: 'x' };
    for (const attachments of [Array(11).fill(attachment), Array(100000).fill(1), [{ ...attachment, url: 'javascript:alert(1)' }], [{ ...attachment, name: 'x'.repeat(10000) }], [{ ...attachment, sizeBytes: -1 }], [null]]) {
      const got = await send(route, JSON.stringify({ roomId: 'h', content: 'x', attachments }));
      assert.equal(got.json.error, 'invalid_attachments', JSON.stringify(attachments).slice(0, 100));
    }
    const wide = Object.fromEntries(Array.from({ length: 20000 }, (_, i) => [`k${i}`, i]));
    assert.equal((await send(route, JSON.stringify({ ...wide, roomId: 'h', content: 'x' }))).status, 200, 'what is not known is passed over');
    await alive();
  });

  test('nobody had to start again', async () => {
    await eventually('all is as it was', async () => (await cluster.status()).gateways.length === 1);
    const logs = await cluster.logs();
    for (const [name, text] of Object.entries(logs)) assert.doesNotMatch(text, /Assertion|signal 11|"level":"error"/, name);
  });
});
