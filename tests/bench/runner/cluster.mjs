// The private cluster that is measured, and the cores that its processes run on.

import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';

// A room leaves its shard's memory after this long without traffic.
export const ROOM_IDLE_MS = 3000;

const ENVIRONMENT = [
    'FLUXY_RATE_LIMIT_SCALE=100000', // the generator is one user agent with thousands of users
    `FLUXY_ROOM_IDLE_MS=${ROOM_IDLE_MS}`,
];

const PROGRAMS = ['gateway/fluxy-gateway', 'shard/fluxy-shard', 'tests/bench/load', 'tests/bench/floor', 'tests/bench/pgcap'];

export const SERVER_CORE = '0';
export const LOAD_CORE = '1';
const ALL_CORES = `0-${availableParallelism() - 1}`;

export class Cluster {
    constructor(top, dir) {
        this.top = top;
        this.dir = dir;
        this.buildDir = `${top}/build-bench`;
    }

    command(...args) {
        const out = execFileSync(`${this.top}/deploy/local/cluster`, [...args, '--dir', this.dir, '--json'], {
            env: { ...process.env, FLUXY_BUILD_DIR: 'build-bench' },
            stdio: ['ignore', 'pipe', 'inherit'],
            encoding: 'utf8',
        });
        return JSON.parse(out.trim().split('\n').at(-1));
    }

    build() {
        execFileSync(`${this.top}/deploy/tools/configure`, ['build-bench'], { cwd: this.top, stdio: ['ignore', 'ignore', 'inherit'] });
        execFileSync('ninja', ['-C', this.buildDir, ...PROGRAMS], { stdio: ['ignore', 'ignore', 'inherit'] });
    }

    up() {
        const environment = ENVIRONMENT.flatMap((each) => ['--env', each]);
        this.command('up', '--gateways', '1', '--shards', '1', ...environment);
        this.refresh();
    }

    // A fresh process: what an earlier measurement left in its allocator is gone.
    restart(node) {
        this.command('stop', node);
        this.command('start', node);
        this.refresh();
    }

    refresh() {
        const status = this.command('status');
        const store = Object.fromEntries(status.stores.map((each) => [each.name, each.pid]));
        this.gateway = status.gateways[0];
        this.shard = status.shards[0];
        this.apiKey = status.apiKey;
        this.postgres = { url: status.postgres, pid: store.postgres };
        this.redis = { pid: store.redis };
    }

    down() {
        this.command('down', '--wipe');
    }

    // The server on one core and the generator on another, or everybody everywhere.
    pin(apart) {
        const pids = [this.gateway.pid, this.shard.pid, this.redis.pid, ...tree(this.postgres.pid)];
        for (const pid of pids)
            execFileSync('taskset', ['-a', '-p', '-c', apart ? SERVER_CORE : ALL_CORES, String(pid)], { stdio: 'ignore' });
    }

    // The value of one gauge or counter, labels summed; undefined when the process has none by that name.
    async metric(node, name) {
        const text = await (await fetch(`${node.admin}/metrics`)).text();
        const values = text.split('\n')
            .filter((line) => line.startsWith(`${name} `) || line.startsWith(`${name}{`))
            .map((line) => Number(line.slice(line.lastIndexOf(' ') + 1)));
        return values.length > 0 ? values.reduce((a, b) => a + b) : undefined;
    }
}

function parentOf(pid) {
    try {
        const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
        return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
    } catch {
        return undefined; // it has just ended
    }
}

function tree(pid) {
    const all = readdirSync('/proc').filter((name) => /^\d+$/.test(name)).map(Number);
    return [pid, ...all.filter((each) => parentOf(each) === pid)];
}

export function pssBytes(pid) {
    const line = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8').split('\n').find((each) => each.startsWith('Pss:'));
    return Number(line.split(/\s+/)[1]) * 1024;
}
