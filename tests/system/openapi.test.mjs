// Every operation and example of docs/api/openapi.json against a running cluster, and wrong calls of every kind: an answer
// that the document does not have (status, header, content type, member of the body, error word) is a failure.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Validator } from '@seriousme/openapi-schema-validator';
import { Client } from './support/client.mjs';
import { call, Cluster, mint } from './support/cluster.mjs';
import { OpenApi } from './support/openapi.mjs';
import { forge } from './support/token.mjs';

const ada = (w) => ({ token: w.ada });
const root = (w) => ({ token: w.root });

/** Who calls, and what the examples of an operation need besides a room and a message in it. */
const walk = {
  createMemberToken: root,
  listAuditEvents: root,
  exportCompliance: root,
  createRoom: (w) => ({ token: w.ada, body: { id: `${w.room}-new` } }),
  closeConnections: (w) => ({ token: w.bob }),
  sendUserEvent: (w) => ({ token: w.ada, path: { userId: 'ada' } }),
  getInbox: (w) => ({ token: w.bob }),
  listNotifications: (w) => ({ token: w.bob }),
  readNotification: (w) => ({ token: w.bob }),
  readNotifications: (w) => ({ token: w.bob }),
  markDelivered: (w) => ({ token: w.bob }),
  listDeliveries: async (w) => {
    await w.api('POST', `/messages/${w.message}/delivered`, { token: w.bob });
    return { token: w.ada };
  },
  updateFollowUp: async (w) => ({ token: w.ada, path: { followUpId: await w.followUp() } }),
  deleteFollowUp: async (w) => ({ token: w.ada, path: { followUpId: await w.followUp() } }),
  unsnoozeRoom: async (w) => {
    await w.api('PUT', `/inbox/rooms/${w.room}/snooze`, { token: w.ada, body: { hours: 1 } });
    return { token: w.ada };
  },
  unmute: async (w) => {
    await w.api('POST', '/admin/mute', { token: w.ada, body: { roomId: w.room, userId: 'bob' } });
    return { token: w.ada };
  },
  unban: async (w) => {
    await w.api('POST', '/admin/ban', { token: w.ada, body: { roomId: w.room, userId: 'bob' } });
    return { token: w.ada };
  },
  removeReaction: async (w) => {
    await w.api('POST', `/messages/${w.message}/reactions`, { token: w.ada, body: { emoji: '👍' } });
    return { token: w.ada };
  },
  getDraft: async (w) => {
    await w.api('PUT', `/rooms/${w.room}/draft`, { token: w.ada, body: { content: 'half a' } });
    return { token: w.ada };
  },
  listReports: async (w) => {
    await w.api('POST', '/reports', { token: w.bob, body: { roomId: w.room, messageId: w.message } });
    return { token: w.ada };
  },
  listBlocks: async (w) => {
    await w.api('POST', '/blocks', { token: w.ada, body: { userId: 'bob' } });
    return { token: w.ada };
  },
  terminateConnection: async (w) => {
    const socket = await Client.join(w.cluster.ws(), w.room, w.bob);
    return { token: w.ada, body: { socketId: socket.of('subscription_succeeded')[0].socketId, reason: 'enough' } };
  },
  upload: (w) => ({ token: w.ada, body: new Uint8Array(1000), headers: { 'Content-Type': 'image/png', 'X-File-Name': 'photo.png', 'X-Room-Id': w.room } }),
  getAttachment: async (w) => ({ token: w.ada, path: { key: await w.upload() } }),
  streamRoom: (w) => ({ token: w.ada, headers: { Accept: 'text/event-stream' } }),
};

/** Successes that one request with the examples does not bring. */
const variants = [
  ['getOpenApi', 304, async (w) => ({ headers: { 'If-None-Match': (await call(w.base, 'GET', '/openapi.json')).headers.get('etag') } })],
  ['getAsyncApi', 304, async (w) => ({ headers: { 'If-None-Match': (await call(w.base, 'GET', '/asyncapi.json')).headers.get('etag') } })],
  ['getDemo', 304, () => ({ headers: { 'If-None-Match': '*' } })],
  ['getDemoScript', 304, () => ({ headers: { 'If-None-Match': '*' } })],
  ['getDemoStyle', 304, () => ({ headers: { 'If-None-Match': '*' } })],
  ['getAttachment', 206, async (w) => ({ token: w.ada, path: { key: await w.upload() }, headers: { Range: 'bytes=0-9' } })],
  ['getAttachment', 304, async (w) => ({ token: w.ada, path: { key: await w.upload() }, headers: { 'If-None-Match': '*' } })],
  ['getAttachment', 416, async (w) => ({ token: w.ada, path: { key: await w.upload() }, headers: { Range: 'bytes=5000-' } })],
  ['createRoom', 200, (w) => ({ token: w.bob, body: { id: w.room, name: 'x', type: 'group' } })],
  ['createRoom', 403, (w) => ({ token: w.zoe, body: { id: w.room, name: 'x', type: 'group' } })],
  ['streamRoom', 406, (w) => ({ token: w.ada, headers: { Accept: 'text/html' } })],
  ['updateRoom', 409, (w) => ({ token: w.ada, body: { type: 'dm' } })],
  ['removeMember', 409, (w) => ({ token: w.ada, path: { userId: 'ada' } })],
  ['listRooms', 200, (w) => ({ token: w.root, query: { type: 'group', limit: '1' } })],
  ['listMessages', 200, (w) => ({ token: w.ada, query: { beforeSeq: '100', order: 'asc', limit: '1' } })],
  ['searchMessages', 200, (w) => ({ token: w.ada, query: { q: w.secret, limit: '1' } })],
  ['searchConversations', 200, (w) => ({ token: w.ada, query: { q: w.secret } })],
  ['sendEvents', 200, (w) => ({ token: w.ada, body: { roomIds: [w.room, 'elsewhere'], name: 'x' } })],
];

/** What the walk cannot bring about on one healthy gateway with a chat page. */
const notHere = ['getRoot 200', 'getHealth 503'];

/** Puts the world's room and message where the examples have theirs. */
function filled(w, value) {
  if (typeof value === 'string') return value.replaceAll('lobby', w.room);
  if (value === 4611) return w.message;
  if (Array.isArray(value)) return value.map((part) => filled(w, part));
  if (typeof value === 'object' && value !== null) return Object.fromEntries(Object.entries(value).map(([key, part]) => [key, filled(w, part)]));
  return value;
}

/** Goes on after a fault, so that one run tells all of them. */
async function each(list, check) {
  const faults = [];
  for (const item of list) {
    try {
      await check(item);
    } catch (error) {
      faults.push(`${item.operationId ?? item[0]}: ${(error.code === 'ERR_ASSERTION' ? error.message : error.stack).slice(0, 700)}`);
    }
  }
  assert.equal(faults.length, 0, `${faults.length} faults:\n${faults.join('\n')}`);
}

describe('openapi.json', () => {
  let cluster, api, people, n = 0;

  before(async () => {
    cluster = await Cluster.up(undefined, { gateways: 1, shards: 1, env: { FLUXY_ALLOWED_ORIGINS: '*' } });
    const other = await cluster.command('project', 'add', 'other');
    people = Object.fromEntries(await Promise.all(['ada', 'bob', 'eve', 'zoe'].map(async (user) => [user, await mint(cluster, user)])));
    people.root = await mint(cluster, 'root', { roles: ['admin'] });
    people.elsewhere = await mint(cluster, 'ada', { roles: ['admin'], key: other.apiKey });
    people.expired = await forge(cluster, 'ada', -10);
    people.pinned = await forge(cluster, 'ada', 600, { roomId: 'elsewhere' });
    api = await OpenApi.load(cluster.http());
  });
  after(() => cluster?.remove());

  /** Where the calls are refused, those whose table entry changes nothing share one. */
  let common;
  const quietWorld = async (op) => (walk[op.operationId] ? world() : (common ??= await world()));

  /** A room of its own: ada's, with bob, and eve as its moderator, and a message of ada's. */
  async function world() {
    const w = { ...people, cluster, base: cluster.http(), room: `lobby${++n}`, secret: `secret${n}x${Date.now()}`, key: cluster.apiKey };
    w.api = async (method, path, options) => {
      const got = await call(w.base, method, path, options);
      assert.equal(got.status, 200, `${method} ${path} ${got.text}`);
      return got.json;
    };
    w.upload = async () => (await w.api('POST', '/upload', { token: w.ada, body: 'x'.repeat(1000), headers: { 'Content-Type': 'text/plain', 'X-Room-Id': w.room } })).file.key;
    w.followUp = async () => (await call(w.base, 'POST', '/inbox/follow-ups', { token: w.ada, body: { messageId: w.message } })).json.followUp.id;
    await w.api('POST', '/rooms', { token: w.ada, body: { id: w.room, name: w.secret, type: 'group', members: [{ userId: 'bob' }, { userId: 'eve', role: 'moderator' }] } });
    w.message = (await w.api('POST', '/messages', { token: w.ada, body: { roomId: w.room, content: `hello @bob ${w.secret}` } })).message.id;
    return w;
  }

  const needsToken = (op) => op.security.some((s) => 'bearer' in s);
  const needsKey = (op) => op.security.some((s) => 'apiKey' in s);
  const isAboutRoom = (op) => op.operationId !== 'createRoom' && (/\{(roomId|messageId)\}/.test(op.path) || op.parameters.some((p) => p.in === 'query' && p.name === 'roomId' && p.required) || api.bodyExamples(op).some(([, body]) => JSON.stringify(body).includes('lobby')));

  /** A call as it should be: by whom the table says, with the path filled in, and the body when there is one. */
  async function good(w, op, body) {
    const use = (await walk[op.operationId]?.(w)) ?? (needsToken(op) ? ada(w) : needsKey(op) ? { key: w.key } : {});
    use.path = { roomId: w.room, messageId: w.message, ...use.path };
    if (op.parameters.some((p) => p.in === 'query' && p.name === 'roomId' && p.required)) use.query = { roomId: w.room, ...use.query };
    if (body !== undefined) use.body = { ...filled(w, body), ...use.body };
    return use;
  }

  const firstBody = (op) => api.bodyExamples(op)[0]?.[1];
  const expectError = (got, status, word) => {
    assert.equal(got.status, status, `${got.what} ${got.text}`);
    if (word) assert.equal(got.json.error, word, `${got.what} ${got.text}`);
  };

  test('is an OpenAPI 3.1 document', async () => {
    const result = await new Validator().validate(structuredClone(api.document));
    assert.ok(result.valid, JSON.stringify(result.errors));
    const ids = api.operations.map((op) => op.operationId);
    assert.equal(new Set(ids).size, ids.length, 'operation ids are unique');
    await each(api.operations, async (op) => {
      assert.ok(op.summary && op.tags.length === 1 && api.document.tags.some((t) => t.name === op.tags[0]), op.operationId);
      if (op.requestBody?.content['application/json']) assert.ok(api.bodyExamples(op).length, `${op.operationId} has no example of a body`);
    });
  });

  test('its examples are what its schemas say', async () => {
    await each(api.operations, async (op) => {
      for (const [name, value] of api.bodyExamples(op)) assert.equal(api.schemas.fault(op.requestBody.content['application/json'].schema, value), undefined, `${op.operationId} ${name}`);
      for (const [status, response] of Object.entries(op.responses)) {
        const media = api.resolve(response).content?.['application/json'];
        if (media && media.schema.type !== 'object') assert.ok(media.examples, `${op.operationId} ${status} has no example`);
        for (const [name, { value }] of Object.entries(media?.examples ?? {})) assert.equal(api.schemas.fault(media.schema, value), undefined, `${op.operationId} ${status} ${name}`);
      }
    });
  });

  test('every operation, with every example', async () => {
    await each(api.operations, async (op) => {
      const bodies = api.bodyExamples(op);
      for (const [name, body] of bodies.length ? bodies : [['', undefined]]) {
        const w = await world();
        const got = await api.call(w.base, op, await good(w, op, body));
        assert.ok(got.status < 400, `${op.operationId} ${name}: ${got.status} ${got.text}`);
      }
    });
    await each(variants, async ([id, status, use]) => {
      const w = await world();
      const op = api.byId[id];
      const base = await good(w, op, undefined);
      const own = await use(w);
      const got = await api.call(w.base, op, { ...own, path: { ...base.path, ...own.path }, query: { ...base.query, ...own.query } });
      assert.equal(got.status, status, `${id}: ${got.text}`);
    });
    await each(api.operations, async (op) => {
      for (const status of Object.keys(op.responses).filter((s) => s < 400)) {
        assert.ok(api.seen.get(op.operationId).has(status) || notHere.includes(`${op.operationId} ${status}`), `${op.operationId} never answered ${status}`);
      }
    });
  });

  test('without a token, with a bad one, and one that has ended', async () => {
    await each(api.operations.filter(needsToken), async (op) => {
      const w = await quietWorld(op);
      const use = await good(w, op, firstBody(op));
      expectError(await api.call(w.base, op, { ...use, token: undefined }), 401, 'unauthorized');
      expectError(await api.call(w.base, op, { ...use, token: 'x' }), 401, 'invalid_token');
      expectError(await api.call(w.base, op, { ...use, token: w.expired }), 401, 'token_expired');
      const asked = await api.call(w.base, op, { ...use, token: undefined, headers: { ...use.headers, Accept: 'application/problem+json, text/event-stream' } });
      assert.match(asked.headers.get('content-type'), /^application\/problem\+json/, op.operationId);
    });
    await each(api.operations.filter(needsKey), async (op) => {
      const w = await quietWorld(op);
      expectError(await api.call(w.base, op, { body: firstBody(op) }), 401, 'invalid_api_key');
      expectError(await api.call(w.base, op, { body: firstBody(op), key: `fc_${'0'.repeat(32)}` }), 401, 'invalid_api_key');
    });
  });

  test('by another tenant\'s admin, a stranger, and a token for another room', async () => {
    await each(api.operations.filter(needsToken), async (op) => {
      const w = await quietWorld(op);
      const use = await good(w, op, firstBody(op));
      const got = await api.call(w.base, op, { ...use, token: w.elsewhere });
      assert.ok(!got.text.includes(w.secret), `${op.operationId} shows another tenant's: ${got.text}`);
      if (/\{(roomId|messageId|key)\}/.test(op.path) && op.operationId !== 'deleteRoom') assert.ok(got.status >= 400, `${op.operationId} by another tenant: ${got.status}`);
      if (!isAboutRoom(op)) return;
      for (const who of ['zoe', 'pinned']) {
        const refused = await api.call(w.base, op, { ...use, token: w[who] });
        assert.ok([403, 404].includes(refused.status), `${op.operationId} by ${who}: ${refused.status} ${refused.text}`);
        assert.ok(!refused.text.includes(w.secret), op.operationId);
      }
      const { room } = await w.api('GET', `/rooms/${w.room}`, { token: w.ada });
      assert.deepEqual([room.name, room.type, room.pinned_message_id], [w.secret, 'group', null], 'the room is as it was');
      const { messages } = await w.api('GET', `/api/messages?roomId=${w.room}`, { token: w.ada });
      assert.deepEqual(messages.map((m) => [m.id, m.content, m.version]), [[w.message, `hello @bob ${w.secret}`, 1]], 'and so is what is in it');
    });
  });

  test('with ids that cannot be, or are nobody\'s', async () => {
    await each(api.operations.filter((o) => o.path.includes('{')), async (op) => {
      const w = await quietWorld(op);
      const use = await good(w, op, firstBody(op));
      for (const { name } of op.parameters.filter((p) => p.in === 'path')) {
        const bad = await api.call(w.base, op, { ...use, path: { ...use.path, [name]: 'a b' } });
        expectError(bad, name === 'messageId' ? 404 : 400, name === 'messageId' ? 'message_not_found' : 'invalid_id');
        if (name === 'userId') continue; // somebody whom nobody knows is not told from others
        const isNumber = ['messageId', 'followUpId'].includes(name);
        const unknown = await api.call(w.base, op, { ...use, path: { ...use.path, [name]: isNumber ? '987654321' : 'nobodys' } });
        assert.ok([403, 404].includes(unknown.status), `${op.operationId}: ${unknown.status} ${unknown.text}`);
      }
    });
  });

  test('with bodies that are no JSON object, too large, or of another type', async () => {
    await each(api.operations.filter((o) => firstBody(o)), async (op) => {
      const w = await quietWorld(op);
      const use = await good(w, op, firstBody(op));
      for (const body of ['{', '[]', '"x"', '{"a":1,"a":2}', '{"a":"\\ud800"}', `${'{"a":'.repeat(40)}1${'}'.repeat(40)}`]) expectError(await api.call(w.base, op, { ...use, body }), 400, 'invalid_json');
      expectError(await api.call(w.base, op, { ...use, headers: { ...use.headers, 'Content-Type': 'application/xml' } }), 415, 'unsupported_media_type');
      expectError(await api.call(w.base, op, { ...use, body: `{"a":"${'x'.repeat(1100000)}"}` }), 413, 'payload_too_large');
    });
  });

  test('with a field missing, null, or of a wrong kind', async () => {
    await each(api.operations.filter((o) => firstBody(o)), async (op) => {
      const w = await world();
      const schema = api.resolve(op.requestBody.content['application/json'].schema);
      const use = await good(w, op, firstBody(op));
      for (const [name, source] of Object.entries(schema.properties)) {
        const property = api.resolve(source);
        if (op.operationId === 'createRoom') use.body.id = `${w.room}-${name}`;
        const isNeeded = schema.required?.includes(name);
        const { [name]: _, ...without } = use.body;
        const kinds = { string: 17, integer: 'many', boolean: 'perhaps', array: 'list', object: 'thing' };
        const wrong = kinds[[property.type].flat()[0]] ?? (property.enum ? 17 : property.anyOf ? 'x' : {});
        for (const [what, body] of [['missing', without], ['null', { ...use.body, [name]: null }], ['wrong', { ...use.body, [name]: wrong }]]) {
          const got = await api.call(w.base, op, { ...use, body });
          const mayBeNull = what === 'null' && api.schemas.fault(source, null) === undefined;
          if (isNeeded && !mayBeNull) assert.equal(got.status, 400, `${op.operationId} ${name} ${what}: ${got.status} ${got.text}`);
        }
      }
    });
  });

  test('with queries of a wrong kind', async () => {
    await each(api.operations, async (op) => {
      const w = await quietWorld(op);
      const use = await good(w, op, firstBody(op));
      for (const { name, schema } of op.parameters.filter((p) => p.in === 'query')) {
        for (const value of ['-1', 'x y', '', '99999999999999999999', '\u0001']) {
          const got = await api.call(w.base, op, { ...use, query: { ...use.query, [name]: value } });
          const isNumber = api.resolve(schema).type === 'integer';
          if (isNumber && op.operationId !== 'streamRoom') assert.equal(got.status, 400, `${op.operationId} ${name}=${value}: ${got.status}`);
        }
      }
    });
  });

  test('with an Idempotency-Key', async () => {
    await each(api.operations.filter((o) => o.parameters.some((p) => p.name === 'Idempotency-Key')), async (op) => {
      const w = await world();
      const { clientMessageId: _, ...body } = firstBody(op) ?? {};
      const use = await good(w, op, firstBody(op) && body);
      const headers = { ...use.headers, 'Idempotency-Key': `key-${op.operationId}` };
      const first = await api.call(w.base, op, { ...use, headers });
      const again = await api.call(w.base, op, { ...use, headers });
      assert.ok(first.status < 300, `${op.operationId} ${first.text}`);
      assert.deepEqual([again.status, again.text, again.headers.get('idempotency-replayed')], [first.status, first.text, 'true'], op.operationId);
      expectError(await api.call(w.base, op, { ...use, headers, body: { ...use.body, zzz: 1 } }), 409, 'idempotency_mismatch');
      expectError(await api.call(w.base, op, { ...use, headers: { ...headers, 'Idempotency-Key': 'a b' } }), 400, 'bad_request');
    });
  });

  test('HEAD, OPTIONS, other methods and other paths', async () => {
    const { MethodNotAllowed, NoSuchPath } = api.document.components.responses;
    await each(api.operations, async (op) => {
      const w = await quietWorld(op);
      const { url } = api.request(op, await good(w, op, undefined));
      const refused = await fetch(w.base + url, { method: 'PROPFIND' });
      assert.ok([405, 501].includes(refused.status), `${op.operationId} ${refused.status}`);
      const options = await fetch(w.base + url, { method: 'OPTIONS' });
      assert.equal(options.status, 204);
      const allowed = options.headers.get('allow').split(', ');
      assert.ok(allowed.includes(op.method), `${op.operationId}: ${allowed}`);
      const other = ['PUT', 'PATCH', 'DELETE', 'POST'].find((method) => !allowed.includes(method));
      const got = await fetch(w.base + url, { method: other });
      api.check(op, { status: got.status, headers: got.headers, text: await got.text(), what: `${other} ${url}` }, MethodNotAllowed);
    });
    const lost = await fetch(`${cluster.http()}/no/such/path`);
    api.check(api.byId.getRoot, { status: lost.status, headers: lost.headers, text: await lost.text(), what: 'GET /no/such/path' }, NoSuchPath);
  });

  test('the documents may be kept, asked for by HEAD, and read from other origins', async () => {
    for (const path of ['/openapi.json', '/asyncapi.json']) {
      const head = await fetch(cluster.http() + path, { method: 'HEAD', headers: { Origin: 'https://docs.example' } });
      assert.equal(head.status, 200);
      assert.equal(head.headers.get('cache-control'), 'public, max-age=300');
      assert.equal(head.headers.get('access-control-allow-origin'), '*');
      assert.ok(Number(head.headers.get('content-length')) > 1000);
      const other = await fetch(cluster.http() + path, { headers: { 'If-None-Match': '"x", W/"y"' } });
      assert.equal(other.status, 200, 'another version');
      assert.equal(other.headers.get('etag'), head.headers.get('etag'));
    }
  });
});
