// The command line of the benchmark.

import { parseArgs } from 'node:util';

export const GROUPS = ['yardstick', 'durable', 'fanout', 'saturation', 'rooms', 'idle', 'evicted'];

const USAGE = `usage: tests/bench/run [--quick] [--reps N] [--seconds S] [--only GROUP,...] [--json FILE] [--dir DIR] [--keep]

  --quick        one short repetition of what the acceptance lines need (under a minute)
  --reps N       repetitions of each measurement; figures are medians (3)
  --seconds S    length of a measured window (8)
  --only GROUPS  some of: ${GROUPS.join(', ')}
  --json FILE    write everything that was measured there
  --dir DIR      folder of the private cluster (.data/bench in the project)
  --keep         leave the cluster running at the end

Builds an optimised tree in build-bench, starts a private cluster of one gateway and one shard,
and measures it beside a floor server and beside the same PostgreSQL. Status 0: every
acceptance line passed and no message was lost, doubled or out of order.`;

export function readOptions(argv, top) {
    const { values } = parseArgs({
        args: argv,
        options: {
            quick: { type: 'boolean', default: false },
            reps: { type: 'string' },
            seconds: { type: 'string' },
            only: { type: 'string' },
            json: { type: 'string' },
            dir: { type: 'string', default: `${top}/.data/bench` },
            keep: { type: 'boolean', default: false },
            help: { type: 'boolean', default: false },
        },
    });
    if (values.help) {
        console.log(USAGE);
        process.exit(0);
    }
    const groups = values.only?.split(',') ?? GROUPS.filter((group) => !(values.quick && group === 'rooms'));
    const unknown = groups.find((group) => !GROUPS.includes(group));
    if (unknown !== undefined)
        throw new Error(`--only: '${unknown}' is none of ${GROUPS.join(', ')}`);
    return {
        quick: values.quick,
        keep: values.keep,
        json: values.json,
        dir: values.dir,
        groups: new Set(groups),
        reps: positive('--reps', values.reps, values.quick ? 1 : 3),
        seconds: positive('--seconds', values.seconds, values.quick ? 3 : 8),
        idleConnections: values.quick ? 2000 : 10000,
        evictedRooms: values.quick ? 300 : 1000,
    };
}

function positive(name, text, fallback) {
    const value = text === undefined ? fallback : Number(text);
    if (!(value > 0))
        throw new Error(`${name}: '${text}' is not a number above 0`);
    return value;
}
