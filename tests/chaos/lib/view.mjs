// What one client has of one room, and the rules by which it may change. A Feed is one subscription (a socket's, a
// stream's) that brings frames; a view outlives its feeds, and during a make-before-break has two.
import { rowText } from './history.mjs';

const LIVE_TYPES = new Set(['message', 'edit', 'delete', 'reaction', 'membership', 'moderation', 'message_pinned', 'room_updated', 'skip']);

const fromRow = (row) => ({
  id: row.id,
  seq: row.seq,
  updatedSeq: row.updatedSeq ?? row.seq,
  userId: row.userId,
  key: row.clientMessageId,
  content: row.content,
  version: row.version ?? 1,
  deleted: Boolean(row.deletedAt),
  reactions: { ...row.reactions },
});

class View {
  constructor(room, who, history) {
    Object.assign(this, { room, who, history, violations: history.violations });
    this.rows = new Map(); // message id -> row
    this.floor = 0; // rows up to this id have been checked and forgotten
    this.present = undefined; // users of the last presence frame
  }

  fail(kind, text) {
    this.violations.add(kind, `${this.room}, ${this.who}: ${text}`);
  }

  presence(frame) {
    if (frame.type === 'presence' && frame.users) this.present = frame.users;
  }

  /** Forgets what has been compared with PostgreSQL, but for the newest rows: those may still change. */
  prune(keep) {
    const ids = [...this.rows.keys()].sort((a, b) => a - b);
    for (const id of ids.slice(0, Math.max(0, ids.length - keep))) {
      this.rows.delete(id);
      this.floor = Math.max(this.floor, id);
    }
  }
}

/** A client with a cursor: everything in order, nothing twice, nothing left out. */
export class CursorView extends View {
  constructor(room, who, history) {
    super(room, who, history);
    Object.assign(this, { seq: 0, generation: '', started: false });
  }

  cursor() {
    return this.started ? { lastSeq: String(this.seq), generation: this.generation } : {};
  }

  feed() {
    return new Feed(this, this.started ? this.seq : undefined);
  }

  /**
   * A row as a page states it. During a make-before-break the other socket may be further: its newer state stays. The
   * same feed never goes back.
   */
  put(given, feed) {
    const row = { ...fromRow(given), feed };
    if (row.id <= this.floor) return;
    const known = this.rows.get(row.id);
    if (known && known.seq !== row.seq) this.fail('order', `message ${row.id} was at ${known.seq} and is at ${row.seq}`);
    if (known && known.updatedSeq > row.updatedSeq && known.feed === feed) this.fail('order', `message ${row.id} went back from its change ${known.updatedSeq} to ${row.updatedSeq}`);
    if (known && known.updatedSeq < row.updatedSeq && known.version > row.version) this.fail('order', `message ${row.id} went back from version ${known.version} to ${row.version}`);
    if (known && known.updatedSeq === row.updatedSeq && rowText(known) !== rowText(row)) this.fail('order', `message ${row.id} changed without a number: "${rowText(known)}" and "${rowText(row)}"`);
    if (!known || known.updatedSeq <= row.updatedSeq) this.rows.set(row.id, row);
    this.history.state(row, this.who);
  }

  /** A live event with the next number. */
  apply(frame, feed) {
    const id = frame.type === 'reaction' ? frame.messageId : frame.id;
    const row = this.rows.get(id);
    switch (frame.type) {
      case 'message':
        if (row) this.fail('doubled', `message ${id} came again at ${frame.seq}, was at ${row.seq}`);
        this.rows.set(id, { ...fromRow(frame), feed });
        return;
      case 'edit':
      case 'delete':
      case 'reaction':
        if (!row) {
          if (id > this.floor) this.fail('missing', `${frame.type} ${frame.seq} of message ${id}, which was never seen`);
          return;
        }
        break;
      default:
        return;
    }
    Object.assign(row, { updatedSeq: frame.seq, feed });
    if (frame.type === 'edit') {
      if (frame.version !== row.version + 1) this.fail('order', `message ${id} went from version ${row.version} to ${frame.version}`);
      Object.assign(row, { content: frame.content, version: frame.version });
    } else if (frame.type === 'delete') {
      Object.assign(row, { deleted: true, content: '', reactions: {}, version: frame.version ?? row.version });
    } else {
      row.reactions[frame.emoji] = (row.reactions[frame.emoji] ?? 0) + (frame.op === 'add' ? 1 : -1);
    }
  }
}

class Feed {
  constructor(view, seq) {
    Object.assign(this, { view, seq, resumes: seq !== undefined });
  }

  take(frame) {
    if (frame.generation) this.view.generation = frame.generation;
    if (frame.type === 'history' || frame.type === 'replay') this.page(frame);
    else if (LIVE_TYPES.has(frame.type) && frame.seq) this.live(frame);
    else this.view.presence(frame);
  }

  page(frame) {
    const { view } = this;
    if (frame.reset) view.fail('reset', `cursor ${this.seq} was reset`);
    if (frame.fromSeq === undefined || frame.reset) {
      if (this.resumes && !frame.reset) view.fail('resume', `a snapshot for the cursor ${this.seq}`);
      for (const row of frame.messages) view.put(row, this);
      this.advance(frame.currentSeq);
      view.started = true;
      return;
    }
    if (frame.fromSeq > (this.seq ?? 0)) view.fail('gap', `a replay from ${frame.fromSeq} for the cursor ${this.seq}`);
    let last = frame.fromSeq;
    for (const event of frame.events) {
      if (event.seq <= last || event.seq > frame.toSeq) view.fail('order', `a replay of (${frame.fromSeq}, ${frame.toSeq}] has ${event.seq} behind ${last}`);
      last = event.seq;
      if (event.messageId === undefined) continue;
      view.put({ ...event.payload, updatedSeq: event.seq, ...(event.eventType === 'delete' && { content: '', reactions: {}, deletedAt: event.payload.deletedAt ?? 'deleted' }) }, this);
    }
    this.advance(frame.toSeq);
    view.started = true;
  }

  live(frame) {
    const { view } = this;
    const end = frame.toSeq ?? frame.seq;
    if (frame.type === 'message' && frame.seq <= (this.seq ?? 0)) {
      // The original of what this client has sent twice; to nobody else.
      const known = view.rows.get(frame.id);
      if (frame.userId !== view.who) view.fail('doubled', `live message ${frame.seq} behind ${this.seq}`);
      else if (known && known.seq !== frame.seq) view.fail('doubled', `message ${frame.id} was at ${known.seq} and is at ${frame.seq}`);
      return;
    }
    if (frame.seq !== (this.seq ?? 0) + 1) view.fail(frame.seq > (this.seq ?? 0) ? 'gap' : 'doubled', `live ${frame.type} ${frame.seq} behind ${this.seq}`);
    view.history.event(frame.seq, frame, view.who);
    if (frame.seq > view.seq) view.apply(frame, this);
    this.advance(end);
  }

  advance(seq) {
    this.seq = Math.max(this.seq ?? 0, seq);
    this.view.seq = Math.max(this.view.seq, this.seq);
  }
}

/**
 * The original client's store: merges by id, what is there wins over snapshots, no cursor. Between two sockets it may miss
 * changes when the shard behind the room was lost with its notes: such rows are only counted (`breaks`).
 */
export class OldView extends View {
  constructor(room, who, history) {
    super(room, who, history);
    this.breaks = 0;
  }

  feed() {
    return { last: 0, live: false, take: (frame) => this.take(frame) };
  }

  take(frame) {
    switch (frame.type) {
      case 'history':
      case 'replay':
        for (const row of frame.messages) if (!this.rows.has(row.id) && row.id > this.floor) this.rows.set(row.id, fromRow(row));
        return;
      case 'message':
        if (!this.rows.has(frame.id) && frame.id > this.floor) this.rows.set(frame.id, fromRow(frame));
        return;
      case 'edit':
      case 'delete': {
        const row = this.rows.get(frame.id);
        if (row && frame.type === 'edit') Object.assign(row, { content: frame.content, version: frame.version });
        else if (row) Object.assign(row, { deleted: true, content: '' });
        return;
      }
      default:
        this.presence(frame);
    }
  }
}
