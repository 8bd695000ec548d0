// The faults of a campaign, from its seed alone: what, to whom, when within its round, for how long. Which process a
// number stands for is decided when the fault comes, among those that run then.
//
// `target`: shard or gateway: one of the processes; pair: a gateway and a shard; node: any of both; none: there is one.
// `ms`: how long it holds. `weight`: how often it comes.
export const KINDS = {
  'shard-kill': { target: 'shard', ms: [200, 4000], weight: 5 },
  'shard-pause': { target: 'shard', ms: [300, 9000], weight: 3 },
  'shard-drain': { target: 'shard', ms: [100, 2000], weight: 4 },
  'shard-add': { target: 'none', ms: [2000, 6000], weight: 2 },
  'gateway-kill': { target: 'gateway', ms: [200, 3000], weight: 3 },
  'gateway-pause': { target: 'gateway', ms: [300, 7000], weight: 2 },
  'gateway-drain': { target: 'gateway', ms: [100, 2000], weight: 3 },
  'gateway-add': { target: 'none', ms: [2000, 6000], weight: 1 },
  'postgres-kill': { target: 'none', ms: [100, 3000], weight: 2 },
  'postgres-restart': { target: 'none', ms: [100, 1500], weight: 1 },
  'postgres-pause': { target: 'none', ms: [300, 4000], weight: 1 },
  'redis-kill': { target: 'none', ms: [200, 6000], weight: 2 },
  'redis-pause': { target: 'none', ms: [300, 5000], weight: 1 },
  'link-cut': { target: 'pair', ms: [0, 0], weight: 4 },
  'link-hold': { target: 'pair', ms: [300, 7000], weight: 2 },
  'link-hold-one-way': { target: 'pair', ms: [300, 7000], weight: 2, way: ['up', 'down'] },
  'link-refuse': { target: 'shard', ms: [300, 4000], weight: 1 },
  'link-delay': { target: 'pair', ms: [1000, 5000], weight: 2, value: [20, 400] },
  'link-slow': { target: 'pair', ms: [1000, 5000], weight: 1, value: [4000, 60000] },
  'database-cut': { target: 'shard', ms: [0, 0], weight: 4 },
  'database-hold': { target: 'shard', ms: [300, 5000], weight: 1 },
  'database-hold-one-way': { target: 'shard', ms: [300, 5000], weight: 2, way: ['up', 'down'] },
  'database-delay': { target: 'shard', ms: [1000, 5000], weight: 1, value: [10, 200] },
  'registry-cut': { target: 'node', ms: [0, 0], weight: 1 },
  'registry-hold': { target: 'node', ms: [300, 6000], weight: 2 },
  'registry-delay': { target: 'node', ms: [1000, 5000], weight: 1, value: [20, 800] },
  'clients-cut': { target: 'gateway', ms: [0, 0], weight: 4 },
  'clients-hold': { target: 'gateway', ms: [300, 5000], weight: 1 },
  'clients-delay': { target: 'gateway', ms: [1000, 5000], weight: 1, value: [20, 300] },
  'shard-alone': { target: 'shard', ms: [300, 7000], weight: 2 },
};

/** `only`: [[kind or prefix*, weight], ...] instead of all kinds with their own weights. */
export function weights(only) {
  const all = Object.entries(KINDS).map(([kind, { weight }]) => [kind, weight]);
  if (!only) return all;
  const chosen = [];
  for (const [name, weight] of only) {
    const fits = all.filter(([kind]) => (name.endsWith('*') ? kind.startsWith(name.slice(0, -1)) : kind === name));
    if (fits.length === 0) throw new Error(`no such fault: ${name}; there are ${Object.keys(KINDS).join(', ')}`);
    for (const [kind, own] of fits) chosen.push([kind, own * weight]);
  }
  return chosen;
}

function fault(random, kind, at, patience) {
  const { target, ms, way, value } = KINDS[kind];
  const made = { kind, target, at: Math.round(at), ms: Math.round(random.between(ms[0], ms[1]) * patience), a: random.below(1 << 16), b: random.below(1 << 16) };
  if (way) made.way = random.pick(way);
  if (value) made.value = Math.round(random.between(value[0], value[1]));
  return made;
}

/**
 * The rounds of a campaign. Odd ones bring one fault after another (`alone`: each is waited for, so that what it costs
 * can be measured), even ones bring them at random times, over one another. Every kind comes once before any comes by
 * chance, as far as there is room.
 */
export function makePlan(random, { rounds, faultsPerRound, roundMs, only, patience = 1 }) {
  const kinds = weights(only).filter(([, weight]) => weight > 0);
  let fresh = random.shuffle(kinds.map(([kind]) => kind));
  const plan = [];
  for (let r = 0; r < rounds; r++) {
    const alone = r % 2 === 0;
    const faults = [];
    const times = Array.from({ length: faultsPerRound }, () => random.between(0, roundMs)).sort((a, b) => a - b);
    for (const at of times) {
      const kind = fresh.length ? fresh.pop() : random.weighted(kinds);
      faults.push(fault(random, kind, alone ? 0 : at, alone ? patience / 2 : patience));
    }
    plan.push({ round: r, alone, faults });
  }
  return plan;
}
