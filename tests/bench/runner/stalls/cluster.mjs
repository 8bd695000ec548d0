// The private cluster, its processes by name, and the moment at which PostgreSQL is back.

import { execFile } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { promisify } from 'node:util';

const run = promisify(execFile);
const GONE_DEADLINE_MS = 60000;

export const pause = (ms) => new Promise((wake) => setTimeout(wake, ms));

export async function until(what, condition, ms = GONE_DEADLINE_MS, step = 5) {
    const end = Date.now() + ms;
    while (!(await condition())) {
        if (Date.now() > end)
            throw new Error(`not within ${ms} ms: ${what}`);
        await pause(step);
    }
}

function runs(pid) {
    try {
        const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
        return !'ZX'.includes(stat.slice(stat.lastIndexOf(')') + 2)[0]); // nobody may be there to collect it
    } catch {
        return false;
    }
}

export class Cluster {
    constructor(top, options) {
        this.top = top;
        this.dir = options.dir;
        this.build = options.build;
        this.programs = `${top}/${options.build}/tests/bench`;
    }

    async command(...args) {
        const { stdout } = await run(`${this.top}/deploy/local/cluster`, [...args, '--dir', this.dir, '--json'], {
            env: { ...process.env, FLUXY_BUILD_DIR: this.build },
            maxBuffer: 1 << 24,
        });
        return JSON.parse(stdout.trim().split('\n').at(-1));
    }

    async prepare() {
        if (!existsSync(`${this.top}/${this.build}/build.ninja`))
            await run(`${this.top}/deploy/tools/configure`, [this.build], { cwd: this.top });
        await run('ninja', ['-C', `${this.top}/${this.build}`, 'gateway/fluxy-gateway', 'shard/fluxy-shard', 'tests/bench/stall'],
            { maxBuffer: 1 << 26 });
    }

    // No limits on rates: the generator is one address with a thousand users.
    async up({ gateways, shards }) {
        this.state = await this.command('up', '--gateways', String(gateways), '--shards', String(shards), '--env', 'FLUXY_RATE_LIMIT_SCALE=100000');
        await this.refresh();
    }

    async refresh() {
        this.state = { ...this.state, ...(await this.command('status')) };
    }

    names(kind) {
        return this.state[`${kind}s`].map((each) => each.name);
    }

    node(name) {
        return [...this.state.gateways, ...this.state.shards, ...this.state.stores].find((each) => each.name === name);
    }

    // At once, without a program in between.
    signal(name, signal) {
        process.kill(this.node(name).pid, signal);
    }

    gone(name) {
        const { pid } = this.node(name);
        return until(`${name} has gone`, () => !runs(pid));
    }

    async start(name, ...how) {
        await this.command('start', name, ...how);
        await this.refresh();
    }

    async kill(name) {
        await this.command('kill', name);
        await this.refresh();
    }

    // Asks as a client does: one that starts or recovers answers the greeting with an error.
    async postgresAccepts() {
        const url = new URL(this.state.postgres);
        const greeting = Buffer.from('user\0fluxy\0database\0fluxy\0\0');
        const head = Buffer.alloc(8);
        head.writeInt32BE(greeting.length + 8, 0);
        head.writeInt32BE(196608, 4);
        const accepts = () => new Promise((resolve) => {
            const socket = connect(Number(url.port), url.hostname, () => socket.write(Buffer.concat([head, greeting])));
            const done = (answer) => { socket.destroy(); resolve(answer); };
            socket.on('data', (bytes) => done(bytes[0] === 0x52));
            socket.on('error', () => done(false));
            socket.on('close', () => done(false));
        });
        await until('PostgreSQL accepts connections', accepts);
    }

    rssBytes(name) {
        const line = readFileSync(`/proc/${this.node(name).pid}/status`, 'utf8').split('\n').find((each) => each.startsWith('VmRSS:'));
        return Number(line.split(/\s+/)[1]) * 1024;
    }

    // Everything that processes have complained about on their way: sanitizers, assertions.
    complaints() {
        return readdirSync(`${this.dir}/log`).flatMap((name) => {
            const text = readFileSync(`${this.dir}/log/${name}`, 'utf8');
            const at = text.search(/ERROR: (Address|Leak)Sanitizer|runtime error:|Assertion .* failed/);
            return at < 0 ? [] : [`${name}: ${text.slice(at, at + 3000)}`];
        });
    }

    down() {
        return this.command('down');
    }

    wipe() {
        return this.command('down', '--wipe');
    }
}
