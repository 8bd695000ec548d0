// What the original client's room session does, as far as it matters for holes: a store that merges by id, where a row
// that is there already wins over every snapshot; no cursor, no look at seq. And a wire that can be cut or go silent.
import net from 'node:net';
import { call, eventually } from './cluster.mjs';

/** A TCP relay to a gateway. `freeze()`: bytes go nowhere any more, and nobody is told; `cut()`: both sides are reset. */
export class Wire {
  static async to(url) {
    const wire = new Wire();
    const { hostname, port } = new URL(url);
    wire.pairs = new Set();
    wire.server = net.createServer((near) => {
      const far = net.connect({ host: hostname, port: Number(port) });
      const pair = { near, far };
      wire.pairs.add(pair);
      for (const [from, to] of [[near, far], [far, near]]) {
        from.on('data', (bytes) => pair.frozen || to.write(bytes));
        from.on('error', () => {});
        from.on('close', () => {
          wire.pairs.delete(pair);
          if (!pair.frozen) to.destroy();
        });
      }
    });
    await new Promise((resolve) => wire.server.listen(0, '127.0.0.1', resolve));
    wire.ws = `ws://127.0.0.1:${wire.server.address().port}`;
    return wire;
  }

  freeze() {
    for (const pair of this.pairs) pair.frozen = true;
  }

  cut() {
    for (const { near, far } of this.pairs) {
      near.resetAndDestroy();
      far.resetAndDestroy();
    }
  }

  close() {
    this.server.close();
    for (const { near, far } of this.pairs) {
      near.destroy();
      far.destroy();
    }
  }
}

export class OldClient {
  constructor({ room, user, token, http, historyLimit = 50 }) {
    Object.assign(this, { room, user, token, http, historyLimit });
    this.rows = new Map();
    this.frames = []; // of all sockets
    this.snapshots = 0;
  }

  /** Opens a socket; resolves when the room has answered. The one before, if any, stays as it is. */
  async connect(ws) {
    const query = { token: this.token, userId: this.user, apiKey: 'fc_not_looked_at', replay: 'connect', replayLimit: String(this.historyLimit), cache: '1' };
    const socket = new WebSocket(`${ws}/ws/room/${this.room}?${new URLSearchParams(query)}`);
    const mine = [];
    this.socket = socket;
    this.current = mine;
    socket.onmessage = (event) => {
      const frame = JSON.parse(event.data);
      mine.push(frame);
      this.frames.push(frame);
      this.take(frame);
    };
    socket.onerror = () => {};
    await new Promise((resolve, reject) => {
      socket.onclose = (event) => {
        this.closed = event.code;
        reject(new Error(`closed ${event.code}`));
      };
      socket.onopen = resolve;
    });
    const history = this.fetchHistory();
    await eventually('the room answers', () => mine.some((f) => f.type === 'subscription_succeeded'));
    await history;
    return mine;
  }

  async fetchHistory() {
    const got = await call(this.http, 'GET', `/api/messages?roomId=${this.room}&limit=${this.historyLimit}`, { token: this.token });
    for (const row of got.json.messages) this.merge(row);
  }

  merge(row) {
    if (!this.rows.has(row.id)) this.rows.set(row.id, { content: row.content, at: row.createdAt });
  }

  take(frame) {
    if (frame.type === 'replay' || frame.type === 'history') {
      this.snapshots++;
      frame.messages.forEach((row) => this.merge(row));
    } else if (frame.type === 'message') {
      this.merge(frame);
    } else if (frame.type === 'edit' || frame.type === 'message_updated') {
      const row = this.rows.get(frame.id);
      if (row) row.content = frame.content;
    } else if (frame.type === 'delete' || frame.type === 'message_deleted' || frame.type === 'message_expired') {
      const row = this.rows.get(frame.id);
      if (row) row.gone = true;
    }
  }

  /** What the user sees, oldest first. */
  get view() {
    return [...this.rows.values()].filter((r) => !r.gone).toSorted((a, b) => Date.parse(a.at) - Date.parse(b.at) || (a.at < b.at ? -1 : 1)).map((r) => r.content);
  }
}
