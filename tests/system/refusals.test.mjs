// Who is not let into a room hears why: the handshake is finished, then the socket is closed with 1008 and a word that
// old clients know (they stop at it).
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Client } from './support/client.mjs';
import { call, Cluster, mint } from './support/cluster.mjs';
import { forge } from './support/token.mjs';

describe('refused sockets', () => {
  let cluster, ada, admin;
  const api = (method, path, options) => call(cluster.http(), method, path, options);
  const refused = async (room, token, query = {}) => {
    const client = await Client.open(cluster.ws(), room, token, { query });
    const closed = await client.untilClosed();
    assert.equal(client.frames.length, 0, 'nothing is shown to who is not let in');
    return closed;
  };

  before(async () => {
    cluster = await Cluster.up(undefined, { gateways: 1, shards: 1 });
    ada = await mint(cluster, 'ada');
    admin = await mint(cluster, 'root', { roles: ['admin'] });
    await api('POST', '/rooms', { token: ada, body: { id: 'closed', name: 'c', type: 'group', members: [{ userId: 'bob' }, { userId: 'kim' }] } });
    await api('POST', '/rooms', { token: ada, body: { id: 'open', name: 'o', type: 'public' } });
  });
  after(() => cluster?.remove());

  test('not_member', async () => {
    const eve = await mint(cluster, 'eve');
    assert.deepEqual(await refused('closed', eve), { code: 1008, reason: 'not_member' });
    assert.deepEqual(await refused('no-such-room', eve), { code: 1008, reason: 'not_member' }, 'the two look the same');
    assert.deepEqual(await refused('closed', eve, { userId: 'ada', apiKey: cluster.apiKey }), { code: 1008, reason: 'not_member' }, 'userId and apiKey let nobody in');
  });

  test('forbidden', async () => {
    assert.deepEqual(await refused('closed', await forge(cluster, 'ada', 600, { roomId: 'open' })), { code: 1008, reason: 'forbidden' });
  });

  test('token_expired', async () => {
    assert.deepEqual(await refused('closed', await forge(cluster, 'ada', -1)), { code: 1008, reason: 'token_expired' });
  });

  test('invalid_token', async () => {
    const [head, body] = ada.split('.');
    const none = Buffer.from('{"alg":"none"}').toString('base64url');
    for (const bad of ['x', '', `${head}.${body}.AAAA`, `${none}.${body}.`, await forge(cluster, 'ada', 600, { tid: 'other' }), await forge(cluster, 'ada', 600, { exp: undefined })]) {
      assert.deepEqual(await refused('closed', bad), { code: 1008, reason: 'invalid_token' }, bad);
    }
    assert.deepEqual(await refused('closed', '', { apiKey: cluster.apiKey }), { code: 1008, reason: 'invalid_token' }, 'a good key is no token');
  });

  test('invalid_api_key', async () => {
    for (const apiKey of ['fc_short', `fc_${'0'.repeat(32)}`]) {
      assert.deepEqual(await refused('closed', '', { apiKey }), { code: 1008, reason: 'invalid_api_key' });
    }
  });

  test('banned', async () => {
    const bob = await mint(cluster, 'bob');
    assert.equal((await api('POST', '/admin/ban', { token: admin, body: { roomId: 'closed', userId: 'bob' } })).status, 200);
    assert.deepEqual(await refused('closed', bob), { code: 1008, reason: 'banned' });
    assert.equal((await api('POST', '/admin/unban', { token: admin, body: { roomId: 'closed', userId: 'bob' } })).status, 200);
  });

  test('channel_at_capacity', async () => {
    await cluster.sql(`INSERT INTO rooms (project_id, room_id, last_created_at, fence, created_at, type, name, created_by) VALUES ('${cluster.project}', 'full', now(), 0, now(), 'public', 'f', 'ada')`);
    await cluster.sql(`INSERT INTO members (project_id, room_id, user_id, role, joined_at) SELECT '${cluster.project}', 'full', 'u' || n, (SELECT role FROM members WHERE room_id = 'closed' AND user_id = 'kim'), now() FROM generate_series(1, 100000) n`);
    assert.deepEqual(await refused('full', await mint(cluster, 'late')), { code: 1008, reason: 'channel_at_capacity' });
    await (await Client.join(cluster.ws(), 'full', await mint(cluster, 'u7'))).close(); // who is in comes in
  });

  test('anonymous_not_allowed', async () => {
    const guest = (await api('POST', '/tokens/anonymous', { key: cluster.apiKey, body: {} })).json;
    await (await Client.join(cluster.ws(), 'open', guest.token)).close(); // as long as they are allowed
    await cluster.node('stop', 'gateway-1');
    await cluster.command('up', '--gateways', '1', '--shards', '1', '--env', 'FLUXY_ALLOW_ANONYMOUS=false');
    Object.assign(cluster, await cluster.status());
    assert.deepEqual(await refused('open', guest.token), { code: 1008, reason: 'anonymous_not_allowed' });
    const rest = await api('POST', '/tokens/anonymous', { key: cluster.apiKey, body: {} });
    assert.equal(rest.status, 403);
    assert.equal(rest.json.code, 'anonymous_not_allowed');
  });
});
