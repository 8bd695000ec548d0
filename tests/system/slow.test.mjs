// Who reads too slowly: goes without ephemerals, is marked behind, is caught up from the log without a gap, and costs
// neither the others nor the gateway's memory anything.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';
import { AsyncApi } from './support/asyncapi.mjs';
import { Client } from './support/client.mjs';
import { call, Cluster, eventually, mint } from './support/cluster.mjs';
import { RoomView } from './support/mux.mjs';
import { SlowSocket, SlowStream } from './support/slow.mjs';

const MESSAGES = 1000;
/* More than the kernel holds for a connection: 12 KB each. */
const content = (n) => `${n} ${'€'.repeat(3990)}`;

describe('slow readers', () => {
  let cluster, ada, bob, flood = 0;

  const metric = async (name) => {
    const text = await cluster.metrics(cluster.gateways[0].admin);
    return Number(text.match(new RegExp(`^${name.replace(/[{}]/g, '\\$&')} (\\d+)$`, 'm'))[1]);
  };
  const rss = async () => Number((await readFile(`/proc/${cluster.gateways[0].pid}/status`, 'utf8')).match(/VmRSS:\s+(\d+)/)[1]) / 1024;
  const room = async (id) => {
    const made = await call(cluster.http(), 'POST', '/rooms', { token: ada, body: { id, name: id, type: 'group', members: [{ userId: 'bob', role: 'member' }] } });
    assert.equal(made.status, 200, made.text);
    return id;
  };
  /** Everything that a view must have seen of a room in which Ada wrote `n` messages. */
  const isWhole = (view, n) => view.seen.size === n;
  const check = (view, n) => {
    assert.deepEqual(view.violations, []);
    for (let i = 0; i < n; i++) assert.equal(view.seen.get(i + 1), content(i), `message ${i}`);
  };
  /** Writes, at most 100 on the way, while `also` goes on. */
  const write = async (id, n) => {
    const writer = await Client.join(cluster.ws(), id, ada, { keep: false });
    let acked = 0;
    writer.onframe = (f) => { acked += f.type === 'ack'; };
    for (let i = 0; i < n; i++) {
      writer.message(content(i), `f${flood++}`);
      if (i - acked > 100) await eventually('acks', () => i - acked < 50);
    }
    await eventually('all acks', () => acked === n);
    await writer.close();
  };

  before(async () => {
    cluster = await Cluster.up(undefined, { gateways: 1, shards: 1 });
    [ada, bob] = await Promise.all(['ada', 'bob'].map((user) => mint(cluster, user)));
  });
  after(() => cluster?.remove());

  test('sockets, old and new, in one room and in many, and event streams end gapless; others do not notice', { timeout: 120000 }, async () => {
    const id = await room('flood');
    const view = () => new RoomView(id);
    const views = { native: view(), many: view(), stream: view(), old: new Map(), fast: view() };
    const slow = {
      native: await SlowSocket.open(cluster.http(), `/ws/room/${id}`, bob, (f) => views.native.take(f)),
      many: await SlowSocket.open(cluster.http(), '/ws', bob, (f) => f.roomId === id && views.many.take(f)),
      stream: await SlowStream.open(cluster.http(), id, bob, (f) => views.stream.take(f), { v: '1' }),
      old: await SlowSocket.open(cluster.http(), `/ws/room/${id}`, bob, (f) => f.type === 'message' && views.old.set(f.seq, f.content), { native: false }),
    };
    slow.many.say({ type: 'subscribe', roomId: id });
    const fast = await Client.join(cluster.ws(), id, bob, { native: true, keep: false });
    fast.onframe = (f) => views.fast.take(f);
    await Promise.all(Object.entries(slow).map(([name, s]) => s.until(`${name} is in the room`, () => s.isLive)));
    await write(id, 20);
    await Promise.all(['native', 'many', 'stream'].map((name) => slow[name].until(`${name} gets live frames`, () => isWhole(views[name], 20))));

    const before = await rss();
    for (const s of Object.values(slow)) s.stop();
    await write(id, MESSAGES).catch((error) => { throw new Error(`the room is held up: ${error.message}`); });
    await eventually('the fast one has everything', () => views.fast.seq === 20 + MESSAGES);
    assert.equal(await metric('fluxy_sockets_behind'), 4);
    const grown = (await rss()) - before;
    assert.ok(grown < 24, `the gateway has grown by ${grown} MiB`);

    for (const s of Object.values(slow)) s.go();
    await Promise.all(['native', 'many', 'stream'].map((name) => slow[name].until(`${name} has everything`, () => views[name].seq === 20 + MESSAGES)));
    await slow.old.until('the old one has everything', () => views.old.size >= MESSAGES + 20);
    await eventually('nobody is behind', async () => (await metric('fluxy_sockets_behind')) === 0);
    for (const name of ['native', 'many', 'stream', 'fast']) {
      assert.deepEqual(views[name].violations, [], name);
      assert.equal(views[name].seen.size, 20 + MESSAGES, name);
    }
    const api = await AsyncApi.load(cluster.http());
    for (const [name, where] of [['native', 'roomSocket'], ['many', 'manyRooms'], ['stream', 'eventStream']]) {
      assert.equal(slow[name].behind?.roomId, id, name);
      assert.equal(api.fault(where, 'server', slow[name].behind), undefined, name);
      assert.ok(slow[name].behind.fromSeq >= 20, name);
    }
    assert.equal(slow.old.behind, undefined);
    for (let i = 0; i < MESSAGES; i++) assert.equal(views.old.get(21 + i), content(i));
    assert.ok((await metric('fluxy_slow_consumer_total{action="caught_up"}')) >= 4);
    assert.equal(await metric('fluxy_slow_consumer_total{action="close"}'), 0);

    await write(id, 5);
    await Promise.all(['native', 'many', 'stream'].map((name) => slow[name].until(`${name} is live again`, () => views[name].seq === 25 + MESSAGES)));
    for (const s of Object.values(slow)) s.close();
    await fast.close();
  });

  test('who is behind may write; the ack comes behind his message', { timeout: 180000 }, async () => {
    const id = await room('talk');
    const frames = [];
    const view = new RoomView(id);
    const slow = await SlowSocket.open(cluster.http(), `/ws/room/${id}`, bob, (f) => {
      view.take(f);
      if (f.clientMessageId?.startsWith('mine')) frames.push(f);
      for (const m of f.messages ?? []) if (m.clientMessageId?.startsWith('mine')) frames.push(m);
    });
    const witness = await Client.join(cluster.ws(), id, ada, { native: true, keep: false });
    const seen = [];
    witness.onframe = (f) => { if (f.clientMessageId?.startsWith('mine')) seen.push(f.clientMessageId); };
    await slow.until('in the room', () => slow.isLive);
    slow.stop();
    await write(id, MESSAGES);
    await eventually('it is behind', async () => (await metric('fluxy_sockets_behind')) === 1);
    for (let i = 0; i < 10; i++) slow.say({ type: 'message', content: `mine ${i}`, clientMessageId: `mine-${i}` });
    await eventually('the others see what it says', () => seen.length === 10);
    slow.go();
    await slow.until('it gets its acks', () => frames.filter((f) => f.type === 'ack').length === 10);
    assert.deepEqual(view.violations, []);
    for (let i = 0; i < 10; i++) {
      const at = frames.findIndex((f) => f.type === 'ack' && f.clientMessageId === `mine-${i}`);
      assert.ok(frames.slice(0, at).some((f) => f.content === `mine ${i}`), `the message precedes the ack of ${i}`);
      assert.equal(frames[at].seq, MESSAGES + 1 + i);
    }
    assert.equal(view.seen.size, MESSAGES + 10);
    slow.close();
    await witness.close();
  });

  test('a move while it is behind leaves no gap', { timeout: 180000 }, async () => {
    const id = await room('moved');
    const view = new RoomView(id);
    const slow = await SlowSocket.open(cluster.http(), `/ws/room/${id}`, bob, (f) => view.take(f));
    await slow.until('in the room', () => slow.isLive);
    slow.stop();
    await write(id, MESSAGES);
    await eventually('it is behind', async () => (await metric('fluxy_sockets_behind')) === 1);
    await cluster.node('kill', 'shard-1');
    await cluster.node('start', 'shard-1');
    await write(id, 10);
    slow.go();
    await slow.until('it has everything', () => view.seq === MESSAGES + 10, 30000);
    assert.deepEqual(view.violations, []);
    assert.equal(view.seen.size, MESSAGES + 10);
    slow.close();
  });

  test('who asks and does not read the answers is closed', { timeout: 180000 }, async () => {
    const id = await room('asks');
    const slow = await SlowSocket.open(cluster.http(), `/ws/room/${id}`, bob, () => {});
    await slow.until('in the room', () => slow.isLive);
    const closes = await metric('fluxy_slow_consumer_total{action="close"}');
    slow.stop();
    await eventually('it is closed', async () => {
      for (let i = 0; i < 4000; i++) slow.say({ type: 'no such type', frameId: 'f'.repeat(100), clientMessageId: 'c'.repeat(100) });
      return (await metric('fluxy_slow_consumer_total{action="close"}')) > closes;
    }, 40000);
    slow.go();
    await eventually('the connection ends', () => slow.ended);
  });
});
