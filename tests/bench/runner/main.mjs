// The benchmark from beginning to end: build, cluster, measurements, tables.

import { writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';

import { Cluster } from './cluster.mjs';
import { measureEvicted, measureIdle } from './memory.mjs';
import { readOptions } from './options.mjs';
import { Programs } from './programs.mjs';
import { acceptance, allChecksPassed, printReport } from './report.mjs';
import { measureScenarios } from './scenarios.mjs';

const top = dirname(dirname(dirname(dirname(fileURLToPath(import.meta.url)))));
const began = Date.now();

function say(text) {
    console.error(`bench ${((Date.now() - began) / 1000).toFixed(0).padStart(4)} s  ${text}`);
}

async function measure(cluster, options) {
    const programs = new Programs(cluster, options.seconds);
    const results = { yardstick: [], traffic: {}, idle: [], evicted: [] };

    // Before the connections and rooms of the others are in the allocators.
    for (let rep = 1; rep <= options.reps && options.groups.has('idle'); rep++) {
        say(`${rep}/${options.reps} ${options.idleConnections} idle connections`);
        results.idle.push(await measureIdle(programs, options.idleConnections));
    }
    for (let rep = 1; rep <= options.reps && options.groups.has('evicted'); rep++) {
        say(`${rep}/${options.reps} evicted rooms`);
        results.evicted.push(await measureEvicted(programs, options.evictedRooms, rep));
    }
    for (let rep = 1; rep <= options.reps && options.groups.has('yardstick'); rep++) {
        say(`${rep}/${options.reps} what PostgreSQL can do`);
        results.yardstick.push(await programs.pgcap(options.quick ? 1 : 3));
    }
    await measureScenarios(programs, options, results.traffic, say);
    return results;
}

async function main() {
    const options = readOptions(process.argv.slice(2), top);
    const cluster = new Cluster(top, options.dir);

    say('building with optimisation');
    cluster.build();
    say('starting a cluster');
    for (const name of ['SIGINT', 'SIGTERM'])
        process.once(name, () => { if (!options.keep) cluster.down(); process.exit(130); });
    let results;
    try {
        cluster.up();
        results = await measure(cluster, options);
    } finally {
        if (!options.keep)
            cluster.down();
    }
    if (options.json !== undefined)
        writeFileSync(options.json, `${JSON.stringify(results, null, 2)}\n`);
    printReport(results);
    process.exitCode = acceptance(results).every(({ pass }) => pass) && allChecksPassed(results) ? 0 : 1;
}

main().catch((error) => {
    console.error(`bench: ${error.message}`);
    process.exitCode = 2;
});
