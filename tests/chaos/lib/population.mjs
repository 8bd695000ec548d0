// Who takes part: rooms with native, old and mux sockets and event streams in them, and what they write.
import { call } from '../../system/support/cluster.mjs';
import { MuxClient, NativeClient, OldClient, RestClient } from './clients.mjs';
import { RoomHistory } from './history.mjs';

const EMOJI = ['👍', '🎉', 'ok'];
const OPEN_MAX = 12; // unsettled operations of one client in one room: then it waits, as people do
const MUX_ROOMS = 6;

export class Population {
  constructor(scene, { clients, random, violations, record }) {
    this.random = random;
    this.violations = violations;
    this.clients = [];
    this.histories = new Map();
    this.scene = scene;
    this.access = {
      violations,
      gateways: () => scene.names.gateway.filter((name) => !scene.spares.includes(name) || scene.wanted.get(name) === 'up'),
      front: (name) => scene.front(name),
    };
    this.record = record;
    this.shape(clients);
  }

  /** Of ten: six native, two old, one on mux sockets, one event stream with REST. */
  shape(n) {
    const rooms = Math.max(4, Math.round(n / 10));
    this.names = Array.from({ length: rooms }, (_, i) => `chaos-${i + 1}`);
    this.members = new Map(this.names.map((room) => [room, []]));
    for (const room of this.names) {
      for (let i = 0; i < 6; i++) this.join(room, `n${i}-${room}`, 'native');
      for (let i = 0; i < 2; i++) this.join(room, `o${i}-${room}`, 'old');
      this.join(room, `r-${room}`, 'rest');
    }
    for (let i = 0; i < rooms; i++) this.random.shuffle(this.names).slice(0, MUX_ROOMS).forEach((room) => this.join(room, `x${i}`, 'mux'));
  }

  join(room, who, kind) {
    this.members.get(room).push({ who, kind });
  }

  async begin(cluster, gateway) {
    const base = `http://${this.scene.front(gateway)}`;
    const whole = [...new Set([...this.members.values()].flat().map(({ who }) => who))];
    const tokens = new Map();
    for (const who of whole) {
      const got = await call(base, 'POST', '/auth/token', { key: cluster.apiKey, body: { userId: who, ttlSeconds: 86400 } });
      if (got.status !== 200) throw new Error(`no token for ${who}: ${got.status} ${got.text}`);
      tokens.set(who, got.json.token);
    }
    const mux = new Map();
    for (const [room, members] of this.members) {
      const [first, ...rest] = members.map(({ who }) => who);
      const got = await call(base, 'POST', '/rooms', { token: tokens.get(first), body: { id: room, name: room, type: 'group', members: rest.map((userId) => ({ userId, role: 'member' })) } });
      if (got.status !== 200) throw new Error(`no room ${room}: ${got.status} ${got.text}`);
      this.histories.set(room, new RoomHistory(room, this.violations));
      for (const { who, kind } of members) {
        if (kind === 'mux') mux.set(who, [...(mux.get(who) ?? []), room]);
        else this.add(kind, { room, who, token: tokens.get(who), history: this.histories.get(room) });
      }
    }
    for (const [who, rooms] of mux) this.add('mux', { rooms, who, token: tokens.get(who), histories: this.histories });
    for (const client of this.clients) client.start();
    this.heart = setInterval(() => this.clients.forEach((c) => !c.stopped && c.beat()), 1000);
  }

  add(kind, given) {
    const types = { native: NativeClient, old: OldClient, mux: MuxClient, rest: RestClient };
    this.clients.push(new types[kind](this.access, { ...given, random: this.random.fork(), record: this.record }));
  }

  /** Writes at a rate, all told; each room as often as another but for every eighth, which is mostly silent and sleeps. */
  write(perSecond) {
    const random = this.random.fork();
    const weights = this.names.map((room, i) => [room, i % 8 === 7 ? 0.05 : 1]);
    const writers = new Map(this.names.map((room) => [room, []]));
    for (const client of this.clients) client.writes.forEach((writes, i) => writers.get(writes.room).push({ client, writes, view: client.rooms[i] }));
    let due = performance.now();
    this.writing = setInterval(() => {
      const now = performance.now();
      if (now - due > 1000) due = now - 1000; // this process was held up: what is past is past
      for (; due < now; due += 1000 / perSecond) this.writeOne(random, random.pick(writers.get(random.weighted(weights))));
    }, 10);
  }

  writeOne(random, { client, writes, view }) {
    if (client.stopped || writes.open.size >= OPEN_MAX) return;
    const what = random.unit();
    if (what < 0.02) client.typing();
    else if (what < 0.04 && client.look) client.look();
    else if (what < 0.72 || !this.change(random, client, writes, view)) client.write(writes, 'message', { content: this.text(random, writes) });
  }

  text(random, writes) {
    const text = `${writes.who} ${writes.room} ${random.below(1e9).toString(36)}`;
    return random.chance(0.01) ? `${text} ${'long '.repeat(random.below(700))}`.trim() : text;
  }

  /** An edit, a delete or a reaction of one of the newest rows; false: there is none to change. */
  change(random, client, writes, view) {
    const rows = [...view.rows.values()].slice(-30).filter((row) => !row.deleted && writes.isQuiet(row.id));
    if (rows.length === 0) return false;
    const own = rows.filter((row) => row.userId === writes.who);
    const what = random.unit();
    if (own.length > 0 && what < 0.4) {
      client.write(writes, 'edit', { messageId: random.pick(own).id, content: `${this.text(random, writes)} edited` });
    } else if (own.length > 0 && what < 0.55) {
      client.write(writes, 'delete', { messageId: random.pick(own).id });
    } else {
      const { id } = random.pick(rows);
      const emoji = random.pick(EMOJI);
      const mark = `${id} ${emoji}`;
      const op = writes.reactions.has(mark) ? 'remove' : 'add';
      if (op === 'add') writes.reactions.add(mark);
      else writes.reactions.delete(mark);
      client.write(writes, 'reaction', { messageId: id, emoji, op });
    }
    return true;
  }

  hush() {
    clearInterval(this.writing);
  }

  get openWrites() {
    return this.clients.reduce((sum, c) => sum + c.writes.reduce((n, w) => n + w.open.size, 0), 0);
  }

  get acked() {
    return this.clients.reduce((sum, c) => sum + c.writes.reduce((n, w) => n + w.acked, 0), 0);
  }

  stop() {
    this.hush();
    clearInterval(this.heart);
    this.clients.forEach((c) => c.stop());
  }
}
