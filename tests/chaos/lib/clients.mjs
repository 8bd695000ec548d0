// The four kinds of client: a room socket with a cursor (native), one of the original SDK (old), one socket in many rooms
// (mux), and an event stream that reads beside REST calls that write.
import { setTimeout as sleep } from 'node:timers/promises';
import { call } from '../../system/support/cluster.mjs';
import { EventReader } from '../../system/support/events.mjs';
import { CursorView, OldView } from './view.mjs';
import { Wire } from './wire.mjs';
import { Writes } from './writes.mjs';

/** What a frame does to the writes of a room. */
function answer(client, writes, frame) {
  if (frame.type === 'ack') writes.ack(frame, client.now());
  else if (frame.type === 'error') {
    const again = writes.error(frame, client.now());
    if (again) setTimeout(() => writes.open.has(again.op.key) && client.transmit(writes, again.op), again.ms);
  }
}

/** A client with a socket of its own for its room. */
class RoomClient extends Wire {
  constructor(scene, { room, who, token, random, history, record }, view) {
    super({ ...scene, random, who });
    Object.assign(this, { room, token, view, rooms: [view], writes: [new Writes(room, who, history.violations, record)] });
  }

  send(writes, op, socket = this.socket) {
    writes.sent(op, socket);
    socket.send(writes.frame(op));
  }

  /** What is not sent now goes when the socket is live. */
  transmit(writes, op) {
    if (this.isLive) this.send(writes, op);
  }

  write(writes, type, fields) {
    this.transmit(writes, writes.add(type, fields, this.now()));
  }

  typing() {
    if (this.isLive) this.socket.send({ type: 'typing', isTyping: true });
  }

  take(socket, frame) {
    const [writes] = this.writes;
    socket.feed ??= this.view.feed();
    socket.feed.take(frame);
    answer(this, writes, frame);
    if (frame.type !== 'subscription_succeeded') return;
    this.becomeLive(socket);
    for (const op of writes.open.values()) this.send(writes, op);
  }
}

export class NativeClient extends RoomClient {
  kind = 'native';

  constructor(scene, given) {
    super(scene, given, new CursorView(given.room, given.who, given.history));
  }

  address() {
    const query = new URLSearchParams({ token: this.token, replay: 'connect', replayLimit: '500', ...this.view.cursor() });
    return { path: `/ws/room/${this.room}?${query}`, protocols: ['fluxy.v1'] };
  }

  /** The feed begins at the cursor that the address names. */
  dial(not) {
    const feed = this.view.feed();
    return Object.assign(super.dial(not), { feed });
  }
}

export class OldClient extends RoomClient {
  kind = 'old';

  constructor(scene, given) {
    super(scene, given, new OldView(given.room, given.who, given.history));
  }

  address() {
    const query = new URLSearchParams({ token: this.token, replay: 'connect', replayLimit: '500', userId: this.who, cache: '1' });
    return { path: `/ws/room/${this.room}?${query}`, protocols: [] };
  }

  lost(socket) {
    if (socket.live) this.view.breaks++;
  }
}

export class MuxClient extends Wire {
  kind = 'mux';

  constructor(scene, { rooms, who, token, random, histories, record }) {
    super({ ...scene, random, who });
    this.token = token;
    this.rooms = rooms.map((room) => new CursorView(room, who, histories.get(room)));
    this.writes = rooms.map((room) => new Writes(room, who, this.violations, record));
    this.byRoom = new Map(rooms.map((room, i) => [room, { view: this.rooms[i], writes: this.writes[i] }]));
  }

  address() {
    return { path: `/ws?token=${this.token}`, protocols: ['fluxy.v1'] };
  }

  onopen(socket) {
    socket.feeds = new Map();
    socket.subscribed = new Set();
    for (const room of this.byRoom.keys()) this.subscribe(socket, room);
  }

  subscribe(socket, room) {
    const { view } = this.byRoom.get(room);
    const { lastSeq, generation } = view.cursor();
    socket.feeds.set(room, view.feed());
    socket.send({ type: 'subscribe', roomId: room, ...(lastSeq !== undefined && { lastSeq: Number(lastSeq), generation }), replayLimit: 500 });
  }

  send(writes, op, socket = this.socket) {
    writes.sent(op, socket);
    socket.send({ ...writes.frame(op), roomId: op.room });
  }

  transmit(writes, op) {
    if (this.socket?.subscribed?.has(op.room)) this.send(writes, op);
  }

  write(writes, type, fields) {
    this.transmit(writes, writes.add(type, fields, this.now()));
  }

  typing() {}

  take(socket, frame) {
    const known = this.byRoom.get(frame.roomId);
    if (!known) {
      if (frame.type === 'error' && !frame.retryable) this.violations.add('refused', `${this.who}: ${JSON.stringify(frame)}`);
      return;
    }
    const { writes } = known;
    if (frame.type === 'error' && frame.unsubscribed) {
      this.unsubscribed(socket, frame);
      return;
    }
    socket.feeds.get(frame.roomId).take(frame);
    answer(this, writes, frame);
    if (frame.type !== 'subscription_succeeded') return;
    socket.subscribed.add(frame.roomId);
    if (socket === this.socket) for (const op of writes.open.values()) this.send(writes, op);
    if (socket.subscribed.size === this.byRoom.size && !socket.live) this.becomeLive(socket);
  }

  /** The second socket has taken over: what the first may not have got through goes again, where the second is already. */
  handedOver(_old, socket) {
    for (const [room, { writes }] of this.byRoom) if (socket.subscribed?.has(room)) for (const op of writes.open.values()) this.send(writes, op, socket);
  }

  unsubscribed(socket, frame) {
    socket.subscribed.delete(frame.roomId);
    socket.live = false;
    if (!frame.retryable) this.violations.add('refused', `${this.who}: ${JSON.stringify(frame)}`);
    setTimeout(() => (socket === this.socket || socket === this.next) && this.subscribe(socket, frame.roomId), frame.retryAfterMs ?? 200);
  }
}

const messageId = (op) => op.fields.messageId;

/** Reads an event stream, writes by REST. */
export class RestClient {
  kind = 'rest';

  constructor(scene, { room, who, token, random, history, record }) {
    Object.assign(this, scene, { room, who, token, random, history });
    this.view = new CursorView(room, who, history);
    this.rooms = [this.view];
    this.writes = [new Writes(room, who, history.violations, record)];
    this.breaks = 0;
    this.closes = {};
  }

  now() {
    return performance.now();
  }

  start() {
    this.stopped = false;
    this.reading = this.read();
  }

  pick() {
    this.gateway = this.random.pick(this.gateways());
    return `http://${this.front(this.gateway)}`;
  }

  /** One stream after another, from where the last one ended. */
  async read() {
    while (!this.stopped) {
      const started = this.view.started;
      const feed = this.view.feed();
      try {
        const query = { v: '1', replayLimit: '500', ...(started && { generation: this.view.generation }) };
        this.reader = await EventReader.open(this.pick(), this.room, this.token, { query, lastEventId: started ? this.view.seq : undefined });
        this.heard = this.now();
        if (this.reader.status === 200) {
          this.isLive = true;
          await this.follow(this.reader, feed);
        } else if (this.reader.status < 500 && this.reader.status !== 429) {
          this.violations.add('refused', `${this.who}: event stream of ${this.room} answers ${this.reader.status}`);
        }
      } catch {
        // refused or cut: the next gateway
      }
      this.isLive = false;
      this.breaks++;
      this.reader?.close();
      await sleep(this.random.between(100, 600));
    }
  }

  follow(reader, feed) {
    return new Promise((over) => {
      let given = 0;
      const take = () => {
        this.heard = this.now();
        for (; given < reader.frames.length; given++) if (reader.frames[given].type !== 'close') feed.take(reader.frames[given]);
        reader.frames.length = reader.ids.length = reader.comments.length = given = 0;
        if (reader.ended) over();
      };
      reader.waiters.add(take);
      take();
    });
  }

  beat() {
    if (this.reader && this.isLive && this.now() - this.heard > 6000) {
      this.closes.silent = (this.closes.silent ?? 0) + 1;
      this.reader.close();
    }
  }

  typing() {}

  /** REST has no order among calls: one at a time. */
  write(writes, type, fields) {
    const op = writes.add(type, fields, this.now());
    this.sending = (this.sending ?? Promise.resolve()).then(() => this.post(writes, op));
  }

  request(op) {
    const { messageId, content, emoji, op: change } = op.fields;
    if (op.type === 'message') return ['POST', '/messages', { roomId: this.room, content, clientMessageId: op.key }];
    if (op.type === 'edit') return ['PATCH', `/messages/${messageId}`, { content }];
    if (op.type === 'delete') return ['DELETE', `/messages/${messageId}`];
    return [change === 'add' ? 'POST' : 'DELETE', `/messages/${messageId}/reactions`, { emoji }];
  }

  async post(writes, op) {
    const [method, path, body] = this.request(op);
    while (!this.stopped && writes.open.has(op.key)) {
      const gateway = this.random.pick(this.gateways());
      writes.sent(op, { gateway });
      if (op.type === 'edit' && op.sockets.size > 1) writes.edits.set(messageId(op), writes.edits.get(messageId(op)) + 1); // PATCH bears no key
      let got;
      try {
        got = await call(`http://${this.front(gateway)}`, method, path, { token: this.token, body, headers: method === 'POST' ? { 'Idempotency-Key': op.key } : {}, ms: 12000 });
      } catch (error) {
        op.errored = true;
        writes.step(op, error.name);
        await sleep(this.random.between(100, 400));
        continue;
      }
      if (got.status === 200) {
        const told = got.json.message ?? got.json.reaction ?? got.json;
        writes.settle(op, this.now(), { id: told.id ?? told.messageId ?? op.fields.messageId, seq: told.seq, rest: true });
        return;
      }
      writes.error({ ...got.json, code: got.json?.error, frameId: op.key, retryable: got.status >= 500 || got.status === 429 || got.json?.error === 'conflict' }, this.now());
      await sleep(this.random.between(100, 400));
    }
  }

  /** A page of history now and then: what it shows must be what others have seen. */
  async look() {
    const { json, status } = await call(this.pick(), 'GET', `/api/messages?roomId=${this.room}&limit=100&order=asc`, { token: this.token, ms: 12000 }).catch(() => ({}));
    if (status === 200) for (const row of json.messages) this.history.state({ ...row, deleted: false }, `${this.who} (page)`);
  }

  stop() {
    this.stopped = true;
    this.reader?.close();
  }
}
