// Does the faults of a plan to the scene and undoes them. What has been done is kept with its times, so that it can be
// told what it cost.
import { setTimeout as sleep } from 'node:timers/promises';

export class Nemesis {
  constructor(scene, { log = () => {} } = {}) {
    this.scene = scene;
    this.log = log;
    this.engaged = new Set(); // nodes and wires that a fault holds
    this.done = []; // {kind, on, round, alone, began, ended, affects}
    this.failures = [];
  }

  /** A node of the kind that no fault holds; one stays always alone. */
  free(kind, number) {
    const up = this.scene.running(kind).filter((name) => !this.engaged.has(name));
    const hurt = this.scene.names[kind].filter((name) => this.engaged.has(name)).length;
    if (up.length === 0 || (hurt > 0 && up.length < 2)) return undefined;
    return up[number % up.length];
  }

  /** Does one fault from its beginning to its end. False: nobody was free for it. */
  async perform(fault, round, alone) {
    const aim = this.aim(fault);
    if (!aim) return false;
    for (const held of aim.holds) this.engaged.add(held);
    const owners = aim.shard && (await this.scene.learnOwners());
    const rooms = owners && new Set([...owners].filter(([, owner]) => owner === aim.shard).map(([room]) => room));
    const record = { kind: fault.kind, on: aim.on, round, alone, ms: fault.ms, began: performance.now(), affects: { rooms, gateway: aim.gateway } };
    this.log(`${fault.kind} ${aim.on}${fault.way ? ` ${fault.way}` : ''}${fault.value ? ` ${fault.value}` : ''} for ${fault.ms} ms`);
    this.done.push(record);
    try {
      await aim.act(fault, record);
    } catch (error) {
      this.failures.push(`${fault.kind} ${aim.on}: ${error.message}`);
    } finally {
      record.ended = performance.now();
      for (const held of aim.holds) this.engaged.delete(held);
    }
    return true;
  }

  /** To whom, and how: {on, holds, shard?, gateway?, act}. `shard` and `gateway`: whose rooms and clients feel it. */
  aim(fault) {
    const [what, ...how] = fault.kind.split('-');
    const manner = how.join('-');
    switch (what) {
      case 'shard':
      case 'gateway':
        if (manner === 'add') return this.aimAdd(what);
        return manner === 'alone' ? this.aimAlone(fault) : this.aimProcess(what, manner, fault);
      case 'postgres':
      case 'redis':
        return this.aimStore(what, manner);
      case 'link':
        return this.aimLink(manner, fault);
      case 'database':
        return this.aimWay('shard', 'database', manner, fault);
      case 'registry':
        return this.aimWay(fault.b % 2 ? 'shard' : 'gateway', 'registry', manner, fault);
      default:
        return this.aimWay('gateway', 'clients', manner, fault);
    }
  }

  aimProcess(kind, manner, fault) {
    const name = this.free(kind, fault.a);
    if (!name) return undefined;
    const { scene } = this;
    const acts = {
      async kill() {
        await scene.kill(name);
        await sleep(fault.ms);
        await scene.start(name);
      },
      async pause() {
        scene.pause(name);
        await sleep(fault.ms);
        scene.resume(name);
      },
      async drain() {
        await scene.drain(name);
        await sleep(fault.ms);
        await scene.start(name);
      },
    };
    return { on: name, holds: [name], [kind]: name, act: acts[manner] };
  }

  aimAdd(kind) {
    const name = this.scene.spares.find((spare) => spare.startsWith(kind));
    if (!name || this.engaged.has(name) || this.scene.wanted.get(name) !== 'down') return undefined;
    const { scene } = this;
    return {
      on: name,
      holds: [name],
      async act(fault) {
        await scene.start(name);
        await sleep(fault.ms);
        await scene.drain(name);
      },
    };
  }

  aimStore(name, manner) {
    if (this.engaged.has(name)) return undefined;
    const { scene } = this;
    const verbs = { kill: ['kill', 'start'], restart: ['stop', 'start'], pause: ['pause', 'resume'] }[manner];
    return {
      on: name,
      holds: [name],
      async act(fault) {
        await scene.store(verbs[0], name);
        await sleep(fault.ms);
        await scene.store(verbs[1], name);
      },
    };
  }

  aimLink(manner, fault) {
    const shard = this.free('shard', fault.a);
    const gateway = fault.target === 'pair' ? this.scene.running('gateway')[fault.b % Math.max(1, this.scene.running('gateway').length)] : '*';
    const wire = `link:${shard}/${gateway}`;
    if (!shard || !gateway || this.engaged.has(wire) || this.engaged.has(`link:${shard}/*`)) return undefined;
    const on = gateway === '*' ? shard : `${gateway} - ${shard}`;
    return { on, holds: [wire], shard, gateway: gateway === '*' ? undefined : gateway, act: this.wireAct(`link:${shard}`, gateway, manner) };
  }

  aimWay(kind, way, manner, fault) {
    const name = this.free(kind, fault.a);
    const wire = `${way}:${name}`;
    if (!name || this.engaged.has(wire)) return undefined;
    return { on: name, holds: [wire], ...(way === 'registry' ? {} : { [kind]: name }), act: this.wireAct(wire, '*', manner) };
  }

  wireAct(way, peer, manner) {
    const { proxy } = this.scene;
    return async (fault) => {
      if (manner === 'cut') {
        await proxy.cut(way, peer);
        return;
      }
      if (manner === 'refuse') {
        await proxy.refuse(way, true);
        await proxy.cut(way);
        await sleep(fault.ms);
        await proxy.refuse(way, false);
        return;
      }
      const rule = fault.value ? `${manner} ${fault.value}` : 'hold';
      const dir = fault.way ?? 'both';
      await proxy.set(way, peer, dir, rule);
      await sleep(fault.ms);
      await proxy.set(way, peer, dir, 'pass');
    };
  }

  /** A shard that nobody and nothing can reach, and that runs. */
  aimAlone(fault) {
    const name = this.free('shard', fault.a);
    if (!name) return undefined;
    const { proxy } = this.scene;
    const ways = [`link:${name}`, `database:${name}`, `registry:${name}`];
    if (ways.some((way) => this.engaged.has(way)) || [...this.engaged].some((held) => held.startsWith(`link:${name}/`))) return undefined;
    return {
      on: name,
      holds: [name, ...ways, `link:${name}/*`],
      shard: name,
      async act() {
        for (const way of ways) await proxy.set(way, '*', 'both', 'hold');
        await sleep(fault.ms);
        for (const way of ways) await proxy.set(way, '*', 'both', 'pass');
      },
    };
  }

  /** How often each kind has been done. */
  counts() {
    const out = {};
    for (const { kind } of this.done) out[kind] = (out[kind] ?? 0) + 1;
    return out;
  }
}
