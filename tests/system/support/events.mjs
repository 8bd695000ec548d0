// A reader of an event stream, as a browser's EventSource would be, but that shows everything: comments, ids, the end.
export class EventReader {
  constructor() {
    Object.assign(this, { frames: [], ids: [], comments: [], lastEventId: undefined, retry: undefined, waiters: new Set(), ended: false });
  }

  /** Resolves when the answer's head is here. */
  static async open(base, roomId, token, { query = {}, headers = {}, lastEventId } = {}) {
    const reader = new EventReader();
    reader.abort = new AbortController();
    const all = { Accept: 'text/event-stream', ...headers };
    if (lastEventId !== undefined) all['Last-Event-ID'] = String(lastEventId);
    reader.answer = await fetch(`${base}/rooms/${roomId}/stream?${new URLSearchParams({ ...(token && { token }), ...query })}`, { headers: all, signal: reader.abort.signal });
    reader.status = reader.answer.status;
    if (reader.status === 200) reader.done = reader.read().catch((error) => reader.finish(error));
    return reader;
  }

  async read() {
    let text = '';
    const decoder = new TextDecoder();
    for await (const bytes of this.answer.body) {
      text += decoder.decode(bytes, { stream: true });
      for (;;) {
        const end = text.indexOf('\n\n');
        if (end < 0) break;
        this.event(text.slice(0, end));
        text = text.slice(end + 2);
      }
    }
    this.finish();
  }

  event(text) {
    const data = [];
    for (const line of text.split('\n')) {
      if (line.startsWith(':')) this.comments.push(line.slice(1).trim());
      else if (line.startsWith('id: ')) this.lastEventId = line.slice(4);
      else if (line.startsWith('retry: ')) this.retry = Number(line.slice(7));
      else if (line.startsWith('data: ')) data.push(line.slice(6));
      else throw new Error(`not a field of ours: ${line}`);
    }
    if (data.length) {
      const frame = JSON.parse(data.join('\n'));
      this.frames.push(frame);
      this.ids.push(this.lastEventId);
      this.onframe?.(frame);
    }
    this.wake();
  }

  finish(error) {
    this.ended = true;
    this.error = error;
    this.wake();
  }

  wake() {
    for (const waiter of this.waiters) waiter();
  }

  /** Awaits a value of `find`, called after each event and at the end. */
  async eventually(what, find, ms = 10000) {
    for (const end = Date.now() + ms; ; ) {
      const value = find();
      if (value) return value;
      if (Date.now() > end) throw new Error(`not within ${ms} ms: ${what}; had ${JSON.stringify(this.frames.slice(-5))}, ended ${this.ended}`);
      await new Promise((wake) => {
        const timer = setTimeout(done, Math.max(1, end - Date.now()));
        const self = this;
        function done() {
          clearTimeout(timer);
          self.waiters.delete(done);
          wake();
        }
        this.waiters.add(done);
      });
    }
  }

  until(fits, ms) {
    return this.eventually(`a frame ${fits}`, () => this.frames.find(fits), ms);
  }

  untilEnd(ms) {
    return this.eventually('the end', () => this.ended, ms);
  }

  close() {
    this.abort.abort();
  }
}
