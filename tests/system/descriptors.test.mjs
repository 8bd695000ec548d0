// A gateway that has no descriptor left for clients: those who are inside go on, it gets lost links back and answers its
// operators, and it takes people in again by itself.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import net from 'node:net';
import test from 'node:test';
import { promisify } from 'node:util';
import { Client } from './support/client.mjs';
import { Cluster, eventually } from './support/cluster.mjs';
import { gather } from './support/room.mjs';

const LIMIT = 160; // of the gateway; a quarter is kept from clients

test('a gateway without descriptors for clients serves those inside, gets its links back and recovers', { timeout: 300000 }, async (t) => {
  const cluster = await Cluster.up(t, { gateways: 2, shards: 2 });
  const { clients: [ada, bob], tokens } = await gather(cluster, 'full', [[1, 'ada'], [1, 'bob']], { native: true });
  await promisify(execFile)('prlimit', ['--pid', String(cluster.gateways[1].pid), `--nofile=${LIMIT}:`]);
  const { port } = new URL(cluster.http(1));
  const metric = async (name) => Number(new RegExp(`^${name} (\\d+)`, 'm').exec(await cluster.metrics(cluster.gateways[1].admin))[1]);

  // More than it can take: they hold what they got, and come again when they are cut off.
  const crowd = new Set();
  let storming = true;
  const knock = () => {
    const socket = net.connect(Number(port), '127.0.0.1');
    crowd.add(socket);
    socket.on('error', () => {});
    socket.once('close', () => {
      crowd.delete(socket);
      if (storming) setTimeout(knock, 50);
    });
  };
  for (let i = 0; i < 2 * LIMIT; i++) knock();
  await eventually('it is full', async () => (await metric('fluxy_accept_rests_total')) > 0, 20000);

  let n = 0;
  const talk = async () => {
    const id = `m-${n++}`;
    ada.message(id, id);
    await bob.until((f) => f.type === 'message' && f.content === id, 20000);
  };
  await talk();
  for (const shard of ['shard-1', 'shard-2']) {
    await cluster.node('kill', shard); // one of them has the room
    await cluster.node('start', shard);
    await eventually(`the link to ${shard} is back`, async () => (await metric('fluxy_links\\{state="up"\\}')) === 2, 30000);
    await talk();
  }
  await cluster.node('kill', 'redis');
  await cluster.node('start', 'redis');
  await eventually('Redis is back', async () => (await (await fetch(`${cluster.gateways[1].admin}/status`)).json()).registry, 30000);
  assert.equal((await fetch(`${cluster.gateways[1].admin}/readyz`)).status, 200);
  assert.ok((await metric('fluxy_accept_rests_total')) > 0, 'and it was full all the time');
  assert.equal(ada.closed, undefined);
  assert.equal(bob.closed, undefined);

  storming = false;
  crowd.forEach((socket) => socket.destroy());
  const late = await eventually('somebody new gets in', () => Client.join(cluster.ws(1), 'full', tokens.bob, { native: true }).catch(() => undefined), 30000);
  await talk();
  await late.until((f) => f.type === 'message' && f.content === `m-${n - 1}`);
  const log = (await cluster.logs())['gateway-2.log'];
  assert.match(log, /"msg":"cannot accept, resting"/);
  assert.ok(log.match(/cannot accept, resting/g).length < 60, 'it does not fill its log with it');
});
