// The sockets and the event stream through the examples of docs/api/asyncapi.json: what a client may say is understood,
// every frame that comes back is one of the document's for that channel, and nothing in it is undocumented.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import Ajv from 'ajv';
import addFormats from 'ajv-formats';
import specs from '@asyncapi/specs';
import { AsyncApi } from './support/asyncapi.mjs';
import { Client } from './support/client.mjs';
import { call, Cluster, eventually, mint } from './support/cluster.mjs';
import { EventReader } from './support/events.mjs';
import { Mux } from './support/mux.mjs';
import { forge } from './support/token.mjs';

/** Frames that are answered neither by an ack nor by another frame to their sender. */
const silent = ['agentTyping', 'read', 'typing', 'client_event', 'resume', 'ping', 'token', 'subscribe', 'unsubscribe'];

describe('asyncapi.json', () => {
  let cluster, api, tokens, n = 0;
  const rest = async (method, path, token, body) => {
    const got = await call(cluster.http(), method, path, { token, body });
    assert.equal(got.status, 200, `${method} ${path} ${got.text}`);
    return got.json;
  };

  before(async () => {
    cluster = await Cluster.up(undefined, { gateways: 1, shards: 1 });
    tokens = Object.fromEntries(await Promise.all(['ada', 'bob', 'eve', 'dan'].map(async (user) => [user, await mint(cluster, user)])));
    tokens.root = await mint(cluster, 'root', { roles: ['admin'] });
    api = await AsyncApi.load(cluster.http());
  });
  after(() => cluster?.remove());

  const post = async (roomId, more = {}) => (await rest('POST', '/messages', tokens.ada, { roomId, content: 'hello', ...more })).message;

  /** A room of ada's with bob, and eve as its moderator. */
  async function newRoom(type = 'group') {
    const id = `lobby${++n}`;
    await rest('POST', '/rooms', tokens.ada, { id, name: id, type, members: [{ userId: 'bob' }, { userId: 'eve', role: 'moderator' }] });
    return id;
  }

  const join = async (room, who, options = {}) => api.watch('roomSocket', await Client.join(cluster.ws(), room, tokens[who], options), options);
  const channel = async (who) => api.watch('userChannel', await Client.channel(cluster.ws(), who, tokens[who]), {});
  const read = async (room, who, query = {}) => {
    const reader = api.watch('eventStream', await EventReader.open(cluster.http(), room, tokens[who], { query }), { native: query.v === '1' });
    await reader.until((f) => f.type === 'subscription_succeeded');
    return reader;
  };
  async function many(who, room, more) {
    const mux = api.watch('manyRooms', await Mux.open(cluster.ws(), tokens[who]), { native: true });
    if (room) await mux.subscribe(room, more);
    return mux;
  }

  /** One of every kind in a room. */
  async function everybody(room) {
    return {
      native: await join(room, 'ada', { native: true }),
      old: await join(room, 'bob', { query: { replay: 'connect' } }),
      mux: await many('eve', room),
      stream: await read(room, 'bob'),
      nativeStream: await read(room, 'eve', { v: '1' }),
    };
  }
  const leave = (...all) => Promise.all(all.map((client) => client.close()));

  /** The example with the room and the message where it has its own. */
  const filled = (frame, room, message) => ({ ...frame, ...(frame.roomId && { roomId: room }), ...(frame.messageId && { messageId: message }), ...(frame.parentId && { parentId: message }) });

  test('is an AsyncAPI 3.0 document', () => {
    const ajv = new Ajv({ strict: false, allErrors: true });
    addFormats(ajv);
    const validate = ajv.compile(specs.schemasWithoutId['3.0.0']);
    assert.ok(validate(api.document), JSON.stringify(validate.errors?.slice(0, 5)));
    for (const { operation, messages } of Object.entries(api.document.operations).map(([operation, { messages }]) => ({ operation, messages }))) assert.ok(messages.length, operation);
  });

  test('its examples are what its schemas say', () => {
    for (const [key, message] of Object.entries(api.document.components.messages)) {
      assert.ok(message.examples.length, key);
      for (const { payload } of message.examples) assert.equal(api.schemas.fault(message.payload, payload), undefined, `${key} ${JSON.stringify(payload)}`);
    }
    for (const id of Object.keys(api.document.channels)) {
      for (const [key, { $ref }] of Object.entries(api.document.channels[id].messages)) assert.ok(api.document.components.messages[key] && $ref.endsWith(key), `${id} ${key}`);
    }
  });

  for (const [kind, open] of [['a native room socket', (room) => join(room, 'ada', { native: true })], ['an old room socket', (room) => join(room, 'ada')], ['a socket with many rooms', (room) => many('ada', room)]]) {
    test(`every example of a client's frame, from ${kind}`, async () => {
      const room = await newRoom();
      const others = await everybody(room);
      const me = await open(room);
      const where = me instanceof Mux ? 'manyRooms' : 'roomSocket';
      for (const [at, example] of api.examples(where, 'client').filter((frame) => !['subscribe', 'unsubscribe'].includes(frame.type)).entries()) {
        const frameId = `e${at}`;
        const frame = { ...filled(example, room, (await post(room)).id), frameId, ...(where === 'manyRooms' && example.type !== 'token' && { roomId: room }) };
        if (frame.clientMessageId) frame.clientMessageId += kind;
        if (frame.clientMessageId) frame.clientMessageId = frame.clientMessageId.replaceAll(' ', '-');
        if (frame.type === 'token') frame.token = await mint(cluster, 'ada');
        if (frame.type === 'reaction' && frame.op === 'remove') await rest('POST', `/messages/${frame.messageId}/reactions`, tokens.ada, { emoji: frame.emoji });
        me.send(frame);
        if (!silent.includes(frame.type) && frame.op !== 'delta') await me.until((f) => f.type === 'ack' && f.frameId === frameId);
      }
      await me.until((f) => f.type === 'pong');
      await me.until((f) => f.type === 'token_refreshed');
      await me.until((f) => f.type === 'replay' && f.fromSeq === 0);
      for (const other of Object.values(others)) {
        await other.until((f) => f.type === 'client_event');
        await other.until((f) => f.type === 'typing' && f.isTyping === false);
        await other.until((f) => f.type === 'read');
        await other.until((f) => f.type === 'agentTyping' && f.isTyping === false);
      }
      assert.deepEqual(me.of('error'), []);
      await leave(me, ...Object.values(others));
      api.check();
    });
  }

  test('subscribe and unsubscribe', async () => {
    const room = await newRoom();
    await post(room);
    const mux = await many('ada');
    for (const frame of api.examples('manyRooms', 'client').filter((f) => ['subscribe', 'unsubscribe'].includes(f.type)).toSorted((a, b) => a.type.localeCompare(b.type))) {
      const before = mux.frames.length;
      mux.send(filled(frame, room));
      const answers = { subscribe: ['history', 'replay'], unsubscribe: ['unsubscribed'] }[frame.type];
      await mux.until((f) => answers.includes(f.type) && mux.frames.indexOf(f) >= before);
      if (frame.type === 'subscribe') {
        const seen = mux.of('unsubscribed').length;
        mux.send({ type: 'unsubscribe', roomId: room });
        await eventually('it is out again', () => mux.of('unsubscribed').length > seen);
        if (frame.lastSeq !== undefined) await mux.subscribe(room); // for the example of unsubscribe
      }
    }
    assert.deepEqual(mux.of('error'), []);
    await leave(mux);
    api.check();
  });

  test('what happens in a room by REST', async () => {
    const room = await newRoom();
    const all = await everybody(room);
    const sees = (type) => Promise.all(Object.values(all).map((client) => client.until((f) => f.type === type && f.roomId === room)));
    const seesNative = (type) => Promise.all([all.native, all.mux, all.nativeStream].map((client) => client.until((f) => f.type === type && f.roomId === room)));
    const m = await post(room, { attachments: [{ kind: 'file', url: '/attachments/x', name: 'x' }] });
    await sees('message');
    await rest('PATCH', `/messages/${m.id}`, tokens.ada, { content: 'other @bob' });
    await sees('edit');
    await all.old.until((f) => f.type === 'message_updated');
    await rest('POST', `/messages/${m.id}/reactions`, tokens.bob, { emoji: '👍' });
    await sees('reaction');
    await rest('PATCH', `/rooms/${room}/pin`, tokens.ada, { messageId: m.id });
    await sees('message_pinned');
    await rest('POST', `/rooms/${room}/read`, tokens.bob, { messageId: m.id });
    await sees('read');
    await rest('POST', `/messages/${m.id}/delivered`, tokens.bob);
    await sees('delivery_updated');
    await rest('DELETE', `/messages/${m.id}`, tokens.eve);
    await sees('delete');
    await all.old.until((f) => f.type === 'message_deleted' && f.deletedBy === 'eve');
    await rest('POST', `/rooms/${room}/members`, tokens.ada, { userId: 'dan' });
    await rest('DELETE', `/rooms/${room}/members/dan`, tokens.ada);
    await all.native.until((f) => f.type === 'membership' && f.change === 'removed');
    await rest('POST', '/admin/mute', tokens.ada, { roomId: room, userId: 'bob', durationSeconds: 60 });
    await seesNative('moderation');
    await rest('PATCH', `/rooms/${room}`, tokens.ada, { name: 'Lounge', settings: { slowModeSeconds: 0 } });
    await seesNative('room_updated');
    all.other = await join(room, 'eve', { native: true });
    await rest('POST', '/messages', tokens.ada, { roomId: room, content: 'psst', visibility: 'whisper', visibleTo: ['bob'] });
    for (const client of [all.other, all.mux, all.nativeStream]) await client.until((f) => f.type === 'skip');
    await rest('POST', '/events', tokens.ada, { roomIds: [room], name: 'deploy.done', data: { version: 3 } });
    await sees('server_event');
    for (const { name, examples } of api.messages('roomSocket', 'server').filter((m2) => api.document.components.schemas[m2.payload.$ref.split('/').at(-1)].additionalProperties)) {
      await rest('POST', '/events', tokens.ada, { roomIds: [room], event: examples[0].payload });
      await sees(name);
    }
    const late = await join(room, 'dan', { native: true }).catch((error) => error);
    assert.match(String(late), /not_member/, 'dan is out');
    const back = await join(room, 'ada', { native: true, query: { lastSeq: '0', cache: '1' } });
    assert.ok(back.of('replay')[0].events.some((e) => e.eventType === 'membership') && back.of('cache_snapshot').length === 1);
    const again = await read(room, 'ada', { v: '1', lastSeq: '0', cache: '1' });
    assert.ok(again.frames.some((f) => f.type === 'replay' && f.events.length) && again.frames.some((f) => f.type === 'cache_snapshot'));
    await leave(back, again, ...Object.values(all));
    await all.native.untilClosed();
    api.check();
  });

  test('who comes and goes, and a stream in the middle', async () => {
    const room = await newRoom();
    const all = await everybody(room);
    const bob2 = await join(room, 'bob');
    await all.native.until((f) => f.type === 'member_joined' && f.userId === 'eve');
    await rest('POST', `/rooms/${room}/members`, tokens.ada, { userId: 'dan' });
    const dan = await join(room, 'dan');
    for (const client of Object.values(all)) await client.until((f) => f.type === 'member_joined' && f.userId === 'dan');
    await leave(dan);
    for (const client of Object.values(all)) await client.until((f) => f.type === 'member_left' && f.userId === 'dan');
    await Promise.all([all.native, all.old, all.mux, all.stream].map((client) => client.until((f) => f.type === 'presence')));
    all.native.send({ type: 'stream', op: 'start', content: 'Once ' });
    await all.native.until((f) => f.type === 'stream' && f.op === 'started');
    all.native.send({ type: 'stream', op: 'delta', content: 'upon' });
    await all.mux.until((f) => f.type === 'stream' && f.op === 'delta');
    await all.nativeStream.until((f) => f.type === 'stream' && f.op === 'delta');
    await all.old.until((f) => f.type === 'edit' && f.streaming === true);
    const middle = [await join(room, 'eve', { native: true }), await join(room, 'eve'), await many('eve', room), await read(room, 'eve')];
    for (const client of middle) await client.until((f) => f.type === 'streamState');
    all.native.send({ type: 'stream', op: 'abort', frameId: 'end' });
    await all.native.until((f) => f.type === 'ack' && f.frameId === 'end');
    await leave(all.native, ...middle);
    await all.old.until((f) => f.type === 'member_left' && f.userId === 'ada');
    await all.mux.until((f) => f.type === 'member_left' && f.userId === 'ada');
    await rest('DELETE', `/rooms/${room}/members/bob`, tokens.ada);
    await all.stream.until((f) => f.type === 'close' && f.reason === 'not_member');
    await leave(bob2, all.mux, all.old, all.stream, all.nativeStream);
    api.check();
  });

  test('the channel of a user, and events for him everywhere', async () => {
    const room = await newRoom();
    const mine = await channel('bob');
    const all = [await join(room, 'bob'), await join(room, 'bob', { native: true }), await many('bob', room), await read(room, 'bob')];
    mine.send({ type: 'ping' });
    mine.send({ type: 'token', token: await mint(cluster, 'bob'), frameId: 't' });
    mine.send({ type: 'message', content: 'x', frameId: 'm' });
    await mine.until((f) => f.type === 'pong');
    await mine.until((f) => f.type === 'token_refreshed');
    await mine.until((f) => f.type === 'error' && f.code === 'unknown_event_type');
    await rest('POST', '/users/bob/events', tokens.bob, { name: 'reminder', data: [1], fanoutRooms: true });
    for (const client of [mine, ...all]) await client.until((f) => f.type === 'user_event' && f.name === 'reminder');
    await post(room, { content: 'hello @bob' });
    await mine.until((f) => f.type === 'user_event' && f.name === 'inbox_updated');
    const { closed } = await rest('DELETE', '/users/bob/connections', tokens.bob);
    assert.ok(closed.userChannel === 1 && closed.roomSockets >= 3, JSON.stringify(closed));
    for (const client of [mine, ...all.slice(0, 3)]) assert.equal((await client.untilClosed()).code, 4001);
    await all[3].until((f) => f.type === 'close');
    api.check();
  });

  test('a token that ends, a message that expires', async () => {
    const room = await newRoom();
    const short = await forge(cluster, 'ada', 50);
    const warned = [
      api.watch('roomSocket', await Client.join(cluster.ws(), room, short, { native: true }), { native: true }),
      api.watch('manyRooms', await Mux.open(cluster.ws(), short), { native: true }),
      api.watch('userChannel', await Client.channel(cluster.ws(), 'ada', short, { query: { v: '1' } }), { native: true }),
    ];
    for (const client of warned) await client.until((f) => f.type === 'token_expiring');
    const all = await everybody(room);
    const soon = await post(room, { expiresInSeconds: 60 });
    await Promise.all(Object.values(all).map((client) => client.until((f) => f.type === 'message' && f.expiresAt)));
    await cluster.node('kill', 'shard-1');
    await cluster.sql(`update timeline set expires_at = now() + interval '1 second' where id = ${soon.id}`);
    await cluster.node('start', 'shard-1');
    for (const client of Object.values(all)) {
      await client.until((f) => f.type === 'message_expired' && f.id === soon.id, 20000);
      await client.until((f) => f.type === 'delete' && f.id === soon.id);
    }
    await leave(...warned, ...Object.values(all));
    api.check();
  });

  test('a room of more than 200', async () => {
    const room = await newRoom('public');
    const first = [await join(room, 'ada', { native: true }), await many('eve', room), await read(room, 'eve', { v: '1' }), await join(room, 'bob')];
    const crowd = await Promise.all(Array.from({ length: 200 }, async (_, i) => Client.open(cluster.ws(), room, await forge(cluster, `crowd-${i}`, 600), { keep: false })));
    for (const client of first.slice(0, 3)) await client.until((f) => f.type === 'presence_delta', 20000);
    await first[3].until((f) => f.type === 'presence' && f.userCount > 200 && !f.users, 20000);
    await leave(...first, ...crowd);
    api.check();
  });

  test('wrong frames are answered with documented errors, and close nothing', async () => {
    const room = await newRoom();
    const { id } = await post(room);
    const wrong = { string: 17, integer: 'many', boolean: 'perhaps', array: 'list', object: 'thing' };
    for (const [where, me] of [['roomSocket', await join(room, 'ada', { native: true })], ['roomSocket', await join(room, 'ada')], ['manyRooms', await many('ada', room)], ['userChannel', await channel('ada')]]) {
      let at = 0;
      const refused = async (frame) => {
        const frameId = `w${++at}`;
        me.send({ ...frame, frameId });
        await me.until((f) => f.frameId === frameId);
      };
      for (const message of api.messages(where, 'client')) {
        const schema = api.document.components.schemas[message.payload.$ref.split('/').at(-1)];
        const example = { ...filled(message.examples[0].payload, room, id), ...(where === 'manyRooms' && { roomId: room }) };
        for (const name of schema.required.filter((field) => field !== 'type' && !['typing'].includes(message.name))) {
          const property = schema.properties[name].$ref ? api.document.components.schemas[schema.properties[name].$ref.split('/').at(-1)] : schema.properties[name];
          const { [name]: _, ...without } = example;
          await refused(without);
          await refused({ ...example, [name]: wrong[property.type] ?? 17 });
          await refused({ ...example, [name]: null });
        }
      }
      for (const frame of [{ type: 'nonsense' }, { type: 17 }, {}, { type: 'message', content: 'x'.repeat(4001), roomId: room }, { type: 'edit', messageId: 9007199254740991, content: 'x', roomId: room }, { type: 'subscribe', roomId: 'nobodys' }]) await refused(frame);
      const broken = me.of('error').length;
      for (const text of ['{', '[]', '"x"', '{"type":"ping","type":"ping"}', `${'{"a":'.repeat(40)}1${'}'.repeat(40)}`]) me.send(text);
      await eventually('five refusals', () => me.of('error').length >= broken + 5);
      assert.equal(me.closed, undefined, where);
      assert.ok(me.of('error').every((f) => f.code), where);
      await leave(me);
    }
    api.check();
  });

  test('a gateway that stops', async () => {
    const room = await newRoom();
    const all = [await join(room, 'ada', { native: true }), await join(room, 'bob'), await many('eve', room), await channel('bob')];
    const reader = await read(room, 'eve');
    const ended = cluster.node('drain', 'gateway-1');
    for (const client of all) await client.until((f) => f.type === 'goaway' && f.reason === 'drain');
    await reader.until((f) => f.type === 'close' && f.reason === 'drain');
    await leave(...all);
    await ended;
    api.check();
  });

  test('every frame of the document has been seen in every channel that has it', () => {
    // `error` has no occasion in an event stream; `behind` is told to those who read too slowly (slow.test.mjs).
    const never = ['eventStream error', 'roomSocket behind', 'manyRooms behind', 'eventStream behind'];
    const missing = Object.keys(api.document.channels).flatMap((where) => api.messages(where, 'server').map((m) => `${where} ${m.name}`));
    assert.deepEqual(missing.filter((key) => !api.seen.has(key) && !never.includes(key)), []);
  });
});
