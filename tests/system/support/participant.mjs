// What clients that come back have in common: what a user would have seen, what he has said and what became of it.
import assert from 'node:assert/strict';

/** Who extends it has transmit(clientMessageId, content), which may do nothing, and describe(), for errors. */
export class Participant {
  seen = new Map(); // seq -> {id, content, clientMessageId, userId}
  violations = [];
  unacked = new Map(); // clientMessageId -> content
  acks = new Map(); // clientMessageId -> ack
  waiters = new Set();

  /** mayRepeat: a replay may show it once more. */
  see(message, mayRepeat = false) {
    const known = this.seen.get(message.seq);
    if (known) {
      if (known.id !== message.id || known.content !== message.content) this.violations.push(`seq ${message.seq} changed from ${known.content} to ${message.content}`);
      else if (!mayRepeat) this.violations.push(`seq ${message.seq} twice`);
      return;
    }
    this.seen.set(message.seq, { id: message.id, content: message.content, clientMessageId: message.clientMessageId, userId: message.userId });
  }

  acknowledged(ack) {
    if (!ack.clientMessageId) return;
    const before = this.acks.get(ack.clientMessageId);
    if (before && before.seq !== ack.seq) this.violations.push(`two places for ${ack.clientMessageId}: ${before.seq}, ${ack.seq}`);
    this.acks.set(ack.clientMessageId, ack);
    this.unacked.delete(ack.clientMessageId);
  }

  /** Sent again, if that may help. */
  refused(error) {
    if (!error.retryable || !this.unacked.has(error.clientMessageId)) {
      this.violations.push(`error ${JSON.stringify(error)}`);
      return;
    }
    setTimeout(() => {
      const content = this.unacked.get(error.clientMessageId);
      if (content !== undefined) this.transmit(error.clientMessageId, content);
    }, error.retryAfterMs ?? 100);
  }

  /** Sends until acknowledged, over however many connections. */
  post(clientMessageId, content) {
    this.unacked.set(clientMessageId, content);
    this.transmit(clientMessageId, content);
  }

  transmitAll() {
    for (const [id, content] of this.unacked) this.transmit(id, content);
  }

  wake() {
    for (const waiter of this.waiters) waiter();
  }

  async until(what, condition, ms = 30000) {
    if (condition()) return;
    await new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.waiters.delete(waiter);
        reject(new Error(`not within ${ms} ms: ${what}; ${this.describe()}, unacked ${this.unacked.size}, violations ${this.violations}`));
      }, ms);
      const waiter = () => {
        if (!condition()) return;
        clearTimeout(timer);
        this.waiters.delete(waiter);
        resolve();
      };
      this.waiters.add(waiter);
    });
  }

  check() {
    assert.deepEqual(this.violations, []);
  }
}
