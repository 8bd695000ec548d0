// The tenant that floods: many times its limits, from many sockets, into many rooms, and exports and history besides.
// Told by its parent what to do. Says when it is ready; when it is on, that it floods in every way; when it is off, that
// nothing of it is under way any more, and what it has done.
import { call, sleep, Socket } from './client.mjs';

const { base, tokens, rooms, options } = JSON.parse(process.env.FAIRNESS);
const counts = { frames: 0, pages: 0, exports: 0, searches: 0, failed: 0, closed: 0 };
const text = 'x'.repeat(options.bytes);
const ways = ['frames', ...['pages', 'exports', 'searches'].filter((what) => options[what] > 0)];
const PACE_MS = 10;
const AGAIN_MS = 20; // after a call that failed
let isOn = false;
let turnOn;
let on = new Promise((resolve) => { turnOn = resolve; });
let n = 0;
let underWay = 0;
let told; // the order that is not answered yet
let all = [];

/** Answers the order once it has come true. */
function tell() {
  const hasBegun = () => ways.every((what) => counts[what] > 0 || (what !== 'frames' && counts.failed > 0));
  const isOver = () => underWay === 0 && all.every((s) => s.closed || s.ws.bufferedAmount === 0);
  if (!told || !(told === 'on' ? hasBegun() : isOver())) return;
  told = undefined;
  process.send({ counts });
}

// Answers are not looked at.
async function open(token, room) {
  const s = Socket.open(base, `/ws/room/${room}`, token);
  s.deaf = true;
  await s.live;
  s.onclose = () => { counts.closed++; };
  return s;
}

async function sockets() {
  all = await Promise.all(tokens.flatMap((token, i) => Array.from({ length: options.socketsEach }, (_, k) => open(token, rooms[(i + k) % rooms.length]))));
  const share = Math.max(1, Math.round(options.frames / all.length / 100));
  for (;;) {
    await sleep(PACE_MS);
    tell(); // what is buffered goes without a word
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
    await on;
    underWay++;
    const ms = await call(base, 'GET', path(i), tokens[i % tokens.length]).catch(() => undefined);
    counts[ms === undefined ? 'failed' : what]++;
    underWay--;
    tell();
    if (ms === undefined) await sleep(AGAIN_MS);
  }
}

const room = (i) => rooms[i % rooms.length];
sockets().catch((error) => { console.error(error); process.exit(1); });
for (let i = 0; i < options.pages; i++) repeat('pages', (k) => `/api/messages?roomId=${room(k + i)}&limit=500`);
for (let i = 0; i < options.exports; i++) repeat('exports', (k) => `/export/messages.json?roomId=${room(k + i)}`);
for (let i = 0; i < options.searches; i++) repeat('searches', (k) => `/search/messages?q=word${k % 50}`);

process.on('message', (order) => {
  if (order === 'end') process.exit(0);
  if (order === 'on') {
    for (const name in counts) counts[name] = 0;
    turnOn();
  } else if (isOn) {
    on = new Promise((resolve) => { turnOn = resolve; });
  }
  isOn = order === 'on';
  told = order;
  tell();
});
process.send('ready');
