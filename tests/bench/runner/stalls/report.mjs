// Figures of all faults of a kind together, held against the bounds.

import { table } from '../figures.mjs';

// By nearest rank: of 100 values the 0.99 quantile is the second largest.
export function quantile(values, q) {
    const sorted = [...values].sort((a, b) => a - b);
    return sorted.length === 0 ? 0 : sorted[Math.max(0, Math.ceil(q * sorted.length - 1e-9) - 1)];
}

// Of [[value, how many], ...].
export function quantileOfBuckets(buckets, q) {
    const sorted = [...buckets].sort((a, b) => a[0] - b[0]);
    const total = sorted.reduce((sum, [, n]) => sum + n, 0);
    let seen = 0;
    for (const [value, n] of sorted) {
        seen += n;
        if (seen >= Math.ceil(q * total - 1e-9))
            return value;
    }
    return 0;
}

function figures(windows) {
    const rooms = windows.flatMap((each) => each.rooms);
    const waits = windows.flatMap((each) => each.waits);
    const sum = (name) => windows.reduce((total, each) => total + each[name], 0);
    return {
        windows: windows.length,
        roomP50: quantile(rooms, 0.5),
        roomP99: quantile(rooms, 0.99),
        max: quantile(rooms, 1),
        messageP50: quantileOfBuckets(waits, 0.5),
        messageP99: quantileOfBuckets(waits, 0.99),
        silenceP99: Math.max(0, ...windows.map((each) => each.silenceMs.p99)),
        generatorLate: Math.max(0, ...windows.map((each) => each.generatorLateMs)),
        messages: sum('messages'),
        unsettled: sum('unsettled'),
        closed: sum('closed'),
        retryable: sum('retryable'),
        refused: sum('refused'),
        changed: sum('changed'),
        violations: sum('violations'),
    };
}

export function summarise(scenario, taken) {
    const marks = taken.marks.filter((each) => each !== undefined);
    return {
        name: scenario.name,
        title: scenario.title,
        fault: figures(taken.windows),
        quiet: figures(taken.quiet),
        mark: marks.length === 0 ? undefined : {
            first: Math.max(...marks.map((each) => each.firstMs)),
            p99: Math.max(...marks.map((each) => each.ackMs.p99)),
            max: Math.max(...marks.map((each) => each.ackMs.max)),
            roomsWithout: marks.reduce((sum, each) => sum + each.roomsWithout, 0),
        },
    };
}

// What is wrong, in words; empty: the bounds are kept.
export function faultsOf(scenario, summary, slack) {
    const wrong = [];
    const { fault, mark } = summary;
    if (fault.unsettled > 0)
        wrong.push(`${fault.unsettled} messages never ended`);
    if (fault.violations > 0)
        wrong.push(`${fault.violations} frames that must not be`);
    if (fault.refused > 0)
        wrong.push(`${fault.refused} error frames for good`);
    if (!scenario.mayRefuse && fault.retryable > 0)
        wrong.push(`${fault.retryable} messages were refused with an error that says to try again`);
    if (scenario.keepsSockets && fault.closed > 0)
        wrong.push(`${fault.closed} sockets were closed`);
    if (scenario.movesSockets && fault.closed + fault.changed === 0)
        wrong.push('no socket was closed or changed for another: nothing has been measured');
    if (scenario.boundMs !== undefined && fault.roomP99 >= scenario.boundMs * slack)
        wrong.push(`p99 ${fault.roomP99.toFixed(0)} ms, the bound is ${scenario.boundMs * slack}`);
    if (scenario.markBoundMs !== undefined) {
        if (mark === undefined)
            wrong.push('its return was not marked');
        else if (mark.roomsWithout > 0)
            wrong.push(`${mark.roomsWithout} rooms did not go on`);
        else if (mark.p99 >= scenario.markBoundMs * slack)
            wrong.push(`p99 ${mark.p99.toFixed(0)} ms after its return, the bound is ${scenario.markBoundMs * slack}`);
    }
    return wrong;
}

const ms = (value) => value === undefined ? '' : value >= 100 ? value.toFixed(0) : value.toFixed(1);

export function printTable(summaries) {
    const rows = summaries.map(({ title, fault, quiet, mark }) => [
        title, fault.windows, ms(fault.roomP50), ms(fault.roomP99), ms(fault.max), ms(fault.messageP99), ms(quiet.roomP99), ms(quiet.max),
        ms(mark?.first), ms(mark?.p99), fault.closed, fault.changed, fault.retryable,
    ]);
    console.log(table(['stall, in ms', 'windows', 'room p50', 'room p99', 'max', 'message p99', 'quiet room p99', 'quiet max',
        'back: first', 'back: p99', 'closed', 'changed over', 'try again'], rows));
}

export function printMemory(memory) {
    const rows = memory.map(({ name, before, after }) => [name, (before / 1024).toFixed(0), (after / 1024).toFixed(0), `${((after / before - 1) * 100).toFixed(1)} %`]);
    if (rows.length > 0)
        console.log(`\n${table(['resident memory, in KiB', 'after the first fault', 'at the end', 'growth'], rows)}`);
}
