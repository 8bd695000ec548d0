// Export: a room as JSON, NDJSON, CSV and Markdown, of any length in constant memory, resumable, as the caller may see it.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import http from 'node:http';
import { after, before, describe, test } from 'node:test';
import { call, Cluster, eventually, mint } from './support/cluster.mjs';

describe('export', () => {
  let cluster;
  const tokens = {};
  const api = (method, path, who, body, gateway = 0) => call(cluster.http(gateway), method, path, { token: tokens[who], body });
  const ok = async (method, path, who, body) => {
    const got = await api(method, path, who, body);
    assert.equal(got.status, 200, `${method} ${path}: ${got.text}`);
    return got;
  };
  const room = async (members = ['bob'], more = {}) => {
    const id = `x-${randomUUID().slice(0, 8)}`;
    await ok('POST', '/rooms', 'ada', { id, name: 'An <Export> *room*', type: 'group', members: members.map((userId) => ({ userId })), ...more });
    return id;
  };
  const post = async (roomId, who, content, more = {}) => (await ok('POST', '/messages', who, { roomId, content, ...more })).json.message;
  const lines = (text) => text.split('\n').filter(Boolean).map((line) => JSON.parse(line));
  /** RFC 4180, as a strict reader takes it. */
  const parseCsv = (text) => {
    const rows = [[]];
    let at = 0;
    while (at < text.length) {
      let cell = '';
      if (text[at] === '"') {
        for (at++; ; at++) {
          if (text[at] === '"' && text[at + 1] === '"') at++;
          else if (text[at] === '"') break;
          assert.ok(at < text.length, 'unterminated quote');
          cell += text[at];
        }
        at++;
      } else while (at < text.length && text[at] !== ',' && text[at] !== '\r') {
        assert.ok(text[at] !== '"' && text[at] !== '\n', `bare ${JSON.stringify(text[at])} at ${at}`);
        cell += text[at++];
      }
      rows.at(-1).push(cell);
      if (text[at] === ',') at++;
      else {
        assert.equal(text.slice(at, at + 2), '\r\n');
        at += 2;
        if (at < text.length) rows.push([]);
      }
    }
    return rows;
  };
  /** A room of n messages, made in the database. */
  const bigRoom = async (n, content = "'message ' || g") => {
    const roomId = await room();
    await cluster.sql(`INSERT INTO timeline (project_id, room_id, seq, updated_seq, id, created_at, dedupe, kind, version, user_id, content, message_no)
      SELECT '${cluster.project}', '${roomId}', g, g, 1000000000 + (SELECT count(*) FROM rooms) * 10000000 + g, now() - interval '1 day' + g * interval '1 ms',
        md5('${roomId}' || g)::uuid, 1, 1, 'ada', ${content}, g FROM generate_series(1, ${n}) g`);
    await cluster.sql(`UPDATE rooms SET last_seq = ${n}, message_count = ${n}, fence = 0, last_id = (SELECT max(id) FROM timeline WHERE room_id = '${roomId}'),
      last_created_at = now() WHERE room_id = '${roomId}'`);
    return roomId;
  };
  const rssOf = async (pid) => Number(/VmRSS:\s+(\d+)/.exec(await readFile(`/proc/${pid}/status`, 'utf8'))[1]) / 1024;
  /** Begins a request and gives its answer as a stream that is read as fast as the caller wants. */
  const open = (path, who) => new Promise((resolve, reject) => {
    http.get(cluster.http(0) + path, { headers: { Authorization: `Bearer ${tokens[who]}` }, agent: false }, resolve).on('error', reject);
  });

  before(async () => {
    cluster = await Cluster.up();
    for (const user of ['ada', 'bob', 'eve']) tokens[user] = await mint(cluster, user);
    tokens.root = await mint(cluster, 'root', { roles: ['admin'] });
  });
  after(() => cluster?.remove());

  test('GET /export/messages.json and .ndjson: all messages, ascending, as history shows them', async () => {
    const roomId = await room();
    const made = [];
    for (const content of ['one', 'two "quoted"', 'three\nlines']) made.push(await post(roomId, 'ada', content));
    await post(roomId, 'bob', 'reply', { replyTo: made[0].id });
    await ok('PATCH', `/messages/${made[1].id}`, 'ada', { content: 'two, edited' });
    await ok('DELETE', `/messages/${made[2].id}`, 'ada');
    const json = await ok('GET', `/export/messages.json?roomId=${roomId}`, 'bob');
    assert.deepEqual(json.json.messages.map((m) => m.content), ['one', 'two, edited', 'reply']);
    assert.equal(json.headers.get('x-total-messages'), '3');
    assert.equal(Number(json.headers.get('x-export-cursor')), json.json.lastSeq);
    assert.match(json.headers.get('content-disposition'), new RegExp(`attachment; filename="${roomId}.json"`));
    const history = (await ok('GET', `/api/messages?roomId=${roomId}&order=asc`, 'bob')).json.messages;
    assert.deepEqual(json.json.messages, history);
    const nd = await ok('GET', `/export/messages.ndjson?roomId=${roomId}`, 'bob');
    assert.match(nd.headers.get('content-type'), /application\/x-ndjson/);
    const rows = lines(nd.text);
    assert.deepEqual(rows.slice(0, -1), history);
    assert.deepEqual(rows.at(-1), { end: true, lastSeq: json.json.lastSeq, count: 3 });
    const empty = await room();
    assert.deepEqual((await ok('GET', `/export/messages.json?roomId=${empty}`, 'ada')).json, { messages: [], lastSeq: 0 });
  });

  test('GET /export/messages.csv: header, CRLF, quoting, nothing that a spreadsheet would run', async () => {
    const roomId = await room();
    const texts = ['plain', 'a,b', 'say "hi"', 'two\nlines', '=1+1', '+1', '-1', '@SUM(A1)', '=cmd|"/c calc"!A1', "'already", 'ünïcödé 漢字'];
    const made = [];
    for (const text of texts) made.push(await post(roomId, 'ada', text));
    const reply = await post(roomId, 'ada', 'hello @bob', { replyTo: made[0].id });
    const got = await ok('GET', `/export/messages.csv?roomId=${roomId}`, 'ada');
    assert.match(got.headers.get('content-type'), /^text\/csv/);
    assert.ok(got.text.startsWith('id,createdAt,roomId,userId,content,parentId,mentions\r\n'));
    const [, ...rows] = parseCsv(got.text);
    assert.equal(rows.length, texts.length + 1);
    for (const [i, row] of rows.slice(0, -1).entries()) {
      assert.deepEqual(row, [String(made[i].id), made[i].createdAt, roomId, 'ada', /^[=+\-@]/.test(texts[i]) ? `'${texts[i]}` : texts[i], '', '']);
    }
    assert.deepEqual(rows.at(-1).slice(4), ['hello @bob', String(made[0].id), 'bob']);
    assert.equal(rows.at(-1)[0], String(reply.id));
    for (const row of rows) for (const cell of row) assert.ok(!/^[=+\-@\t\r]/.test(cell), cell);
  });

  test('GET /export/rooms/{id}.markdown: readable, and no text in it is markup', async () => {
    const roomId = await room();
    const m = await post(roomId, 'ada', '# not a heading\n<script>alert(1)</script> **bold**');
    const got = await ok('GET', `/export/rooms/${roomId}.markdown`, 'bob');
    assert.match(got.headers.get('content-type'), /text\/markdown/);
    assert.equal(got.text, [
      '# An \\<Export\\> \\*room\\*', '', `**ada** · ${m.createdAt} · \\#${m.id}`, '',
      '> \\# not a heading\\', '> \\<script\\>alert\\(1\\)\\</script\\> \\*\\*bold\\*\\*', '',
    ].join('\n'));
    assert.equal((await api('GET', `/export/rooms/${roomId}.exe`, 'bob')).status, 404);
  });

  test('GET /export/rooms/{id}.pdf: a document whose text can be read, page after page', async () => {
    const roomId = await room();
    const texts = ['Hello world', 'Привет, мир', 'two\nlines', 'x'.repeat(400), 'Ärger & Größe (100 %)'];
    for (let i = 0; i < 60; i++) await post(roomId, 'ada', texts[i % texts.length]);
    const answer = await fetch(`${cluster.http()}/export/rooms/${roomId}.pdf`, { headers: { Authorization: `Bearer ${tokens.ada}` } });
    assert.equal(answer.status, 200);
    assert.equal(answer.headers.get('content-type'), 'application/pdf');
    assert.equal(answer.headers.get('x-total-messages'), '60');
    const pdf = Buffer.from(await answer.arrayBuffer()).toString('latin1');
    assert.ok(pdf.startsWith('%PDF-1.7\n') && pdf.endsWith('%%EOF\n'));
    const table = pdf.slice(Number(/startxref\n(\d+)/.exec(pdf)[1]));
    const rows = table.split('\n').slice(3).filter((row) => / n $/.test(row));
    for (const [i, row] of rows.entries()) assert.ok(pdf.startsWith(`${i + 1} 0 obj\n`, Number(row.slice(0, 10))), `object ${i + 1}`);
    assert.ok(Number(/\/Count (\d+)/.exec(pdf)[1]) >= 3);
    const unicode = new Map([...pdf.matchAll(/^<([0-9A-F]{4})><([0-9A-F]{4})>$/gm)].map(([, glyph, char]) => [glyph, String.fromCharCode(parseInt(char, 16))]));
    const lines = [...pdf.matchAll(/Td <([0-9A-F]*)> Tj/g)].map(([, hex]) => (hex.match(/.{4}/g) ?? []).map((glyph) => unicode.get(glyph)).join(''));
    assert.equal(lines[0], 'An <Export> *room*');
    assert.equal(lines.filter((line) => line === 'Привет, мир').length, 12);
    assert.equal(lines.filter((line) => line === 'Ärger & Größe (100 %)').length, 12);
    assert.equal(lines.join('').split('x'.repeat(400)).length - 1, 12, 'long words are broken and nothing is lost');
    assert.equal((await api('GET', `/export/rooms/${roomId}.pdf`, 'eve')).status, 403);
  });

  test('whispers of others are in no export, admins included; strangers get none', async () => {
    const roomId = await room(['bob', 'eve']);
    await post(roomId, 'ada', 'for everybody');
    await post(roomId, 'ada', 'for bob only', { visibility: 'whisper', visibleTo: ['bob'] });
    for (const [who, n] of [['ada', 2], ['bob', 2], ['eve', 1], ['root', 1]]) {
      const json = await ok('GET', `/export/messages.json?roomId=${roomId}`, who);
      assert.equal(json.json.messages.length, n, who);
      assert.equal(json.headers.get('x-total-messages'), String(n), who);
      assert.equal((await ok('GET', `/export/messages.csv?roomId=${roomId}`, who)).text.includes('for bob only'), n === 2, who);
      assert.equal((await ok('GET', `/export/rooms/${roomId}.markdown`, who)).text.includes('for bob only'), n === 2, who);
    }
    const compliance = await ok('GET', `/rooms/${roomId}/compliance-export`, 'root');
    assert.ok(!compliance.text.includes('for bob only'));
    const own = await room([]);
    for (const path of [`/export/messages.json?roomId=${own}`, `/export/messages.csv?roomId=${own}`, `/export/rooms/${own}.markdown`]) {
      assert.equal((await api('GET', path, 'bob')).json.error, 'forbidden', path);
      assert.equal((await call(cluster.http(), 'GET', path)).status, 401, path);
    }
    await ok('POST', `/rooms/${own}/members`, 'ada', { userId: 'bob' });
    await ok('POST', '/admin/ban', 'ada', { roomId: own, userId: 'bob' });
    assert.equal((await api('GET', `/export/messages.json?roomId=${own}`, 'bob')).json.error, 'banned');
  });

  test('GET /rooms/{id}/compliance-export: tombstones, membership, moderation; for administrators', async () => {
    const roomId = await room();
    const m = await post(roomId, 'bob', 'to be deleted');
    await ok('DELETE', `/messages/${m.id}`, 'bob');
    await ok('POST', `/rooms/${roomId}/members`, 'ada', { userId: 'eve' });
    await ok('POST', '/admin/mute', 'ada', { roomId, userId: 'bob' });
    for (const who of ['ada', 'bob']) assert.equal((await api('GET', `/rooms/${roomId}/compliance-export`, who)).status, 403, who);
    const { json } = await ok('GET', `/rooms/${roomId}/compliance-export`, 'root');
    assert.equal(json.room.id, roomId);
    assert.equal(json.exportedBy, 'root');
    assert.deepEqual(json.members.map((x) => [x.userId, x.role]), [['ada', 'owner'], ['bob', 'member'], ['eve', 'member']]);
    assert.deepEqual(json.entries.map((e) => e.entryKind), ['message', 'membership', 'moderation']);
    assert.equal(json.entries[0].deleted, true);
    assert.ok(json.entries[0].message.deletedAt);
    assert.equal(json.entries[2].action, 'mute');
    assert.equal(json.lastSeq, 4);
  });

  test('from, to and afterSeq; a resumed export gives exactly the rest', async () => {
    const roomId = await bigRoom(2500);
    const all = lines((await ok('GET', `/export/messages.ndjson?roomId=${roomId}`, 'ada')).text);
    assert.equal(all.length, 2501);
    assert.deepEqual(all.slice(0, -1).map((m) => m.seq), Array.from({ length: 2500 }, (_, i) => i + 1));
    // cut in the middle, go on behind the last whole line
    const part = await open(`/export/messages.ndjson?roomId=${roomId}`, 'ada');
    let text = '';
    for await (const chunk of part) {
      text += chunk;
      if (text.length > 100_000) break; // and the connection with it
    }
    const got = lines(text.slice(0, text.lastIndexOf('\n')));
    const rest = lines((await ok('GET', `/export/messages.ndjson?roomId=${roomId}&afterSeq=${got.at(-1).seq}`, 'ada')).text);
    assert.deepEqual([...got, ...rest.slice(0, -1)], all.slice(0, -1));
    assert.equal(rest.at(-1).lastSeq, 2500);
    const csv = (await ok('GET', `/export/messages.csv?roomId=${roomId}`, 'ada')).text.split('\r\n');
    const csvRest = (await ok('GET', `/export/messages.csv?roomId=${roomId}&afterId=${all[999].id}`, 'ada')).text;
    assert.equal(csvRest, csv.slice(1001).join('\r\n'), 'no second header');
    const { from, to } = { from: all[99].createdAt, to: all[1099].createdAt };
    const between = lines((await ok('GET', `/export/messages.ndjson?${new URLSearchParams({ roomId, from, to })}`, 'ada')).text);
    assert.deepEqual(between.slice(0, -1).map((m) => m.seq), Array.from({ length: 1001 }, (_, i) => i + 100));
    const none = await ok('GET', `/export/messages.ndjson?roomId=${roomId}&afterSeq=2500`, 'ada');
    assert.deepEqual(lines(none.text), [{ end: true, lastSeq: 2500, count: 0 }]);
    assert.equal(none.headers.get('x-total-messages'), '0');
  });

  test('export refuses what is malformed', async () => {
    const roomId = await room();
    for (const query of ['', 'roomId=a%20b', `roomId=${roomId}&from=x`, `roomId=${roomId}&afterSeq=-1`, `roomId=${roomId}&afterSeq=x`, `roomId=${roomId}&afterId=0`, `roomId=${roomId}&afterId=999999999999`]) {
      assert.equal((await api('GET', `/export/messages.json?${query}`, 'ada')).status, 400, query);
    }
    const head = await fetch(`${cluster.http()}/export/messages.csv?roomId=${roomId}`, { method: 'HEAD', headers: { Authorization: `Bearer ${tokens.ada}` } });
    assert.equal(head.status, 200);
    assert.equal(head.headers.get('x-total-messages'), '0');
    assert.equal(await head.text(), '');
  });

  test('200,000 messages pass through without growing a process by more than 24 MiB; a slow client waits, one that goes away is forgotten', async () => {
    const n = 200_000;
    const roomId = await bigRoom(n, "repeat('x', 200) || g");
    const pids = [...cluster.gateways, ...cluster.shards].map((node) => node.pid);
    const before = await Promise.all(pids.map(rssOf));
    let peak = before;
    const watch = setInterval(async () => {
      const now = await Promise.all(pids.map(rssOf)).catch(() => peak);
      peak = peak.map((rss, i) => Math.max(rss, now[i]));
    }, 20);
    const answer = await open(`/export/messages.csv?roomId=${roomId}`, 'ada');
    assert.equal(answer.headers['x-total-messages'], String(n));
    let rows = -1, bytes = 0, last = 0;
    for await (const chunk of answer) {
      bytes += chunk.length;
      for (let at = chunk.indexOf(10); at >= 0; at = chunk.indexOf(10, at + 1)) rows++;
      last = chunk.at(-1);
    }
    assert.equal(rows, n);
    assert.equal(last, 10);
    assert.ok(bytes > n * 200);

    // one that does not read at all: the gateway stops asking for pages
    const pages = async () => {
      const texts = await Promise.all(cluster.shards.map((s) => cluster.metrics(s.admin)));
      return texts.reduce((sum, text) => sum + Number(/fluxy_calls_total\{op="export_page"\} (\d+)/.exec(text)?.[1] ?? 0), 0);
    };
    const start = await pages();
    const slow = await open(`/export/messages.ndjson?roomId=${roomId}`, 'ada');
    slow.pause();
    let held;
    await eventually('the pages to stop', async () => {
      const was = held;
      held = await pages();
      return was !== undefined && was === held && held > start;
    });
    assert.ok(held - start < 200, `${held - start} pages of 1000 were read for a client that takes nothing`);
    clearInterval(watch);
    for (const [i, rss] of peak.entries()) assert.ok(rss - before[i] < 24, `process ${i} grew from ${before[i]} to ${rss} MiB`);
    slow.destroy();
    await eventually('the export to be forgotten', async () => {
      const texts = await Promise.all(cluster.gateways.map((g) => cluster.metrics(g.admin)));
      return texts.every((text) => /^fluxy_exports_active 0$/m.test(text));
    });
  });
});
