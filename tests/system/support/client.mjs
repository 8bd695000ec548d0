// A WebSocket client for tests: keeps every frame, waits for one with a deadline, and a resuming client that writes
// down what a user would have seen.
import { Participant } from './participant.mjs';

export class Client {
  constructor() {
    this.frames = [];
    this.waiters = new Set();
    this.closed = undefined; // {code, reason}
  }

  /** Opens a room socket. `query` joins the token; `native` asks for fluxy.v1. Resolves when the handshake is done. */
  static async open(base, room, token, { native = false, query = {}, keep = true, path = `/ws/room/${room}` } = {}) {
    const client = new Client();
    client.keep = keep;
    const params = new URLSearchParams({ token, ...query });
    client.socket = new WebSocket(`${base}${path}?${params}`, native ? ['fluxy.v1'] : []);
    client.socket.onmessage = (event) => client.take(JSON.parse(event.data));
    client.socket.onclose = (event) => {
      client.closed = { code: event.code, reason: event.reason };
      client.wake();
    };
    await new Promise((resolve, reject) => {
      client.socket.onopen = resolve;
      client.socket.onerror = () => reject(new Error(`cannot open ${base}${path}`));
    });
    client.socket.onerror = () => {};
    return client;
  }

  /** Opens and waits until the room has answered. */
  static async join(base, room, token, options) {
    const client = await Client.open(base, room, token, options);
    await client.until((f) => f.type === 'subscription_succeeded');
    return client;
  }

  /** Listens to the channel of a user. */
  static async channel(base, user, token, options) {
    const client = await Client.open(base, undefined, token, { path: `/ws/user/${user}`, ...options });
    await client.until((f) => f.type === 'user_subscription_succeeded');
    return client;
  }

  take(frame) {
    if (this.keep) this.frames.push(frame);
    this.onframe?.(frame);
    this.wake(frame);
  }

  wake(frame) {
    for (const waiter of this.waiters) waiter(frame);
  }

  send(frame) {
    this.socket.send(typeof frame === 'string' ? frame : JSON.stringify(frame));
  }

  message(content, clientMessageId, more = {}) {
    this.send({ type: 'message', content, clientMessageId, ...more });
  }

  /** The first frame, past or to come, that fits. */
  until(fits, ms = 10000) {
    const found = this.frames.find(fits);
    if (found) return Promise.resolve(found);
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.waiters.delete(waiter);
        reject(new Error(`no such frame within ${ms} ms: ${fits}; had ${JSON.stringify(this.frames.slice(-5))}, closed ${JSON.stringify(this.closed)}`));
      }, ms);
      const waiter = (frame) => {
        if (frame && fits(frame)) {
          clearTimeout(timer);
          this.waiters.delete(waiter);
          resolve(frame);
        } else if (this.closed) {
          clearTimeout(timer);
          this.waiters.delete(waiter);
          reject(new Error(`closed ${this.closed.code} ${this.closed.reason} while waiting for ${fits}`));
        }
      };
      this.waiters.add(waiter);
      if (this.closed) waiter();
    });
  }

  untilClosed(ms = 10000) {
    if (this.closed) return Promise.resolve(this.closed);
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`not closed within ${ms} ms`)), ms);
      const waiter = () => {
        if (!this.closed) return;
        clearTimeout(timer);
        this.waiters.delete(waiter);
        resolve(this.closed);
      };
      this.waiters.add(waiter);
    });
  }

  of(type) {
    return this.frames.filter((f) => f.type === type);
  }

  async close() {
    if (this.closed) return;
    this.socket.close(1000);
    await this.untilClosed();
  }
}

/**
 * A native client that comes back after every break with `lastSeq` and keeps the list of messages as a user would have
 * seen them. It fails on a repeat, a hole in the live numbers, or a row that changes.
 */
export class ResumingClient extends Participant {
  constructor(bases, room, token, { retryMs = 50, mayReset = false } = {}) {
    super();
    Object.assign(this, { bases, room, token, retryMs, mayReset });
    this.resets = 0;
    this.next = 0;
    this.seq = 0;
    this.generation = '';
    this.reconnects = 0;
    this.stopped = false;
    this.connect();
  }

  connect() {
    if (this.stopped) return;
    const base = this.bases[this.next++ % this.bases.length];
    const query = { token: this.token, replay: 'connect', replayLimit: '500' };
    if (this.started) Object.assign(query, { lastSeq: String(this.seq), generation: this.generation });
    const socket = new WebSocket(`${base}/ws/room/${this.room}?${new URLSearchParams(query)}`, ['fluxy.v1']);
    this.socket = socket;
    socket.onmessage = (event) => this.take(JSON.parse(event.data));
    socket.onerror = () => {};
    socket.onclose = (event) => {
      if (this.stopped || this.socket !== socket) return;
      this.lastClose = { code: event.code, reason: event.reason };
      this.live = false;
      this.reconnects++;
      this.timer = setTimeout(() => this.connect(), this.retryMs * (0.5 + Math.random()));
    };
  }

  take(frame) {
    switch (frame.type) {
      case 'replay':
        if (frame.generation) this.generation = frame.generation;
        if (frame.reset) {
          if (!this.mayReset) this.violations.push(`reset at ${this.seq}`);
          this.resets++;
          this.seen.clear();
          this.acks.clear(); // what was acknowledged may be gone
          this.seq = 0;
        }
        if (!frame.reset && frame.fromSeq !== undefined && frame.fromSeq > this.seq) this.violations.push(`replay from ${frame.fromSeq}, had ${this.seq}`);
        for (const message of frame.messages) this.see(message, true);
        this.seq = Math.max(this.seq, frame.toSeq ?? frame.currentSeq ?? 0);
        this.started = true;
        break;
      case 'subscription_succeeded':
        if (frame.generation) this.generation = frame.generation;
        this.live = true;
        this.transmitAll();
        break;
      case 'message':
      case 'membership':
      case 'skip':
        if (frame.seq > this.seq + 1) this.violations.push(`gap: ${this.seq} then ${frame.seq}`);
        if (frame.type === 'message') this.see(frame, frame.seq <= this.seq);
        this.seq = Math.max(this.seq, frame.toSeq ?? frame.seq);
        break;
      case 'ack':
        this.acknowledged(frame);
        break;
      case 'error':
        this.refused(frame);
        break;
    }
    this.wake();
  }

  transmit(clientMessageId, content) {
    if (this.live && this.socket.readyState === WebSocket.OPEN) {
      this.socket.send(JSON.stringify({ type: 'message', content, clientMessageId }));
    }
  }

  describe() {
    return `seq ${this.seq}, last close ${JSON.stringify(this.lastClose)}`;
  }

  /** Gives the connection up without a word, as a user does whose gateway has fallen silent; returns the socket. */
  abandon() {
    const { socket } = this;
    socket.onmessage = null;
    this.live = false;
    this.reconnects++;
    this.connect();
    return socket;
  }

  ready(ms) {
    return this.until('live', () => this.live, ms);
  }

  stop() {
    this.stopped = true;
    clearTimeout(this.timer);
    this.socket.close(1000);
  }
}
