// What happens to the cluster, and what clients may notice of it.

import { pause } from './cluster.mjs';

// So long after the last thing that was done, a window goes on: what comes late belongs to it.
const AFTERMATH_MS = 1500;
const AFTER_KILL_MS = 4000;
const HANG_MS = 6000;
const REDIS_SLICE_MS = 5000;

/*
 * name, title
 * reps(n)         how often, when n is asked for
 * boundMs         p99 over all rooms and faults of the longest wait in a room
 * markBoundMs     p99 over rooms of the time from the mark to the next acknowledgement
 * keepsSockets    no socket may close
 * movesSockets    some must close, or be changed for others: else nothing has been measured
 * mayRefuse       messages may be answered with a retryable error, and the wait has no bound
 * run(each)       one fault: takes its windows by each.window(...), which also takes the quiet one before
 */
const asMany = (n) => n;
const few = (n) => Math.max(1, Math.round(n / 3));

async function drainOne(each, name) {
    await each.window(async () => {
        each.cluster.signal(name, 'SIGTERM');
        await each.cluster.gone(name);
        await pause(AFTERMATH_MS);
    });
}

async function joinOne(each, name) {
    await each.window(async () => {
        await each.cluster.start(name);
        await pause(AFTERMATH_MS);
    });
}

async function restartAll(each) {
    for (const name of each.cluster.names('shard')) {
        each.cluster.signal(name, 'SIGTERM');
        await each.cluster.gone(name);
        await each.cluster.start(name);
    }
    await pause(AFTERMATH_MS);
}

// kill -9, then the steps that belong to the window.
async function killOne(each, name, ...steps) {
    await each.window(async () => {
        each.cluster.signal(name, 'SIGKILL');
        for (const step of steps)
            await step();
        await pause(AFTER_KILL_MS);
    });
}

// PostgreSQL goes, by the verb of the cluster tool, and is back after `ms`.
function postgres(name, title, reps, verb, ms = () => 0) {
    return {
        name,
        title,
        reps,
        markBoundMs: 1000,
        keepsSockets: true,
        mayRefuse: true,
        run: (each) => each.window(async () => {
            await each.cluster.command(verb, 'postgres');
            await pause(ms(each));
            await each.cluster.start('postgres', '--no-wait');
            await each.cluster.postgresAccepts();
            await each.mark();
            await pause(AFTERMATH_MS);
        }),
    };
}

export const SCENARIOS = [
    {
        name: 'drain',
        title: 'a shard is drained (SIGTERM)',
        reps: asMany,
        boundMs: 100,
        keepsSockets: true,
        async run(each) {
            const name = each.pick('shard');
            await drainOne(each, name);
            await each.as('join', () => joinOne(each, name));
        },
    },
    {
        name: 'join',
        title: 'a shard joins (its share of the rooms moves to it)',
        reps: () => 0, // measured with each drain
        boundMs: 100,
        keepsSockets: true,
    },
    {
        name: 'rolling',
        title: 'all shards are restarted, one after another',
        reps: few,
        boundMs: 250,
        keepsSockets: true,
        run: (each) => each.window(() => restartAll(each)),
    },
    {
        name: 'kill',
        title: 'a shard dies (kill -9)',
        reps: asMany,
        boundMs: 1500,
        keepsSockets: true,
        async run(each) {
            const name = each.pick('shard');
            await killOne(each, name);
            await each.cluster.start(name);
            await pause(each.holdDownMs);
        },
    },
    {
        name: 'crash',
        title: 'a shard dies and is started again at once',
        reps: asMany,
        boundMs: 1500,
        keepsSockets: true,
        async run(each) {
            const name = each.pick('shard');
            await killOne(each, name, () => each.cluster.gone(name), () => each.cluster.start(name));
            await pause(each.holdDownMs);
        },
    },
    {
        name: 'hang',
        title: 'a shard hangs for 6 s (SIGSTOP)',
        reps: few,
        keepsSockets: true,
        async run(each) {
            const name = each.pick('shard');
            await each.window(async () => {
                each.cluster.signal(name, 'SIGSTOP');
                await pause(HANG_MS);
                each.cluster.signal(name, 'SIGCONT');
                await pause(AFTER_KILL_MS);
            });
            await pause(each.holdDownMs);
        },
    },
    postgres('postgres-restart', 'PostgreSQL is restarted (fast shutdown)', asMany, 'stop'),
    postgres('postgres-kill', 'PostgreSQL dies (kill -9) and recovers', asMany, 'kill'),
    postgres('postgres-gone', 'PostgreSQL is away for a while', few, 'stop', (each) => each.options.postgres * 1000),
    {
        name: 'redis-gone',
        title: 'Redis is away, in slices of 5 s, and comes back empty',
        reps: few,
        boundMs: 100,
        keepsSockets: true,
        async run(each) {
            await each.window(async () => {
                await each.cluster.command('kill', 'redis');
                await pause(REDIS_SLICE_MS);
            });
            const end = Date.now() + each.options.redis * 1000 - REDIS_SLICE_MS;
            while (Date.now() < end)
                await each.furtherWindow(() => pause(REDIS_SLICE_MS));
            await each.furtherWindow(async () => {
                await each.cluster.start('redis');
                await pause(REDIS_SLICE_MS);
            });
        },
    },
    {
        name: 'gateway-drain',
        title: 'a gateway is drained; its clients come back elsewhere',
        reps: asMany,
        movesSockets: true,
        async run(each) {
            const name = await each.busiestGateway();
            await drainOne(each, name);
            await each.cluster.start(name);
        },
    },
    {
        name: 'gateway-kill',
        title: 'a gateway dies (kill -9); its clients come back elsewhere',
        reps: asMany,
        movesSockets: true,
        async run(each) {
            const name = await each.busiestGateway();
            await killOne(each, name);
            await each.cluster.start(name);
        },
    },
];
