// What clients have seen and been told, against what PostgreSQL has. Runs when nobody writes and all have what there is.
import { rowText } from './history.mjs';

const MESSAGE = 1; // enum entry_kind
const COLUMNS = "seq, updated_seq, id, kind, version, user_id, coalesce(client_id, ''), (deleted_at is not null)::int, content, coalesce(reactions::text, '')"; // our texts hold no tab and no line end

const fromColumns = ([seq, updatedSeq, id, kind, version, userId, key, deleted, content, reactions]) => ({
  seq: Number(seq),
  updatedSeq: Number(updatedSeq),
  id: Number(id),
  kind: Number(kind),
  version: Number(version),
  userId,
  key,
  deleted: deleted === '1',
  content,
  reactions: reactions ? Object.fromEntries(Object.entries(JSON.parse(reactions)).map(([emoji, users]) => [emoji, users.length])) : {},
});

export class Check {
  constructor(cluster, population, violations) {
    Object.assign(this, { cluster, population, violations });
    this.acks = new Map(population.names.map((room) => [room, []])); // of messages, the whole campaign
    this.fresh = []; // settled since the last check
    this.verified = new Map(population.names.map((room) => [room, 0]));
    this.stale = 0; // rows of old clients that had no cursor over a break
  }

  /** An operation has been settled. */
  note(op) {
    this.fresh.push(op);
    if (op.type === 'message' && op.answer.seq) this.acks.get(op.room).push(op);
  }

  async heads() {
    const rows = await this.cluster.sql(`select room_id, last_seq from rooms where project_id = '${this.cluster.project}'`);
    return new Map(rows.map(([room, seq]) => [room, Number(seq)]));
  }

  rows(room, after) {
    return this.cluster.sql(`select ${COLUMNS} from timeline where project_id = '${this.cluster.project}' and room_id = '${room}' and updated_seq > ${after} order by seq`).then((rows) => rows.map(fromColumns));
  }

  async ops(room, after) {
    const rows = await this.cluster.sql(`select seq, target_seq from room_ops where project_id = '${this.cluster.project}' and room_id = '${room}' and seq > ${after}`);
    return new Map(rows.map(([seq, target]) => [Number(seq), Number(target)]));
  }

  fail(kind, text) {
    this.violations.add(kind, text);
  }

  /** Everything since the last time; what is right is then forgotten. */
  async round() {
    const heads = await this.heads();
    const fresh = this.fresh.splice(0);
    for (const room of this.population.names) {
      const after = this.verified.get(room);
      const [rows, ops] = await Promise.all([this.rows(room, after), this.ops(room, after)]);
      const settled = fresh.filter((op) => op.room === room);
      this.checkNumbers(room, after, heads.get(room), rows, ops);
      this.checkSeen(room, after, rows);
      this.checkSettled(room, after, rows, ops, settled);
      this.checkSenders(room, settled);
      for (const client of this.population.clients) client.rooms.forEach((view) => view.room === room && this.checkView(client, view, after, rows));
      this.verified.set(room, heads.get(room));
      this.population.histories.get(room).forget(heads.get(room));
    }
    for (const client of this.population.clients) client.rooms.forEach((view) => view.prune(40));
  }

  /** 1, 2, 3 ... without a hole; ids rise with the numbers. */
  checkNumbers(room, after, head, rows, ops) {
    const history = this.population.histories.get(room);
    const used = new Set([...rows.flatMap((r) => [r.seq, r.updatedSeq]), ...ops.keys(), ...history.events.keys(), ...history.states.keys()]);
    for (let seq = after + 1; seq <= head; seq++) if (!used.has(seq)) this.fail('gap', `${room}: nothing in the database or seen by anybody has the number ${seq} of ${head}`);
    for (const seq of used) if (seq > head) this.fail('not stored', `${room}: somebody saw number ${seq}, the room is at ${head}`);
    let last = 0;
    for (const row of rows.filter((r) => r.kind === MESSAGE)) {
      if (row.id <= last) this.fail('order', `${room}: id ${row.id} of number ${row.seq} does not rise`);
      last = row.id;
    }
    const keys = new Map();
    for (const row of rows.filter((r) => r.key && r.kind === MESSAGE)) {
      const name = `${row.userId} ${row.key}`;
      if (keys.has(name)) this.fail('doubled', `${room}: the key ${name} is at ${keys.get(name)} and at ${row.seq}`);
      keys.set(name, row.seq);
    }
  }

  /** Nobody has seen what is not there. */
  checkSeen(room, after, rows) {
    const { events, states } = this.population.histories.get(room);
    const byId = new Map(rows.map((r) => [r.id, r]));
    const byChange = new Map(rows.map((r) => [r.updatedSeq, r]));
    for (const [seq, text] of events) {
      const [type, id, version] = text.split(' ', 3);
      if (type === 'membership') continue;
      const row = byId.get(Number(id));
      if (type === 'message' && (!row || row.seq !== seq)) this.fail('not stored', `${room}: seen at ${seq}: "${text}"; stored there: ${row ? rowText(row) : 'nothing'}`);
      else if (row && row.updatedSeq < seq) this.fail('not stored', `${room}: seen at ${seq}: "${text}"; the row has changed last at ${row.updatedSeq}`);
      else if (row && row.updatedSeq === seq && type === 'edit' && Number(version.slice(1)) !== row.version) this.fail('not stored', `${room}: seen at ${seq}: "${text}"; stored: ${rowText(row)}`);
    }
    for (const [seq, text] of states) {
      const row = byChange.get(seq);
      if (row && text !== `${row.id} ${rowText(row)}`) this.fail('not stored', `${room}: a page showed "${text}" for the change ${seq}; stored: ${row.id} ${rowText(row)}`);
    }
  }

  /** What was acknowledged is there, at its place, once. */
  checkSettled(room, after, rows, ops, settled) {
    const bySeq = new Map(rows.map((r) => [r.seq, r]));
    const byChange = new Map(rows.map((r) => [r.updatedSeq, r]));
    const { events } = this.population.histories.get(room);
    for (const op of settled) {
      const { answer, type } = op;
      if (answer.refused || answer.seq === undefined || answer.seq <= after) continue;
      const at = `${room}: ${type} ${op.key} of ${op.who} acknowledged at ${answer.seq}`;
      if (type === 'message') {
        const row = bySeq.get(answer.seq);
        if (!row || row.key !== op.key || row.id !== answer.id) this.fail('missing', `${at} as ${answer.id}; stored there: ${row ? `${row.id} ${row.key}` : 'nothing'}`);
        else if (!row.deleted && row.version === 1 && row.content !== op.fields.content) this.fail('missing', `${at}; its text is "${row.content}"`);
      } else if (!ops.has(answer.seq) && !byChange.has(answer.seq) && !events.has(answer.seq)) {
        this.fail('missing', `${at}; no change has that number`);
      }
    }
    for (const client of this.population.clients) {
      for (const writes of client.writes) {
        if (writes.room !== room) continue;
        for (const row of rows) {
          const asked = writes.edits.get(row.id);
          if (asked !== undefined && row.version > 1 + asked) this.fail('doubled', `${room}: message ${row.id} has version ${row.version} after ${asked} edits`);
        }
      }
    }
  }

  /** What one sender has sent over one socket, and was not refused once, is in the order in which it was sent. */
  checkSenders(room, settled) {
    const senders = new Map();
    for (const op of settled) {
      if (op.errored || op.sockets !== 1 || op.answer.seq === undefined || op.answer.duplicate || op.answer.rest) continue;
      if (!senders.has(op.who)) senders.set(op.who, []);
      senders.get(op.who).push(op);
    }
    for (const [who, ops] of senders) {
      ops.sort((a, b) => a.n - b.n);
      for (let i = 1; i < ops.length; i++) {
        if (ops[i].answer.seq < ops[i - 1].answer.seq) this.fail('order', `${room}: ${who} sent ${ops[i - 1].key} before ${ops[i].key}; they are at ${ops[i - 1].answer.seq} and ${ops[i].answer.seq}`);
      }
    }
  }

  /** The view of one client is what is stored. */
  checkView(client, view, after, rows) {
    const stored = new Map(rows.map((r) => [r.id, r]));
    for (const row of rows) {
      if (row.kind !== MESSAGE || row.id <= view.floor) continue;
      const seen = view.rows.get(row.id);
      if (client.kind === 'old') this.checkOldRow(view, row, seen);
      else if (!seen) !row.deleted && this.fail('missing', `${view.room}: ${client.kind} ${view.who} never saw ${row.id} at ${row.seq} "${row.content.slice(0, 60)}"`);
      else if (rowText(seen) !== rowText(row)) this.fail('view', `${view.room}: ${client.kind} ${view.who} has ${row.id} as "${rowText(seen)}"; stored: "${rowText(row)}"`);
    }
    for (const [id, seen] of view.rows) {
      if (seen.seq > after && !stored.has(id)) this.fail('not stored', `${view.room}: ${client.kind} ${view.who} has ${id} at ${seen.seq} "${seen.content.slice(0, 60)}"; nothing is stored`);
    }
  }

  checkOldRow(view, row, seen) {
    const isRight = row.deleted ? !seen || seen.deleted : seen && !seen.deleted && seen.content === row.content;
    if (isRight) return;
    // A socket that was never broken misses nothing. After a break a row that was known wins over the snapshot.
    if (view.breaks > 0 && seen) this.stale++;
    else this.fail(seen ? 'view' : 'missing', `${view.room}: old ${view.who} (${view.breaks} breaks) has ${row.id} at ${row.seq} as "${seen ? rowText(seen) : 'nothing'}"; stored: "${rowText(row)}"`);
  }

  /** At the end: all that was ever acknowledged, and the whole timeline. */
  async everything() {
    let n = 0;
    for (const room of this.population.names) {
      const rows = await this.cluster.sql(`select seq, id, coalesce(client_id, ''), user_id from timeline where project_id = '${this.cluster.project}' and room_id = '${room}' and kind = ${MESSAGE} order by seq`);
      const stored = new Map(rows.map(([seq, id, key]) => [Number(seq), { id: Number(id), key }]));
      const keys = new Set(rows.map(([, , key, user]) => `${user} ${key}`));
      if (keys.size !== rows.length) this.fail('doubled', `${room}: ${rows.length} messages with ${keys.size} keys`);
      for (const op of this.acks.get(room)) {
        const row = stored.get(op.answer.seq);
        n++;
        if (!row || row.id !== op.answer.id || row.key !== op.key) this.fail('missing', `${room}: ${op.key} acknowledged at ${op.answer.seq} as ${op.answer.id}; stored at the end: ${row ? `${row.id} ${row.key}` : 'nothing'}`);
      }
    }
    return n;
  }
}

