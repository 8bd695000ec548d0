// A gateway that is stopped (SIGSTOP) and wakes up much later. FLUXY_TEST_STOPPED_MS sets for how long: at first longer
// than the heartbeat of a link allows.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Client } from './support/client.mjs';
import { Cluster, eventually } from './support/cluster.mjs';
import { allSee, gather, last, users } from './support/room.mjs';
import { load, verify } from './support/traffic.mjs';

const STOPPED_MS = Number(process.env.FLUXY_TEST_STOPPED_MS ?? 7000);

test('who was at a gateway that is stopped resumes elsewhere and leaves the room there; when it wakes up it shows nothing of the past as the present', { timeout: 240000 }, async (t) => {
  const cluster = await Cluster.up(t);
  const traffic = await load(cluster, t);
  const { clients: [ada, bob], tokens } = await gather(cluster, 'frozen', [[0, 'ada'], [1, 'bob']]);
  await allSee([ada, bob], ['ada', 'bob']);
  await traffic.flows();
  await cluster.command('pause', 'gateway-1');
  const wake = Date.now() + STOPPED_MS;
  // What bob does now lies in the socket buffers of the gateway until it wakes up.
  bob.send({ type: 'client_event', eventName: 'client-knock' });
  bob.message('while you were away', 'm1');
  await bob.until((f) => f.type === 'ack' && f.clientMessageId === 'm1');
  const left = traffic.clients.filter((c) => c.socket.url.startsWith(cluster.ws(0)));
  assert.ok(left.length > 0);
  const old = left.map((c) => c.abandon());
  await Promise.all(left.map((c) => c.until('live elsewhere', () => c.live && c.socket.url.startsWith(cluster.ws(1)))));
  await traffic.flows();
  const gone = Date.now();
  await eventually('ada is gone for bob', () => String(users(last(bob, 'presence'))) === 'bob', 15000);
  t.diagnostic(`presence of a stopped gateway's user was gone ${Date.now() - gone} ms after the others had resumed`);
  await eventually('it has been stopped for long', () => Date.now() > wake, STOPPED_MS + 1000);
  await cluster.command('resume', 'gateway-1');
  await ada.until((f) => f.content === 'while you were away', 20000);
  await allSee([ada, bob], ['ada', 'bob'], 20000);
  assert.deepEqual(ada.of('client_event'), [], 'an event of long ago');
  assert.equal(ada.closed, undefined);
  const late = await Client.join(cluster.ws(0), 'frozen', tokens.bob);
  late.message('the gateway serves again', 'm2');
  await ada.until((f) => f.content === 'the gateway serves again');
  old.forEach((socket) => socket.close());
  await traffic.settle();
  await verify(cluster, traffic);
});
