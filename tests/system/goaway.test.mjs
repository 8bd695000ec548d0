// Gateways that stop: every client is told when to go, native ones change over without a gap, a double or a moment of
// absence; nobody who stays sees any of it.
import assert from 'node:assert/strict';
import test from 'node:test';
import { ChangeoverClient } from './support/changeover.mjs';
import { Cluster, call, eventually, mint } from './support/cluster.mjs';
import { gather } from './support/room.mjs';

const DRAINS = Number(process.env.FLUXY_TEST_DRAINS ?? 2);
const ROOMS = 3;
const PER_ROOM = 4;

/** Every user of the room writes, until stopped. */
function write(clients) {
  let n = 0;
  const timer = setInterval(() => {
    for (const [i, client] of clients.entries()) client.post(`${i}-${n}`, `${i} says ${n}`);
    n++;
  }, 40);
  return {
    stop: () => clearInterval(timer),
    acked: () => clients.reduce((sum, c) => sum + c.acks.size, 0),
  };
}

test(`clients change over in ${DRAINS} drains without a gap, a double or a moment of absence`, { timeout: 240000 + DRAINS * 30000 }, async (t) => {
  const cluster = await Cluster.up(t, { gateways: 3, shards: 2, env: { FLUXY_DRAIN_RATE: '20', FLUXY_DRAIN_TIMEOUT: '30s' } });
  const bases = [cluster.ws(0), cluster.ws(1)]; // the third one stays
  const rooms = [];
  t.after(() => rooms.forEach(({ clients }) => clients.forEach((c) => c.stop())));
  for (let r = 0; r < ROOMS; r++) {
    const id = `g-${r}`;
    const names = Array.from({ length: PER_ROOM }, (_, i) => `user-${r}-${i}`);
    const { clients: [observer], tokens } = await gather(cluster, id, [[2, `watcher-${r}`]], { native: true });
    for (const name of names) {
      tokens[name] = await mint(cluster, name);
      const added = await call(cluster.http(2), 'POST', `/rooms/${id}/members`, { token: tokens[`watcher-${r}`], body: { userId: name, role: 'member' } });
      assert.equal(added.status, 200, added.text);
    }
    const clients = names.map((name, i) => new ChangeoverClient(bases, id, tokens[name], { first: i % 2 }));
    rooms.push({ id, names, observer, clients });
    await Promise.all(clients.map((c) => c.until('ready', () => c.old?.isReady)));
    await observer.until((f) => f.type === 'presence' && f.userCount === PER_ROOM + 1);
    observer.frames.length = 0; // from here on everybody is there
  }
  const all = rooms.flatMap((r) => r.clients);
  const traffic = write(all);
  t.after(traffic.stop);
  for (let d = 0; d < DRAINS; d++) {
    const gateway = `gateway-${1 + (d % 2)}`;
    const other = bases[(d + 1) % 2];
    await eventually('traffic flows', () => all.every((c) => c.old?.isReady && !c.next));
    const before = traffic.acked();
    await cluster.node('drain', gateway);
    await eventually(`everybody is elsewhere after drain ${d}`, () => all.every((c) => c.old?.url.startsWith(other) && c.old.isReady));
    assert.ok(traffic.acked() > before, 'messages went on');
    await cluster.node('start', gateway);
  }
  traffic.stop();
  await Promise.all(all.map((c) => c.until('everything is acknowledged', () => c.unacked.size === 0)));
  for (const { id, names, observer, clients } of rooms) {
    const head = Math.max(...clients.map((c) => c.have));
    await Promise.all(clients.map((c) => c.until(`seq ${head}`, () => c.have === head)));
    clients.forEach((c) => c.check());
    const stored = await cluster.sql(`SELECT seq, id FROM timeline WHERE room_id = '${id}' AND kind = 1 ORDER BY seq`);
    for (const client of clients) {
      assert.deepEqual([...client.seen].sort(([a], [b]) => a - b).map(([seq, row]) => [seq, row.id]), stored.map(([seq, id]) => [Number(seq), Number(id)]));
    }
    assert.deepEqual(observer.frames.filter((f) => f.type === 'member_left' || f.type === 'member_joined'), [], 'nobody left or joined');
    for (const presence of observer.of('presence')) {
      assert.equal(presence.userCount, PER_ROOM + 1);
      assert.deepEqual(presence.users.toSorted(), [...names, `watcher-${id.at(-1)}`].toSorted());
    }
  }
  const sum = (field) => all.reduce((n, c) => n + c[field], 0);
  const lost = all.flatMap((c) => c.lost);
  assert.ok(sum('changes') >= (DRAINS * all.length) / 2, 'they changed over by goaway');
  // A machine that stands still for longer than the overlap may cut one off.
  assert.ok(sum('breaks') * 10 <= sum('changes') && lost.every((end) => end.code === 1012), `${sum('breaks')} breaks, ${JSON.stringify(lost)}`);
});
