// A private cluster of real processes for one test file, made by deploy/local/cluster.
import { execFile } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);
const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..', '..');
const tool = join(root, 'deploy', 'local', 'cluster');

export class Cluster {
  underWay = new Set(); // commands

  /**
   * Starts a cluster. `t` is the context of the test at whose end it is stopped and removed; without one the caller
   * does that (`remove()`).
   * Limits on rates are lifted unless `env` says otherwise.
   */
  static async up(t, { gateways = 2, shards = 2, env = {} } = {}) {
    const cluster = new Cluster();
    cluster.dir = await mkdtemp(join(tmpdir(), 'fluxy-test-'));
    t?.after(() => cluster.remove());
    const all = { FLUXY_RATE_LIMIT_SCALE: '100000', ...env };
    const args = ['up', '--gateways', String(gateways), '--shards', String(shards), '--json'];
    for (const [key, value] of Object.entries(all)) args.push('--env', `${key}=${value}`);
    Object.assign(cluster, await cluster.command(...args));
    return cluster;
  }

  /** Runs the cluster tool; the JSON object of its last line, when it printed one. */
  async command(...args) {
    const [verb, ...rest] = args;
    if (this.isSealed && verb !== 'down') throw new Error(`cluster ${args.join(' ')}: it is being stopped`);
    let stdout;
    // In a session of its own: Ctrl-C is for us, and does not end it between the start of a node and the note of it.
    const running = run('setsid', [tool, verb, ...rest, '--dir', this.dir], { maxBuffer: 1 << 24, timeout: 180000 });
    this.underWay.add(running);
    try {
      ({ stdout } = await running);
    } catch (error) {
      throw new Error(`cluster ${args.join(' ')}: ${error.message}\n${error.stdout ?? ''}${error.stderr ?? ''}`);
    } finally {
      this.underWay.delete(running);
    }
    const last = stdout.trim().split('\n').at(-1) ?? '';
    return last.startsWith('{') ? JSON.parse(last) : undefined;
  }

  /** From here on it can only be stopped; resolves when what was under way is over. */
  async seal() {
    this.isSealed = true;
    await Promise.allSettled(this.underWay);
  }

  /** stop, start, kill, drain, pause, resume */
  async node(verb, name) {
    await this.command(verb, name);
    Object.assign(this, await this.status());
  }

  status() {
    return this.command('status', '--json');
  }

  http(i = 0) {
    return this.gateways[i % this.gateways.length].http;
  }

  ws(i = 0) {
    return this.http(i).replace(/^http/, 'ws');
  }

  /** Everything that the processes have written on their logs, by file name. */
  async logs() {
    const dir = join(this.dir, 'log');
    const out = {};
    for (const name of await readdir(dir)) out[name] = await readFile(join(dir, name), 'utf8');
    return out;
  }

  /** One number of a node's metrics; labels as in the text, `name{a="b"}`. */
  async figure(name, metric) {
    const node = [...this.gateways, ...this.shards].find((n) => n.name === name);
    const line = (await this.metrics(node.admin)).split('\n').find((l) => l.startsWith(`${metric} `));
    return Number(line?.slice(metric.length + 1));
  }

  async metrics(url) {
    return (await fetch(`${url}/metrics`)).text();
  }

  /** One query over psql; rows of strings. */
  async sql(text) {
    const { stdout } = await run('psql', [this.postgres, '-XAtF', '\t', '-v', 'ON_ERROR_STOP=1', '-c', text], { maxBuffer: 1 << 28 });
    return stdout.trim() === '' ? [] : stdout.trim().split('\n').map((row) => row.split('\t'));
  }

  async remove() {
    const complaints = await this.sanitizerReports();
    await this.command('down');
    complaints.push(...(await this.sanitizerReports()).filter((c) => !complaints.includes(c)));
    await rm(this.dir, { recursive: true, force: true });
    if (complaints.length) throw new Error(`sanitizer reports:\n${complaints.join('\n')}`);
  }

  async sanitizerReports() {
    const found = [];
    for (const [name, text] of Object.entries(await this.logs().catch(() => ({})))) {
      const at = text.search(/(ERROR: (Address|Leak)Sanitizer|runtime error:|Assertion .* failed)/);
      if (at >= 0) found.push(`${name}: ${text.slice(at, at + 2000)}`);
    }
    return found;
  }
}

/** ms: a deadline for the whole call; without one it waits. */
export async function call(base, method, path, { token, key, body, headers = {}, ms } = {}) {
  const all = { ...headers };
  if (token) all.Authorization = `Bearer ${token}`;
  if (key) all['X-Fluxy-Api-Key'] = key;
  if (body !== undefined && !all['Content-Type']) all['Content-Type'] = 'application/json';
  const answer = await fetch(base + path, { method, headers: all, body: typeof body === 'string' ? body : body && JSON.stringify(body), signal: ms && AbortSignal.timeout(ms) });
  const text = await answer.text();
  let json;
  try {
    json = JSON.parse(text);
  } catch {
    json = undefined;
  }
  return { status: answer.status, headers: answer.headers, text, json };
}

/** A token for a user of the demo project (or of the key's project). */
export async function mint(cluster, userId, { roles, key = cluster.apiKey, gateway = 0 } = {}) {
  const got = await call(cluster.http(gateway), 'POST', '/auth/token', { key, body: { userId, roles } });
  if (got.status !== 200) throw new Error(`mint ${userId}: ${got.status} ${got.text}`);
  return got.json.token;
}

/** Awaits a condition with a deadline; returns its value. */
export async function eventually(what, condition, ms = 10000) {
  const end = Date.now() + ms;
  for (;;) {
    const value = await condition();
    if (value) return value;
    if (Date.now() > end) throw new Error(`not within ${ms} ms: ${what}`);
    await new Promise((wake) => setTimeout(wake, 20));
  }
}
