// What tenants of the fairness benchmark have in common: a WebSocket whose acks are awaited, and REST calls.

export class Socket {
  static open(base, path, token) {
    const s = new Socket();
    s.waiting = new Map(); // clientMessageId -> resolve
    s.ws = new WebSocket(`${base.replace(/^http/, 'ws')}${path}?${new URLSearchParams({ token })}`, ['fluxy.v1']);
    s.live = new Promise((resolve, reject) => {
      s.ws.onerror = () => reject(new Error(`cannot open ${path}`));
      s.ws.onclose = (event) => {
        s.closed = event;
        for (const done of s.waiting.values()) done(undefined);
        s.onclose?.(event);
        reject(new Error(`closed ${event.code} ${event.reason}`));
      };
      s.ws.onmessage = ({ data }) => {
        if (s.deaf && s.isLive) return;
        const frame = JSON.parse(data);
        if (frame.type === 'subscription_succeeded') {
          s.isLive = true;
          resolve(s);
        } else if (frame.type === 'ack' || (frame.type === 'error' && frame.clientMessageId)) {
          s.waiting.get(frame.clientMessageId)?.(frame);
          s.waiting.delete(frame.clientMessageId);
        }
      };
    });
    return s;
  }

  /** Milliseconds from the frame to its ack; undefined: it was refused, or the socket has gone. */
  async message(content, clientMessageId, more = {}) {
    const began = performance.now();
    const answer = new Promise((resolve) => this.waiting.set(clientMessageId, resolve));
    this.ws.send(JSON.stringify({ type: 'message', content, clientMessageId, ...more }));
    const frame = await answer;
    return frame?.type === 'ack' ? performance.now() - began : undefined;
  }
}

/** Milliseconds of one call, whole body included; undefined: it failed. */
export async function call(base, method, path, token, body) {
  const began = performance.now();
  const answer = await fetch(base + path, {
    method,
    headers: { Authorization: `Bearer ${token}`, ...(body && { 'Content-Type': 'application/json' }) },
    body: body && JSON.stringify(body),
  });
  await answer.arrayBuffer();
  return answer.status < 300 ? performance.now() - began : undefined;
}

export const sleep = (ms) => new Promise((wake) => setTimeout(wake, ms));
