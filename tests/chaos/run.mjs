// make chaos: real processes under faults; exit status 1 on any violation. `--help` tells the options.
import { writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { Campaign } from './lib/campaign.mjs';
import { KINDS, makePlan } from './lib/plan.mjs';
import { Random } from './lib/random.mjs';
import { summary } from './lib/report.mjs';

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..');

const HELP = `tests/chaos/run [options]

  --seed N          the first seed (1): faults, targets, times and what clients write follow from it
  --seeds N         as many campaigns, seed after seed (1)
  --seconds N       length of one campaign (300)
  --faults N        or: as many faults in each, whatever time it takes
  --clients N       sockets and streams (240)
  --rate N          operations a second, all told (150)
  --only K[=W],...  only these kinds of fault, with these weights; shard-* stands for all that begin so
  --build DIR       whose programs run (FLUXY_BUILD_DIR, or build)
  --until-caught    end at the first violation: for builds that are broken on purpose
  --check-memory    growth of a process by more than a tenth after warm-up is a violation
  --short           what make test runs: some faults of every kind in half a minute
  --keep            leave the cluster's folder with its logs
  --report FILE     everything as JSON
  --plan            print the faults of the seed and end
  --quiet           only the summary

Kinds of fault: ${Object.keys(KINDS).join(' ')}`;

function parse() {
  const text = (value) => ({ type: 'string', default: value });
  const flag = { type: 'boolean', default: false };
  const { values } = parseArgs({
    options: {
      seed: text('1'), seeds: text('1'), seconds: text('300'), faults: { type: 'string' }, clients: { type: 'string' }, rate: { type: 'string' }, only: { type: 'string' }, build: { type: 'string' },
      report: { type: 'string' }, 'until-caught': flag, 'check-memory': flag, short: flag, keep: flag, plan: flag, quiet: flag, help: flag,
    },
  });
  return values;
}

function options(values, seed) {
  const perRound = values.short ? 16 : 14;
  const number = (name, otherwise) => (values[name] === undefined ? otherwise : Number(values[name]));
  const faults = number('faults', undefined);
  const seconds = faults ? Infinity : Number(values.seconds);
  const build = values.build ?? process.env.FLUXY_BUILD_DIR ?? 'build';
  process.env.FLUXY_BUILD_DIR = build;
  return {
    seed,
    seconds: values.short ? Infinity : seconds,
    rounds: values.short ? 2 : faults ? Math.ceil(faults / perRound) : Math.ceil(seconds / 8),
    faultsPerRound: perRound,
    roundMs: values.short ? 8000 : 20000,
    patience: values.short ? 0.35 : 1,
    only: values.only?.split(',').map((each) => [each.split('=')[0], Number(each.split('=')[1] ?? 1)]),
    gateways: 3,
    shards: 3,
    clients: number('clients', values.short ? 60 : 240),
    rate: number('rate', values.short ? 80 : 150),
    warmRounds: 2,
    untilCaught: values['until-caught'],
    checkMemory: values['check-memory'],
    keep: values.keep,
    env: {},
    proxy: join(root, build, 'tests', 'chaos', 'chaos_proxy'),
    say: values.quiet ? undefined : (text) => console.log(text),
  };
}

let current; // the campaign that runs
let leaving;

/** What was started is stopped first; whoever is impatient is told so. */
function leave(why, status) {
  console.error(leaving ? 'still stopping what was started' : `${why}: stopping what was started`);
  leaving ??= Promise.resolve(current?.abandon())
    .catch((error) => console.error(error.message))
    .finally(() => process.exit(status));
}

/** A campaign that is abandoned fails in one way or another; that is no news. */
function fail(error) {
  if (leaving) return;
  console.error(error);
  leave('a fault of the campaign itself', 1);
}

async function main() {
  const values = parse();
  if (values.help) {
    console.log(HELP);
    return 0;
  }
  const reports = [];
  for (let i = 0; i < Number(values.seeds); i++) {
    const chosen = options(values, Number(values.seed) + i);
    if (values.plan) {
      const plan = makePlan(new Random(chosen.seed).fork(), chosen);
      for (const round of plan) for (const f of round.faults) console.log(`round ${round.round + 1}${round.alone ? ', alone' : ''}: ${JSON.stringify(f)}`);
      continue;
    }
    current = new Campaign(chosen);
    const report = await current.run();
    reports.push(report);
    console.log(summary(report));
    if (values.report) writeFileSync(values.report, `${JSON.stringify(reports, null, 2)}\n`);
    if (report.violations.total > 0 && values['until-caught']) break;
  }
  const total = (pick) => reports.reduce((sum, r) => sum + pick(r), 0);
  if (reports.length > 1) console.log(`${reports.length} campaigns: ${total((r) => r.faults.total)} faults, ${total((r) => r.operations.total)} operations, ${total((r) => r.violations.total)} violations`);
  return total((r) => r.violations.total) > 0 ? 1 : 0;
}

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => leave(signal, 130));
process.on('uncaughtException', fail);
process.on('unhandledRejection', fail);
main().then((status) => leaving ?? process.exit(status), fail);
