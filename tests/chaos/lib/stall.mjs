// What faults cost, as clients see it. The stall of a room because of a fault: the longest that an operation in it waited
// for its acknowledgement, counted from the fault on, among those under way at the fault or begun before it was over (and
// a second longer: a move comes after the drain, an eviction after the pause). Affected are the rooms of the shard, the
// clients of the gateway, or all.

const AFTER_MS = 1000; // of faults over one another; one that comes alone has its end when writes flow again

const touches = (affects, op) => (affects.rooms ? affects.rooms.has(op.room) : true) && (affects.gateway ? op.gateways.includes(affects.gateway) : true);

/** The stalls, one a room, of one fault. */
export function stallsOf(fault, ops) {
  const worst = new Map();
  const end = fault.over ?? fault.ended + AFTER_MS;
  for (const op of ops) {
    if (op.settled < fault.began || op.begun > end || !touches(fault.affects, op)) continue;
    const stall = op.settled - Math.max(op.begun, fault.began);
    if (stall > (worst.get(op.room) ?? 0)) worst.set(op.room, stall);
  }
  return [...worst.values()];
}

export function percentiles(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (p) => (sorted.length ? Math.round(sorted[Math.min(sorted.length - 1, Math.ceil(p * sorted.length) - 1)]) : null);
  return { n: sorted.length, p50: at(0.5), p99: at(0.99), max: at(1) };
}

/** Gathers by kind of fault; those that came alone apart, for only they say what one kind costs. */
export class Stalls {
  constructor() {
    this.alone = new Map();
    this.all = new Map();
  }

  add(faults, ops) {
    for (const fault of faults) {
      const stalls = stallsOf(fault, ops);
      for (const map of fault.alone ? [this.alone, this.all] : [this.all]) {
        if (!map.has(fault.kind)) map.set(fault.kind, []);
        map.get(fault.kind).push(...stalls);
      }
    }
  }

  report() {
    const told = (map) => Object.fromEntries([...map].sort(([a], [b]) => (a < b ? -1 : 1)).map(([kind, values]) => [kind, percentiles(values)]));
    return { alone: told(this.alone), all: told(this.all) };
  }
}
