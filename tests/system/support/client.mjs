// A WebSocket client for tests: keeps every frame, waits for one with a deadline, and a resuming client that writes
// down what a user would have seen.
import assert from 'node:assert/strict';

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
export class ResumingClient {
  constructor(bases, room, token, { retryMs = 50, mayReset = false } = {}) {
    Object.assign(this, { bases, room, token, retryMs, mayReset });
    this.resets = 0;
    this.next = 0;
    this.seq = 0;
    this.generation = '';
    this.seen = new Map(); // seq -> {id, content, clientMessageId}
    this.violations = [];
    this.unacked = new Map(); // clientMessageId -> content
    this.acks = new Map(); // clientMessageId -> ack
    this.reconnects = 0;
    this.stopped = false;
    this.waiters = new Set();
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
        for (const [id, content] of this.unacked) this.transmit(id, content);
        break;
      case 'message':
      case 'membership':
      case 'skip':
        if (frame.seq > this.seq + 1) this.violations.push(`gap: ${this.seq} then ${frame.seq}`);
        if (frame.type === 'message') this.see(frame, frame.seq <= this.seq);
        this.seq = Math.max(this.seq, frame.toSeq ?? frame.seq);
        break;
      case 'ack':
        if (frame.clientMessageId) {
          const before = this.acks.get(frame.clientMessageId);
          if (before && before.seq !== frame.seq) this.violations.push(`two places for ${frame.clientMessageId}: ${before.seq}, ${frame.seq}`);
          this.acks.set(frame.clientMessageId, frame);
          this.unacked.delete(frame.clientMessageId);
        }
        break;
      case 'error':
        if (frame.retryable && frame.clientMessageId && this.unacked.has(frame.clientMessageId)) {
          setTimeout(() => {
            const content = this.unacked.get(frame.clientMessageId);
            if (content !== undefined) this.transmit(frame.clientMessageId, content);
          }, frame.retryAfterMs ?? 100);
        } else {
          this.violations.push(`error ${JSON.stringify(frame)}`);
        }
        break;
    }
    for (const waiter of this.waiters) waiter();
  }

  see(message, mayRepeat) {
    const known = this.seen.get(message.seq);
    if (known) {
      if (known.id !== message.id || known.content !== message.content) this.violations.push(`seq ${message.seq} changed from ${known.content} to ${message.content}`);
      else if (!mayRepeat) this.violations.push(`seq ${message.seq} twice`);
      return;
    }
    this.seen.set(message.seq, { id: message.id, content: message.content, clientMessageId: message.clientMessageId, userId: message.userId });
  }

  transmit(clientMessageId, content) {
    if (this.live && this.socket.readyState === WebSocket.OPEN) {
      this.socket.send(JSON.stringify({ type: 'message', content, clientMessageId }));
    }
  }

  /** Sends until acknowledged, over however many connections. */
  post(clientMessageId, content) {
    this.unacked.set(clientMessageId, content);
    this.transmit(clientMessageId, content);
  }

  async until(what, condition, ms = 30000) {
    if (condition()) return;
    await new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.waiters.delete(waiter);
        reject(new Error(`not within ${ms} ms: ${what}; seq ${this.seq}, unacked ${this.unacked.size}, last close ${JSON.stringify(this.lastClose)}, violations ${this.violations}`));
      }, ms);
      const waiter = () => {
        if (!condition()) return;
        clearTimeout(timer);
        this.waiters.delete(waiter);
        resolve();
      };
      this.waiters.add(waiter);
    });
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

  check() {
    assert.deepEqual(this.violations, []);
  }
}
