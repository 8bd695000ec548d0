// One socket in many rooms, and a resuming client on top of it that comes back to each room where it was.
import { Client } from './client.mjs';

export class Mux extends Client {
  /** Opens GET /ws. */
  static async open(base, token, { query = {}, keep = true } = {}) {
    const client = new Mux();
    client.keep = keep;
    await client.connect(`${base}/ws?${new URLSearchParams({ token, ...query })}`);
    return client;
  }

  connect(url) {
    this.socket = new WebSocket(url);
    this.socket.onmessage = (event) => this.take(JSON.parse(event.data));
    this.socket.onclose = (event) => {
      this.closed = { code: event.code, reason: event.reason };
      this.wake();
    };
    return new Promise((resolve, reject) => {
      this.socket.onopen = () => resolve();
      this.socket.onerror = () => reject(new Error(`cannot open ${url}`));
    }).then(() => {
      this.socket.onerror = () => {};
    });
  }

  /** Resolves with subscription_succeeded. */
  async subscribe(roomId, more = {}) {
    const before = this.frames.length;
    this.send({ type: 'subscribe', roomId, ...more });
    return this.until((f) => f.roomId === roomId && (f.type === 'subscription_succeeded' || f.type === 'error') && this.frames.indexOf(f) >= before);
  }

  say(roomId, content, clientMessageId, more = {}) {
    this.send({ type: 'message', roomId, content, clientMessageId, ...more });
  }

  inRoom(roomId, type) {
    return this.frames.filter((f) => f.roomId === roomId && (!type || f.type === type));
  }
}

/** What one reader has seen of one room; a repeat, a hole or a change of a row is a violation. */
export class RoomView {
  constructor(roomId) {
    Object.assign(this, { roomId, seq: 0, generation: '', seen: new Map(), violations: [], started: false });
  }

  cursor() {
    return this.started ? { lastSeq: this.seq, generation: this.generation } : {};
  }

  take(frame) {
    if (frame.generation) this.generation = frame.generation;
    if (frame.type === 'history' || frame.type === 'replay') {
      if (frame.reset) this.violations.push(`reset at ${this.seq}`);
      if (frame.fromSeq !== undefined && frame.fromSeq > this.seq) this.violations.push(`replay from ${frame.fromSeq}, had ${this.seq}`);
      for (const message of frame.messages) this.see(message, true);
      this.seq = Math.max(this.seq, frame.toSeq ?? frame.currentSeq ?? 0);
      this.started = true;
    } else if (['message', 'membership', 'skip'].includes(frame.type)) {
      if (frame.seq > this.seq + 1 && !(frame.fromSeq <= this.seq + 1)) this.violations.push(`gap: ${this.seq} then ${frame.seq}`);
      if (frame.type === 'message') this.see(frame, false);
      this.seq = Math.max(this.seq, frame.toSeq ?? frame.seq);
    }
  }

  see(message, mayRepeat) {
    const known = this.seen.get(message.seq);
    if (!known) this.seen.set(message.seq, message.content);
    else if (known !== message.content) this.violations.push(`seq ${message.seq} changed from ${known} to ${message.content}`);
    else if (!mayRepeat) this.violations.push(`seq ${message.seq} twice`);
  }
}
