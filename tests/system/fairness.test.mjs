// A tenant that has far more under way than can be done waits for itself; another one does not wait for it. Both are
// measured at the same time, so that a busy machine makes both slower. `tests/bench/fairness` has the figures.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { Client } from './support/client.mjs';
import { call, Cluster, eventually, mint } from './support/cluster.mjs';

const ROOMS = 40;
const USERS = 10;
const PROBES = 25;
const FEWER = 1.5; // times that the other one waits less, at least: without turns both wait the same

const median = (list) => list.toSorted((x, y) => x - y)[Math.floor(list.length / 2)];

describe('what one tenant asks for is no queue for another', { timeout: 120000 }, () => {
  let cluster;
  let noisy;
  let calm;

  async function tenant(name, nRooms) {
    const { apiKey } = await cluster.command('project', 'add', name, '--json');
    const users = Array.from({ length: USERS }, (_, i) => `${name}-u${i}`);
    const tokens = await Promise.all(users.map((user) => mint(cluster, user, { key: apiKey })));
    const rooms = Array.from({ length: nRooms }, (_, i) => `${name}-r${i}`);
    await Promise.all(rooms.map(async (id) => {
      const members = users.slice(1).map((userId) => ({ userId, role: 'member' }));
      const made = await call(cluster.http(), 'POST', '/rooms', { token: tokens[0], body: { id, name: id, type: 'group', members } });
      assert.equal(made.status, 200, made.text);
    }));
    return { base: cluster.http(), tokens, rooms };
  }

  /** So many messages in the first room. */
  async function fill({ rooms, tokens }, n) {
    const client = await Client.join(cluster.ws(), rooms[0], tokens[0], { native: true });
    for (let i = 0; i < n; i++) client.message('and another one', `fill${i}`);
    await client.until((f) => f.type === 'ack' && f.clientMessageId === `fill${n - 1}`, 20000);
  }

  /** The times of the one who floods, and of what `probe` does meanwhile. */
  async function during(flood, probe) {
    const worker = new Worker(new URL('./support/flood.mjs', import.meta.url), { workerData: { ...noisy, ...flood } });
    const failed = new Promise((_, reject) => worker.once('error', reject));
    const answer = () => Promise.race([new Promise((resolve) => worker.once('message', resolve)), failed]);
    const theirs = [];

    try {
      assert.equal(await answer(), 'floods');
      for (let i = 0; i < PROBES; i++) {
        const at = performance.now();
        await Promise.race([probe(i), failed]);
        theirs.push(performance.now() - at);
      }
      const own = answer();
      worker.postMessage('end');
      return { own: median(await own), theirs: median(theirs) };
    } finally {
      await worker.terminate();
    }
  }

  function isFair({ own, theirs }, t) {
    t.diagnostic(`who floods waits ${own.toFixed(1)} ms for one, the other ${theirs.toFixed(1)} ms (medians)`);
    assert.ok(theirs * FEWER < own, `who floods waits ${own} ms, the other ${theirs} ms`);
  }

  before(async () => {
    cluster = await Cluster.up(undefined, { gateways: 1, shards: 1 });
    noisy = await tenant('noisy', ROOMS);
    calm = await tenant('calm', 2);
  });
  after(() => cluster?.remove());

  test('reads of the database', async (t) => {
    const search = async () => {
      const got = await call(calm.base, 'GET', '/search/messages?q=another&limit=1', { token: calm.tokens[0] });
      assert.equal(got.status, 200, got.text);
      return got.json.results.length;
    };

    await Promise.all([fill(noisy, 200), fill(calm, 1)]);
    await eventually('what is there is found', async () => (await search()) > 0);
    isFair(await during({ way: 'searches', underWay: 40 }, search), t);
  });

  test('messages', async (t) => {
    const me = await Client.join(cluster.ws(), calm.rooms[0], calm.tokens[0], { native: true });
    const figures = await during({ way: 'messages', underWay: 250 }, async (i) => {
      me.message('hello', `m${i}`);
      await me.until((f) => f.type === 'ack' && f.clientMessageId === `m${i}`, 20000);
    });
    isFair(figures, t);
  });
});
