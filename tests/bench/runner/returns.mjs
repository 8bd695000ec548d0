// Thousands of clients lose their gateway by kill -9 and come back to others with `lastSeq`: once with the back-off of an
// SDK, once with none. Every one of them must end without a gap; beside it stands what a floor server needs for as many
// bare handshakes, and what those notice who stayed at a third gateway.
import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const top = dirname(dirname(dirname(dirname(fileURLToPath(import.meta.url)))));
const build = join(top, process.env.FLUXY_BUILD_DIR ?? 'build');
const program = (name) => join(build, 'tests', 'bench', name);
const tool = join(top, 'deploy', 'local', 'cluster');

const { values: options } = parseArgs({
    options: {
        clients: { type: 'string', default: '10000' },
        rooms: { type: 'string', default: '200' },
        rate: { type: 'string', default: '200' },
        shards: { type: 'string', default: '2' },
        json: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
    },
});
if (options.help) {
    console.log('usage: tests/bench/returns [--clients 10000] [--rooms 200] [--rate 200] [--shards 2] [--json]');
    process.exit(0);
}

const dir = mkdtempSync(join(tmpdir(), 'fluxy-return-'));
const cluster = (...args) => execFileSync(tool, [...args, '--dir', dir], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });
const state = () => JSON.parse(cluster('status', '--json').trim().split('\n').at(-1));

/** The longest turns of the loops since they were last asked, and the processor time of the busiest, in ms. */
async function turns(nodes) {
    const texts = await Promise.all(nodes.map(async ({ admin }) => (await fetch(`${admin}/metrics`)).text()));
    const ms = (text, name) => Number((1000 * new RegExp(`^fluxy_loop_longest_turn_${name} (\\S+)`, 'm').exec(text)[1]).toFixed(1));
    return texts.map((text) => ({ longest: ms(text, 'seconds'), busiest: ms(text, 'cpu_seconds') }));
}

/** What `return` printed. The gateways are killed when it says that its clients are in. */
async function run(from, to, backoff) {
    const { gateways, shards, apiKey } = state();
    const survivors = [3, ...to].map((n) => gateways[n - 1]);
    const url = (n) => gateways[n - 1].http;
    const args = [...from.flatMap((n) => ['--from', url(n)]), ...to.flatMap((n) => ['--to', url(n)]), '--stay', url(3), '--stay', url(to[0]), '--api-key', apiKey,
        '--clients', options.clients, '--rooms', options.rooms, '--rate', options.rate, '--backoff', backoff, '--prefix', `return-${backoff}`];
    const result = await new Promise((resolve, reject) => {
        const child = spawn(program('return'), args, { stdio: ['ignore', 'pipe', 'pipe'] });
        let out = '';
        child.stdout.on('data', (bytes) => { out += bytes; });
        createInterface({ input: child.stderr }).on('line', (line) => {
            if (line !== 'ready') return void console.error(line);
            turns([...shards, ...survivors]).finally(() => from.forEach((n) => process.kill(gateways[n - 1].pid, 'SIGKILL')));
        });
        child.once('close', (status) => (out ? resolve({ ...JSON.parse(out), status }) : reject(new Error(`return ended with ${status}`))));
    });
    return { ...result, longestTurnMs: { shards: await turns(shards), gateways: await turns(survivors) } };
}

async function floor() {
    const server = spawn(program('floor'), ['--port', '0', '--seconds', '300'], { stdio: ['ignore', 'pipe', 'inherit'] });
    const [first] = await new Promise((resolve) => createInterface({ input: server.stdout }).once('line', (line) => resolve([JSON.parse(line)])));
    try {
        return JSON.parse(execFileSync(program('return'), ['--floor', `http://127.0.0.1:${first.port}`, '--clients', options.clients], { encoding: 'utf8' }));
    } finally {
        server.kill('SIGKILL');
    }
}

function print(name, r) {
    console.log(`${name}: ${r.ok ? 'all' : 'NOT all'} of ${r.clients} back and gapless in ${r.secondsUntilAllAreBack} s (p50 ${r.p50Ms} ms, p99 ${r.p99Ms} ms from their drop; ` +
        `${r.attempts - r.clients} attempts, ${r.failedAttempts} failed)`);
    const texts = (turns) => turns.map(({ longest, busiest }) => `${longest} (${busiest})`).join(', ');
    console.log(`  longest turns (processor time): shards ${texts(r.longestTurnMs.shards)} ms; gateway where nobody returned, and the others: ${texts(r.longestTurnMs.gateways)} ms`);
    for (const [when, f] of [['before', r.stayedBefore], ['meanwhile', r.stayedMeanwhile]]) {
        console.log(`  who stayed, ${when.padEnd(9)}: ${f.messages} messages, p50 ${f.p50Ms} ms, p99 ${f.p99Ms} ms (${f.p99MsByGateway[0]} ms where nobody returned, ${f.p99MsByGateway[1]} ms where thousands did), max ${f.maxMs} ms (the generator itself was ${f.generatorP99Ms} ms late, p99)`);
    }
}

try {
    const bare = await floor();
    if (!options.json) console.log(`floor server: ${bare.clients} bare handshakes in ${bare.floorSeconds} s`);
    cluster('up', '--gateways', '5', '--shards', options.shards, '--env', 'FLUXY_RATE_LIMIT_SCALE=100000', '--json');
    const results = [];
    for (const [from, to, backoff] of [[[1, 2], [4, 5], 'jitter'], [[4, 5], [1, 2], 'none']]) {
        const result = await run(from, to, backoff);
        results.push(result);
        if (!options.json) print(backoff === 'jitter' ? 'back-off with full jitter' : 'no back-off', result);
        for (const n of from) cluster('start', `gateway-${n}`);
    }
    if (options.json) console.log(JSON.stringify({ floor: bare, results }));
    process.exitCode = results.every((r) => r.ok) ? 0 : 1;
} finally {
    cluster('down', '--wipe');
    rmSync(dir, { recursive: true, force: true });
}
