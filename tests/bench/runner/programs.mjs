// Runs the generator, the floor and pgcap, and reads their results.

import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

import { LOAD_CORE, SERVER_CORE } from './cluster.mjs';

let runs = 0;

function onCore(core, argv) {
    return core === undefined ? argv : ['taskset', '-c', core, ...argv];
}

// Runs to the end and returns { status, result }, the result being the last line of stdout.
async function runForJson(argv) {
    const child = spawn(argv[0], argv.slice(1), { stdio: ['ignore', 'pipe', 'inherit'] });
    let out = '';
    child.stdout.setEncoding('utf8').on('data', (text) => (out += text));
    const status = await new Promise((resolve, reject) => child.on('error', reject).on('close', resolve));
    const last = out.trim().split('\n').at(-1);
    if (status !== 0 && status !== 1)
        throw new Error(`${argv.join(' ')} ended with status ${status}`);
    return { status, result: JSON.parse(last) };
}

export class Programs {
    constructor(cluster, seconds) {
        this.cluster = cluster;
        this.seconds = seconds;
        this.dir = `${cluster.buildDir}/tests/bench`;
    }

    async load(args, { apart = true } = {}) {
        runs++;
        const argv = onCore(apart ? LOAD_CORE : undefined, [
            `${this.dir}/load`, ...args, '--prefix', `b${process.pid}-${runs}`, '--seconds', String(this.seconds),
        ]);
        return (await runForJson(argv)).result;
    }

    fluxy(args, { apart = true } = {}) {
        const { gateway, shard, postgres, apiKey } = this.cluster;
        this.cluster.pin(apart);
        return this.load(
            [...args, '--url', gateway.http, '--api-key', apiKey, '--pid', String(gateway.pid), '--pid', String(shard.pid),
                '--pg', String(postgres.pid)],
            { apart },
        );
    }

    // A floor lives as long as its measurement.
    async floor(options, args) {
        const child = spawn('taskset', ['-c', SERVER_CORE, `${this.dir}/floor`, ...options], { stdio: ['ignore', 'pipe', 'inherit'] });
        const ended = new Promise((resolve) => child.on('close', resolve));
        try {
            const lines = createInterface({ input: child.stdout });
            const { value } = await lines[Symbol.asyncIterator]().next();
            if (value === undefined)
                throw new Error('the floor server did not start');
            const { port, pid } = JSON.parse(value);
            this.cluster.pin(true);
            return await this.load([...args, '--floor', '--url', `http://127.0.0.1:${port}`, '--pid', String(pid),
                '--pg', String(this.cluster.postgres.pid)]);
        } finally {
            child.kill('SIGTERM');
            await ended;
        }
    }

    async pgcap(seconds) {
        this.cluster.pin(false);
        return (await runForJson([`${this.dir}/pgcap`, this.cluster.postgres.url, String(seconds)])).result.commits;
    }
}
