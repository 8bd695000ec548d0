// A native client that changes over without a break when its gateway says `goaway`, by the steps of
// docs/protocol-client.md ("When the server asks you to go"), and comes back with `lastSeq` after any other end. It
// writes down what a user would have seen, and complains about a repeat, a hole, or a row that changes.
import { Participant } from './participant.mjs';

export class ChangeoverClient extends Participant {
  /** bases: of all gateways. */
  constructor(bases, room, token, { first = 0, retryMs = 100 } = {}) {
    super();
    Object.assign(this, { bases, room, token, retryMs, at: first });
    this.have = 0;
    this.generation = '';
    this.changes = 0; // by goaway
    this.breaks = 0; // without a socket for a moment
    this.lost = []; // {code, reason} of sockets that ended before we left them
    this.old = undefined; // in use
    this.next = undefined; // opened because of a goaway
    this.open();
  }

  open() {
    if (this.stopped) return;
    const query = { token: this.token, replay: 'connect', replayLimit: '500' };
    if (this.started) Object.assign(query, { lastSeq: String(this.have), generation: this.generation });
    const socket = new WebSocket(`${this.bases[this.at]}/ws/room/${this.room}?${new URLSearchParams(query)}`, ['fluxy.v1']);
    const role = this.old ? 'next' : 'old';
    this[role] = socket;
    socket.caughtUp = !this.started;
    socket.onerror = () => {};
    socket.onmessage = (event) => {
      if (socket !== this.old && socket !== this.next) return;
      this.take(socket, JSON.parse(event.data));
      this.wake();
    };
    socket.onclose = (event) => this.ended(socket, event);
  }

  /** Another gateway, later. */
  again(ms) {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => {
      this.at = (this.at + 1) % this.bases.length;
      this.open();
    }, ms);
  }

  ended(socket, event) {
    if (this.stopped || (socket !== this.old && socket !== this.next)) return;
    if (socket.isLive) this.lost.push({ code: event.code, reason: event.reason });
    if (socket === this.next) this.next = undefined;
    else {
      this.old = this.next;
      this.next = undefined;
      if (!this.old) this.breaks++;
      if (this.old) return; // it is on its way
    }
    this.again(this.retryMs * (0.5 + Math.random()));
  }

  take(socket, frame) {
    switch (frame.type) {
      case 'replay':
        if (frame.generation) this.generation = frame.generation;
        if (frame.reset) this.violations.push(`reset at ${this.have}`);
        if (frame.fromSeq !== undefined && frame.fromSeq > this.have) this.violations.push(`replay from ${frame.fromSeq}, had ${this.have}`);
        for (const row of frame.messages) if (frame.fromSeq === undefined || row.updatedSeq > this.have) this.see(row);
        this.have = Math.max(this.have, frame.toSeq ?? frame.currentSeq ?? 0);
        this.started = true;
        if (!frame.more) socket.caughtUp = true;
        break;
      case 'subscription_succeeded':
        if (frame.generation) this.generation = frame.generation;
        socket.isLive = true;
        break;
      case 'message':
      case 'membership':
      case 'skip':
        if (frame.seq <= this.have && !(frame.toSeq > this.have)) break; // the other socket has brought it
        if (frame.seq > this.have + 1) this.violations.push(`gap: ${this.have} then ${frame.seq}`);
        if (frame.type === 'message') this.see(frame);
        this.have = frame.toSeq ?? frame.seq;
        break;
      case 'ack':
        this.acknowledged(frame);
        break;
      case 'error':
        this.refused(frame);
        break;
      case 'goaway':
        this.goaway = frame;
        if (socket === this.old) this.again(frame.reconnectAfterMs);
        break;
    }
    if (socket.isLive && socket.caughtUp && !socket.isReady) this.ready(socket);
  }

  /** Everything of before has come on this socket: from here on it is the one. */
  ready(socket) {
    socket.isReady = true;
    if (socket === this.next) {
      const old = this.old;
      this.old = socket;
      this.next = undefined;
      this.changes++;
      old.close(1000);
    }
    this.transmitAll();
  }

  transmit(clientMessageId, content) {
    if (this.old?.isReady && this.old.readyState === WebSocket.OPEN) this.old.send(JSON.stringify({ type: 'message', content, clientMessageId }));
  }

  describe() {
    return `have ${this.have}, lost ${JSON.stringify(this.lost)}`;
  }

  stop() {
    this.stopped = true;
    clearTimeout(this.timer);
    this.old?.close(1000);
    this.next?.close(1000);
  }
}
