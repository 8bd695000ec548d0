// tests/bench/fairness: one tenant floods at many times its limits while another's latencies are measured, with and
// without the flood in turns, in one run.
import { execFileSync, fork } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { setPriority, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { sleep } from './client.mjs';

const here = dirname(fileURLToPath(import.meta.url));
const top = join(here, '..', '..', '..', '..');

const usage = `usage: tests/bench/fairness [options]
  --seconds N     of each phase (default 6)
  --rounds N      of a quiet phase and one with the flood (default 3)
  --frames N      that the flooding tenant sends per second (default 6000)
  --bytes N       of each (default 2000)
  --pages N       history pages of 500 that it reads at a time (default 20)
  --exports N     exports at a time (default 10)
  --searches N    searches at a time (default 4)
  --fill N        characters of each message that is there to be read (default 400)
  --json          the figures as JSON on the last line
  --check         exit status 1 when a p99 is more than --factor times as long, and --slack-ms longer
  --factor N      (default 1.5)
  --slack-ms N    (default 5)`;

const { values: o } = parseArgs({
  options: {
    ...Object.fromEntries(['seconds', 'rounds', 'frames', 'bytes', 'pages', 'exports', 'searches', 'fill', 'factor', 'slack-ms'].map((name) => [name, { type: 'string' }])),
    ...Object.fromEntries(['json', 'check', 'help'].map((name) => [name, { type: 'boolean' }])),
  },
});
if (o.help) {
  console.log(usage);
  process.exit(0);
}
const number = (name, otherwise) => (o[name] === undefined ? otherwise : Number(o[name]));
const seconds = number('seconds', 6);
const rounds = number('rounds', 3);
const options = { frames: number('frames', 6000), bytes: number('bytes', 2000), pages: number('pages', 20), exports: number('exports', 10), searches: number('searches', 4), fill: number('fill', 400), socketsEach: 3 };

/* ---- the cluster ---- */

const dir = mkdtempSync(join(tmpdir(), 'fluxy-fair-'));
const cluster = (...args) => {
  const out = execFileSync(join(top, 'deploy', 'local', 'cluster'), [...args, '--dir', dir, '--json'], { stdio: ['ignore', 'pipe', 'inherit'], encoding: 'utf8' });
  const last = out.trim().split('\n').at(-1) ?? '';
  return last.startsWith('{') ? JSON.parse(last) : undefined;
};
const children = [];
process.on('exit', () => {
  for (const child of children) child.kill();
  try {
    cluster('down');
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
});
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(1));

const up = cluster('up', '--gateways', '1', '--shards', '1');
const base = up.gateways[0].http;
const api = async (method, path, headers, body) => {
  const answer = await fetch(base + path, { method, headers: { 'Content-Type': 'application/json', ...headers }, body: JSON.stringify(body) });
  if (answer.status >= 300) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`);
  return answer.json();
};

/** A project with users in rooms. */
async function tenant(name, users, nRooms) {
  const { apiKey } = cluster('project', 'add', name);
  const names = Array.from({ length: users }, (_, i) => `${name}-u${i}`);
  const tokens = [];
  for (const userId of names) tokens.push((await api('POST', '/auth/token', { 'X-Fluxy-Api-Key': apiKey }, { userId })).token);
  const rooms = [];
  for (let i = 0; i < nRooms; i++) {
    rooms.push(`${name}-r${i}`);
    await api('POST', '/rooms', { Authorization: `Bearer ${tokens[0]}` }, { id: rooms[i], name: rooms[i], type: 'group', members: names.slice(1).map((userId) => ({ userId, role: 'member' })) });
  }
  return { base, tokens, rooms };
}

/** Something to read and to export, put straight into the rooms' history by their members. */
async function fill(who, perRoom) {
  for (const roomId of who.rooms) {
    await Promise.all(who.tokens.map(async (token, i) => {
      for (let n = 0; n < perRoom; n++) {
        await api('POST', '/messages', { Authorization: `Bearer ${token}` }, { roomId, content: `word${n % 50} of ${i}: ${'y'.repeat(options.fill)}` }).catch(() => {}); // over the limit: enough
      }
    }));
  }
}

async function start(script, env) {
  const child = fork(join(here, script), { env: { ...process.env, FAIRNESS: JSON.stringify(env) } });
  children.push(child);
  // Where cores are few, the generator of the flood must not be what the other tenant waits for.
  if (script === 'flood.mjs') setPriority(child.pid, 19);
  child.on('exit', (code) => { if (code) process.exit(code); });
  await new Promise((ready) => child.once('message', ready));
  return (order) => new Promise((resolve) => {
    child.once('message', resolve);
    child.send(order);
  });
}

/* ---- the run ---- */

const a = await tenant('flood', 10, 8);
const b = await tenant('calm', 10, 5);
await fill(a, 60);
await fill(b, 20);
const flood = await start('flood.mjs', { ...a, options });
const calm = await start('measure.mjs', b);

const phases = { quiet: {}, flood: {} };
const processes = { quiet: {}, flood: {} };
/** What a process has used and how long its longest turn was since the last look. */
async function look(admin) {
  const text = await (await fetch(`${admin.startsWith('http') ? '' : 'http://'}${admin}/metrics`)).text();
  const value = (name) => Number(text.match(new RegExp(`^${name} (.*)$`, 'm'))[1]);
  return { cpu: value('process_cpu_seconds_total'), turn: value('fluxy_loop_longest_turn_cpu_seconds') * 1000 };
}
const nodes = [...up.gateways, ...up.shards];
const lookAll = () => Promise.all(nodes.map((node) => look(node.admin)));

const LOOK_MS = 250;
const REST_MS = 60000;
const AT_REST = 0.5; // of a core, in each process: what is measured goes on

/** Until what the flood has left behind is done with: no process is busy any more. */
async function atRest() {
  const end = performance.now() + REST_MS;
  for (let was = await lookAll(), at = performance.now(); ;) {
    await sleep(LOOK_MS);
    const now = await lookAll();
    const elapsed = (performance.now() - at) / 1000;
    if (now.every(({ cpu }, i) => (cpu - was[i].cpu) / elapsed < AT_REST)) return;
    if (performance.now() > end) throw new Error(`the cluster is still busy after ${REST_MS} ms`);
    was = now;
    at = performance.now();
  }
}

const work = {};
for (let round = 0; round < rounds; round++) {
  for (const phase of ['quiet', 'flood']) {
    await flood(phase === 'flood' ? 'on' : 'off');
    if (phase === 'quiet') await atRest();
    await calm('next');
    const before = await lookAll();
    await sleep(seconds * 1000);
    const { samples } = await calm('next');
    (await lookAll()).forEach(({ cpu, turn }, i) => {
      const all = (processes[phase][nodes[i].name] ??= { cpu: 0, turn: 0 });
      all.cpu += (cpu - before[i].cpu) / (seconds * rounds);
      all.turn = Math.max(all.turn, turn);
    });
    for (const [what, list] of Object.entries(samples)) (phases[phase][what] ??= []).push(...list);
    if (phase === 'flood') {
      const { counts } = await flood('off');
      for (const [what, n] of Object.entries(counts)) work[what] = (work[what] ?? 0) + n;
    }
  }
}

/* ---- the report ---- */

const at = (sorted, part) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))];
const ms = (x) => (Number.isFinite(x) ? x.toFixed(1) : 'failed');
const per = (n) => Math.round(n / (rounds * seconds));
const figures = {};
console.log(`the other tenant, per second: ${Object.entries(work).map(([what, n]) => `${per(n)} ${what}`).join(', ')}`);
console.log('                    quiet p50    p99     flood p50    p99    p99 is');
let isFair = true;
for (const what of Object.keys(phases.quiet)) {
  const [quiet, loud] = [phases.quiet[what], phases.flood[what] ?? [Infinity]].map((list) => list.toSorted((x, y) => x - y));
  const f = { quiet: { p50: at(quiet, 0.5), p99: at(quiet, 0.99) }, flood: { p50: at(loud, 0.5), p99: at(loud, 0.99) } };
  const limit = Math.max(f.quiet.p99 * number('factor', 1.5), f.quiet.p99 + number('slack-ms', 5));
  const fair = f.flood.p99 <= limit;

  isFair &&= fair;
  figures[what] = { ...f, fair };
  console.log(`${what.padEnd(18)} ${ms(f.quiet.p50).padStart(9)} ${ms(f.quiet.p99).padStart(7)} ${ms(f.flood.p50).padStart(11)} ${ms(f.flood.p99).padStart(8)}   ${fair ? 'fair' : `over ${ms(limit)}`}`);
}
for (const { name } of nodes) {
  const [quiet, loud] = [processes.quiet[name], processes.flood[name]];
  console.log(`${name}: ${(quiet.cpu * 100).toFixed(0)} % of a core, with the flood ${(loud.cpu * 100).toFixed(0)} %; longest turn ${ms(quiet.turn)} ms of processor time, with the flood ${ms(loud.turn)} ms`);
}
if (o.json) console.log(JSON.stringify({ figures, work }));
process.exit(o.check && !isFair ? 1 : 0);
