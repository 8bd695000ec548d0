// The load generator `stall`, told on stdin where a window begins and ends.

import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

export class Driver {
    constructor(cluster, options) {
        const urls = cluster.state.gateways.flatMap((each) => ['--url', each.http]);
        this.child = spawn(`${cluster.programs}/stall`, [
            ...urls, '--api-key', cluster.state.apiKey, '--prefix', `s${process.pid}`, '--rooms', String(options.rooms),
            '--members', String(options.members), '--rate', String(options.rate),
        ], { stdio: ['pipe', 'pipe', 'inherit'] });
        this.waiting = [];
        this.child.stdin.on('error', () => {}); // it has ended, which is told below
        createInterface({ input: this.child.stdout }).on('line', (line) => this.#take(JSON.parse(line)));
        this.ended = new Promise((resolve) => this.child.on('close', (status) => {
            for (const { reject, what } of this.waiting.splice(0))
                reject(new Error(`the generator ended with status ${status} before ${what}`));
            resolve(status);
        }));
    }

    #take(event) {
        const at = this.waiting.findIndex((each) => each.kind === event.event && (each.name === undefined || each.name === event.name));
        if (at >= 0)
            this.waiting.splice(at, 1)[0].resolve(event);
    }

    #event(kind, name) {
        const event = new Promise((resolve, reject) => this.waiting.push({ kind, name, resolve, reject, what: `${kind} ${name ?? ''}` }));
        event.catch(() => {}); // whoever waits for it sees it; when nobody does yet, that is no crash
        return event;
    }

    ready() {
        return this.#event('ready');
    }

    // The figures of the time that `what` takes. It begins when the generator says that it counts: sockets that break
    // at once would else have been counted before.
    async window(name, what) {
        const begun = this.#event('begun', name);
        const figures = this.#event('window', name);
        this.child.stdin.write(`window ${name}\n`);
        await begun;
        await what();
        this.child.stdin.write('end\n');
        return figures;
    }

    // How long from now each room waits for its next acknowledgement.
    mark(name) {
        const mark = this.#event('mark', name);
        this.child.stdin.write(`mark ${name}\n`);
        return mark;
    }

    quit() {
        const end = this.#event('end');
        this.child.stdin.write('quit\n');
        return end;
    }

    stop() {
        this.child.kill('SIGKILL');
        return this.ended;
    }
}
