// WIRE 2.8, 12.4: an unmodified old client, which keeps no cursor, comes back and sees what is there, whatever ended its
// socket and whatever happened meanwhile.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { call, Cluster, eventually, mint } from './support/cluster.mjs';
import { OldClient, Wire } from './support/old-client.mjs';
import { roomsInShards } from './support/room.mjs';

const helpers = (cluster, tokens) => {
  const rest = async (method, path, token, body, gateway = 0) => {
    const got = await call(cluster.http(gateway), method, path, { token, body });
    assert.equal(got.status, 200, got.text);
    return got.json;
  };
  return {
    rest,
    room: async (id) => {
      await rest('POST', '/rooms', tokens.ada, { id, name: id, type: 'group', members: [{ userId: 'bob', role: 'member' }, { userId: 'cyd', role: 'member' }] });
      return id;
    },
    say: async (roomId, from, to, gateway = 0) => {
      const made = [];
      for (let i = from; i <= to; i++) made.push((await rest('POST', '/messages', tokens.ada, { roomId, content: `m${i}` }, gateway)).message);
      return made;
    },
    truth: async (roomId, token = tokens.ada, gateway = 0) => {
      const all = [];
      for (let seq = 0; ;) {
        const page = await rest('GET', `/api/messages?roomId=${roomId}&order=asc&limit=500&afterSeq=${seq}`, token, undefined, gateway);
        all.push(...page.messages.map((m) => m.content));
        if (!page.hasMore) return all;
        seq = page.messages.at(-1).seq;
      }
    },
    bob: (roomId, gateway = 0) => new OldClient({ room: roomId, user: 'bob', token: tokens.bob, http: cluster.http(gateway) }),
  };
};

/** The view becomes what is there. */
const seesAll = async (client, truth) => {
  await eventually('the view is whole', () => client.view.length === truth.length && client.view.at(-1) === truth.at(-1)).catch(() => {});
  assert.deepEqual(client.view, truth);
};

describe('an old client comes back', () => {
  let cluster, h;
  const tokens = {};

  before(async () => {
    cluster = await Cluster.up();
    for (const user of ['ada', 'bob', 'cyd']) tokens[user] = await mint(cluster, user);
    h = helpers(cluster, tokens);
  });
  after(() => cluster?.remove());

  test('WIRE 2.8 a: more than replayLimit missed, after a clean close', async () => {
    const id = await h.room('old-many');
    await h.say(id, 1, 10);
    const bob = h.bob(id);
    await bob.connect(cluster.ws(0));
    bob.socket.close(1000);
    await eventually('closed', () => bob.closed === 1000);
    await h.say(id, 11, 190);
    const frames = await bob.connect(cluster.ws(1));
    const snapshot = frames.find((f) => f.type === 'replay');
    assert.ok(snapshot.messages.length >= 180, `${snapshot.messages.length}`);
    assert.equal(snapshot.hasMore, snapshot.messages.length < 190);
    assert.deepEqual(frames.map((f) => f.type).slice(0, 2), ['cache_snapshot', 'replay']);
    await seesAll(bob, await h.truth(id));
    // Who was never here gets what it asks for.
    const cyd = new OldClient({ room: id, user: 'cyd', token: tokens.cyd, http: cluster.http() });
    assert.equal((await cyd.connect(cluster.ws(0))).find((f) => f.type === 'replay').messages.length, 50);
    for (const c of [bob, cyd]) c.socket.close(1000);
  });

  test('WIRE 2.8 b: edits and deletes of what it has, also of what is far behind', async () => {
    const id = await h.room('old-changes');
    const old = await h.say(id, 1, 120);
    const bob = h.bob(id);
    await bob.connect(cluster.ws(0));
    assert.equal(bob.view.length, 50);
    bob.socket.close(1000);
    await eventually('closed', () => bob.closed === 1000);
    await h.rest('PATCH', `/messages/${old[100].id}`, tokens.ada, { content: 'edited' });
    await h.rest('DELETE', `/messages/${old[110].id}`, tokens.ada);
    const fresh = await h.say(id, 121, 180);
    await h.rest('PATCH', `/messages/${fresh[0].id}`, tokens.ada, { content: 'edited, too' });
    await h.rest('DELETE', `/messages/${fresh[1].id}`, tokens.ada);
    const frames = await bob.connect(cluster.ws(1));
    assert.deepEqual(frames.filter((f) => f.type === 'edit' && f.id === old[100].id).map((f) => f.content), ['edited']);
    for (const type of ['delete', 'message_deleted']) assert.equal(frames.filter((f) => f.type === type && f.id === old[110].id).length, 1, type);
    const at = (fits) => frames.findIndex(fits);
    assert.ok(at((f) => f.type === 'replay') < at((f) => f.type === 'edit'), 'changes follow the snapshot');
    assert.ok(at((f) => f.type === 'delete') < at((f) => f.type === 'subscription_succeeded'), 'and precede the live feed');
    await seesAll(bob, (await h.truth(id)).slice(-bob.view.length));
    assert.equal(bob.view.length, 50 - 1 + 60 - 1);
    bob.socket.close(1000);
  });

  test('WIRE 2.8 c: writes go on all the time while it comes and goes: no seam', async () => {
    const id = await h.room('old-seam');
    const bob = h.bob(id);
    let go = true;
    const made = [];
    const writer = (async () => {
      for (let i = 1; go; i++) {
        made.push(...(await h.say(id, i, i, i % 2)));
        const living = (back) => made.filter((m) => !m.gone).at(-back) ?? made[0];
        if (i % 5 === 0) await h.rest('PATCH', `/messages/${living(20).id}`, tokens.ada, { content: `edit ${i}` });
        if (i % 17 === 0) {
          const m = living(8);
          await h.rest('DELETE', `/messages/${m.id}`, tokens.ada);
          m.gone = true;
        }
      }
    })();
    for (let round = 0; round < 6; round++) {
      const had = made.length;
      await bob.connect(cluster.ws(round));
      await eventually('some come live', () => made.length > had + 10);
      bob.closed = undefined;
      bob.socket.close(round % 2 ? 1000 : 4000);
      await eventually('closed', () => bob.closed);
      const away = made.length;
      await eventually('some are missed', () => made.length > away + 60);
    }
    await bob.connect(cluster.ws(0));
    go = false;
    await writer;
    await seesAll(bob, await h.truth(id));
    bob.socket.close(1000);
  });

  test('a wire that went silent long before anybody noticed, and a new socket beside the dead one', async (t) => {
    const id = await h.room('old-silent');
    const wire = await Wire.to(cluster.http(0));
    t.after(() => wire.close());
    const bob = h.bob(id);
    await h.say(id, 1, 5);
    await bob.connect(wire.ws);
    wire.freeze();
    const lost = await h.say(id, 6, 80); // written to a socket from which nothing comes any more
    await h.rest('PATCH', `/messages/${lost[0].id}`, tokens.ada, { content: 'edited' });
    await bob.connect(cluster.ws(1)); // the gateway still believes in the old one
    await seesAll(bob, await h.truth(id));
    const second = bob.socket;
    wire.cut();
    await h.say(id, 81, 81);
    await seesAll(bob, await h.truth(id));
    second.close(1000);
  });

  test('a cut wire: nothing that was under way is lost', async (t) => {
    const id = await h.room('old-cut');
    const wire = await Wire.to(cluster.http(0));
    t.after(() => wire.close());
    const bob = h.bob(id);
    await bob.connect(wire.ws);
    const made = await h.say(id, 1, 60);
    wire.freeze();
    await h.rest('PATCH', `/messages/${made[3].id}`, tokens.ada, { content: 'unseen' });
    wire.cut();
    await eventually('cut', () => bob.closed === 1006);
    await h.say(id, 61, 130);
    await bob.connect(cluster.ws(1));
    await seesAll(bob, await h.truth(id));
    bob.socket.close(1000);
  });

  test('two sockets of one user, each with its own store', async () => {
    const id = await h.room('old-two');
    const phone = h.bob(id), laptop = h.bob(id);
    await h.say(id, 1, 5);
    await phone.connect(cluster.ws(0));
    await laptop.connect(cluster.ws(1));
    phone.socket.close(1000);
    await eventually('closed', () => phone.closed === 1000);
    const made = await h.say(id, 6, 70);
    await eventually('the laptop is up to date', () => laptop.view.length === 70);
    laptop.socket.close(1000);
    await eventually('closed', () => laptop.closed === 1000);
    await h.rest('PATCH', `/messages/${made[0].id}`, tokens.ada, { content: 'edited' });
    await h.say(id, 71, 140);
    // The laptop is back first, which must not use up what the phone needs.
    await laptop.connect(cluster.ws(1));
    await seesAll(laptop, await h.truth(id));
    await phone.connect(cluster.ws(0));
    await seesAll(phone, await h.truth(id));
    for (const c of [phone, laptop]) c.socket.close(1000);
  });

  test('the pattern of a token refresh: a new socket while the old one closes, and another one right after', async () => {
    const id = await h.room('old-refresh');
    const bob = h.bob(id);
    await h.say(id, 1, 3);
    await bob.connect(cluster.ws(0));
    let n = 4;
    for (let round = 0; round < 4; round++) {
      const before = bob.socket;
      before.close(1000);
      const opening = bob.connect(cluster.ws(round));
      await h.say(id, n, n + 60);
      n += 61;
      await opening;
      const second = bob.socket;
      await bob.connect(cluster.ws(round + 1)); // the old one's close handler has scheduled it
      second.close(1000);
      await h.say(id, n, n + 2);
      n += 3;
      await seesAll(bob, await h.truth(id));
    }
    bob.socket.close(1000);
  });
});

test('WIRE 12.4: kill -9 of the gateway, while its clients are at the next one at once', { timeout: 180000 }, async (t) => {
  const cluster = await Cluster.up(t);
  const tokens = {};
  for (const user of ['ada', 'bob', 'cyd']) tokens[user] = await mint(cluster, user, { gateway: 1 });
  const h = helpers(cluster, tokens);
  const id = await h.room('old-kill');
  const made = await h.say(id, 1, 20, 1);
  const clients = Array.from({ length: 5 }, () => h.bob(id, 1));
  for (const c of clients) await c.connect(cluster.ws(0));
  await cluster.node('kill', 'gateway-1');
  await Promise.all(clients.map((c) => eventually('cut', () => c.closed)));
  await h.rest('PATCH', `/messages/${made[5].id}`, tokens.ada, { content: 'edited' }, 1);
  await h.say(id, 21, 120, 1);
  await h.rest('DELETE', `/messages/${made[6].id}`, tokens.ada, undefined, 1);
  await Promise.all(clients.map((c) => c.connect(cluster.ws(1))));
  const truth = await h.truth(id, tokens.ada, 1);
  for (const c of clients) await seesAll(c, truth);
  for (const c of clients) c.socket.close(1000);
});

test('WIRE 2.8: rooms that sleep in between, and a shard that is killed under an open socket', { timeout: 180000 }, async (t) => {
  const cluster = await Cluster.up(t, { env: { FLUXY_ROOM_IDLE_MS: '300' } });
  const tokens = {};
  for (const user of ['ada', 'bob', 'cyd']) tokens[user] = await mint(cluster, user);
  const h = helpers(cluster, tokens);
  const asleep = () => eventually('all rooms sleep', async () => (await roomsInShards(cluster)) === 0);
  const id = await h.room('old-sleep');
  const made = await h.say(id, 1, 20);
  const bob = h.bob(id);
  await bob.connect(cluster.ws(0));
  await asleep();
  bob.socket.close(1000); // unnoticed by any shard but for a word of the gateway
  await eventually('closed', () => bob.closed === 1000);
  await h.say(id, 21, 100);
  await h.rest('PATCH', `/messages/${made[2].id}`, tokens.ada, { content: 'edited' });
  await asleep();
  await bob.connect(cluster.ws(1));
  await seesAll(bob, await h.truth(id));
  // The room goes to another shard while the socket stays; then the socket goes.
  bob.closed = undefined;
  for (const shard of ['shard-1', 'shard-2']) {
    await cluster.node('kill', shard);
    await cluster.node('start', shard);
  }
  await h.say(id, 101, 101);
  await eventually('live again', () => bob.view.at(-1) === 'm101');
  bob.socket.close(4000);
  await eventually('closed', () => bob.closed);
  await h.rest('DELETE', `/messages/${made[3].id}`, tokens.ada);
  await h.say(id, 102, 170);
  await bob.connect(cluster.ws(0));
  await seesAll(bob, await h.truth(id));
  bob.socket.close(1000);
});
