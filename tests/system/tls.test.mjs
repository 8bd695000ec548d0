// HTTPS and WSS on the gateway: versions, ALPN, reload of the certificate on SIGHUP.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import tls from 'node:tls';
import { promisify } from 'node:util';
import { Cluster, eventually, mint, call } from './support/cluster.mjs';

const run = promisify(execFile);

function greet(url, options = {}) {
  const { hostname, port } = new URL(url);
  return new Promise((resolve, reject) => {
    const socket = tls.connect({ host: hostname, port, rejectUnauthorized: false, ALPNProtocols: ['http/1.1'], ...options }, () => {
      const got = { protocol: socket.getProtocol(), alpn: socket.alpnProtocol, serial: socket.getPeerCertificate().serialNumber };
      let text = '';
      socket.on('data', (d) => (text += d));
      socket.on('end', () => resolve({ ...got, text }));
      socket.write(options.request ?? 'GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
    });
    socket.on('error', reject);
  });
}

test('TLS 1.2 and 1.3, nothing older, ALPN http/1.1', async (t) => {
  const cluster = await Cluster.up(t, { gateways: 1, shards: 1 });
  const { https } = cluster.gateways[0];
  for (const version of ['TLSv1.2', 'TLSv1.3']) {
    const got = await greet(https, { minVersion: version, maxVersion: version });
    assert.equal(got.protocol, version);
    assert.equal(got.alpn, 'http/1.1');
    assert.match(got.text, /^HTTP\/1\.1 200 /);
  }
  await assert.rejects(greet(https, { minVersion: 'TLSv1.1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' }));

  // A WebSocket over TLS gets as far as the room.
  const token = await mint(cluster, 'ada');
  await call(cluster.http(), 'POST', '/rooms', { token, body: { id: 'tls', name: 'tls', type: 'public' } });
  const { hostname, port } = new URL(https);
  const frames = await new Promise((resolve, reject) => {
    const socket = tls.connect({ host: hostname, port, rejectUnauthorized: false }, () => {
      socket.write(`GET /ws/room/tls?token=${token} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n`);
    });
    let text = '';
    socket.on('error', reject);
    socket.on('data', (d) => {
      text += d.toString('latin1');
      if (text.includes('subscription_count')) {
        socket.destroy();
        resolve(text);
      }
    });
  });
  assert.match(frames, /^HTTP\/1\.1 101 /);
  assert.match(frames, /s3pPLMBiTxaQ9kYGzzhZRbK\+xOo=/);
});

test('SIGHUP takes a new certificate; open connections stay', async (t) => {
  const cluster = await Cluster.up(t, { gateways: 1, shards: 1 });
  const { https, pid } = cluster.gateways[0];
  const before = (await greet(https)).serial;
  const files = (await readdir(cluster.dir, { recursive: true })).filter((f) => /\.(pem|crt|key)$/.test(f) && /tls|cert/i.test(f));
  const cert = files.find((f) => /cert|crt/.test(f.split('/').at(-1)));
  const key = files.find((f) => /key/.test(f.split('/').at(-1)));
  assert.ok(cert && key, files.join(' '));
  await run('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2', '-subj', '/CN=localhost', '-keyout', join(cluster.dir, key), '-out', join(cluster.dir, cert)]);
  process.kill(pid, 'SIGHUP');
  const after = await eventually('a new serial number', async () => {
    const { serial } = await greet(https);
    return serial !== before && serial;
  });
  assert.notEqual(after, before);
});
