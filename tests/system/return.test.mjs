// Gateways die with many clients at once: all of them come back elsewhere and miss nothing, whether they wait or not.
// `tests/bench/returns` is the same with ten thousand, and says how long it takes.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { dirname, join } from 'node:path';
import test from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const CLIENTS = Number(process.env.FLUXY_TEST_RETURNS ?? 500);
const returns = join(dirname(fileURLToPath(import.meta.url)), '..', 'bench', 'returns');

test(`${CLIENTS} clients whose gateways are killed come back and miss nothing`, { timeout: 300000 }, async () => {
  const args = ['--json', '--clients', String(CLIENTS), '--rooms', String(CLIENTS / 50)];
  const { stdout } = await promisify(execFile)(returns, args, { maxBuffer: 1 << 20 });
  const { floor, results } = JSON.parse(stdout.trim().split('\n').at(-1));
  assert.equal(floor.clients, CLIENTS);
  assert.deepEqual(results.map((r) => [r.backoff, r.ok, r.complaints]), [['jitter', true, 0], ['none', true, 0]]);
  for (const r of results) assert.ok(r.replays >= CLIENTS && r.stayedMeanwhile.messages > 0, JSON.stringify(r));
});
