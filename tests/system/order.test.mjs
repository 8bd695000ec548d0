// 20 rooms of 50 members, every message sent twice through different gateways: stored and delivered once, one gapless
// order for all. A tenth of the messages by default; FLUXY_TEST_MESSAGES=10000 for the whole.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Client } from './support/client.mjs';
import { call, Cluster, eventually, mint } from './support/cluster.mjs';

const ROOMS = 20;
const MEMBERS = 50;
const MESSAGES = Number(process.env.FLUXY_TEST_MESSAGES ?? 1000);
const SENDERS = 5; // of the members of each room
const WINDOW = 32; // in flight per sender

test(`${ROOMS} rooms x ${MEMBERS} members x ${MESSAGES} messages, each sent twice`, { timeout: 900000 }, async (t) => {
  const cluster = await Cluster.up(t);
  const users = Array.from({ length: MEMBERS }, (_, i) => `u${i}`);
  const tokens = await Promise.all(users.map((user, i) => mint(cluster, user, { gateway: i })));
  const rooms = Array.from({ length: ROOMS }, (_, i) => `order-${i}`);
  for (const id of rooms) {
    const got = await call(cluster.http(), 'POST', '/rooms', { token: tokens[0], body: { id, name: id, type: 'group', members: users.map((userId) => ({ userId, role: 'member' })) } });
    assert.equal(got.status, 200, got.text);
  }

  const problems = [];
  const states = await Promise.all(rooms.map(async (id) => {
    const clients = [];
    for (let i = 0; i < MEMBERS; i++) clients.push(await Client.join(cluster.ws(i), id, tokens[i], { keep: false, query: { replay: 'off' } }).catch((e) => Promise.reject(new Error(`${id} ${i}: ${e.message}`))));
    const order = new Map(); // seq -> id:content, as the first client saw it
    const state = { id, clients, heads: clients.map(() => 0), order };
    clients.forEach((client, i) => {
      client.onframe = (frame) => {
        if (frame.type !== 'message') return;
        // A sender is shown its own message again when it repeats the key; everybody else sees each once.
        if (i < SENDERS * 2 && frame.seq <= state.heads[i]) {
          if (order.get(frame.seq) !== `${frame.id}:${frame.content}`) problems.push(`${id}: repeat of ${frame.seq} differs`);
          return;
        }
        if (frame.seq !== state.heads[i] + 1) problems.push(`${id} member ${i}: ${state.heads[i]} then ${frame.seq}`);
        state.heads[i] = frame.seq;
        const key = `${frame.id}:${frame.content}`;
        if (!order.has(frame.seq)) order.set(frame.seq, key);
        else if (order.get(frame.seq) !== key) problems.push(`${id}: two views of ${frame.seq}`);
      };
    });
    return state;
  }));

  // Each sender's twin is the same user on the other gateway; both send every message with the same clientMessageId.
  await Promise.all(states.map(async (state) => {
    await Promise.all(Array.from({ length: SENDERS }, async (_, s) => {
      const mine = state.clients[s];
      const twin = await Client.join(cluster.ws(s + 1), state.id, tokens[s], { keep: false, query: { replay: 'off' } });
      state.clients.push(twin);
      const acked = [0, 0];
      const places = new Map();
      const originals = new Map();
      const onAck = (side) => (frame) => {
        if (frame.type === 'error') problems.push(`${state.id}: ${JSON.stringify(frame)}`);
        if (frame.type !== 'ack') return;
        acked[side]++;
        if (places.has(frame.clientMessageId) && places.get(frame.clientMessageId) !== frame.seq) problems.push(`${state.id}: ${frame.clientMessageId} at ${places.get(frame.clientMessageId)} and ${frame.seq}`);
        places.set(frame.clientMessageId, frame.seq);
        if (!frame.duplicate) originals.set(frame.clientMessageId, (originals.get(frame.clientMessageId) ?? 0) + 1);
      };
      const before = mine.onframe;
      const count = onAck(0);
      mine.onframe = (frame) => {
        before(frame);
        count(frame);
      };
      twin.onframe = onAck(1);
      const total = MESSAGES / SENDERS;
      let sent = 0;
      await eventually(`${state.id} sender ${s}: ${total} acks twice`, () => {
        while (sent < total && sent - Math.min(...acked) < WINDOW) {
          mine.message(`${s}:${sent}`, `k-${s}-${sent}`);
          twin.message(`${s}:${sent}`, `k-${s}-${sent}`);
          sent++;
        }
        return acked[0] === total && acked[1] === total;
      }, 600000);
      for (const [id, n] of originals) if (n !== 1) problems.push(`${state.id}: ${id} stored ${n} times`);
      if (originals.size !== total) problems.push(`${state.id}: ${originals.size} originals of ${total}`);
    }));
    await eventually(`${state.id}: everybody at ${MESSAGES}`, () => state.heads.every((h) => h === MESSAGES), 60000);
  }));
  assert.deepEqual(problems.slice(0, 10), []);

  for (const state of states) {
    assert.equal(state.order.size, MESSAGES);
    for (let s = 0; s < SENDERS; s++) {
      const own = [...state.order.entries()].sort((a, b) => a[0] - b[0]).map(([, key]) => key.split(':').slice(1)).filter(([who]) => Number(who) === s).map(([, n]) => Number(n));
      assert.deepEqual(own, own.toSorted((a, b) => a - b), 'per-sender order');
    }
  }
  const rows = await cluster.sql(`select room_id, count(*), count(distinct client_id || user_id), min(seq), max(seq) from timeline where project_id = '${cluster.project}' and room_id like 'order-%' group by 1`);
  assert.equal(rows.length, ROOMS);
  for (const [, n, keys, min, max] of rows) assert.deepEqual([n, keys, min, max].map(Number), [MESSAGES, MESSAGES, 1, MESSAGES]);
  await Promise.all(states.flatMap((s) => s.clients.map((c) => c.close())));
});
