// The tool under `make run` and under every other test here: what it promises on its command line.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { Cluster, eventually } from './support/cluster.mjs';
import { freePort } from './support/postgres.mjs';

const root = join(import.meta.dirname, '..', '..');

/** A zombie has ended: in a container nobody may be there to collect it. */
const alive = (pid) => {
  try {
    return !/^\d+ \(.*\) [ZX]/s.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch (error) {
    if (error.code === 'ENOENT' || error.code === 'ESRCH') return false;
    throw error;
  }
};
const stateOf = (status, name) => [...status.gateways, ...status.shards, ...status.stores].find((n) => n.name === name).state;
const ready = async (admin) => (await fetch(`${admin}/readyz`)).status === 200;

test('nodes come, go, pause and come back where they were', { timeout: 120000 }, async (t) => {
  const cluster = await Cluster.up(t);
  assert.deepEqual(cluster.gateways.map((g) => g.name), ['gateway-1', 'gateway-2']);
  assert.deepEqual(cluster.shards.map((s) => s.name), ['shard-1', 'shard-2']);
  for (const node of [...cluster.gateways, ...cluster.shards]) {
    assert.ok(alive(node.pid));
    assert.ok(await ready(node.admin));
  }
  for (const gateway of cluster.gateways) assert.match(gateway.https, /^https:\/\/127\.0\.0\.1:\d+$/);
  assert.match(cluster.apiKey, /^fc_[0-9a-f]{32}$/);
  assert.equal(cluster.project, 'demo');
  assert.ok(cluster.operatorKey.length >= 32);

  for (const [file, mode] of [['state.json', 0o600], ['secrets/operator.key', 0o600], ['secrets/master.key', 0o600], ['tls/key.pem', 0o600]]) {
    assert.equal((await stat(join(cluster.dir, file))).mode & 0o777, mode, file);
  }

  // An up on what is up changes nothing.
  const before = [...cluster.gateways, ...cluster.shards];
  const again = await cluster.command('up', '--json');
  assert.deepEqual([...again.gateways, ...again.shards], before);

  for (const [verb, pid] of [['kill', cluster.shards[1].pid], ['stop', cluster.gateways[0].pid]]) {
    const name = verb === 'kill' ? 'shard-2' : 'gateway-1';
    await cluster.node(verb, name);
    assert.ok(!alive(pid), `${name} after ${verb}`);
    assert.equal(stateOf(await cluster.status(), name), 'stopped');
  }
  const back = await cluster.command('up', '--json');
  assert.deepEqual(back.shards.map((s) => s.link), before.slice(2).map((s) => s.link));
  assert.deepEqual(back.gateways.map((g) => g.http), before.slice(0, 2).map((g) => g.http));
  assert.notEqual(back.shards[1].pid, before[3].pid);

  for (const name of ['redis', 'postgres', 'gateway-2']) {
    await cluster.node('pause', name);
    assert.equal(stateOf(await cluster.status(), name), 'paused');
    await cluster.node('resume', name);
    assert.equal(stateOf(await cluster.status(), name), 'running');
  }

  const grown = await cluster.command('add', 'shard', '--json');
  assert.deepEqual(grown.shards.map((s) => s.name), ['shard-1', 'shard-2', 'shard-3']);
  assert.ok(await ready(grown.shards[2].admin));

  const tenant = await cluster.command('project', 'add', 'acme');
  assert.match(tenant.apiKey, /^fc_[0-9a-f]{32}$/);
  assert.notEqual(tenant.project, cluster.project);

  await assert.rejects(cluster.command('kill', 'gateway-9'), /no such node/);
  await assert.rejects(cluster.command('kill', 'mysql'), /not a node/);
});

test('two clusters side by side share nothing; each keeps its ports and its data', { timeout: 120000 }, async (t) => {
  const [one, two] = await Promise.all([Cluster.up(t, { gateways: 1, shards: 1 }), Cluster.up(t, { gateways: 1, shards: 1 })]);
  const addresses = (c) => [c.gateways[0].http, c.gateways[0].https, c.gateways[0].admin, c.shards[0].link, c.shards[0].admin, c.redis, new URL(c.postgres).port];
  assert.equal(new Set([...addresses(one), ...addresses(two)]).size, 14);
  const block = (c) => Math.floor(new URL(c.postgres).port / 40);
  assert.notEqual(block(one), block(two), 'each has a block of ports to itself, also while nodes are down');
  assert.notEqual(one.apiKey, two.apiKey);

  await one.command('down');
  assert.ok(await ready(two.gateways[0].admin), 'the other one does not notice');
  const again = await one.command('up', '--json');
  assert.deepEqual(addresses(again), addresses(one));
  assert.equal(again.apiKey, one.apiKey);
});

test('ports begin at the base that is asked for, and go around what is taken', { timeout: 120000 }, async (t) => {
  // Below the ports of other clusters, and of outgoing connections.
  const base = await freePort(4000 + (process.pid % 5000));
  const stranger = createServer().listen(base, '127.0.0.1');
  await new Promise((resolve, reject) => stranger.once('listening', resolve).once('error', reject));
  t.after(() => stranger.close());
  const dir = await mkdtemp(join(tmpdir(), 'fluxy-test-'));
  const cluster = Object.assign(new Cluster(), { dir });
  t.after(() => cluster.remove());
  const up = await cluster.command('up', '--gateways', '1', '--shards', '1', '--port', String(base), '--json');
  const ports = [up.postgres, up.redis, up.gateways[0].http].map((url) => Number(new URL(url).port));
  assert.ok(ports.every((port) => port > base && port < base + 50), `${ports} from ${base} on`);
});

for (const signal of ['SIGINT', 'SIGTERM']) {
  test(`a foreground run stops what it started on ${signal}, and the data stays`, { timeout: 120000 }, async (t) => {
    const dir = await mkdtemp(join(tmpdir(), 'fluxy-test-'));
    const cluster = Object.assign(new Cluster(), { dir });
    t.after(() => rm(dir, { recursive: true, force: true }));
    t.after(() => cluster.remove());
    const run = spawn('make', ['run', `ARGS=--dir ${dir}`], { cwd: root, detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
    const exited = new Promise((resolve) => run.once('exit', resolve));
    let printed = '';
    run.stdout.on('data', (data) => (printed += data));
    run.stderr.on('data', (data) => (printed += data));
    await eventually(`the guide in: ${printed}`, () => printed.includes('Ctrl-C stops it'), 60000);
    assert.match(printed, /http:\/\/127\.0\.0\.1:\d+\/demo/);

    const { gateways, shards, stores, apiKey } = await cluster.status();
    const pids = [...gateways, ...shards, ...stores].map((n) => n.pid);
    assert.ok(pids.every(alive));
    if (signal === 'SIGINT') process.kill(-run.pid, signal); // as a terminal does: to the whole group
    else run.kill(signal);
    await exited;
    await eventually('all are gone', () => !pids.some(alive), 20000);
    assert.equal((await cluster.command('status', '--json')).apiKey, apiKey);
  });
}
