// Readers over a bare TCP socket, which can stop reading: of a WebSocket or of an event stream. What they are given is
// put together frame by frame.
import net from 'node:net';
import { eventually } from './cluster.mjs';

class Slow {
  constructor(base, take) {
    const { hostname, port } = new URL(base);
    Object.assign(this, { take, frames: 0, rest: Buffer.alloc(0), ended: false });
    this.socket = net.connect({ host: hostname, port: Number(port) });
    this.socket.on('error', () => {});
    this.socket.on('close', () => { this.ended = true; });
    this.socket.on('data', (bytes) => {
      this.rest = this.rest.length ? Buffer.concat([this.rest, bytes]) : bytes;
      this.cut();
    });
  }

  frame(text) {
    this.frames++;
    const frame = JSON.parse(text);
    if (frame.type === 'behind') this.behind = frame;
    if (frame.type === 'subscription_succeeded') this.isLive = true;
    this.take(frame);
  }

  until(what, condition, ms = 20000) {
    return eventually(what, () => {
      if (this.ended) throw new Error(`ended while waiting: ${what}`);
      return condition();
    }, ms);
  }

  stop() {
    this.socket.pause();
  }

  go() {
    this.socket.resume();
  }

  close() {
    this.socket.destroy();
  }
}

export class SlowSocket extends Slow {
  /** path: '/ws/room/x' or '/ws'. Resolves when the handshake is done. */
  static async open(base, path, token, take, { native = true, query = {} } = {}) {
    const slow = new SlowSocket(base, take);
    const protocol = native ? 'Sec-WebSocket-Protocol: fluxy.v1\r\n' : '';
    slow.socket.write(`GET ${path}?${new URLSearchParams({ token, ...query })} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n${protocol}\r\n`);
    await slow.until('the handshake', () => slow.isOpen);
    return slow;
  }

  cut() {
    if (!this.isOpen) {
      const end = this.rest.indexOf('\r\n\r\n');
      if (end < 0) return;
      if (!this.rest.subarray(0, end).toString().startsWith('HTTP/1.1 101')) throw new Error(this.rest.toString());
      this.isOpen = true;
      this.rest = this.rest.subarray(end + 4);
    }
    for (;;) {
      if (this.rest.length < 2) return;
      let length = this.rest[1] & 127;
      let head = 2;
      if (length === 126) head = 4;
      if (length === 127) head = 10;
      if (this.rest.length < head) return;
      if (head === 4) length = this.rest.readUInt16BE(2);
      if (head === 10) length = Number(this.rest.readBigUInt64BE(2));
      if (this.rest.length < head + length) return;
      const body = this.rest.subarray(head, head + length);
      if ((this.rest[0] & 15) === 1) this.frame(body.toString());
      if ((this.rest[0] & 15) === 8) this.closed = { code: body.readUInt16BE(0), reason: body.subarray(2).toString() };
      this.rest = this.rest.subarray(head + length);
    }
  }

  /** Masked with zeroes. */
  say(frame) {
    const body = Buffer.from(JSON.stringify(frame));
    const head = body.length < 126 ? Buffer.from([0x81, 0x80 | body.length]) : Buffer.from([0x81, 0x80 | 126, body.length >> 8, body.length & 255]);
    this.socket.write(Buffer.concat([head, Buffer.alloc(4), body]));
  }
}

export class SlowStream extends Slow {
  static async open(base, roomId, token, take, query = {}) {
    const slow = new SlowStream(base, take);
    slow.socket.write(`GET /rooms/${roomId}/stream?${new URLSearchParams({ token, ...query })} HTTP/1.1\r\nHost: x\r\n\r\n`);
    await slow.until('the stream begins', () => slow.isOpen);
    return slow;
  }

  /** Chunks hold parts of events; their sizes are cut out first. */
  cut() {
    if (!this.isOpen) {
      const end = this.rest.indexOf('\r\n\r\n');
      if (end < 0) return;
      if (!this.rest.subarray(0, end).toString().startsWith('HTTP/1.1 200')) throw new Error(this.rest.toString());
      this.isOpen = true;
      this.events = '';
      this.rest = this.rest.subarray(end + 4);
    }
    for (;;) {
      const line = this.rest.indexOf('\r\n');
      if (line < 0) return;
      const length = parseInt(this.rest.subarray(0, line).toString(), 16);
      if (this.rest.length < line + 2 + length + 2) return;
      this.events += this.rest.subarray(line + 2, line + 2 + length).toString();
      this.rest = this.rest.subarray(line + 2 + length + 2);
      for (let end; (end = this.events.indexOf('\n\n')) >= 0; this.events = this.events.slice(end + 2)) {
        const data = this.events.slice(0, end).split('\n').find((l) => l.startsWith('data: '));
        if (data) this.frame(data.slice(6));
      }
    }
  }
}
