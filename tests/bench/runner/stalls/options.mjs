// The command line of tests/bench/stalls.

import { parseArgs } from 'node:util';

import { SCENARIOS } from './scenarios.mjs';

const USAGE = `usage: tests/bench/stalls [--reps N] [--only SCENARIO,...] [--json FILE] [...]

  --reps N           faults of each kind (3; rolling restarts and outages of Redis: a third of it)
  --only SCENARIOS   some of: ${SCENARIOS.map((each) => each.name).join(', ')}
  --quiet S          seconds of the quiet window before each fault (4)
  --redis S          seconds that Redis stays away (10; the acceptance run: 120)
  --postgres S       seconds that PostgreSQL stays away in postgres-gone (8)
  --slack F          the bounds times this, for a machine with other work (1)
  --rooms N, --members N, --rate N     the load (100, 10, 500 messages a second)
  --gateways N, --shards N             the cluster (3, 3)
  --build DIR        the build that is measured (build-bench, which is made when it is missing)
  --json FILE        write everything that was measured there
  --dir DIR          folder of the private cluster (.data/stalls in the project)
  --keep             leave the cluster's folder, with its logs, at the end

Starts a private cluster, sends messages through it at a fixed rate and lets faults happen. Status 0: every bound was kept,
and nothing was lost, doubled or out of order.`;

export function readOptions(argv, top) {
    const { values } = parseArgs({
        args: argv,
        options: {
            reps: { type: 'string', default: '3' },
            only: { type: 'string' },
            quiet: { type: 'string', default: '4' },
            redis: { type: 'string', default: '10' },
            postgres: { type: 'string', default: '8' },
            slack: { type: 'string', default: '1' },
            rooms: { type: 'string', default: '100' },
            members: { type: 'string', default: '10' },
            rate: { type: 'string', default: '500' },
            gateways: { type: 'string', default: '3' },
            shards: { type: 'string', default: '3' },
            build: { type: 'string', default: 'build-bench' },
            json: { type: 'string' },
            dir: { type: 'string', default: `${top}/.data/stalls` },
            keep: { type: 'boolean', default: false },
            help: { type: 'boolean', default: false },
        },
    });
    if (values.help) {
        console.log(USAGE);
        process.exit(0);
    }
    const names = values.only?.split(',') ?? SCENARIOS.map((each) => each.name);
    const unknown = names.find((name) => !SCENARIOS.some((each) => each.name === name));
    if (unknown !== undefined)
        throw new Error(`--only: '${unknown}' is none of ${SCENARIOS.map((each) => each.name).join(', ')}`);
    const numbers = {};
    for (const name of ['reps', 'quiet', 'redis', 'postgres', 'slack', 'rooms', 'members', 'rate', 'gateways', 'shards']) {
        numbers[name] = Number(values[name]);
        if (!(numbers[name] > 0))
            throw new Error(`--${name}: '${values[name]}' is not a number above 0`);
    }
    return { ...values, ...numbers, scenarios: SCENARIOS.filter((each) => names.includes(each.name)) };
}
