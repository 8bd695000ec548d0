// A shard that starts while PostgreSQL goes waits for it, at whichever of its steps it was.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Cluster, eventually } from './support/cluster.mjs';

test('PostgreSQL goes while a shard migrates: the shard waits and starts by itself', { timeout: 120000 }, async (t) => {
  const cluster = await Cluster.up(t, { gateways: 1, shards: 2 });
  await cluster.command('kill', 'shard-2');
  // The shard waits for the lock of migrations, which somebody else holds when the server is stopped.
  const blocked = cluster.sql('begin; lock table schema_migrations in access exclusive mode; select pg_sleep(60)').catch(() => 'cut off');
  await eventually('the table is held', async () => (await cluster.sql(`select 1 from pg_stat_activity where wait_event = 'PgSleep'`)).length > 0);
  await cluster.command('start', 'shard-2', '--no-wait');
  await eventually('the shard waits for it', async () => (await cluster.sql(`select 1 from pg_stat_activity where application_name = 'fluxy-shard admin' and wait_event_type = 'Lock'`)).length > 0, 20000);
  await cluster.command('stop', 'postgres');
  assert.equal(await blocked, 'cut off');
  await eventually('it says that it waits', async () => (await cluster.logs())['shard-2.log'].includes('waiting for the database'), 20000);
  await cluster.command('start', 'postgres');
  const { shards } = await cluster.status();
  const { admin } = shards.find((s) => s.name === 'shard-2');
  await eventually('it is ready', () => fetch(`${admin}/readyz`).then((got) => got.status === 200, () => false), 40000);
});
