// Who is typing: to the others, ended by the server, limited.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Cluster, eventually } from './support/cluster.mjs';
import { gather, last } from './support/room.mjs';

const type = (isTyping, more = {}) => ({ type: 'typing', isTyping, ...more });

describe('typing', () => {
  let cluster;
  before(async () => {
    cluster = await Cluster.up(undefined, { gateways: 2, shards: 1 });
  });
  after(() => cluster?.remove());

  test('2.3, 2.4 typing: to the others, with intent, ended by the server after ten seconds', async () => {
    const { clients: [a, b1, b2] } = await gather(cluster, 'types', [[0, 'ada'], [1, 'bob'], [1, 'bob']]);
    b1.send(type(true, { userId: 'ada', intent: 'viewing_thread', partialText: 'secret' }));
    const began = Date.now();
    const frame = await a.until((f) => f.type === 'typing');
    assert.deepEqual({ userId: frame.userId, isTyping: frame.isTyping, intent: frame.intent }, { userId: 'bob', isTyping: true, intent: 'viewing_thread' });
    assert.equal('seq' in frame || 'partialText' in frame, false);
    await b2.until((f) => f.type === 'typing' && f.isTyping);
    const end = await a.until((f) => f.type === 'typing' && !f.isTyping, 30000);
    assert.equal(end.intent, 'idle');
    assert.ok(Date.now() - began > 9000, `not before its time, but after ${Date.now() - began} ms`);
    assert.equal(b1.of('typing').length, 0, 'not echoed to the socket that sent it');
    // The last word counts: true after false.
    for (const on of [true, false, true]) b1.send(type(on));
    await eventually('true, false, true', () => a.of('typing').slice(2).map((f) => f.isTyping).join() === 'true,false,true');
    await b1.close();
    await eventually('ended with its socket', () => last(a, 'typing').isTyping === false);
    assert.equal(a.of('member_left').length, 0, 'the other device is still there');
    await Promise.all([a, b2].map((c) => c.close()));
  });

  test('2.3 typing: a keyboard that stutters is limited, and the last word counts', async (t) => {
    const limited = await Cluster.up(t, { gateways: 1, shards: 1, env: { FLUXY_RATE_LIMIT_SCALE: '1' } });
    const { clients: [a, b] } = await gather(limited, 'stutter', [[0, 'ada'], [0, 'bob']]);
    const began = performance.now();
    for (let i = 0; i < 100; i++) b.send(type(i % 2 === 0));
    b.send({ type: 'ping' });
    await b.until((f) => f.type === 'pong');
    await eventually('ended', () => a.of('typing').length >= 20 && last(a, 'typing').isTyping === false);
    const relayed = a.of('typing').length, seconds = Math.floor((performance.now() - began) / 1000);
    assert.ok(relayed <= 22 + 2 * seconds, `${relayed} relayed in ${seconds} s`); // 20 at once, two a second
    await Promise.all([a.close(), b.close()]);
  });
});
