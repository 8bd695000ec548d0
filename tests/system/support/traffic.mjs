// Rooms full of clients that write all the time and resume, and what must be true of them in the end.
import assert from 'node:assert/strict';
import { ResumingClient } from './client.mjs';
import { call, eventually, mint } from './cluster.mjs';

const ROOMS = 6;
const MEMBERS = 4;

/** Members that write all the time in every room until told to stop; half of them prefer one gateway, half the other.
 * They stop at the end of the test, however it ends. */
export async function load(cluster, t) {
  const users = Array.from({ length: MEMBERS }, (_, i) => `k${i}`);
  const tokens = await Promise.all(users.map((u) => mint(cluster, u)));
  const rooms = Array.from({ length: ROOMS }, (_, i) => `crash-${i}`);
  const clients = [];
  for (const id of rooms) {
    const got = await call(cluster.http(), 'POST', '/rooms', { token: tokens[0], body: { id, name: id, type: 'group', members: users.map((userId) => ({ userId, role: 'member' })) } });
    assert.equal(got.status, 200, got.text);
    for (let i = 0; i < MEMBERS; i++) {
      const bases = i % 2 ? [cluster.ws(1), cluster.ws(0)] : [cluster.ws(0), cluster.ws(1)];
      clients.push(new ResumingClient(bases, id, tokens[i]));
    }
  }
  let timer;
  t.after(() => {
    clearInterval(timer);
    clients.forEach((c) => c.stop());
  });
  await Promise.all(clients.map((c) => c.ready(20000)));
  let n = 0;
  const gaps = new Map(clients.map((c) => [c, { acks: 0, since: Date.now(), longest: 0 }]));
  timer = setInterval(() => {
    for (const c of clients) {
      if (c.unacked.size < 20) c.post(`c${n}`, `text ${n++}`);
    }
    for (const [c, gap] of gaps) {
      gap.longest = Math.max(gap.longest, Date.now() - gap.since);
      if (c.acks.size > gap.acks) Object.assign(gap, { acks: c.acks.size, since: Date.now() });
    }
  }, 20);
  return {
    clients,
    rooms,
    /** The longest time that any client has waited for an acknowledgement, since the last call, in ms. */
    longestGap() {
      const longest = Math.max(...[...gaps.values()].map((gap) => gap.longest));
      for (const gap of gaps.values()) gap.longest = 0;
      return longest;
    },
    /** Everybody gets acknowledgements after this call. */
    async flows(ms = 30000) {
      const before = new Map(clients.map((c) => [c, c.acks.size]));
      await eventually('acknowledgements for everybody', () => clients.every((c) => c.acks.size > before.get(c) + 10), ms);
    },
    acked: () => clients.reduce((sum, c) => sum + c.acks.size, 0),
    async settle() {
      clearInterval(timer);
      await Promise.all(clients.map((c) => c.until('every message acknowledged', () => c.unacked.size === 0, 60000)));
      for (const id of rooms) {
        const head = Math.max(...clients.filter((c) => c.room === id).map((c) => c.seq));
        await Promise.all(clients.filter((c) => c.room === id).map((c) => c.until(`head ${head}`, () => c.seq >= head)));
      }
    },
  };
}

/**
 * PostgreSQL and every client agree: one order, no hole, nothing doubled, nothing acknowledged that is not there.
 * sql: asks the server that counts, where it is not the cluster's own.
 */
export async function verify(cluster, { clients, rooms }, sql = (text) => cluster.sql(text)) {
  for (const id of rooms) {
    const rows = await sql(`select seq, id, client_id, content from timeline where project_id = '${cluster.project}' and room_id = '${id}' order by seq`);
    assert.deepEqual(rows.map((r) => Number(r[0])), rows.map((_, i) => i + 1), `${id}: gapless seq`);
    assert.equal(new Set(rows.map((r) => r[2])).size, rows.length, `${id}: each key once`);
    const ids = rows.map((r) => Number(r[1]));
    assert.ok(ids.every((v, i) => i === 0 || v > ids[i - 1]), `${id}: ids rise`);
    for (const client of clients.filter((c) => c.room === id)) {
      await client.until(`all of ${id}`, () => client.seq >= rows.length);
      client.check();
      const seen = [...client.seen].sort(([a], [b]) => a - b);
      assert.deepEqual(seen.map(([seq, m]) => [String(seq), String(m.id), m.clientMessageId, m.content]), rows, `${id}: every member saw everything`);
      for (const [key, ack] of client.acks) assert.deepEqual(rows[ack.seq - 1]?.slice(1, 3), [String(ack.id), key], `${id}: acknowledged ${key}`);
    }
  }
}
