// Files: uploaded in one request, stored in pieces, given back whole or in ranges to those who may read their room.
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import http from 'node:http';
import { after, before, describe, test } from 'node:test';
import { call, Cluster, eventually, mint } from './support/cluster.mjs';

const sha = (bytes) => createHash('sha256').update(bytes).digest('hex');

describe('uploads', () => {
  let cluster, ada, bob, eve, admin;

  before(async () => {
    cluster = await Cluster.up(undefined, { env: { FLUXY_UPLOAD_MAX_BYTES: '3M' } });
    [ada, bob, eve] = await Promise.all(['ada', 'bob', 'eve'].map((user) => mint(cluster, user)));
    admin = await mint(cluster, 'root', { roles: ['admin'] });
    await call(cluster.http(), 'POST', '/rooms', { token: ada, body: { id: 'files', name: 'f', type: 'group', members: [{ userId: 'bob', role: 'member' }] } });
  });
  after(() => cluster?.remove());

  const upload = async (token, bytes, { name, type = 'image/png', room, gateway = 0, headers = {} } = {}) => {
    const all = { Authorization: `Bearer ${token}`, ...headers };
    if (type) all['Content-Type'] = type;
    if (name !== undefined) all['X-File-Name'] = name;
    if (room) all['X-Room-Id'] = room;
    const answer = await fetch(`${cluster.http(gateway)}/upload`, { method: 'POST', headers: all, body: bytes, ...(bytes instanceof ReadableStream ? { duplex: 'half' } : {}) });
    return { status: answer.status, headers: answer.headers, json: await answer.json() };
  };
  const download = async (token, key, { headers = {}, method = 'GET', gateway = 1 } = {}) => {
    const answer = await fetch(`${cluster.http(gateway)}/attachments/${key}`, { method, headers: { Authorization: `Bearer ${token}`, ...headers } });
    return { status: answer.status, headers: answer.headers, bytes: Buffer.from(await answer.arrayBuffer()) };
  };
  const count = async (table) => Number((await cluster.sql(`SELECT count(*) FROM ${table}`))[0][0]);

  test('a file comes back as it was, through another gateway', async () => {
    for (const size of [0, 1, 1000, 262143, 262144, 262145, 1500000]) {
      const bytes = randomBytes(size);
      const put = await upload(ada, bytes, { name: 'photo.png', room: 'files' });
      assert.equal(put.status, 200, JSON.stringify(put.json));
      assert.equal(put.json.success, true);
      const { file } = put.json;
      assert.deepEqual({ ...file, key: undefined, url: undefined }, { key: undefined, url: undefined, name: 'photo.png', contentType: 'image/png', size });
      assert.equal(file.url, `/attachments/${file.key}`);
      const got = await download(bob, file.key);
      assert.equal(got.status, 200);
      assert.equal(got.headers.get('content-length'), String(size));
      assert.equal(sha(got.bytes), sha(bytes));
    }
    const [[most]] = await cluster.sql('SELECT max(length(data)) FROM file_chunks');
    assert.equal(Number(most), 262144);
  });

  test('a body without a length is taken in parts', async () => {
    const pieces = Array.from({ length: 20 }, () => randomBytes(50000));
    const put = await upload(ada, new ReadableStream({
      pull(controller) {
        const next = pieces[this.at ??= 0];
        this.at += 1;
        if (next) controller.enqueue(next);
        else controller.close();
      },
    }), { room: 'files' });
    assert.equal(put.status, 200);
    assert.equal(put.json.file.name, 'file');
    assert.equal(sha((await download(ada, put.json.file.key)).bytes), sha(Buffer.concat(pieces)));
  });

  test('only who may read the room gets it; without a room only who uploaded it', async () => {
    const inRoom = (await upload(ada, randomBytes(10), { room: 'files' })).json.file;
    assert.equal((await download(bob, inRoom.key)).status, 200);
    assert.equal((await download(admin, inRoom.key)).status, 200);
    assert.equal((await download(eve, inRoom.key)).status, 403);
    const own = (await upload(ada, randomBytes(10))).json.file;
    assert.equal((await download(ada, own.key)).status, 200);
    assert.equal((await download(bob, own.key)).status, 403);
    assert.equal((await upload(eve, randomBytes(10), { room: 'files' })).status, 403);
    assert.equal((await upload(ada, randomBytes(10), { room: 'no-such-room' })).status, 403);
    assert.equal((await download('x.y.z', inRoom.key)).status, 401);
    assert.equal((await fetch(`${cluster.http()}/attachments/${inRoom.key}?token=${bob}`)).status, 200, 'as in an img tag');
    assert.equal((await fetch(`${cluster.http()}/attachments/${inRoom.key}`)).status, 401);
    assert.equal((await call(cluster.http(), 'DELETE', '/rooms/files/members/bob', { token: ada })).status, 200);
    assert.equal((await download(bob, inRoom.key)).status, 403, 'no longer a member');
    await call(cluster.http(), 'POST', '/rooms/files/members', { token: ada, body: { userId: 'bob' } });
  });

  test('another project does not see it', async () => {
    const { file } = (await upload(admin, randomBytes(10))).json;
    await cluster.sql("INSERT INTO projects (project_id, name) VALUES ('other', 'other')");
    await cluster.sql(`INSERT INTO files SELECT 'other', 'elsewhere', NULL, 'ada', name, content_type, size, true FROM files WHERE key = '${file.key}'`);
    await cluster.sql(`INSERT INTO file_chunks SELECT 'other', 'elsewhere', n, data FROM file_chunks WHERE key = '${file.key}'`);
    assert.equal((await download(ada, 'elsewhere')).status, 404);
    assert.equal((await download(ada, 'f'.repeat(32))).status, 404);
  });

  test('ranges, tags and HEAD', async () => {
    const bytes = randomBytes(700000);
    const { file } = (await upload(ada, bytes, { name: 'v.mp4', type: 'video/mp4' })).json;
    for (const [range, first, last] of [['bytes=0-0', 0, 0], ['bytes=262140-262150', 262140, 262150], ['bytes=524288-', 524288, 699999], ['bytes=-5', 699995, 699999], ['bytes=100-9999999', 100, 699999]]) {
      const got = await download(ada, file.key, { headers: { Range: range } });
      assert.equal(got.status, 206, range);
      assert.equal(got.headers.get('content-range'), `bytes ${first}-${last}/700000`);
      assert.equal(sha(got.bytes), sha(bytes.subarray(first, last + 1)), range);
    }
    const outside = await download(ada, file.key, { headers: { Range: 'bytes=700000-' } });
    assert.equal(outside.status, 416);
    assert.equal(outside.headers.get('content-range'), 'bytes */700000');
    assert.equal(JSON.parse(outside.bytes).error, 'range_not_satisfiable');
    for (const odd of ['bytes=1-2,5-6', 'lines=1-2', 'bytes=9-1', 'bytes=-']) {
      assert.equal((await download(ada, file.key, { headers: { Range: odd } })).status, 200, odd);
    }
    const whole = await download(ada, file.key);
    const tag = whole.headers.get('etag');
    assert.equal(whole.headers.get('accept-ranges'), 'bytes');
    const again = await download(ada, file.key, { headers: { 'If-None-Match': tag } });
    assert.equal(again.status, 304);
    assert.equal(again.bytes.length, 0);
    assert.equal((await download(eve, file.key, { headers: { 'If-None-Match': tag } })).status, 403);
    assert.equal((await download(ada, file.key, { headers: { Range: 'bytes=0-1', 'If-Range': '"other"' } })).status, 200);
    assert.equal((await download(ada, file.key, { headers: { Range: 'bytes=0-1', 'If-Range': tag } })).status, 206);
    const head = await download(ada, file.key, { method: 'HEAD' });
    assert.equal(head.status, 200);
    assert.equal(head.headers.get('content-length'), '700000');
    assert.equal(head.bytes.length, 0);
  });

  test('names are made safe, and what a browser might run is only offered for saving', async () => {
    for (const [sent, kept] of [['..%2F..%2Fetc%2Fpasswd', 'passwd'], ['C%3A%5Cx%5Cy.txt', 'y.txt'], ['gr%C3%BC%C3%9Fe%20%E2%9C%93.pdf', 'grüße ✓.pdf'], ['a%E2%80%AEgpj.exe', 'agpj.exe'], ['%20%20', 'file'], ['..', 'file'], ['x'.repeat(1000), 'x'.repeat(200)]]) {
      const put = await upload(ada, randomBytes(3), { name: sent });
      assert.equal(put.json.file?.name, kept, sent);
    }
    for (const bad of ['%zz', '%ff%fe', '%00']) {
      const put = await upload(ada, randomBytes(3), { name: bad });
      assert.equal(put.status, 400, bad);
      assert.equal(put.json.error, 'invalid_name');
    }
    for (const [type, inline] of [['image/png', true], ['Image/JPEG', true], ['text/plain; charset=utf-8', true], ['application/pdf', true], ['audio/ogg', true], ['image/svg+xml', false], ['text/html', false], ['application/javascript', false], ['application/xhtml+xml', false], ['', false]]) {
      const { json } = await upload(ada, randomBytes(3), { type, name: 'a%22%3Bb.x' });
      const got = await download(ada, json.file.key);
      const disposition = got.headers.get('content-disposition');
      assert.equal(disposition.startsWith('inline'), inline, type);
      assert.match(disposition, /; filename="a_;b\.x"; filename\*=UTF-8''a%22%3Bb\.x$/);
      assert.equal(got.headers.get('x-content-type-options'), 'nosniff');
      assert.match(got.headers.get('content-security-policy'), type === 'application/pdf' ? /default-src 'none'/ : /sandbox/);
    }
  });

  test('what makes no sense is refused, with a word', async () => {
    for (const type of ['multipart/form-data; boundary=x', 'application/x-www-form-urlencoded', 'image', 'image/', 'a b/c', 'x/y/z']) {
      const put = await upload(ada, randomBytes(3), { type });
      assert.equal(put.status, 415, type);
      assert.equal(put.json.error, 'unsupported_media_type');
    }
    const large = await upload(ada, randomBytes(3 * 1024 * 1024 + 1));
    assert.equal(large.status, 413);
    assert.equal(large.json.error, 'payload_too_large');
    assert.equal((await upload(ada, randomBytes(3 * 1024 * 1024))).status, 200, 'exactly as much as is allowed');
    assert.equal((await upload(ada, randomBytes(3), { room: 'a b' })).status, 400);
    assert.equal((await upload('x.y.z', randomBytes(3))).status, 401);
    assert.equal((await call(cluster.http(), 'GET', '/attachments/a%20b', { token: ada })).json.error, 'invalid_id');
  });

  /** Begins an upload of `announced` bytes by hand; resolves when the server has asked for the body. */
  const begin = (announced) => new Promise((resolve, reject) => {
    const { hostname, port } = new URL(cluster.http());
    const req = http.request({ hostname, port, path: '/upload', method: 'POST', headers: { Authorization: `Bearer ${ada}`, 'Content-Type': 'image/png', Expect: '100-continue', ...(announced ? { 'Content-Length': announced } : { 'Transfer-Encoding': 'chunked' }) } });
    req.on('error', reject);
    req.on('continue', () => resolve(req));
    req.flushHeaders();
  });

  test('a body that grows over the limit, and one that ends early, leave nothing behind', async () => {
    const before = [await count('files'), await count('file_chunks')];
    const tooLong = await begin();
    const answer = new Promise((resolve) => tooLong.on('response', resolve));
    for (let i = 0; i < 14; i++) tooLong.write(randomBytes(256 * 1024));
    tooLong.on('error', () => {});
    assert.equal((await answer).statusCode, 413);
    tooLong.destroy();
    const early = await begin(1000000);
    early.on('error', () => {});
    early.write(randomBytes(600000));
    await eventually('two pieces of it are stored', async () => await count('file_chunks') >= before[1] + 2);
    early.destroy();
    await eventually('they are gone', async () => await count('file_chunks') === before[1] && await count('files') === before[0]);
  });

  test('the death of a shard in the middle of an upload is not noticed', async () => {
    const bytes = randomBytes(2500000);
    const req = await begin(bytes.length);
    const answer = new Promise((resolve, reject) => {
      req.on('error', reject);
      req.on('response', async (res) => {
        let text = '';
        for await (const part of res) text += part;
        resolve({ status: res.statusCode, text });
      });
    });
    const had = await count('file_chunks');
    req.write(bytes.subarray(0, 1000000));
    await eventually('some of it is stored', async () => await count('file_chunks') > had);
    await cluster.node('kill', 'shard-2');
    req.end(bytes.subarray(1000000));
    const { status, text } = await answer;
    assert.equal(status, 200, text);
    const { key } = JSON.parse(text).file;
    assert.equal(sha((await download(ada, key)).bytes), sha(bytes));
    await cluster.node('start', 'shard-2');
  });

  test('an upload that died with its gateway is swept away', async () => {
    await cluster.sql(`INSERT INTO files (project_id, key, user_id, name, content_type, size, created_at) VALUES ('${cluster.project}', 'old', 'ada', 'x', 'x/y', 0, now() - interval '2 hours'), ('${cluster.project}', 'young', 'ada', 'x', 'x/y', 0, now())`);
    await cluster.sql(`INSERT INTO file_chunks VALUES ('${cluster.project}', 'old', 0, 'x'), ('${cluster.project}', 'young', 0, 'x')`);
    assert.equal((await download(ada, 'old')).status, 404, 'not finished');
    await cluster.node('kill', 'shard-1');
    await cluster.node('start', 'shard-1');
    await eventually('the old one is gone', async () => (await cluster.sql("SELECT FROM file_chunks WHERE key = 'old'")).length === 0 && (await cluster.sql("SELECT key FROM files WHERE key = 'old'")).length === 0, 15000);
    assert.equal((await cluster.sql("SELECT key FROM files WHERE key = 'young'")).length, 1);
  });

  test('a slow reader gets all of it, and the gateway holds little', async () => {
    const bytes = randomBytes(3 * 1024 * 1024);
    const { file } = (await upload(ada, bytes)).json;
    const got = await new Promise((resolve, reject) => {
      http.get(`${cluster.http()}/attachments/${file.key}?token=${ada}`, (res) => {
        const parts = [];
        res.on('data', (part) => {
          parts.push(part);
          if (parts.length % 8 === 0) {
            res.pause();
            setImmediate(() => res.resume());
          }
        });
        res.on('end', () => resolve(Buffer.concat(parts)));
        res.on('error', reject);
      }).on('error', reject);
    });
    assert.equal(sha(got), sha(bytes));
    const metrics = await cluster.metrics(cluster.gateways[0].admin);
    assert.match(metrics, /fluxy_uploads_active 0/);
  });
});
