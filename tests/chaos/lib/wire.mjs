// One client's connection as a careful application holds it: a deadline for the handshake, a heartbeat, backoff with
// jitter, another gateway each time, and a second socket before the first is closed when the server asks for it.

const HANDSHAKE_MS = 4000;
const PING_MS = 2000;
const SILENCE_MS = 7000;
const BACKOFF_MS = [100, 200, 400, 800, 1500];

/** Codes that end a socket for good: during a campaign nobody is refused. */
const TERMINAL = new Set([1002, 1007, 1008, 1009, 4001, 4002]);

/** A socket; what it brings goes to its wire until it is dropped. */
class Socket {
  constructor(wire, gateway, url, protocols) {
    Object.assign(this, { wire, gateway, opened: false, live: false, began: wire.now(), heard: wire.now(), pinged: wire.now() });
    this.ws = new WebSocket(url, protocols);
    this.ws.onopen = () => {
      this.opened = true;
      this.heard = wire.now();
      wire.onopen(this);
    };
    this.ws.onmessage = (event) => {
      this.heard = wire.now();
      wire.onframe(this, JSON.parse(event.data));
    };
    this.ws.onerror = () => {};
    this.ws.onclose = (event) => wire.closed(this, event.code, event.reason);
  }

  send(frame) {
    if (this.ws.readyState === WebSocket.OPEN) this.ws.send(JSON.stringify(frame));
  }

  /** Nothing more is heard from it. */
  drop(code = 1000) {
    this.ws.onopen = this.ws.onmessage = this.ws.onclose = null;
    this.ws.close(code);
  }
}

export class Wire {
  /** `gateways()`: names; `front(name)`: host and port; `random`: for choices and jitter. */
  constructor({ gateways, front, random, violations, who }) {
    Object.assign(this, { gateways, front, random, violations, who });
    this.socket = undefined;
    this.next = undefined; // the second socket of a make-before-break
    this.failures = 0;
    this.breaks = 0;
    this.stopped = true;
    this.closes = {};
  }

  now() {
    return performance.now();
  }

  start() {
    this.stopped = false;
    this.socket = this.dial();
  }

  /** Subclasses: address() -> {path, protocols}, onopen(socket), take(socket, frame), lost(). */
  dial(not) {
    const names = this.gateways();
    const others = names.filter((name) => name !== not);
    const gateway = this.random.pick(others.length ? others : names);
    const { path, protocols } = this.address();
    return new Socket(this, gateway, `ws://${this.front(gateway)}${path}`, protocols);
  }

  onopen() {}

  onframe(socket, frame) {
    if (frame.type === 'goaway') this.goAway(socket, frame);
    else if (frame.type !== 'pong') this.take(socket, frame);
  }

  /** Make before break: the new socket is live before the old one is closed. */
  goAway(socket, frame) {
    if (socket !== this.socket || this.next || this.leaving) return;
    this.leaving = setTimeout(() => {
      this.leaving = undefined;
      if (this.socket === socket && !this.stopped) this.next = this.dial(socket.gateway);
    }, frame.reconnectAfterMs ?? 0);
  }

  becomeLive(socket) {
    socket.live = true;
    this.failures = 0;
    if (socket !== this.next) return;
    this.next = undefined;
    const old = this.socket;
    this.socket = socket;
    this.handedOver?.(old, socket);
    old.drop();
  }

  closed(socket, code, reason) {
    this.closes[code] = (this.closes[code] ?? 0) + 1;
    if (TERMINAL.has(code) && !this.stopped) this.violations.add('refused', `${this.who}: closed ${code} ${reason} by ${socket.gateway}`);
    if (socket === this.next) {
      this.next = undefined;
      return;
    }
    if (socket !== this.socket) return;
    this.broken(socket);
  }

  broken(socket) {
    this.breaks++;
    this.lost?.(socket);
    this.socket = undefined;
    if (this.next) {
      this.socket = this.next; // on its way already
      this.next = undefined;
      this.handedOver?.(socket, this.socket);
      return;
    }
    const ms = BACKOFF_MS[Math.min(this.failures++, BACKOFF_MS.length - 1)];
    this.timer = setTimeout(() => {
      if (!this.stopped && !this.socket) this.socket = this.dial(socket.gateway);
    }, ms * this.random.between(0.5, 1.5));
  }

  /** Called about once a second. */
  beat() {
    const now = this.now();
    for (const socket of [this.socket, this.next]) {
      if (!socket) continue;
      const late = socket.live ? now - socket.heard > SILENCE_MS : now - Math.max(socket.began, socket.heard) > (socket.opened ? SILENCE_MS * 2 : HANDSHAKE_MS);
      if (late) {
        socket.drop(socket.opened ? 4000 : 1000);
        this.closed(socket, 'silent');
      } else if (socket.opened && now - socket.pinged > PING_MS) {
        socket.pinged = now;
        socket.send({ type: 'ping' });
      }
    }
  }

  get isLive() {
    return Boolean(this.socket?.live);
  }

  stop() {
    this.stopped = true;
    clearTimeout(this.timer);
    clearTimeout(this.leaving);
    this.next?.drop();
    this.socket?.drop();
    this.socket = this.next = undefined;
  }
}
