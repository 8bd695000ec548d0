// Who is here when gateways and shards go: from rooms that are awake and rooms that sleep.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { call, Cluster, eventually } from './support/cluster.mjs';
import { allSee, gather, last, roomsInShards } from './support/room.mjs';

describe('presence when processes go', () => {
  test('a gateway is killed: its users are gone within 15 s, from rooms that are awake and rooms that sleep', async (t) => {
    const cluster = await Cluster.up(t, { gateways: 3, shards: 2, env: { FLUXY_ROOM_IDLE_MS: '300' } });
    // In each: ada and cid at gateways that live, bob at one that dies, cid there as well.
    const rooms = await Promise.all(['nap-1', 'nap-2', 'nap-3'].map((id) => gather(cluster, id, [[0, 'ada'], [2, 'bob'], [1, 'cid'], [2, 'cid']])));
    const alone = await gather(cluster, 'nap-4', [[0, 'ada'], [1, 'bob']]);
    await Promise.all(rooms.map(({ clients }) => allSee(clients, ['ada', 'bob', 'cid'])));
    await eventually('all rooms sleep', async () => (await roomsInShards(cluster)) === 0);
    const busy = await gather(cluster, 'busy', [[0, 'ada'], [2, 'bob'], [1, 'cid'], [2, 'cid']]);
    const chatter = setInterval(() => busy.clients[0].message('still here'), 100);
    t.after(() => clearInterval(chatter));
    await allSee(busy.clients, ['ada', 'bob', 'cid']);
    const before = Date.now();
    await cluster.node('kill', 'gateway-3');
    await cluster.node('start', 'gateway-3'); // another incarnation, which knows nothing
    for (const { clients: [a, , c] } of [...rooms, busy]) {
      for (const one of [a, c]) {
        const left = await one.until((f) => f.type === 'member_left', 15000 - (Date.now() - before));
        assert.equal(left.userId, 'bob');
      }
      await allSee([a, c], ['ada', 'cid'], 15000 - (Date.now() - before));
      await eventually('three sockets less one each', () => last(a, 'presence').online === 2);
      assert.deepEqual([...a.of('member_left'), ...c.of('member_left')].map((f) => f.userId), ['bob', 'bob'], 'cid has another device');
    }
    clearInterval(chatter);
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
    await Promise.all([...[...rooms, busy].flatMap(({ clients: [a, , c] }) => [a, c]), ...alone.clients].map((c) => c.close()));
  });

  test('shards are killed, stopped and started: presence is whole, nobody leaves or joins, typing ends', async (t) => {
    const cluster = await Cluster.up(t, { gateways: 3, shards: 3 });
    const names = ['ada', 'bob', 'cid'];
    const rooms = await Promise.all(['m-1', 'm-2', 'm-3', 'm-4'].map((id) => gather(cluster, id, [[0, 'ada'], [1, 'bob'], [2, 'cid']], { native: true })));
    const all = rooms.flatMap(({ clients }) => clients);
    await Promise.all(rooms.map(({ clients }) => allSee(clients, names)));
    const marks = new Map(all.map((c) => [c, c.frames.length]));
    for (const { clients } of rooms) clients[1].send({ type: 'typing', isTyping: true });
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
