// The relay (tests/chaos/proxy) as an object: commands are answered in order.
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

export class Proxy {
  constructor(program) {
    // Ctrl-C is not for it: it ends when its input does.
    this.child = spawn(program, [], { detached: true, stdio: ['pipe', 'pipe', 'inherit'] });
    this.waiting = [];
    this.ports = new Map();
    createInterface({ input: this.child.stdout }).on('line', (line) => this.waiting.shift()?.(line));
    this.child.on('exit', (code, signal) => {
      this.gone = `the relay ended (${code ?? signal})`;
      for (const answer of this.waiting.splice(0)) answer(`error ${this.gone}`);
    });
    this.child.stdin.on('error', () => {}); // its end is told by 'exit'
  }

  async command(...words) {
    if (this.gone) throw new Error(this.gone);
    const line = await new Promise((answer) => {
      this.waiting.push(answer);
      this.child.stdin.write(`${words.join(' ')}\n`);
    });
    if (!line.startsWith('ok')) throw new Error(`relay, ${words.join(' ')}: ${line}`);
    return line.slice(3);
  }

  /** Opens a way; its port. */
  async way(name) {
    const port = Number(await this.command('way', name));
    this.ports.set(name, port);
    return port;
  }

  target(name, port) {
    return this.command('target', name, port);
  }

  /** rule: 'pass', 'hold', 'delay 50', 'slow 8000' */
  set(name, peer, dir, rule) {
    return this.command('set', name, peer, dir, rule);
  }

  cut(name, peer = '*') {
    return this.command('cut', name, peer);
  }

  refuse(name, on) {
    return this.command('refuse', name, on ? 'on' : 'off');
  }

  /** Everything passes again. */
  async heal() {
    for (const name of this.ports.keys()) {
      await this.set(name, '*', 'both', 'pass');
      await this.refuse(name, false);
    }
  }

  close() {
    this.child.stdin.end();
  }
}
