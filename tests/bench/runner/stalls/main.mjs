// From the start of the cluster to the verdict.

import { writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';

import { Cluster, pause } from './cluster.mjs';
import { Driver } from './driver.mjs';
import { readOptions } from './options.mjs';
import { faultsOf, printMemory, printTable, summarise } from './report.mjs';
import { SCENARIOS } from './scenarios.mjs';

const top = dirname(dirname(dirname(dirname(dirname(fileURLToPath(import.meta.url))))));
const began = Date.now();
const WARM_UP_MS = 2000;
const HOLD_DOWN_MS = 11000; // a shard takes part in one eviction in ten seconds

function say(text) {
    console.error(`stalls ${((Date.now() - began) / 1000).toFixed(0).padStart(4)} s  ${text}`);
}

// One fault of one kind: what a scenario may ask for.
class Each {
    constructor(run, name, number) {
        Object.assign(this, { run, name, number, cluster: run.cluster, options: run.options, holdDownMs: HOLD_DOWN_MS });
    }

    // Another process each time.
    pick(kind) {
        const names = this.cluster.names(kind);
        return names[this.number % names.length];
    }

    // The gateway with the most clients: after a few restarts they are not where they were.
    async busiestGateway() {
        const counts = await Promise.all(this.cluster.state.gateways.map(async ({ name, admin }) => {
            const text = await (await fetch(`${admin}/metrics`)).text();
            return { name, n: Number(/^fluxy_connections(?:{[^}]*})? (\d+)/m.exec(text)?.[1] ?? 0) };
        }));
        return counts.reduce((most, each) => (each.n > most.n ? each : most)).name;
    }

    async window(what) {
        const taken = this.run.taken[this.name];
        taken.quiet.push(await this.run.driver.window(`quiet-${this.name}`, () => pause(this.options.quiet * 1000)));
        await this.furtherWindow(what);
    }

    async furtherWindow(what) {
        const window = await this.run.driver.window(this.name, what);
        this.run.taken[this.name].windows.push(window);
        say(`${this.name}: rooms p50 ${window.roomMs.p50.toFixed(1)} p99 ${window.roomMs.p99.toFixed(1)} max ${window.roomMs.max.toFixed(1)} ms`
            + `, closed ${window.closed}, changed over ${window.changed}, refused for another try ${window.retryable}`
            + (window.violations > 0 ? `, VIOLATIONS ${window.violations}` : ''));
    }

    async mark() {
        const mark = await this.run.driver.mark(this.name);
        this.run.taken[this.name].marks.push(mark);
        say(`${this.name}: first acknowledgement ${mark.firstMs.toFixed(1)} ms after its return, rooms p99 ${mark.ackMs.p99.toFixed(1)} ms`);
    }

    // Windows within count for another scenario.
    async as(name, what) {
        const own = this.name;
        this.name = name;
        try {
            await what();
        } finally {
            this.name = own;
        }
    }
}

const resident = (cluster) => [...cluster.names('gateway'), ...cluster.names('shard')]
    .map((name) => ({ name, pid: cluster.node(name).pid, bytes: cluster.rssBytes(name) }));

async function measure(run) {
    const { cluster, options } = run;
    let before;
    for (const scenario of options.scenarios) {
        for (let n = 0; n < scenario.reps(options.reps); n++) {
            say(`${scenario.name} ${n + 1}/${scenario.reps(options.reps)}`);
            await scenario.run(new Each(run, scenario.name, n));
            await cluster.refresh();
            before ??= resident(cluster);
        }
    }
    // Only who has lived through all of it.
    return resident(cluster).flatMap(({ name, pid, bytes }) => {
        const first = before.find((each) => each.pid === pid);
        return first === undefined ? [] : [{ name, before: first.bytes, after: bytes }];
    });
}

function verdict(options, summaries, end, complaints) {
    let good = true;
    for (const summary of summaries) {
        const scenario = SCENARIOS.find((each) => each.name === summary.name);
        const wrong = faultsOf(scenario, summary, options.slack);
        good &&= wrong.length === 0;
        console.log(wrong.length === 0 ? `PASS  ${scenario.title}` : `FAIL  ${scenario.title}: ${wrong.join('; ')}`);
    }
    console.log(end.ok ? `PASS  ${end.messages} messages, each acknowledged and at every member once and in order`
        : `FAIL  promises were broken: ${JSON.stringify(end)}`);
    for (const complaint of complaints)
        console.log(`FAIL  ${complaint}`);
    return good && end.ok && complaints.length === 0;
}

async function main() {
    const options = readOptions(process.argv.slice(2), top);
    const cluster = new Cluster(top, options);
    const run = { cluster, options, taken: Object.fromEntries(SCENARIOS.map(({ name }) => [name, { windows: [], quiet: [], marks: [] }])) };

    say('building, and starting a cluster');
    await cluster.prepare();
    for (const name of ['SIGINT', 'SIGTERM'])
        process.once(name, () => { (options.keep ? Promise.resolve() : cluster.wipe()).finally(() => process.exit(130)); });
    try {
        await cluster.up(options);
        run.driver = new Driver(cluster, options);
        const ready = await run.driver.ready();
        say(`${ready.connections} clients are in ${options.rooms} rooms`);
        await pause(WARM_UP_MS);
        const memory = await measure(run);
        const end = await run.driver.quit();
        await run.driver.ended;
        await cluster.down();
        const summaries = SCENARIOS.filter(({ name }) => run.taken[name].windows.length > 0).map((each) => summarise(each, run.taken[each.name]));
        if (options.json !== undefined)
            writeFileSync(options.json, `${JSON.stringify({ summaries, memory, end, taken: run.taken })}\n`);
        printTable(summaries);
        printMemory(memory);
        console.log('');
        process.exitCode = verdict(options, summaries, end, cluster.complaints()) ? 0 : 1;
    } finally {
        await run.driver?.stop();
        if (!options.keep)
            await cluster.wipe();
    }
}

main().catch((error) => {
    console.error(`stalls: ${error.stack}`);
    process.exitCode = 2;
});
