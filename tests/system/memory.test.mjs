// Every queue at its bound at the same time: what the processes may grow by is a sum of limits, and they stay below it.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import net from 'node:net';
import { test } from 'node:test';
import { call, Cluster, eventually, mint } from './support/cluster.mjs';
import { SlowSocket, SlowStream } from './support/slow.mjs';

const MIB = 1024 * 1024;
const SLOW = 20; // sockets, and as many event streams
const EXPORTS = 10;
const UPLOADS = 10;
const WRITERS = 10;
const big = '€'.repeat(3990); // 12 KB

const rss = async (pid) => Number((await readFile(`/proc/${pid}/status`, 'utf8')).match(/VmRSS:\s+(\d+)/)[1]) * 1024;

/** A request of which nothing is read but the first bytes of its answer. */
const stalled = async (base, path, token) => {
  const { hostname, port } = new URL(base);
  const socket = net.connect({ host: hostname, port: Number(port) });
  socket.on('error', () => {});
  socket.write(`GET ${path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${token}\r\n\r\n`);
  await new Promise((ready) => socket.once('data', ready));
  socket.pause();
  return socket;
};

/** An upload whose end never comes. */
const unfinished = (base, room, token) => new Promise((resolve) => {
  const { hostname, port } = new URL(base);
  const socket = net.connect({ host: hostname, port: Number(port) });
  const length = 4 * MIB;
  socket.on('error', () => {});
  socket.write(`POST /upload HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${token}\r\nContent-Type: text/plain\r\nX-File-Name: f.txt\r\nX-Room-Id: ${room}\r\nContent-Length: ${length}\r\n\r\n`);
  socket.write(Buffer.alloc(length - 1, 'x'), () => resolve(socket));
});

test('all queues at their bounds: both programs stay below the sum of their limits', { timeout: 180000 }, async (t) => {
  const cluster = await Cluster.up(t, { gateways: 1, shards: 1 });
  const [ada, bob] = await Promise.all(['ada', 'bob'].map((user) => mint(cluster, user)));
  const gateway = cluster.gateways[0];
  const shard = cluster.shards[0];
  const sockets = [];
  t.after(() => sockets.forEach((s) => (s.close ? s.close() : s.destroy())));
  const gatewayMetric = async (name) => Number((await cluster.metrics(gateway.admin)).match(new RegExp(`^${name.replace(/[{}]/g, '\\$&')} (\\d+)$`, 'm'))[1]);
  const room = 'full';
  const made = await call(cluster.http(), 'POST', '/rooms', { token: ada, body: { id: room, name: room, type: 'group', members: [{ userId: 'bob', role: 'member' }] } });
  assert.equal(made.status, 200, made.text);

  const writer = await SlowSocket.open(cluster.http(), `/ws/room/${room}`, ada, () => {});
  let acked = 0;
  writer.take = (f) => { acked += f.type === 'ack'; };
  await writer.until('the writer is in the room', () => writer.isLive);
  let said = 0;
  const write = async (n) => {
    for (let i = 0; i < n; i++) {
      writer.say({ type: 'message', content: `${said} ${big}`, clientMessageId: `m${said++}` });
      if (said - acked > 100) await eventually('acks', () => said - acked < 50, 30000);
    }
    await eventually('all acks', () => acked === said, 30000);
  };
  await write(200); // the tail of the room is warm, and so is the allocator
  const before = { gateway: await rss(gateway.pid), shard: await rss(shard.pid) };

  // Slow sockets and streams, exports and uploads that stand still.
  const slow = await Promise.all(Array.from({ length: SLOW }, () => [
    SlowSocket.open(cluster.http(), `/ws/room/${room}`, bob, () => {}),
    SlowStream.open(cluster.http(), room, bob, () => {}, { v: '1' }),
  ]).flat());
  sockets.push(writer, ...slow);
  await Promise.all(slow.map((s) => s.until('in the room', () => s.isLive)));
  slow.forEach((s) => s.stop());
  await write(1000);
  await eventually('all are behind', async () => (await gatewayMetric('fluxy_sockets_behind')) === 2 * SLOW);
  for (let i = 0; i < EXPORTS; i++) sockets.push(await stalled(cluster.http(), `/export/messages.json?roomId=${room}`, bob));
  sockets.push(...await Promise.all(Array.from({ length: UPLOADS }, () => unfinished(cluster.http(), room, ada))));

  // The database stands still: what is written waits at both programs until sockets are not read any more.
  const writers = await Promise.all(Array.from({ length: WRITERS }, () => SlowSocket.open(cluster.http(), `/ws/room/${room}`, ada, () => {})));
  sockets.push(...writers);
  await Promise.all(writers.map((w) => w.until('in the room', () => w.isLive)));
  await cluster.node('pause', 'postgres');
  const paused = await gatewayMetric('fluxy_session_paused_total');
  try {
    for (const w of writers) {
      for (let i = 0; i < 400; i++) w.say({ type: 'message', content: `${i} ${big}`, clientMessageId: `w${said++}` });
    }
    await eventually('the writers are not read', async () => (await gatewayMetric('fluxy_session_paused_total')) >= paused + WRITERS, 30000);
    const grown = { gateway: (await rss(gateway.pid)) - before.gateway, shard: (await rss(shard.pid)) - before.shard };

    // Per slow reader what is below the mark, a frame and a page; per export a page and its queue; per upload two pieces;
    // per writer what is unsettled, twice (there and on the way), and a message that is being read; a link's buffers.
    const limit = {
      gateway: 2 * SLOW * 0.75 * MIB + EXPORTS * 1.25 * MIB + UPLOADS * 0.75 * MIB + WRITERS * 3 * MIB + 16 * MIB,
      // The queue of the room, what its frames hold while they wait, the tail, pages on their way, a link's buffers.
      shard: 3 * 4 * MIB + WRITERS * 2 * MIB + 4 * MIB + EXPORTS * MIB + 16 * MIB,
    };
    for (const name of ['gateway', 'shard']) assert.ok(grown[name] <= limit[name], `the ${name} has grown by ${(grown[name] / MIB).toFixed(1)} MiB, more than ${limit[name] / MIB}`);
    t.diagnostic(`gateway +${(grown.gateway / MIB).toFixed(1)} of ${limit.gateway / MIB} MiB, shard +${(grown.shard / MIB).toFixed(1)} of ${limit.shard / MIB} MiB`);
  } finally {
    await cluster.node('resume', 'postgres');
  }
  await eventually('the room goes on', async () => {
    const sent = acked;
    writer.say({ type: 'message', content: 'after all of it', clientMessageId: `m${said++}` });
    return eventually('an ack', () => acked > sent, 2000).catch(() => false);
  }, 60000);
});
