// One campaign: rounds of faults under load, each followed by a quiet point at which everything is healed, everybody has
// everything, and all that was seen is compared with PostgreSQL.
import { setTimeout as sleep } from 'node:timers/promises';
import { eventually } from '../../system/support/cluster.mjs';
import { Check } from './check.mjs';
import { Violations } from './history.mjs';
import { Nemesis } from './nemesis.mjs';
import { makePlan } from './plan.mjs';
import { Population } from './population.mjs';
import { Random } from './random.mjs';
import { Scene } from './scene.mjs';
import { Stalls } from './stall.mjs';

const HEAL_MS = 60000; // processes are ready again
const SETTLE_MS = 60000; // every write is settled
const CONVERGE_MS = 30000; // everybody has everything
const PRESENCE_MS = 25000; // 15 s are promised from a gateway's death on; the rest is for a loaded machine
const FLOW_MS = 30000; // after a single fault
const ABANDON_MS = 120000; // the slowest command may be under way
const SLOWEST = 10;

/** Small tails, so that resumes read the database; rooms that nobody writes in sleep. */
const ENVIRONMENT = {
  FLUXY_RATE_LIMIT_SCALE: '100000',
  FLUXY_TAIL_ENTRIES: '100',
  FLUXY_ROOM_IDLE_MS: '2000',
  FLUXY_DRAIN_TIMEOUT: '8s',
  FLUXY_EVENT_STREAM_HEARTBEAT: '2s',
};

export class Campaign {
  constructor(options) {
    this.options = options;
    this.violations = new Violations();
    this.violations.onadd = (kind, text) => this.say(`VIOLATION ${kind}: ${text}`);
    this.stalls = new Stalls();
    this.rss = { warm: undefined, last: {}, names: {} };
    this.skipped = 0;
    this.ops = [];
    this.operations = {};
    this.slowest = [];
  }

  say(text) {
    const seconds = this.began ? ((performance.now() - this.began) / 1000).toFixed(1) : '0.0';
    this.options.say?.(`${seconds.padStart(7)} ${text}`);
  }

  async run() {
    const { options } = this;
    const random = new Random(options.seed);
    const [planRandom, peopleRandom] = [random.fork(), random.fork()];
    const plan = makePlan(planRandom, options);
    this.began = performance.now();
    this.scene = await Scene.make({ gateways: options.gateways, shards: options.shards, proxy: options.proxy });
    try {
      await this.scene.begin({ ...ENVIRONMENT, ...options.env });
      this.population = new Population(this.scene, { clients: options.clients, random: peopleRandom, violations: this.violations, record: (op) => this.note(op) });
      this.check = new Check(this.scene.cluster, this.population, this.violations);
      this.nemesis = new Nemesis(this.scene, { log: (text) => this.say(text) });
      await this.population.begin(this.scene.cluster, this.scene.names.gateway[0]);
      await eventually('all clients are live', () => this.population.clients.every((c) => c.isLive), SETTLE_MS);
      this.say(`${this.population.clients.length} clients in ${this.population.names.length} rooms`);
      this.watching = setInterval(() => this.watch(), 500);
      await this.rounds(plan);
      await this.end();
    } finally {
      clearInterval(this.watching);
      this.population?.stop();
      if (!this.isAbandoned) for (const complaint of await this.scene.down({ keep: options.keep })) this.violations.add('process', complaint);
    }
    return this.report();
  }

  /** Somebody wants to stop: what was started is stopped, and run() fails. */
  async abandon() {
    this.isAbandoned = true;
    clearInterval(this.watching);
    this.population?.stop();
    await this.scene?.abandon(ABANDON_MS, { keep: this.options.keep });
  }

  note(op) {
    this.operations[op.type] = (this.operations[op.type] ?? 0) + 1;
    this.ops.push({ room: op.room, gateways: op.gateways, begun: op.begun, settled: op.settled });
    this.check.note(op);
    this.noteSlow(op);
  }

  /** The slowest, with what became of them on their way. */
  noteSlow(op) {
    const ms = Math.round(op.settled - op.begun);
    if (this.slowest.length >= SLOWEST && ms <= this.slowest.at(-1).ms) return;
    this.slowest.push({ ms, at: ((op.begun - this.began) / 1000).toFixed(1), who: op.who, room: op.room, type: op.type, path: op.path });
    this.slowest.sort((a, b) => b.ms - a.ms).splice(SLOWEST);
  }

  watch() {
    for (const name of this.scene.watch()) this.violations.add('process', `${name} ended by itself; the end of its log:\n${this.scene.logTail(name)}`);
  }

  /** One after another with all their faults, until the time is over or, if so asked, something is caught. */
  async rounds(plan) {
    const { options } = this;
    const end = this.began + options.seconds * 1000;
    for (const round of plan) {
      if (performance.now() > end || this.isCaught) break;
      const before = this.nemesis.done.length;
      this.population.write(options.rate);
      await this.flow('writes flow');
      if (round.alone) await this.oneByOne(round, end);
      else await this.atOnce(round);
      if (this.isCaught) break;
      this.say(`round ${round.round + 1}: ${this.nemesis.done.length - before} faults, ${this.population.acked} operations; healing`);
      await this.quiet(round);
      this.stalls.add(this.nemesis.done.slice(before), this.ops);
      this.ops = [];
      this.roundsDone = round.round + 1;
    }
  }

  async oneByOne(round, end) {
    for (const fault of round.faults) {
      if (performance.now() > end || this.isCaught) return;
      if (!(await this.nemesis.perform(fault, round.round, true))) {
        this.skipped++;
        continue;
      }
      await this.flow(`writes flow after ${fault.kind}`);
      this.nemesis.done.at(-1).over = performance.now();
    }
  }

  async atOnce(round) {
    const began = performance.now();
    await Promise.all(
      round.faults.map(async (fault) => {
        await sleep(Math.max(0, fault.at - (performance.now() - began)));
        if (this.isCaught) return;
        if (!(await this.nemesis.perform(fault, round.round, false))) this.skipped++;
      }),
    );
  }

  /** Every room in which much is written gets an operation settled that began from now on. */
  async flow(what) {
    const from = performance.now();
    const lively = this.population.names.filter((_, i) => i % 8 !== 7);
    const isFlowing = () => {
      if (this.isCaught) return true;
      const got = new Set();
      for (let i = this.ops.length - 1; i >= 0 && this.ops[i].settled >= from; i--) if (this.ops[i].begun >= from) got.add(this.ops[i].room);
      return lively.every((room) => got.has(room));
    };
    await this.within('stuck', what, isFlowing, FLOW_MS, () => '');
  }

  /** A condition that must come; when it does not, that is the violation, and the campaign goes on. */
  async within(kind, what, condition, ms, detail) {
    try {
      await eventually(what, condition, ms);
      return true;
    } catch {
      this.violations.add(kind, `not within ${ms} ms: ${what} ${detail()}`);
      return false;
    }
  }

  async quiet(round) {
    const { scene, population, nemesis } = this;
    for (const failure of nemesis.failures.splice(0)) this.violations.add('nemesis', failure);
    await scene.proxy.heal();
    for (const kind of ['gateway', 'shard']) {
      for (const name of scene.running(kind)) await this.within('stuck', `${name} is ready`, () => scene.isReady(name), HEAL_MS, () => '');
    }
    population.hush();
    await this.within('stuck', 'every write is settled', () => population.openWrites === 0, SETTLE_MS, () => this.describeOpen());
    await this.within('stuck', 'all clients are live', () => population.clients.every((c) => c.isLive), SETTLE_MS, () => population.clients.filter((c) => !c.isLive).map((c) => c.who).join(' '));
    const heads = await this.check.heads();
    const behind = () => population.clients.flatMap((c) => c.rooms.filter((v) => v.seq !== undefined && v.seq < heads.get(v.room)).map((v) => `${c.kind} ${v.who} in ${v.room} at ${v.seq} of ${heads.get(v.room)}`));
    await this.within('not converged', 'everybody has everything', () => behind().length === 0, CONVERGE_MS, () => behind().slice(0, 10).join(', '));
    await this.oldSettle();
    await this.check.round();
    await this.presence();
    this.measure(round);
  }

  /** Old clients have no cursor to compare: what they lack may still be on its way. */
  async oldSettle() {
    const heads = new Map();
    for (const client of this.population.clients) for (const view of client.rooms) if (view.seq !== undefined) heads.set(view.room, Math.max(heads.get(view.room) ?? 0, ...view.rows.keys()));
    const has = (view) => (heads.get(view.room) ?? 0) <= Math.max(view.floor, ...view.rows.keys());
    await this.within('not converged', 'old clients have the newest message', () => this.population.clients.every((c) => c.kind !== 'old' || has(c.rooms[0])), CONVERGE_MS, () => '');
  }

  /** Each room lists exactly who is there, and somebody who goes is gone within the bound. */
  async presence() {
    const { population } = this;
    const wrong = () => {
      const out = [];
      for (const room of population.names) {
        const here = population.clients.filter((c) => !c.stopped && c.kind !== 'rest' && c.rooms.some((v) => v.room === room));
        const expected = here.map((c) => c.who).sort().join(' ');
        for (const client of here) {
          const seen = [...(client.rooms.find((v) => v.room === room).present ?? [])].sort().join(' ');
          if (seen !== expected) out.push(`${room}: ${client.kind} ${client.who} sees "${seen}", there are "${expected}"`);
        }
      }
      return out;
    };
    await this.within('presence', 'everybody sees who is there', () => wrong().length === 0, PRESENCE_MS, () => wrong().slice(0, 3).join('; '));
    const leaver = population.random.pick(population.clients.filter((c) => c.kind === 'native'));
    leaver.stop();
    await this.within('presence', `everybody sees that ${leaver.who} has gone`, () => wrong().length === 0, PRESENCE_MS, () => wrong().slice(0, 3).join('; '));
    leaver.start();
    await this.within('presence', `everybody sees that ${leaver.who} is back`, () => wrong().length === 0, PRESENCE_MS, () => wrong().slice(0, 3).join('; '));
  }

  describeOpen() {
    const open = this.population.clients.flatMap((c) => c.writes.flatMap((w) => [...w.open.values()].map((op) => `${c.kind} ${op.who} in ${op.room}: ${op.type} ${op.key}, ${op.sockets.size} sockets`)));
    return `(${open.length} open: ${open.slice(0, 5).join('; ')})`;
  }

  measure(round) {
    const now = this.scene.memory();
    if (round.round === this.options.warmRounds - 1) this.rss.warm = now;
    this.rss.last = now;
  }

  /** All that a build that is broken on purpose is run for. */
  get isCaught() {
    return this.options.untilCaught && this.violations.count > 0;
  }

  async end() {
    if (this.isCaught) return;
    this.checkedAcks = await this.check.everything();
    this.memoryGrowth();
  }

  /** Against the same process after warm-up; who was started later, against the largest of its kind then. */
  memoryGrowth() {
    const { warm, last } = this.rss;
    this.growth = {};
    if (!warm) return;
    for (const [name, { pid, rss }] of Object.entries(last)) {
      const kind = name.split('-')[0];
      const before = warm[name]?.pid === pid ? warm[name].rss : Math.max(0, ...Object.entries(warm).filter(([n]) => n.startsWith(kind)).map(([, m]) => m.rss));
      this.growth[name] = { warm: before, end: rss, isSame: warm[name]?.pid === pid };
      if (this.options.checkMemory && rss > before * 1.1 + (2 << 20)) this.violations.add('memory', `${name} has ${rss >> 10} KiB, after warm-up ${before >> 10} KiB`);
    }
  }

  report() {
    const closes = {};
    for (const client of this.population?.clients ?? []) for (const [code, n] of Object.entries(client.closes)) closes[code] = (closes[code] ?? 0) + n;
    return {
      seed: this.options.seed,
      seconds: Math.round((performance.now() - this.began) / 1000),
      clients: this.population?.clients.length,
      rooms: this.population?.names.length,
      rounds: this.roundsDone ?? 0,
      faults: { total: this.nemesis?.done.length ?? 0, skipped: this.skipped, byKind: this.nemesis?.counts() ?? {} },
      operations: { total: Object.values(this.operations).reduce((a, b) => a + b, 0), ...this.operations, checkedAgainWhole: this.checkedAcks },
      closes,
      oldRowsStaleAfterBreak: this.check?.stale ?? 0,
      stallMs: this.stalls.report(),
      slowest: this.slowest,
      memory: this.growth ?? {},
      violations: { total: this.violations.count, byKind: this.violations.byKind, list: this.violations.list },
    };
  }
}
