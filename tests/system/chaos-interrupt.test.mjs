// A campaign of faults that somebody interrupts leaves nothing behind, at whatever point it is.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { chmod, mkdtemp, readdir, readlink, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { eventually } from './support/cluster.mjs';

const program = join(dirname(fileURLToPath(import.meta.url)), '..', 'chaos', 'run');

/** Processes that are at home in the folder: all nodes of a cluster are. */
async function inhabitants(dir) {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const homes = await Promise.all(pids.map((pid) => readlink(`/proc/${pid}/cwd`).catch(() => ''))); // it has gone, or is a zombie
  return pids.filter((_, i) => homes[i].startsWith(dir)).map(Number);
}

const moments = [
  ['while it starts, and again while it cleans up', 'SIGINT', async (dir) => {
    await eventually('the first processes', async () => (await inhabitants(dir)).length > 0, 60000);
  }],
  ['while faults go on', 'SIGTERM', async (dir, printed) => {
    await eventually('a fault', () => /clients in \d+ rooms\n(.*\n)*.*(kill|pause|cut|hold|drain)/.test(printed()), 120000);
  }],
];

for (const [when, signal, moment] of moments) {
  test(`interrupted ${when}`, { timeout: 400000 }, async (t) => {
    const dir = await mkdtemp(join(tmpdir(), 'fluxy-interrupt-'));
    await chmod(dir, 0o711); // PostgreSQL, when it runs as another user, must get through
    t.after(() => rm(dir, { recursive: true, force: true }));
    const child = spawn(program, ['--short', '--clients', '12', '--rate', '20'], { detached: true, env: { ...process.env, TMPDIR: dir }, stdio: ['ignore', 'pipe', 'pipe'] });
    const ended = new Promise((resolve) => child.once('exit', (code, by) => resolve(code ?? by)));
    t.after(async () => {
      for (const pid of await inhabitants(dir)) process.kill(pid, 'SIGKILL');
    });
    let printed = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (text) => (printed += text));
    await Promise.race([moment(dir, () => printed), ended.then((code) => assert.fail(`it ended with ${code}:\n${printed}`))]);
    if (signal === 'SIGINT') {
      process.kill(-child.pid, signal); // as a terminal does: to the whole group
      await eventually('it says so', () => printed.includes('SIGINT: stopping'));
      process.kill(-child.pid, signal);
    } else child.kill(signal);
    assert.equal(await ended, 130, printed);
    await eventually(`nobody is left; ${printed}`, async () => (await inhabitants(dir)).length === 0);
    assert.deepEqual(await readdir(dir), [], printed);
  });
}
