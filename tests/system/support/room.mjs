// A room with sockets in it, and what its sockets say about who is there.
import assert from 'node:assert/strict';
import { Client } from './client.mjs';
import { call, eventually, mint } from './cluster.mjs';

export const users = (frame) => frame?.users?.toSorted();
export const last = (client, type) => client.of(type).at(-1);

/** A room of everybody named, and sockets in it: who: [[gateway, user], ...]. */
export async function gather(cluster, id, who, options = {}) {
  const names = [...new Set(who.map(([, user]) => user))];
  const tokens = Object.fromEntries(await Promise.all(names.map(async (user) => [user, await mint(cluster, user)])));
  const made = await call(cluster.http(), 'POST', '/rooms', { token: tokens[names[0]], body: { id, name: id, type: 'group', members: names.slice(1).map((userId) => ({ userId, role: 'member' })) } });
  assert.equal(made.status, 200, made.text);
  const clients = [];
  for (const [gateway, user] of who) clients.push(await Client.join(cluster.ws(gateway), id, tokens[user], options));
  return { clients, tokens };
}

/** Everybody's last presence lists exactly these. */
export const allSee = (clients, names, ms) =>
  eventually(`everybody sees ${names}`, () => clients.every((c) => String(users(last(c, 'presence'))) === String(names.toSorted())), ms);

/** How many rooms are awake, over all shards. */
export async function roomsInShards(cluster) {
  const texts = await Promise.all(cluster.shards.map((s) => cluster.metrics(s.admin.startsWith('http') ? s.admin : `http://${s.admin}`)));
  return texts.reduce((sum, text) => sum + Number(/^fluxy_rooms\{state="active"\} (\d+)/m.exec(text)?.[1] ?? NaN), 0);
}
