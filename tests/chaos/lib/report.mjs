// The report of a campaign for people.
const table = (rows) => {
  const widths = rows[0].map((_, i) => Math.max(...rows.map((row) => String(row[i]).length)));
  return rows.map((row) => `  ${row.map((cell, i) => (i === 0 ? String(cell).padEnd(widths[i]) : String(cell).padStart(widths[i]))).join('  ')}`).join('\n');
};

function stalls({ alone, all }, counts) {
  const rows = [['fault', 'times', 'alone: p50', 'p99', 'max ms', 'all: p50', 'p99', 'max ms']];
  const cells = (s) => (s ? [s.p50 ?? '-', s.p99 ?? '-', s.max ?? '-'] : ['-', '-', '-']);
  for (const kind of Object.keys(counts).sort()) rows.push([kind, counts[kind], ...cells(alone[kind]), ...cells(all[kind])]);
  return table(rows);
}

function memory(growth) {
  const rows = [['process', 'after warm-up', 'at the end', 'change']];
  for (const [name, { warm, end, isSame }] of Object.entries(growth)) rows.push([name, `${(warm / 1048576).toFixed(1)} MiB`, `${(end / 1048576).toFixed(1)} MiB`, `${(((end - warm) / warm) * 100).toFixed(1)} %${isSame ? '' : ' (started since)'}`]);
  return rows.length > 1 ? table(rows) : '  no rounds behind warm-up';
}

export function summary(report) {
  const { faults, operations, violations, closes } = report;
  const kinds = Object.entries(violations.byKind).map(([kind, n]) => `${kind} ${n}`).join(', ');
  const lines = [
    `chaos, seed ${report.seed}: ${report.seconds} s, ${report.clients} clients in ${report.rooms} rooms, ${report.rounds} rounds`,
    `faults: ${faults.total} (${faults.skipped} found nobody free)`,
    `operations: ${operations.total} (message ${operations.message ?? 0}, edit ${operations.edit ?? 0}, delete ${operations.delete ?? 0}, reaction ${operations.reaction ?? 0})`,
    `sockets closed: ${Object.entries(closes).map(([code, n]) => `${code} ${n}`).join(', ') || 'none'}`,
    'stall until acknowledged, by kind of fault:',
    stalls(report.stallMs, faults.byKind),
    'slowest operations:',
    ...report.slowest.slice(0, 5).map((op) => `  ${op.ms} ms from ${op.at} s on, ${op.type} of ${op.who}: ${op.path.join(', ')}`),
    'resident memory:',
    memory(report.memory),
    `rows that old clients, which have no cursor, did not get told over a break: ${report.oldRowsStaleAfterBreak}`,
    `violations: ${violations.total}${kinds ? ` (${kinds})` : ''}`,
    ...violations.list.slice(0, 20).map(({ kind, text }) => `  ${kind}: ${text}`),
  ];
  return lines.join('\n');
}
