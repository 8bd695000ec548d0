// Medians, and numbers and tables as people read them.

export function median(values) {
    const sorted = [...values].sort((a, b) => a - b);
    const middle = sorted.length >> 1;
    return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

// The median of one field over repetitions; `pick` takes it out of a result.
export function medianOf(results, pick) {
    return median(results.map(pick));
}

export function count(n) {
    return Math.round(n).toLocaleString('en-US');
}

export function micros(us) {
    return us.toFixed(2);
}

export function millis(us) {
    return (us / 1000).toFixed(2);
}

export function table(head, rows) {
    const all = [head, ...rows];
    const widths = head.map((_, i) => Math.max(...all.map((row) => String(row[i]).length)));
    const line = (row) => `| ${row.map((cell, i) => (i === 0 ? String(cell).padEnd(widths[i]) : String(cell).padStart(widths[i]))).join(' | ')} |`;
    const rule = `|${widths.map((width) => '-'.repeat(width + 2)).join('|')}|`;
    return [line(head), rule, ...rows.map(line)].join('\n');
}
