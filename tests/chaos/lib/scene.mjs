// The cluster of a campaign: real processes, and the relay between all of them.
//
// Ways: link:shard-N (gateways to a shard), database:shard-N, registry:NODE (Redis), clients:gateway-N. So each pair of
// processes can be cut apart while all others go on. The nodes above the asked number are spares: started once so
// that they have ports, then stopped until a fault adds them.
import { mkdtemp, readFile } from 'node:fs/promises';
import { readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Cluster, eventually } from '../../system/support/cluster.mjs';
import { Proxy } from './proxy.mjs';

const withPort = (url, port) => url.replace(/:\d+(?=\/|$)/, `:${port}`);

/** running, paused or stopped, as the kernel says; ticks: when it was started, so that it is not another one. */
export function processState(pid, ticks) {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const [letter] = fields;
    return 'ZX'.includes(letter) || (ticks !== undefined && Number(fields[19]) !== ticks) ? 'stopped' : 'Tt'.includes(letter) ? 'paused' : 'running';
  } catch {
    return 'stopped';
  }
}

export class Scene {
  /** env: of all gateways and shards. proxy: the relay's program. */
  static async up({ env = {}, ...options }) {
    const scene = await Scene.make(options);
    try {
      await scene.begin(env);
    } catch (error) {
      await scene.down().catch((more) => { error.message += `; and it cannot be stopped: ${more.message}`; });
      throw error;
    }
    return scene;
  }

  /** Nothing is started yet but the relay. */
  static async make({ gateways = 3, shards = 3, spares = 1, proxy }) {
    const scene = new Scene();
    scene.kinds = { gateway: gateways, shard: shards };
    scene.names = { gateway: [], shard: [] };
    for (const [kind, n] of Object.entries(scene.kinds)) {
      for (let i = 1; i <= n + spares; i++) scene.names[kind].push(`${kind}-${i}`);
    }
    scene.spares = [...scene.names.gateway.slice(gateways), ...scene.names.shard.slice(shards)];
    scene.wanted = new Map(); // node -> 'up', 'paused' or 'down': what the nemesis has made of it
    scene.incarnations = new Map(); // of shards: fence -> name
    scene.owners = new Map(); // room -> name of its shard
    scene.died = [];
    const cluster = new Cluster();
    cluster.dir = await mkdtemp(join(tmpdir(), 'fluxy-chaos-'));
    scene.cluster = cluster;
    scene.proxy = new Proxy(proxy);
    return scene;
  }

  async begin(env) {
    const { cluster, proxy } = this;
    Object.assign(cluster, await cluster.command('up', '--gateways', '0', '--shards', '0', '--json'));
    const args = Object.entries(env).map(([key, value]) => `${key}=${value}`);
    for (const name of [...this.names.shard, ...this.names.gateway]) {
      const registry = await proxy.way(`registry:${name}`);
      args.push(`${name}/FLUXY_REDIS_URL=${withPort(cluster.redis, registry)}`);
      await proxy.target(`registry:${name}`, Number(new URL(cluster.redis).port));
    }
    for (const name of this.names.shard) {
      args.push(`${name}/FLUXY_LINK_ADVERTISE=127.0.0.1:${await proxy.way(`link:${name}`)}`);
      args.push(`${name}/FLUXY_DATABASE_URL=${withPort(cluster.postgres, await proxy.way(`database:${name}`))}`);
      await proxy.target(`database:${name}`, Number(new URL(cluster.postgres).port));
    }
    for (const name of this.names.gateway) await proxy.way(`clients:${name}`);
    const up = cluster.command('up', '--gateways', String(this.names.gateway.length), '--shards', String(this.names.shard.length), '--json', ...args.flatMap((a) => ['--env', a]));
    up.catch(() => {}); // awaited below; until then the ports are what counts
    await eventually('the nodes have their ports', () => this.state().then((s) => this.names.shard.every((n) => s.ports[n]) && this.names.gateway.every((n) => s.ports[n])), 60000);
    const { ports } = await this.state();
    this.ports = ports;
    for (const name of this.names.shard) await proxy.target(`link:${name}`, ports[name].link);
    for (const name of this.names.gateway) await proxy.target(`clients:${name}`, ports[name].http);
    Object.assign(cluster, await up);
    for (const name of [...this.names.shard, ...this.names.gateway]) this.wanted.set(name, 'up');
    await this.readPids();
    for (const name of this.spares) await this.drain(name);
    await Promise.all(this.running('shard').map((name) => this.learnIncarnation(name)));
  }

  async state() {
    return JSON.parse(await readFile(join(this.cluster.dir, 'state.json'), 'utf8'));
  }

  async readPids() {
    const { nodes } = await this.state();
    this.pids = Object.fromEntries(Object.entries(nodes).map(([name, { pid }]) => [name, pid]));
  }

  /** Those that the nemesis has left alone. */
  running(kind) {
    return this.names[kind].filter((name) => this.wanted.get(name) === 'up');
  }

  /** Where clients reach a gateway. */
  front(name) {
    return `127.0.0.1:${this.proxy.ports.get(`clients:${name}`)}`;
  }

  admin(name) {
    return `http://127.0.0.1:${this.ports[name].admin}`;
  }

  signal(name, number) {
    try {
      process.kill(this.pids[name], number);
    } catch (error) {
      if (error.code !== 'ESRCH') throw error;
    }
  }

  async kill(name) {
    this.wanted.set(name, 'down');
    this.signal(name, 'SIGKILL');
    await this.proxy.refuse(this.wayOf(name), true);
    await this.gone(name, 10000);
  }

  pause(name) {
    this.wanted.set(name, 'paused');
    this.signal(name, 'SIGSTOP');
  }

  resume(name) {
    this.signal(name, 'SIGCONT');
    this.wanted.set(name, 'up');
  }

  /** SIGTERM, and waits until it has gone. */
  async drain(name, ms = 60000) {
    this.wanted.set(name, 'down');
    this.signal(name, 'SIGTERM');
    await this.gone(name, ms);
    await this.proxy.refuse(this.wayOf(name), true);
  }

  async gone(name, ms) {
    const pid = this.pids[name];
    await eventually(`${name} has gone`, () => processState(pid) === 'stopped', ms);
  }

  wayOf(name) {
    return name.startsWith('shard') ? `link:${name}` : `clients:${name}`;
  }

  async start(name) {
    await this.cluster.command('start', name, '--no-wait');
    await this.readPids();
    this.wanted.set(name, 'up');
    await this.proxy.refuse(this.wayOf(name), false);
    if (name.startsWith('shard')) this.learnIncarnation(name).catch(() => {}); // it may be killed before it can tell
  }

  async store(verb, name) {
    if (verb === 'start') await this.cluster.command('start', name, '--no-wait');
    else await this.cluster.command(verb, name);
  }

  async isReady(name) {
    try {
      return (await fetch(`${this.admin(name)}/readyz`, { signal: AbortSignal.timeout(1000) })).status === 200;
    } catch {
      return false;
    }
  }

  async learnIncarnation(name) {
    await eventually(`${name} tells its incarnation`, async () => {
      try {
        const status = await (await fetch(`${this.admin(name)}/status`, { signal: AbortSignal.timeout(1000) })).json();
        this.incarnations.set(String(status.incarnation), name);
        return status.incarnation > 0;
      } catch {
        return false;
      }
    }, 30000);
  }

  /** Which shard has which room, by the fences in the database; what was known before when that cannot be asked now. */
  async learnOwners() {
    try {
      const rows = await this.cluster.sql('select room_id, fence from rooms');
      for (const [room, fence] of rows) this.owners.set(room, this.incarnations.get(fence));
    } catch {
      // PostgreSQL is one of the patients
    }
    return this.owners;
  }

  /** Who has died without having been asked to. Each is told once. */
  watch() {
    for (const [name, wanted] of this.wanted) {
      if (wanted === 'down' || processState(this.pids[name]) !== 'stopped' || this.wanted.get(name) === 'down') continue;
      this.wanted.set(name, 'down');
      this.died.push(name);
    }
    return this.died.splice(0);
  }

  logTail(name, lines = 8) {
    return readFileSync(join(this.cluster.dir, 'log', `${name}.log`), 'utf8').trimEnd().split('\n').slice(-lines).join('\n');
  }

  /** Resident bytes of each process that runs. */
  memory() {
    const out = {};
    for (const name of [...this.running('gateway'), ...this.running('shard')]) {
      try {
        const status = readFileSync(`/proc/${this.pids[name]}/status`, 'latin1');
        out[name] = { pid: this.pids[name], rss: Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1] ?? 0) * 1024 };
      } catch {
        continue; // it went this moment; watch() tells
      }
    }
    return out;
  }

  /** Stops everything; what sanitizers and assertions have said on the logs, and who had to be killed. */
  async down({ keep = false } = {}) {
    const complaints = [];
    for (const [name, wanted] of this.wanted) if (wanted === 'paused') this.resume(name);
    for (const name of [...(this.wanted.size ? this.running('gateway') : []), ...(this.wanted.size ? this.running('shard') : [])]) {
      await this.drain(name).catch((error) => complaints.push(error.message));
    }
    complaints.push(...(await this.cluster.sanitizerReports()));
    await this.cluster.command('down', ...(keep ? [] : ['--wipe']));
    this.proxy.close();
    return complaints;
  }

  /** Stops everything at once, whatever is under way, and takes it away but for `keep`. What is left after `ms` is killed. */
  async abandon(ms, { keep = false } = {}) {
    let timer;
    const late = new Promise((_, reject) => { timer = setTimeout(() => reject(new Error(`not stopped within ${ms} ms, now killed: ${this.killAll()}`)), ms); });
    try {
      await Promise.race([this.cluster.seal().then(() => this.cluster.command('down', ...(keep ? [] : ['--wipe']))), late]);
    } finally {
      clearTimeout(timer);
      this.proxy.close();
    }
  }

  /** The names of those that were still there. PostgreSQL's children go with it. */
  killAll() {
    const { nodes } = JSON.parse(readFileSync(join(this.cluster.dir, 'state.json'), 'utf8'));
    const left = Object.entries(nodes).filter(([, { pid, ticks }]) => processState(pid, ticks) !== 'stopped');
    for (const [, { pid }] of left) process.kill(pid, 'SIGKILL');
    return left.map(([name]) => name).join(' ');
  }
}
