// People who enter one room at once, in three sizes: bytes must grow no faster than joins, and nobody is told more
// than four times a second who is there.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const top = dirname(dirname(dirname(dirname(fileURLToPath(import.meta.url)))));
const build = join(top, process.env.FLUXY_BUILD_DIR ?? 'build');
const tool = join(top, 'deploy', 'local', 'cluster');
const GROWTH = 1.25; // how much more than in proportion the bytes may grow: a storm takes longer on a slow machine

const { values: options } = parseArgs({
    options: {
        joins: { type: 'string', default: '1250,2500,5000' },
        rate: { type: 'string', default: '1000' },
        native: { type: 'string', default: '50' },
        gateways: { type: 'string', default: '3' },
        help: { type: 'boolean', default: false },
    },
});
if (options.help) {
    console.log('usage: tests/bench/presence [--joins 1250,2500,5000] [--rate 1000] [--native 50] [--gateways 3]');
    process.exit(0);
}

const dir = mkdtempSync(join(tmpdir(), 'fluxy-storm-'));
const cluster = (...args) => execFileSync(tool, [...args, '--dir', dir], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });

function storm(state, joins) {
    const urls = state.gateways.flatMap((g) => ['--url', g.http]);
    const args = [...urls, '--api-key', state.apiKey, '--joins', String(joins), '--rate', options.rate, '--native', options.native,
        '--prefix', `storm-${joins}`];
    try {
        return { ...JSON.parse(execFileSync(join(build, 'tests', 'bench', 'storm'), args, { encoding: 'utf8' })), ok: true };
    } catch (error) {
        if (error.status !== 1) throw error;
        return { ...JSON.parse(error.stdout), ok: false };
    }
}

function print(results) {
    const columns = ['joins', 'seconds', 'settledSeconds', 'bytes', 'bytesPerJoin', 'presenceBytes', 'presenceBytesPerJoin', 'membershipBytes',
        'presenceFramesPerClient', 'presenceFramesPerClientAndSecond', 'mostInOneSecond', 'everybodyKnows'];
    for (const name of columns) console.log(`${name.padEnd(34)} ${results.map((r) => String(r[name]).padStart(12)).join(' ')}`);
}

try {
    const lines = cluster('up', '--gateways', options.gateways, '--shards', '2', '--env', 'FLUXY_RATE_LIMIT_SCALE=100000', '--json').trim().split('\n');
    const state = JSON.parse(lines.at(-1));
    const results = options.joins.split(',').map(Number).map((joins) => storm(state, joins));
    print(results);
    const grows = results.slice(1).some((r, i) => r.bytes / results[i].bytes > (GROWTH * r.joins) / results[i].joins);
    if (grows) console.log('FAILED: bytes grow faster than joins');
    if (results.some((r) => !r.ok)) console.log('FAILED: somebody was told too often, or not at all');
    process.exitCode = grows || results.some((r) => !r.ok) ? 1 : 0;
} finally {
    cluster('down', '--wipe');
    rmSync(dir, { recursive: true, force: true });
}
