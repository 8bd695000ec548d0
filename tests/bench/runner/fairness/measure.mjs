// The tenant that keeps its limits and is measured: messages with their acks, history pages, POSTed messages.
import { call, sleep, Socket } from './client.mjs';

const { base, tokens, rooms } = JSON.parse(process.env.FAIRNESS);
let samples = {};
let n = 0;

function note(what, ms) {
  (samples[what] ??= []).push(ms === undefined ? Infinity : ms);
}

const sockets = await Promise.all(tokens.map((token, i) => Socket.open(base, `/ws/room/${rooms[i % rooms.length]}`, token).live));

/** One thing after the other, at a steady pace; what is late is not made up for. */
async function pace(everyMs, run) {
  for (let due = performance.now() + Math.random() * everyMs; ; due = Math.max(due + everyMs, performance.now())) {
    await sleep(Math.max(0, due - performance.now()));
    await run();
  }
}

for (const [i, s] of sockets.entries()) pace(1100, async () => note('message to ack', await s.message('hello', `m${process.pid}-${i}-${n++}`)));
for (let i = 0; i < 2; i++) pace(60, async () => note('page of history', await call(base, 'GET', `/api/messages?roomId=${rooms[n++ % rooms.length]}&limit=50`, tokens[0]).catch(() => undefined)));
pace(100, async () => note('room list', await call(base, 'GET', '/rooms', tokens[0]).catch(() => undefined)));
for (let i = 0; i < 2; i++) pace(130, async () => note('POST /messages', await call(base, 'POST', '/messages', tokens[n % tokens.length], { roomId: rooms[n++ % rooms.length], content: 'by REST' }).catch(() => undefined)));

process.on('message', (order) => {
  if (order === 'end') process.exit(0);
  process.send({ samples });
  samples = {};
});
process.send('ready');
