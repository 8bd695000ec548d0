// What a room's length costs: history pages and a search in a room of 100,000 messages beside the same in one of 1,000,
// in turns, in one run. FLUXY_TEST_DEPTH_MESSAGES and FLUXY_TEST_DEPTH_TURNS make it larger.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Cluster, mint } from './support/cluster.mjs';

const SMALL = 1_000;
const LARGE = Number(process.env.FLUXY_TEST_DEPTH_MESSAGES ?? 100_000);
const TURNS = Number(process.env.FLUXY_TEST_DEPTH_TURNS ?? 150);
const HITS = 50;
const MOST = 1.5;

describe('depth', () => {
  let cluster, token;
  const rooms = { small: SMALL, large: LARGE };

  before(async () => {
    cluster = await Cluster.up(undefined, { gateways: 1, shards: 1 });
    token = await mint(cluster, 'ada');
    let base = 1e9;
    for (const [id, n] of Object.entries(rooms)) {
      await cluster.sql(`INSERT INTO rooms (project_id, room_id, type, name, created_by, created_at, last_created_at, fence, last_seq, last_id, message_count)
        VALUES ('${cluster.project}', '${id}', 'group', '${id}', 'ada', now() - interval '2 days', now(), 0, ${n}, ${base} + ${n}, ${n})`);
      await cluster.sql(`INSERT INTO members (project_id, room_id, user_id, role, joined_at) VALUES ('${cluster.project}', '${id}', 'ada', 5, now())`);
      // the needle stands in as many messages of either room, spread over all of it
      await cluster.sql(`INSERT INTO timeline (project_id, room_id, seq, updated_seq, id, created_at, dedupe, kind, version, user_id, content, message_no)
        SELECT '${cluster.project}', '${id}', g, g, ${base} + g, now() - interval '1 day' + g * interval '1 ms', md5('${id}' || g)::uuid, 1, 1, 'ada',
          'message ' || g || ' about ' || g % 997 || CASE WHEN g % ${n / HITS} = 0 THEN ' needle' ELSE '' END, g FROM generate_series(1, ${n}) g`);
      await cluster.sql(`INSERT INTO message_search (project_id, room_id, seq, words)
        SELECT project_id, room_id, seq, search_words(project_id, room_id, content) FROM timeline WHERE room_id = '${id}'`);
      await cluster.sql(`INSERT INTO search_state VALUES ('${cluster.project}', '${id}', ${n}) ON CONFLICT (project_id, room_id) DO UPDATE SET indexed_seq = ${n}`);
      base += 1e7;
    }
    await cluster.sql('ANALYZE timeline, message_search');
  });
  after(() => cluster?.remove());

  const page = (query) => async (room, n) => {
    const answer = await fetch(`${cluster.http()}/api/messages?roomId=${room}&limit=50&${query(n)}`, { headers: { Authorization: `Bearer ${token}` } });
    const { messages } = await answer.json();
    assert.equal(messages.length, 50);
  };
  const measures = {
    'first page': page((n) => ''),
    'page in the middle': page((n) => `beforeSeq=${n / 2}`),
    'page in the middle, by time': page((n) => `before=${encodeURIComponent(rooms.at[n])}`),
    'last page': page((n) => 'beforeSeq=51'),
    'search, 50 hits': async (room) => {
      const answer = await fetch(`${cluster.http()}/search/messages?roomId=${room}&q=needle&limit=50`, { headers: { Authorization: `Bearer ${token}` } });
      const { results } = await answer.json();
      assert.equal(results.length, HITS);
    },
    'search over all rooms, 50 of 100 hits': async () => {
      const answer = await fetch(`${cluster.http()}/search/messages?q=needle&limit=50`, { headers: { Authorization: `Bearer ${token}` } });
      assert.equal((await answer.json()).results.length, 50);
    },
  };

  test(`pages and a search cost in ${LARGE} messages what they cost in ${SMALL}, within ${MOST}`, async (t) => {
    rooms.at = {};
    for (const room of ['small', 'large']) {
      const [[at]] = await cluster.sql(`SELECT fluxy_time(created_at) FROM timeline WHERE room_id = '${room}' AND seq = ${rooms[room] / 2}`);
      rooms.at[rooms[room]] = at;
    }
    const median = (list) => list.sort((a, b) => a - b)[list.length >> 1];
    const bad = [];
    for (const [name, measure] of Object.entries(measures)) {
      const us = { small: [], large: [] };
      for (let turn = 0; turn < TURNS + 10; turn++) {
        for (const room of turn % 2 ? ['small', 'large'] : ['large', 'small']) {
          const start = process.hrtime.bigint();
          await measure(room, rooms[room]);
          if (turn >= 10) us[room].push(Number(process.hrtime.bigint() - start) / 1000);
        }
      }
      const small = median(us.small), large = median(us.large), ratio = large / small;
      t.diagnostic(`${name.padEnd(38)} ${small.toFixed(0).padStart(6)} us  ${large.toFixed(0).padStart(6)} us  x ${ratio.toFixed(2)}`);
      if (ratio > MOST) bad.push(`${name}: ${ratio.toFixed(2)}`);
    }
    assert.deepEqual(bad, []);
  });
});
