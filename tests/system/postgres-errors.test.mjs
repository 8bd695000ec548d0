// PostgreSQL answers, but with errors: its disk is full, it only reads, it lets nobody in. Writers are told within the
// deadline and may try again, readers read on, the operator is told what to do, and all of it comes back by itself.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Client } from './support/client.mjs';
import { call, Cluster, eventually, mint } from './support/cluster.mjs';
import { Primary } from './support/postgres.mjs';

describe('errors of PostgreSQL', { timeout: 180000 }, () => {
  let cluster, primary, ann, client, pids;
  const shardPids = async () => (await cluster.status()).shards.map((shard) => shard.pid);

  before(async () => {
    cluster = await Cluster.up(undefined, { gateways: 1, shards: 1 });
    primary = await Primary.of(cluster);
    ann = await mint(cluster, 'ann');
    const got = await call(cluster.http(), 'POST', '/rooms', { token: ann, body: { id: 'r', name: 'r', type: 'group' } });
    assert.equal(got.status, 200, got.text);
    client = await Client.join(cluster.ws(), 'r', ann, { native: true });
    client.message('first', 'first');
    await client.until((f) => f.type === 'ack');
    pids = await shardPids();
  });
  after(() => cluster?.remove());

  const errors = async (name) => {
    const text = await cluster.metrics(cluster.shards[0].admin);
    return Number(new RegExp(`^fluxy_pg_errors_total\\{class="${name}"\\} (\\d+)$`, 'm').exec(text)[1]);
  };

  /** The writer is refused in time and may try again; then `mend` helps by itself, and the message is stored once. */
  async function refusedUntil(key, mend) {
    const asked = Date.now();
    client.message(key, key);
    const error = await client.until((f) => f.type === 'error' && f.clientMessageId === key, 20000);
    assert.ok(Date.now() - asked < 15000, `told after ${Date.now() - asked} ms`);
    assert.ok(['unavailable', 'outcome_unknown'].includes(error.code), error.code);
    assert.equal(error.retryable, true);
    const page = await call(cluster.http(), 'GET', '/api/messages?roomId=r&limit=1&order=asc&afterSeq=0', { token: ann });
    assert.equal(page.json?.messages?.[0]?.content, 'first', page.text);
    await mend();
    const mended = Date.now();
    await eventually(`${key} is written`, async () => {
      client.message(key, key);
      return client.until((f) => f.type === 'ack' && f.clientMessageId === key, 1000).catch(() => undefined);
    }, 20000);
    const took = Date.now() - mended;
    assert.deepEqual(await cluster.sql(`SELECT count(*) FROM timeline WHERE client_id = '${key}'`), [['1']]);
    assert.deepEqual(await shardPids(), pids, 'no process has restarted');
    assert.equal(client.closed, undefined);
    return took;
  }

  async function logHas(text) {
    const log = (await cluster.logs())['shard-1.log'];
    assert.ok(log.includes(text), `the log says: ${text}`);
  }

  test('its disk is full', async (t) => {
    const no = await errors('disk_full');
    await primary.sql(`CREATE FUNCTION disk_is_full() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'could not extend file: No space left on device' USING ERRCODE = '53100'; END $$`);
    await primary.sql('CREATE TRIGGER disk_is_full BEFORE INSERT ON timeline FOR EACH STATEMENT EXECUTE FUNCTION disk_is_full()');
    const took = await refusedUntil('full', () => primary.sql('DROP FUNCTION disk_is_full CASCADE'));
    t.diagnostic(`written ${took} ms after there is room`);
    assert.ok((await errors('disk_full')) > no);
    assert.equal(await errors('data'), 0, 'no message is blamed');
    await logHas('make room');
  });

  test('it only reads', async (t) => {
    await primary.set('default_transaction_read_only', 'on');
    const took = await refusedUntil('readonly', () => primary.set('default_transaction_read_only', 'off'));
    t.diagnostic(`written ${took} ms after it may be written to`);
    assert.ok((await errors('read_only')) > 0);
    assert.equal(await errors('data'), 0);
    await logHas('it only reads');
  });

  test('it has no connection for us', async (t) => {
    await primary.sql('ALTER ROLE fluxy CONNECTION LIMIT 0');
    await primary.sql(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'fluxy'`);
    await eventually('the shard is not ready', async () => (await fetch(`${cluster.shards[0].admin}/readyz`)).status === 503);
    const took = await refusedUntil('connections', () => primary.sql('ALTER ROLE fluxy CONNECTION LIMIT -1'));
    t.diagnostic(`written ${took} ms after there are connections`);
    assert.ok((await errors('connections')) > 0);
    await logHas('raise max_connections');
    await eventually('the shard is ready', async () => (await fetch(`${cluster.shards[0].admin}/readyz`)).status === 200);
  });
});
