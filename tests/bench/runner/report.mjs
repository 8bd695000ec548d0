// Tables and acceptance lines.

import { count, median, medianOf, micros, millis, table } from './figures.mjs';
import { SCENARIOS, SERVERS } from './scenarios.mjs';

export const LIMITS = {
    durableRatio: 6, // times single-row commits on one connection
    fanoutRatio: 1.5, // CPU per delivery, of the plain floor's at the same rate
    saturationRatio: 2, // CPU per delivery, of the durable floor's
    idleBytes: 3 * 1024, // of gateway memory per plain connection
    evictedBytes: 24, // allocated by the shard per evicted room: less than the smallest allocation, one buffer in use makes some
};

function trafficTable(results) {
    const rows = [];
    for (const scenario of SCENARIOS) {
        for (const server of scenario.servers) {
            const runs = results[scenario.title]?.[server];
            if (runs === undefined)
                continue;
            rows.push([
                `${scenario.title}: ${SERVERS[server].title}`,
                count(medianOf(runs, (r) => r.sentPerSecond)),
                count(medianOf(runs, (r) => r.deliveredPerSecond)),
                micros(medianOf(runs, (r) => r.cpuUsPerDelivery)),
                millis(medianOf(runs, (r) => r.deliveryUs.p50)),
                millis(medianOf(runs, (r) => r.deliveryUs.p99)),
                `${Math.round(100 * medianOf(runs, (r) => r.serverCpuShare))}%`,
                `${Math.round(100 * medianOf(runs, (r) => r.pgCpuShare))}%`,
                `${Math.round(100 * medianOf(runs, (r) => r.generatorCpuShare))}%`,
            ]);
        }
    }
    return table(
        ['traffic', 'messages/s', 'delivered/s', 'CPU us/delivered', 'p50 ms', 'p99 ms', 'server', 'PostgreSQL', 'generator'],
        rows,
    );
}

function commitRate(results, rows) {
    return medianOf(results.yardstick, (commits) => commits.find((each) => each.rows === rows).rowsPerSecond);
}

function durableTable(results) {
    const rows = results.yardstick[0].map(({ rows: n }) => {
        const of = (commits) => commits.find((each) => each.rows === n);
        return [
            n === 1 ? 'PostgreSQL, single-row commits, one connection' : `PostgreSQL, ${count(n)} rows per statement`,
            count(commitRate(results, n)),
            millis(medianOf(results.yardstick, (c) => of(c).p50)),
            millis(medianOf(results.yardstick, (c) => of(c).p99)),
        ];
    });
    const runs = durableRuns(results);
    if (runs !== undefined) {
        rows.unshift([
            'FluxyChat, acknowledged messages',
            count(medianOf(runs, (r) => r.ackedPerSecond)),
            millis(medianOf(runs, (r) => r.ackUs.p50)),
            millis(medianOf(runs, (r) => r.ackUs.p99)),
        ]);
    }
    return table(['durable', 'rows/s', 'p50 ms', 'p99 ms'], rows);
}

function durableRuns(results) {
    return results.traffic[SCENARIOS.find((scenario) => scenario.group === 'durable').title]?.fluxy;
}

function memoryTable(results) {
    const rows = [];
    if (results.idle.length > 0) {
        rows.push(
            [`gateway, per idle plain connection (${count(results.idle[0].connections)} open)`,
                count(medianOf(results.idle, (r) => r.gatewayBytesPerConnection))],
        );
    }
    if (results.evicted.length > 0) {
        rows.push(
            [`shard, per evicted room (${count(results.evicted[0].rooms)} of them), allocated`,
                medianOf(results.evicted, (r) => r.heapBytesPerEvictedRoom).toFixed(1)],
            ['shard, per evicted room, as the kernel sees it', medianOf(results.evicted, (r) => r.pssBytesPerEvictedRoom).toFixed(1)],
        );
    }
    return table(['memory', 'bytes'], rows);
}

function cpuRatio(results, group, server) {
    const of = results.traffic[SCENARIOS.find((scenario) => scenario.group === group).title];
    if (of?.fluxy === undefined || of[server] === undefined)
        return undefined;
    const cpu = (runs) => medianOf(runs, (r) => r.cpuUsPerDelivery);
    return { ratio: cpu(of.fluxy) / cpu(of[server]), ours: cpu(of.fluxy), floor: cpu(of[server]) };
}

// Each: { text, pass }. What was not measured has no line.
export function acceptance(results) {
    const lines = [];
    const line = (pass, text) => lines.push({ pass, text });
    const durable = durableRuns(results);

    if (durable !== undefined && results.yardstick.length > 0) {
        const ours = medianOf(durable, (r) => r.ackedPerSecond), single = commitRate(results, 1);
        line(ours >= LIMITS.durableRatio * single,
            `durable acknowledged messages: ${count(ours)}/s = ${(ours / single).toFixed(1)} x single-row commits (at least ${LIMITS.durableRatio})`);
    }
    const fixed = cpuRatio(results, 'fanout', 'plain');
    if (fixed !== undefined) {
        line(fixed.ratio <= LIMITS.fanoutRatio,
            `fan-out at 50 messages/s: ${micros(fixed.ours)} us per delivered = ${fixed.ratio.toFixed(2)} x plain floor (at most ${LIMITS.fanoutRatio})`);
    }
    const full = cpuRatio(results, 'saturation', 'durable');
    if (full !== undefined) {
        line(full.ratio <= LIMITS.saturationRatio,
            `fan-out at saturation: ${micros(full.ours)} us per delivered = ${full.ratio.toFixed(2)} x durable floor (at most ${LIMITS.saturationRatio})`);
    }
    if (results.idle.length > 0) {
        const bytes = medianOf(results.idle, (r) => r.gatewayBytesPerConnection);
        const rooms = Math.max(...results.idle.map((r) => r.roomsInShard ?? Infinity));
        line(bytes <= LIMITS.idleBytes, `idle plain connection: ${count(bytes)} bytes of gateway memory (at most ${count(LIMITS.idleBytes)})`);
        line(rooms === 0, `rooms in the shard while ${count(results.idle[0].connections)} sockets are open and quiet: ${rooms} (0)`);
    }
    if (results.evicted.length > 0) {
        const left = Math.max(...results.evicted.map((r) => r.roomsLeft));
        const bytes = median(results.evicted.map((r) => r.heapBytesPerEvictedRoom));
        line(left === 0 && bytes <= LIMITS.evictedBytes,
            `evicted rooms: ${left} left in the shard, ${bytes.toFixed(1)} bytes allocated for each (at most ${LIMITS.evictedBytes})`);
    }
    return lines;
}

export function allChecksPassed(results) {
    const traffic = Object.values(results.traffic).flatMap((servers) => Object.values(servers).flat());
    return [...traffic, ...results.idle, ...results.evicted].every((result) => result.ok);
}

export function printReport(results) {
    if (Object.keys(results.traffic).length > 0)
        console.log(`\n${trafficTable(results.traffic)}`);
    if (results.yardstick.length > 0)
        console.log(`\n${durableTable(results)}`);
    if (results.idle.length + results.evicted.length > 0)
        console.log(`\n${memoryTable(results)}`);
    console.log('');
    for (const { pass, text } of acceptance(results))
        console.log(`${pass ? 'PASS' : 'FAIL'}  ${text}`);
    console.log(allChecksPassed(results)
        ? 'PASS  every member got every message once and in order'
        : 'FAIL  messages were lost, doubled or out of order: see the lines above');
}
