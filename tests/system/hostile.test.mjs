// What comes from a socket is hostile: broken HTTP, broken WebSocket frames, floods. Each gets its answer; nobody else
// notices.
import assert from 'node:assert/strict';
import net from 'node:net';
import { after, before, describe, test } from 'node:test';
import { Client } from './support/client.mjs';
import { call, Cluster, mint } from './support/cluster.mjs';

describe('hostile input', () => {
  let cluster, token, witness;

  /** Sends raw bytes (in pieces) and resolves with all that came until the server closed, or `until` matched. */
  const raw = (pieces, { until, ms = 15000 } = {}) => new Promise((resolve, reject) => {
    const { hostname, port } = new URL(cluster.http());
    const socket = net.connect(Number(port), hostname);
    const got = [];
    const timer = setTimeout(() => {
      socket.destroy();
      reject(new Error(`no end within ${ms} ms, had ${Buffer.concat(got).toString('latin1').slice(0, 200)}`));
    }, ms);
    const done = () => {
      clearTimeout(timer);
      socket.destroy();
      resolve(Buffer.concat(got));
    };
    socket.on('data', (d) => {
      got.push(d);
      if (until?.(Buffer.concat(got))) done();
    });
    socket.on('close', done);
    socket.on('error', () => {});
    (async () => {
      for (const piece of pieces) {
        await new Promise((next) => socket.write(piece, 'latin1', next));
      }
    })();
  });
  const isWhole = (buffer) => {
    const text = buffer.toString('latin1');
    const head = text.indexOf('\r\n\r\n');
    return head >= 0 && text.length >= head + 4 + Number(/content-length: (\d+)/i.exec(text)?.[1]);
  };
  const status = (buffer) => Number(/^HTTP\/1\.1 (\d+)/.exec(buffer.toString('latin1'))?.[1]);

  before(async () => {
    cluster = await Cluster.up(undefined, { gateways: 1, shards: 1 });
    token = await mint(cluster, 'ada');
    await call(cluster.http(), 'POST', '/rooms', { token, body: { id: 'h', name: 'h', type: 'public' } });
    witness = await Client.join(cluster.ws(), 'h', token);
  });
  after(() => cluster?.remove());

  const heads = [
    ['both lengths', 'POST /messages HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n', 400],
    ['two lengths', 'POST /messages HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc', 400],
    ['a signed length', 'POST /messages HTTP/1.1\r\nHost: x\r\nContent-Length: +3\r\n\r\nabc', 400],
    ['a folded header', 'GET /health HTTP/1.1\r\nHost: x\r\nX-A: b\r\n c\r\n\r\n', 400],
    ['a bare CR', 'GET /health HTTP/1.1\r\nHost: x\r\nX-A: b\rc\r\n\r\n', 400],
    ['bare LF lines', 'GET /health HTTP/1.1\nHost: x\n\n', 400],
    ['space before the colon', 'GET /health HTTP/1.1\r\nHost : x\r\n\r\n', 400],
    ['no Host', 'GET /health HTTP/1.1\r\n\r\n', 400],
    ['two Hosts', 'GET /health HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n', 400],
    ['NUL in a header', 'GET /health HTTP/1.1\r\nHost: x\r\nX-A: \0\r\n\r\n', 400],
    ['an unknown version', 'GET /health HTTP/3.0\r\nHost: x\r\n\r\n', 505],
    ['a bad chunk', 'POST /messages HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n', 400],
    ['a coding that does not end in chunked', 'POST /messages HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n', 400],
    ['a coding that nobody knows', 'POST /messages HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n', 501],
    ['a long target', `GET /${'a'.repeat(70000)} HTTP/1.1\r\nHost: x\r\n\r\n`, 414],
    ['a long header', `GET /health HTTP/1.1\r\nHost: x\r\nX-A: ${'a'.repeat(70000)}\r\n\r\n`, 431],
    ['many headers', `GET /health HTTP/1.1\r\nHost: x\r\n${'X-A: b\r\n'.repeat(2000)}\r\n`, 431],
    ['a bad percent', 'GET /rooms/%zz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n', 400],
  ];
  for (const [name, text, want] of heads) {
    test(`HTTP: ${name} is ${want}`, async () => {
      assert.equal(status(await raw([text], { until: isWhole })), want);
    });
  }

  test('a refused connection is closed', async () => {
    assert.equal(status(await raw(['GET /health HTTP/1.1\r\n\r\n'])), 400);
  });

  test('pipelined requests are answered in order', async () => {
    const get = (path, last) => `GET ${path} HTTP/1.1\r\nHost: x\r\n${last ? 'Connection: close\r\n' : ''}\r\n`;
    const got = (await raw([get('/health') + get('/nowhere') + get('/health', true)])).toString('latin1');
    assert.deepEqual([...got.matchAll(/HTTP\/1\.1 (\d+)/g)].map((m) => m[1]), ['200', '404', '200']);
  });

  test('a slow head is cut off', { timeout: 180000 }, async () => {
    const started = Date.now();
    const got = await raw(['GET /health HTTP/1.1\r\nHo'], { ms: 30000 });
    assert.ok(Date.now() - started < 25000);
    assert.ok(got.length === 0 || status(got) === 408);
  });

  const upgrade = () => `GET /ws/room/h?token=${token}&replay=off HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n`;
  const mask = (opcode, payload, { fin = true, rsv = 0, masked = true } = {}) => {
    const body = Buffer.from(payload, 'latin1');
    const head = [(fin ? 0x80 : 0) | rsv << 4 | opcode];
    if (body.length < 126) head.push((masked ? 0x80 : 0) | body.length);
    else if (body.length < 65536) head.push((masked ? 0x80 : 0) | 126, body.length >> 8, body.length & 255);
    else head.push((masked ? 0x80 : 0) | 127, 0, 0, 0, 0, body.length >>> 24, body.length >> 16 & 255, body.length >> 8 & 255, body.length & 255);
    if (masked) head.push(0, 0, 0, 0);
    return Buffer.concat([Buffer.from(head), body]).toString('latin1');
  };
  const closeCode = (buffer) => {
    // Walks the server's frames behind the handshake to the close frame.
    let at = buffer.indexOf('\r\n\r\n') + 4;
    if (at < 4) return undefined;
    while (at + 2 <= buffer.length) {
      const opcode = buffer[at] & 15;
      let len = buffer[at + 1] & 127;
      let head = 2;
      if (len === 126) [len, head] = [buffer.readUInt16BE(at + 2), 4];
      else if (len === 127) [len, head] = [Number(buffer.readBigUInt64BE(at + 2)), 10];
      if (opcode === 8) return at + head + 2 <= buffer.length ? buffer.readUInt16BE(at + head) : undefined;
      at += head + len;
    }
    return undefined;
  };
  const frames = [
    ['an unmasked frame', mask(1, '{"type":"ping"}', { masked: false }), 1002],
    ['a reserved bit', mask(1, '{"type":"ping"}', { rsv: 4 }), 1002],
    ['a reserved opcode', mask(3, 'x'), 1002],
    ['a fragmented ping', mask(9, 'x', { fin: false }), 1002],
    ['a long ping', mask(9, 'x'.repeat(126)), 1002],
    ['a continuation of nothing', mask(0, 'x'), 1002],
    ['a text inside a message', mask(1, 'a', { fin: false }) + mask(1, 'b'), 1002],
    ['bad UTF-8', mask(1, '\xc3\x28'), 1007],
    ['a surrogate in UTF-8', mask(1, '\xed\xa0\x80'), 1007],
    ['a message of 2 MB', mask(1, 'x'.repeat(2 << 20)), 1009],
    ['a close with a bad code', mask(8, '\x03\xed'), 1002],
  ];
  for (const [name, bytes, want] of frames) {
    test(`WebSocket: ${name} closes ${want}`, async () => {
      assert.equal(closeCode(await raw([upgrade(), bytes], { until: (b) => closeCode(b) !== undefined })), want);
    });
  }

  test('a message in fragments, one byte at a time, with a ping between, arrives whole', async () => {
    const text = JSON.stringify({ type: 'message', content: 'in pieces', clientMessageId: 'frag-1' });
    const bytes = mask(1, text.slice(0, 10), { fin: false }) + mask(9, 'p') + mask(0, text.slice(10));
    const got = await raw([upgrade(), ...bytes], { until: (b) => b.includes('"ack"') });
    assert.ok(got.includes('in pieces'));
    await witness.until((f) => f.content === 'in pieces');
  });

  test('after all of it the first socket is still open', async () => {
    witness.message('alive', 'alive-1');
    await witness.until((f) => f.type === 'ack' && f.clientMessageId === 'alive-1');
    assert.equal(witness.closed, undefined);
  });
});
