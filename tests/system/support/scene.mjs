// A cluster with a relay between all its processes (tests/chaos), so that each pair of them can be cut apart.
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Scene } from '../../chaos/lib/scene.mjs';
import { eventually } from './cluster.mjs';

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..', '..');
const relay = join(root, process.env.FLUXY_BUILD_DIR ?? 'build', 'tests', 'chaos', 'chaos_proxy');
const names = ['gateway-1', 'gateway-2', 'shard-1', 'shard-2'];

/** Two gateways and two shards, until the end of the test. */
export async function relayed(t) {
  const scene = await Scene.up({ gateways: 2, shards: 2, spares: 0, env: { FLUXY_RATE_LIMIT_SCALE: '100000' }, proxy: relay });
  t.after(async () => {
    const complaints = await scene.down();
    if (complaints.length) throw new Error(complaints.join('\n'));
  });
  return scene;
}

export const members = (scene, name) => scene.cluster.figure(name, 'fluxy_ring_members');

/** All four go by one ring, with both shards on it. */
export const isWhole = (scene) => eventually('all are on one ring of two', async () => {
  const counts = await Promise.all(names.map((name) => members(scene, name)));
  const epochs = await Promise.all(names.map((name) => scene.cluster.figure(name, 'fluxy_ring_generation')));
  return counts.every((n) => n === 2) && new Set(epochs).size === 1;
}, 30000);
