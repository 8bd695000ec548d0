// What is done to PostgreSQL in tests: a streaming replica of a cluster's server, and a proxy before it that cuts
// connections at the worst moment.
import { execFile, spawn } from 'node:child_process';
import { mkdir, readFile, rm } from 'node:fs/promises';
import { createConnection, createServer } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Cluster, eventually } from './cluster.mjs';

const run = promisify(execFile);
const asRoot = process.getuid() === 0;

/** The server's own user, when we are root: PostgreSQL refuses to run as root. */
function command(program, args) {
  return asRoot ? ['runuser', ['-u', 'postgres', '--', program, ...args]] : [program, args];
}

/** A port that nobody uses and that no outgoing connection can take. */
export async function freePort(from) {
  for (let port = from; port < from + 500; port++) {
    const free = await new Promise((resolve) => {
      const probe = createServer();
      probe.once('error', () => resolve(false));
      probe.listen(port, '127.0.0.1', () => probe.close(() => resolve(true)));
    });
    if (free) return port;
  }
  throw new Error(`no free port from ${from}`);
}

/** The server that the cluster has started, as its superuser. */
export class Primary {
  static async of(cluster) {
    const primary = new Primary();
    const state = JSON.parse(await readFile(join(cluster.dir, 'state.json'), 'utf8'));
    const url = new URL(cluster.postgres);
    Object.assign(primary, { cluster, dir: state.postgresDir, url, port: Number(url.port) });
    primary.password = (await readFile(join(cluster.dir, 'secrets', 'postgres-superuser.password'), 'utf8')).trim();
    const version = (await readFile(join(primary.dir, 'PG_VERSION'), 'utf8')).trim();
    primary.bin = (program) => `/usr/lib/postgresql/${version}/bin/${program}`;
    return primary;
  }

  /** One statement by the superuser; rows of strings. */
  async sql(text, { port = this.port, database = 'fluxy' } = {}) {
    // Also while it is told to read only.
    const env = { ...process.env, PGPASSWORD: this.password, PGOPTIONS: '-c default_transaction_read_only=off' };
    const args = ['-h', '127.0.0.1', '-p', String(port), '-U', 'postgres', '-XAtF', '\t', '-v', 'ON_ERROR_STOP=1', '-d', database, '-c', text];
    const { stdout } = await run('psql', args, { env });
    return stdout.trim() === '' ? [] : stdout.trim().split('\n').map((row) => row.split('\t'));
  }

  async set(name, value) {
    await this.sql(`ALTER SYSTEM SET ${name} = '${value}'`);
    await this.sql('SELECT pg_reload_conf()');
  }
}

export class Standby {
  /** A replica that streams. It is stopped and removed with the cluster. */
  static async of(primary) {
    const standby = new Standby();
    const { cluster } = primary;
    const dir = `${primary.dir}-standby`;
    const removeCluster = cluster.remove.bind(cluster);
    Object.assign(standby, { primary, dir, port: await freePort(primary.port + 20), log: '' });
    cluster.remove = async () => {
      await standby.remove();
      await removeCluster();
    };
    await mkdir(dir, { mode: 0o700 });
    if (asRoot) await run('chown', ['postgres:', dir]);
    const [program, args] = command(primary.bin('pg_basebackup'), ['-h', '127.0.0.1', '-p', String(primary.port), '-U', 'postgres', '-D', dir, '-R', '-X', 'stream', '-c', 'fast', '--no-sync']);
    await run(program, args, { env: { ...process.env, PGPASSWORD: primary.password }, cwd: '/' });
    await standby.start();
    await eventually('the standby streams', async () => (await primary.sql('SELECT count(*) FROM pg_stat_replication'))[0][0] === '1', 30000);
    return standby;
  }

  async start() {
    const [program, args] = command(this.primary.bin('postgres'), ['-D', this.dir, '-c', `port=${this.port}`, '-c', 'listen_addresses=127.0.0.1', '-c', 'unix_socket_directories=', '-c', 'cluster_name=standby']);
    this.process = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], cwd: '/' });
    this.ended = new Promise((resolve) => this.process.once('exit', resolve));
    for (const stream of [this.process.stdout, this.process.stderr]) stream.on('data', (text) => { this.log = (this.log + text).slice(-8000); });
    await eventually('the standby answers', () => this.sql('SELECT 1').catch((error) => {
      if (this.process.exitCode !== null) throw new Error(`the standby ended: ${this.log}`);
      if (!/connect|starting up|not yet accepting/.test(error.message)) throw error;
      return undefined;
    }), 30000);
  }

  sql(text) {
    return this.primary.sql(text, { port: this.port });
  }

  /** Until it has all that the primary has committed by now. */
  async catchUp() {
    const [[lsn]] = await this.primary.sql('SELECT pg_current_wal_lsn()');
    await eventually('the standby has caught up', async () => (await this.sql(`SELECT pg_last_wal_replay_lsn() >= '${lsn}'::pg_lsn`))[0][0] === 't', 30000);
  }

  async promote() {
    await this.sql('SELECT pg_promote(true, 60)');
  }

  async stop() {
    if (!this.process || this.process.exitCode !== null) return;
    const pid = Number((await readFile(join(this.dir, 'postmaster.pid'), 'utf8')).split('\n', 1)[0]);
    process.kill(pid, 'SIGINT'); // fast
    await this.ended;
  }

  async remove() {
    await this.stop();
    await rm(this.dir, { recursive: true, force: true });
  }
}

/** The URL of the cluster's database at other ports. */
export function urlOf(primary, ports, options = '') {
  const { username, password } = primary.url;
  return `postgresql://${username}:${password}@${ports.map((port) => `127.0.0.1:${port}`).join(',')}/fluxy${options}`;
}

/**
 * A cluster whose shards use what `database` makes of the server before they are started: it is given the Primary and
 * answers with a URL.
 */
export async function clusterOn(t, database, { gateways = 2, shards = 2, env = {} } = {}) {
  const cluster = await Cluster.up(t, { gateways: 0, shards: 0 });
  const primary = await Primary.of(cluster);
  const all = { ...env, FLUXY_DATABASE_URL: await database(primary) };
  const args = ['up', '--gateways', String(gateways), '--shards', String(shards), '--json'];
  for (const [key, value] of Object.entries(all)) args.push('--env', `${key}=${value}`);
  Object.assign(cluster, await cluster.command(...args));
  return { cluster, primary };
}

/** The same on a server that has a streaming replica, which is the second host of the URL. */
export async function clusterWithStandby(t, options) {
  let standby;
  const made = await clusterOn(t, async (primary) => {
    standby = await Standby.of(primary);
    return urlOf(primary, [primary.port, standby.port]);
  }, options);
  return { ...made, standby };
}

/**
 * Passes on what comes, but for connections of lanes (those that commit) while `cut` is set:
 *   'answer'   the next batch reaches the server and is committed, its answer does not come back
 *   'request'  the next batch does not reach the server
 *   'both'     both sides are cut as the batch is sent on: whether it commits is the server's luck
 * Each cut ends the connection and counts; `cut` is set back.
 */
export class Proxy {
  static async before(t, primary) {
    const proxy = new Proxy();
    Object.assign(proxy, { cut: undefined, cuts: 0, sockets: new Set() });
    proxy.server = createServer((client) => proxy.take(client, primary.port));
    proxy.port = await freePort(primary.port + 25);
    await new Promise((resolve, reject) => proxy.server.once('error', reject).listen(proxy.port, '127.0.0.1', resolve));
    t.after(() => proxy.close());
    return proxy;
  }

  take(client, port) {
    const server = createConnection(port, '127.0.0.1');
    const pair = { isLane: false, isUp: false, drops: false };
    const end = () => {
      client.destroy();
      server.destroy();
      this.sockets.delete(client);
    };
    this.sockets.add(client);
    for (const socket of [client, server]) {
      socket.setNoDelay(true);
      socket.on('error', end);
      socket.on('close', end);
    }
    client.on('data', (bytes) => {
      if (bytes.includes('fluxy-shard lane')) pair.isLane = true;
      // A batch is a Bind of the prepared statement "commit...".
      const isBatch = pair.isLane && bytes[0] === 0x42 && bytes.includes('commit');
      const how = isBatch ? this.cut : undefined;
      if (how) {
        this.cut = undefined;
        this.cuts++;
      }
      if (how === 'request') {
        end();
        return;
      }
      if (how === 'answer') pair.drops = true;
      server.write(bytes);
      if (how === 'both') setImmediate(end);
    });
    server.on('data', (bytes) => {
      if (pair.drops) end();
      else client.write(bytes);
    });
  }

  close() {
    for (const socket of this.sockets) socket.destroy();
    this.server.close();
  }
}
