// What is measured with traffic: each scenario on each server, one after another in every
// repetition, so that a slow minute of the machine meets all of them.

const BIG_ROOM = ['--rooms', '1', '--members', '1000'];

export const SERVERS = {
    fluxy: { title: 'FluxyChat' },
    plain: { title: 'floor, plain', floor: [] },
    batching: { title: 'floor, batching', floor: ['--batch'] },
    durable: { title: 'floor, durable', floor: ['--durable'] },
};

export const SCENARIOS = [
    {
        group: 'durable',
        title: '200 rooms x 1 member, 10 in flight each',
        args: ['durable', '--rooms', '200', '--members', '1', '--inflight', '10'],
        servers: ['fluxy'],
        apart: false, // the yardstick beside it has both cores, too
    },
    {
        group: 'fanout',
        title: '1 room x 1,000 members, 50 messages/s',
        args: ['open', ...BIG_ROOM, '--rate', '50'],
        servers: ['fluxy', 'plain'],
    },
    {
        group: 'saturation',
        title: '1 room x 1,000 members, 10 in flight',
        args: ['closed', ...BIG_ROOM, '--inflight', '10'],
        servers: ['fluxy', 'durable'],
    },
    {
        group: 'rooms',
        title: '1 room x 100 members, 10 in flight',
        args: ['closed', '--rooms', '1', '--members', '100', '--inflight', '10'],
        servers: ['fluxy', 'plain', 'batching', 'durable'],
    },
    {
        group: 'rooms',
        title: '200 rooms x 10 members, 1 in flight each',
        args: ['closed', '--rooms', '200', '--members', '10', '--inflight', '1'],
        servers: ['fluxy', 'plain', 'batching', 'durable'],
    },
    {
        group: 'rooms',
        title: '200 rooms x 10 members, 1,000 messages/s',
        args: ['open', '--rooms', '200', '--members', '10', '--rate', '1000'],
        servers: ['fluxy', 'durable'],
    },
];

function runOn(programs, scenario, server, conninfo) {
    if (server === 'fluxy')
        return programs.fluxy(scenario.args, { apart: scenario.apart ?? true });
    const options = server === 'durable' ? ['--durable', conninfo] : SERVERS[server].floor;
    return programs.floor(options, scenario.args);
}

// Fills results[title][server] with one result per repetition.
export async function measureScenarios(programs, options, results, say) {
    const chosen = SCENARIOS.filter((scenario) => options.groups.has(scenario.group));
    for (let rep = 1; rep <= options.reps; rep++) {
        for (const scenario of chosen) {
            for (const server of scenario.servers) {
                const result = await runOn(programs, scenario, server, programs.cluster.postgres.url);
                say(`${rep}/${options.reps} ${scenario.title}: ${SERVERS[server].title}: ` +
                    `${Math.round(result.deliveredPerSecond)} deliveries/s, ${result.cpuUsPerDelivery} us each` +
                    (result.ok ? '' : `  CHECKS FAILED ${JSON.stringify(result.checks)}`));
                ((results[scenario.title] ??= {})[server] ??= []).push(result);
            }
        }
    }
}
