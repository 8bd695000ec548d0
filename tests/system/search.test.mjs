// Search: messages and conversations, over what the caller may see and nothing else; the index follows behind the commits.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { call, Cluster, eventually, mint } from './support/cluster.mjs';

describe('search', () => {
  let cluster;
  const tokens = {};
  const api = (method, path, who, body, gateway = 0) => call(cluster.http(gateway), method, path, { token: tokens[who], body });
  const ok = async (method, path, who, body) => {
    const got = await api(method, path, who, body);
    assert.equal(got.status, 200, `${method} ${path}: ${got.text}`);
    return got.json;
  };
  const room = async (members = ['bob'], more = {}) => {
    const id = `s-${randomUUID().slice(0, 8)}`;
    await ok('POST', '/rooms', 'ada', { id, name: `Room ${id}`, type: 'group', members: members.map((userId) => ({ userId })), ...more });
    return id;
  };
  const post = async (roomId, who, content, more = {}) => (await ok('POST', '/messages', who, { roomId, content, ...more })).message;
  const search = (who, query) => ok('GET', `/search/messages?${new URLSearchParams(query)}`, who);
  /** Waits until the index has caught up so far that the search gives what it should. */
  const finds = async (who, query, ids) => {
    let got;
    await eventually(`${JSON.stringify(query)} to find ${ids}, found ${JSON.stringify(got?.results?.map((r) => r.id))}`, async () => {
      got = await search(who, query);
      return JSON.stringify(got.results.map((r) => r.id)) === JSON.stringify(ids);
    });
    return got;
  };

  before(async () => {
    cluster = await Cluster.up();
    for (const user of ['ada', 'bob', 'eve']) tokens[user] = await mint(cluster, user);
    tokens.root = await mint(cluster, 'root', { roles: ['admin'] });
  });
  after(() => cluster?.remove());

  test('GET /search/messages finds words without case, the last one as a beginning, with a safe snippet', async () => {
    const roomId = await room();
    const a = await post(roomId, 'ada', 'The quick <b>Brown</b> fox & friends');
    const b = await post(roomId, 'bob', 'a quick brownie');
    await post(roomId, 'bob', 'nothing of the kind');
    const got = await finds('ada', { q: 'QUICK brow', roomId }, [b.id, a.id]);
    assert.equal(got.query, 'QUICK brow');
    assert.equal(got.mode, 'text');
    assert.equal(got.nextCursor, null);
    const { rank, ...row } = got.results[1];
    assert.ok(rank > 0);
    assert.deepEqual(row, {
      id: a.id, roomId, roomName: `Room ${roomId}`, userId: 'ada', content: a.content, createdAt: a.createdAt,
      snippet: 'The <mark>quick</mark> &lt;b&gt;<mark>Brown</mark>&lt;/b&gt; fox &amp; friends',
    });
    assert.deepEqual(got.messages[1], { id: a.id, room_id: roomId, user_id: 'ada', content: a.content, created_at: a.createdAt });
    await finds('ada', { q: 'quick brown fox', roomId }, [a.id]);
    await finds('ada', { q: 'brown quick', roomId }, [a.id]);
    assert.deepEqual((await search('ada', { q: 'qui brown', roomId })).results, [], 'only the last word is a beginning');
    assert.deepEqual((await search('ada', { q: '...', roomId })).results, []);
  });

  test('search is of no language: accents, scripts, urls, quotes, backslashes', async () => {
    const roomId = await room();
    const texts = ['ÄRGER mit Größe', 'Привет МИР', '東京タワーへ行く', "it's O'Brien's \\path\\ 100%_sure", 'see https://example.com/a/b?c=d', 'ﬁne ｗｉｄｅ text'];
    const ids = {};
    for (const text of texts) ids[text] = (await post(roomId, 'ada', text)).id;
    for (const [q, text] of [['ärger grösse', undefined], ['ärger größe', texts[0]], ['привет ми', texts[1]], ['京', texts[2]], ['タワー', texts[2]], ["o'brien", texts[3]], ['100', texts[3]], ['\\path', texts[3]],
      ['example.com', texts[4]], ['fine wide', texts[5]]]) {
      await finds('ada', { q, roomId }, text ? [ids[text]] : []);
    }
  });

  test('edits are found by their new words, deletes not at all', async () => {
    const roomId = await room();
    const m = await post(roomId, 'ada', 'originalword');
    await finds('ada', { q: 'originalword' }, [m.id]);
    const edited = await api('PATCH', `/messages/${m.id}`, 'ada', { content: 'replacedword' });
    assert.equal(edited.status, 200, edited.text);
    await finds('ada', { q: 'replacedword' }, [m.id]);
    await finds('ada', { q: 'originalword' }, []);
    assert.equal((await api('DELETE', `/messages/${m.id}`, 'ada')).status, 200);
    assert.deepEqual((await search('ada', { q: 'replacedword' })).results, [], 'at once, before the index knows');
    await eventually('the row to leave the index', async () => {
      const [[n]] = await cluster.sql(`SELECT count(*) FROM message_search WHERE room_id = '${roomId}'`);
      return n === '0';
    });
  });

  test('whispers are found by those who may see them, never by others, admins included; expired ones by nobody', async () => {
    const roomId = await room(['bob', 'eve']);
    const w = await post(roomId, 'ada', 'whisperedword', { visibility: 'whisper', visibleTo: ['bob'] });
    await finds('ada', { q: 'whisperedword' }, [w.id]);
    await finds('bob', { q: 'whisperedword' }, [w.id]);
    for (const who of ['eve', 'root']) {
      assert.deepEqual((await search(who, { q: 'whisperedword' })).results, []);
      assert.deepEqual((await ok('GET', '/search/conversations?q=whisperedword', who)).rooms, []);
    }
    const e = await post(roomId, 'ada', 'expiringword', { expiresInSeconds: 3600 });
    await finds('bob', { q: 'expiringword' }, [e.id]);
    await cluster.sql(`UPDATE timeline SET expires_at = now() - interval '1 s' WHERE id = ${e.id}`);
    assert.deepEqual((await search('bob', { q: 'expiringword' })).results, []);
  });

  test('only rooms that the caller is in; the project\'s admin sees all of the project, another project nothing', async () => {
    const roomId = await room([]);
    const m = await post(roomId, 'ada', 'secludedword');
    await finds('ada', { q: 'secludedword' }, [m.id]);
    await finds('root', { q: 'secludedword' }, [m.id]);
    assert.deepEqual((await search('bob', { q: 'secludedword' })).results, []);
    const asked = await api('GET', `/search/messages?q=secludedword&roomId=${roomId}`, 'bob');
    assert.equal(asked.status, 403);
    const nowhere = await api('GET', '/search/messages?q=secludedword&roomId=no-such-room', 'root');
    assert.equal(nowhere.status, 403);
    assert.equal(nowhere.json.error, asked.json.error, 'does not say whether the room exists');
    // the rows of another project, in the same tables
    await cluster.sql(`INSERT INTO message_search SELECT 'other', room_id, seq, search_words('other', room_id, 'secludedword') FROM message_search WHERE room_id = '${roomId}'`);
    assert.deepEqual((await search('root', { q: 'secludedword' })).results.map((r) => r.id), [m.id]);
  });

  test('ranked, recent first among equals, paged by cursor to the end without repeats', async () => {
    const roomId = await room();
    const twice = await post(roomId, 'ada', 'pagedword and pagedword again');
    const once = [];
    for (let i = 0; i < 12; i++) once.unshift((await post(roomId, 'ada', `pagedword number ${i}`)).id);
    await finds('ada', { q: 'pagedword', roomId }, [twice.id, ...once]);
    const seen = [];
    let cursor;
    for (let page = 0; page < 10; page++) {
      const got = await search('ada', { q: 'pagedword', roomId, limit: 5, ...(cursor && { cursor }) });
      seen.push(...got.results.map((r) => r.id));
      assert.ok(got.results.length <= 5);
      cursor = got.nextCursor;
      if (!cursor) break;
    }
    assert.deepEqual(seen, [twice.id, ...once]);
    const [from, to] = await Promise.all([once[8], once[2]].map(async (id) => (await search('ada', { q: 'pagedword', roomId })).results.find((r) => r.id === id).createdAt));
    assert.deepEqual((await search('ada', { q: 'pagedword number', roomId, from, to })).results.map((r) => r.id), once.slice(2, 9));
  });

  test('GET /search/conversations counts by room, newest first', async () => {
    const one = await room(), two = await room();
    await post(one, 'ada', 'countedword one');
    await post(one, 'ada', 'countedword two');
    const last = await post(two, 'bob', 'countedword three');
    await finds('ada', { q: 'countedword three' }, [last.id]);
    const rooms = await eventually('all of both rooms', async () => {
      const got = (await ok('GET', '/search/conversations?q=countedword', 'ada')).rooms;
      return got.reduce((sum, r) => sum + r.matches, 0) === 3 && got;
    });
    assert.deepEqual(Object.fromEntries(rooms.map((r) => [r.room_id, r.matches])), { [two]: 1, [one]: 2 });
    // Shards' clocks agree within what one round trip to PostgreSQL tells.
    assert.ok(rooms[0].lastMessage >= rooms[1].lastMessage, 'newest first');
    assert.equal(rooms.find((r) => r.room_id === two).lastMessage, last.createdAt);
    assert.equal((await ok('GET', '/search/conversations?q=countedword&limit=1', 'ada')).rooms.length, 1);
  });

  test('search refuses what is malformed', async () => {
    for (const query of ['', 'q=', `q=${'x'.repeat(257)}`, 'q=x&limit=0', 'q=x&limit=201', 'q=x&limit=x', 'q=x&cursor=abc', 'q=x&cursor=1-2', 'q=x&from=yesterday', 'q=x&roomId=a%20b', 'q=%00', 'q=%ff']) {
      assert.equal((await api('GET', `/search/messages?${query}`, 'ada')).status, 400, query);
    }
    assert.equal((await call(cluster.http(), 'GET', '/search/messages?q=x')).status, 401);
    assert.equal((await api('GET', '/search/conversations', 'ada')).status, 400);
  });

  test('what a killed shard had not indexed is found after the room wakes elsewhere', async () => {
    const roomId = await room();
    await post(roomId, 'ada', 'first');
    const m = await post(roomId, 'ada', 'survivingword');
    await Promise.all(['shard-1', 'shard-2'].map((name) => cluster.node('kill', name)));
    await cluster.sql(`DELETE FROM message_search WHERE room_id = '${roomId}'`);
    await cluster.sql(`DELETE FROM search_state WHERE room_id = '${roomId}'`);
    for (const name of ['shard-1', 'shard-2']) await cluster.node('start', name);
    await eventually('the room answers', async () => (await api('GET', `/rooms/${roomId}`, 'ada')).status === 200, 15000);
    await finds('ada', { q: 'survivingword' }, [m.id]);
  });
});
