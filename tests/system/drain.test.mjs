// Gateways that stop: every kind of client is told when to go, in its own way, and the pace is kept.
import assert from 'node:assert/strict';
import http from 'node:http';
import test from 'node:test';
import { Client, ResumingClient } from './support/client.mjs';
import { Cluster, call, eventually, mint } from './support/cluster.mjs';
import { EventReader } from './support/events.mjs';
import { gather } from './support/room.mjs';

test('every kind of connection is told, in its own way', { timeout: 240000 }, async (t) => {
  const cluster = await Cluster.up(t, { gateways: 2, shards: 1, env: { FLUXY_DRAIN_RATE: '1000', FLUXY_DRAIN_TIMEOUT: '20s', FLUXY_DRAIN_WAIT: '5s' } });
  const { tokens: { ada } } = await gather(cluster, 'kinds', [[0, 'ada']]);
  const native = await Client.join(cluster.ws(1), 'kinds', ada, { native: true });
  const old = await Client.join(cluster.ws(1), 'kinds', ada);
  const many = await Client.open(cluster.ws(1), undefined, ada, { path: '/ws' });
  many.send({ type: 'subscribe', roomId: 'kinds' });
  await many.until((f) => f.type === 'subscription_succeeded');
  const channel = await Client.channel(cluster.ws(1), 'ada', ada, { native: true });
  const reader = await EventReader.open(cluster.http(1), 'kinds', ada);
  await reader.until((f) => f.type === 'subscription_succeeded');
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  const request = (path) =>
    new Promise((resolve, reject) => {
      http.get(`${cluster.http(1)}${path}`, { agent }, (answer) => answer.resume().once('end', () => resolve(answer))).once('error', reject);
    });
  assert.notEqual((await request('/client/feature-flags')).headers.connection, 'close');

  const ended = cluster.node('drain', 'gateway-2');
  await eventually('readiness fails at once', async () => (await fetch(`${cluster.gateways[1].admin}/readyz`).catch(() => ({ status: 0 }))).status === 503);
  const late = await request('/client/feature-flags'); // the doors are still open
  assert.equal(late.statusCode, 200);
  assert.equal(late.headers.connection, 'close');
  for (const client of [native, old, many, channel]) {
    const frame = await client.until((f) => f.type === 'goaway');
    assert.deepEqual(Object.keys(frame).sort(), ['reason', 'reconnectAfterMs', 'type']);
    assert.equal(frame.reason, 'drain');
  }
  native.message('still here', 'x-1'); // a native client has time to change over, and is served until then
  await native.until((f) => f.type === 'ack' && f.clientMessageId === 'x-1');
  assert.deepEqual(await old.untilClosed(), { code: 1012, reason: 'drain' });
  await reader.untilEnd();
  assert.deepEqual(reader.frames.at(-1), { type: 'close', reason: 'drain' });
  await Promise.all([many.close(), channel.close()]);
  assert.deepEqual(await native.untilClosed(15000), { code: 1012, reason: 'drain' });
  await ended;
  const log = (await cluster.logs())['gateway-2.log'];
  assert.match(log, /"msg":"drained","left":0/);
});

test('clients that do not know the frame come back, and the pace is kept', { timeout: 240000 }, async (t) => {
  const cluster = await Cluster.up(t, { gateways: 2, shards: 1, env: { FLUXY_DRAIN_RATE: '10', FLUXY_DRAIN_TIMEOUT: '30s' } });
  const { tokens: { ada } } = await gather(cluster, 'pace', [[0, 'ada']]);
  const sockets = [];
  const closed = [];
  for (let i = 0; i < 20; i++) {
    const socket = await Client.join(cluster.ws(1), 'pace', ada);
    socket.untilClosed(40000).then((end) => closed.push(end.code));
    sockets.push(socket);
  }
  const watcher = await Client.join(cluster.ws(0), 'pace', ada);
  const bob = await mint(cluster, 'bob');
  assert.equal((await call(cluster.http(), 'POST', '/rooms/pace/members', { token: ada, body: { userId: 'bob' } })).status, 200);
  const before = await Client.join(cluster.ws(1), 'pace', bob);
  await watcher.until((f) => f.type === 'presence' && f.users.includes('bob'));
  watcher.frames.length = 0;
  const back = before.untilClosed(40000).then(() => Client.join(cluster.ws(0), 'pace', bob));
  const resuming = new ResumingClient([cluster.ws(1), cluster.ws(0)], 'pace', ada);
  t.after(() => resuming.stop());
  await resuming.ready();
  resuming.post('p-0', 'before');
  await resuming.until('acknowledged', () => resuming.acks.size === 1);
  const ended = cluster.node('drain', 'gateway-2');
  await eventually('all are closed', () => closed.length === 20, 30000);
  assert.ok(closed.every((code) => code === 1012), `${closed}`);
  const times = sockets.map((s) => s.of('goaway')[0].reconnectAfterMs);
  assert.deepEqual(times, times.toSorted((a, b) => a - b), 'one after another');
  assert.ok(times.at(-1) > 1500 && times.at(-1) <= 2000, `20 at 10 a second: ${times}`);
  await resuming.until('back', () => resuming.reconnects > 0 && resuming.live, 30000);
  resuming.post('p-1', 'after');
  await resuming.until('acknowledged', () => resuming.acks.size === 2);
  resuming.check();
  const bobAgain = await back;
  bobAgain.send({ type: 'message', content: 'here I am' });
  await watcher.until((f) => f.type === 'message' && f.content === 'here I am');
  assert.deepEqual(watcher.frames.filter((f) => f.type === 'member_left' || f.type === 'member_joined'), [], 'he has not left for a moment');
  assert.ok(watcher.of('presence').every((f) => f.users.includes('bob')));
  await ended;
});
