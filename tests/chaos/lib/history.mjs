// What all clients together have seen of the rooms: an event bears one number and is the same for everybody; a state of
// an entry is named by the number of its last change. Whoever sees it otherwise breaks "one order".

export class Violations {
  constructor(keep = 200) {
    Object.assign(this, { keep, list: [], count: 0, byKind: {} });
  }

  add(kind, text) {
    this.count++;
    this.byKind[kind] = (this.byKind[kind] ?? 0) + 1;
    if (this.list.length < this.keep) this.list.push({ at: new Date().toISOString(), kind, text });
    this.onadd?.(kind, text);
  }
}

/** "👍": 2 and so on, in one order. */
export const reactionText = (reactions) =>
  Object.entries(reactions ?? {})
    .filter(([, n]) => n > 0)
    .map(([emoji, n]) => `${emoji}${n}`)
    .sort()
    .join(' ');

export const rowText = (row) => (row.deleted ? `${row.seq} v${row.version} deleted` : `${row.seq} v${row.version} ${row.content} [${reactionText(row.reactions)}]`);

/** The event of a live frame in one line; undefined: no event that all see alike. */
export function eventText(frame) {
  switch (frame.type) {
    case 'message':
      return `message ${frame.id} ${frame.userId} ${frame.content}`;
    case 'edit':
      return `edit ${frame.id} v${frame.version} ${frame.content}`;
    case 'delete':
      return `delete ${frame.id}`;
    case 'reaction':
      return `reaction ${frame.messageId} ${frame.userId} ${frame.op} ${frame.emoji}`;
    case 'membership':
      return `membership ${frame.userId} ${frame.change}`;
    default:
      return undefined;
  }
}

export class RoomHistory {
  constructor(room, violations) {
    Object.assign(this, { room, violations });
    this.events = new Map(); // seq -> text
    this.states = new Map(); // updatedSeq -> text: a number changes one entry
    this.verified = 0; // up to here PostgreSQL has been asked
  }

  event(seq, frame, who) {
    const text = eventText(frame);
    if (!text || seq <= this.verified) return;
    this.agree(this.events, 'event', seq, text, who);
  }

  state(row, who) {
    if (row.updatedSeq <= this.verified) return;
    this.agree(this.states, 'state', row.updatedSeq, `${row.id} ${rowText(row)}`, who);
  }

  agree(map, what, seq, text, who) {
    const known = map.get(seq);
    if (known === undefined) map.set(seq, text);
    else if (known !== text) this.violations.add('order', `${this.room}: ${what} ${seq} is "${known}" to others and "${text}" to ${who}`);
  }

  forget(seq) {
    this.verified = seq;
    for (const map of [this.events, this.states]) {
      for (const key of map.keys()) if (key <= seq) map.delete(key);
    }
  }
}
