// The tenant that floods: many times its limits, from many sockets, into many rooms, and exports and history besides.
// Told by its parent what to do; says when it is ready, and what it has done.
import { call, sleep, Socket } from './client.mjs';

const { base, tokens, rooms, options } = JSON.parse(process.env.FAIRNESS);
const counts = { frames: 0, pages: 0, exports: 0, searches: 0, failed: 0, closed: 0 };
const text = 'x'.repeat(options.bytes);
let isOn = false;
let n = 0;

// Answers are not looked at.
async function open(token, room) {
  const s = Socket.open(base, `/ws/room/${room}`, token);
  s.deaf = true;
  await s.live;
  s.onclose = () => { counts.closed++; };
  return s;
}

async function sockets() {
  const all = await Promise.all(tokens.flatMap((token, i) => Array.from({ length: options.socketsEach }, (_, k) => open(token, rooms[(i + k) % rooms.length]))));
  const share = Math.max(1, Math.round(options.frames / all.length / 100));
  for (;;) {
    await sleep(10);
    if (!isOn) continue;
    for (const s of all) {
      if (s.closed || s.ws.bufferedAmount > 1 << 18) continue;
      for (let i = 0; i < share; i++) {
        s.ws.send(JSON.stringify({ type: 'message', content: text, clientMessageId: `f${process.pid}-${n++}` }));
        counts.frames++;
      }
    }
  }
}

async function repeat(what, path) {
  for (let i = 0; ; i++) {
    if (!isOn) {
      await sleep(20);
      continue;
    }
    const ms = await call(base, 'GET', path(i), tokens[i % tokens.length]).catch(() => undefined);
    counts[ms === undefined ? 'failed' : what]++;
    if (ms === undefined) await sleep(20);
  }
}

const room = (i) => rooms[i % rooms.length];
sockets().catch((error) => { console.error(error); process.exit(1); });
for (let i = 0; i < options.pages; i++) repeat('pages', (k) => `/api/messages?roomId=${room(k + i)}&limit=500`);
for (let i = 0; i < options.exports; i++) repeat('exports', (k) => `/export/messages.json?roomId=${room(k + i)}`);
for (let i = 0; i < options.searches; i++) repeat('searches', (k) => `/search/messages?q=word${k % 50}`);

process.on('message', (order) => {
  if (order === 'end') process.exit(0);
  if (order === 'on') for (const name in counts) counts[name] = 0;
  isOn = order === 'on';
  process.send({ counts });
});
process.send('ready');
