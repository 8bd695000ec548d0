// Tokens that POST /auth/token does not make: of any lifetime, pinned to a room. Signed with the project's secret, which
// the test opens as a shard does: with the cluster's master key.
import { createDecipheriv, createHmac } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

function named(text) {
  const bytes = Buffer.from(text);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(bytes.length);
  return Buffer.concat([length, bytes]);
}

async function masterKey(cluster) {
  const text = (await readFile(join(cluster.dir, 'secrets', 'master.key'), 'utf8')).trim();
  return Buffer.from(text, /^[0-9a-f]{64}$/i.test(text) ? 'hex' : 'base64');
}

/** The secret that signs a project's tokens. */
export async function projectSecret(cluster, project = cluster.project) {
  const [[kid, hex]] = await cluster.sql(`select kid, encode(sealed, 'hex') from project_secrets where project_id = '${project}' and purpose = 'jwt' order by created_at desc limit 1`);
  const sealed = Buffer.from(hex, 'hex');
  const cipher = createDecipheriv('aes-256-gcm', await masterKey(cluster), sealed.subarray(0, 12));
  cipher.setAAD(Buffer.concat([named(project), named(kid), named('jwt')]));
  cipher.setAuthTag(sealed.subarray(-16));
  return Buffer.concat([cipher.update(sealed.subarray(12, -16)), cipher.final()]);
}

const base64url = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');

/** A token for `user` that ends `seconds` from now. */
export async function forge(cluster, user, seconds, claims = {}) {
  cluster.jwtSecret ??= await projectSecret(cluster);
  const now = Math.floor(Date.now() / 1000);
  const body = `${base64url({ alg: 'HS256', typ: 'JWT' })}.${base64url({ sub: user, tid: cluster.project, roles: ['member'], iat: now, exp: now + seconds, ...claims })}`;
  return `${body}.${createHmac('sha256', cluster.jwtSecret).update(body).digest('base64url')}`;
}
