// What one user writes into one room: each operation has a key and is sent, in order, until it is settled, over however
// many sockets and refusals. Every outcome is kept for the check against PostgreSQL.

/** Refusals that may be true: somebody else has deleted the entry, or we have, a moment ago. */
const ANSWERS = { edit: ['message_deleted'], delete: [], reaction: ['message_deleted'], message: [] };

let serial = 0;

export class Writes {
  constructor(room, who, violations, record) {
    Object.assign(this, { room, who, violations, record });
    this.open = new Map(); // key -> operation, in the order in which they were first sent
    this.edits = new Map(); // message id -> edits ever asked for
    this.reactions = new Set(); // `${id} ${emoji}` that this user has put there
    this.acked = 0;
  }

  add(type, fields, now) {
    const key = `${this.who}-${++serial}`;
    const op = { key, type, room: this.room, who: this.who, fields, n: serial, begun: now, sockets: new Set(), errored: false, path: [] };
    this.open.set(key, op);
    if (type === 'edit') this.edits.set(fields.messageId, (this.edits.get(fields.messageId) ?? 0) + 1);
    return op;
  }

  frame(op) {
    return { type: op.type, ...op.fields, clientMessageId: op.key, frameId: op.key };
  }

  /** Keeps what has become of an operation, for the report of the slowest. */
  step(op, what) {
    if (op.path.length === 40) op.path.splice(20, 1);
    op.path.push(`${((performance.now() - op.begun) / 1000).toFixed(1)} ${what}`);
  }

  sent(op, carrier) {
    op.sockets.add(carrier);
    this.step(op, `to ${carrier.gateway}`);
  }

  /** True: it may be chosen for another operation now. */
  isQuiet(messageId) {
    for (const op of this.open.values()) if (op.fields.messageId === messageId) return false;
    return true;
  }

  settle(op, now, answer) {
    this.open.delete(op.key);
    this.acked++;
    this.record({ ...op, sockets: op.sockets.size, gateways: [...op.sockets].map((socket) => socket.gateway), settled: now, answer });
  }

  ack(frame, now) {
    const op = this.open.get(frame.clientMessageId);
    if (!op) return;
    this.settle(op, now, { id: frame.id, seq: frame.seq, duplicate: frame.duplicate });
  }

  /** Milliseconds after which the operation is to be sent again; undefined: it is settled, or not ours. */
  error(frame, now) {
    const op = this.open.get(frame.clientMessageId ?? frame.frameId);
    if (!op) {
      if (frame.clientMessageId === undefined && frame.frameId === undefined && !frame.retryable) this.violations.add('refused', `${this.room}, ${this.who}: ${JSON.stringify(frame)}`);
      return undefined;
    }
    op.errored = true;
    this.step(op, frame.code);
    if (frame.retryable) return { op, ms: frame.retryAfterMs ?? 100 };
    if (!ANSWERS[op.type].includes(frame.code)) this.violations.add('refused', `${this.room}, ${this.who}: ${JSON.stringify(frame)} for ${JSON.stringify(this.frame(op))}`);
    this.settle(op, now, { refused: frame.code });
    return undefined;
  }
}
