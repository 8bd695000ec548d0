// A tenant that has always more under way than is done at once, as a thread of its own: so many messages over each of its
// sockets, or so many searches. Notes how long it waited for each answer, also for one that says to come again later, and
// says the times (ms) when it is told to end.
import { parentPort, workerData } from 'node:worker_threads';

const { base, tokens, rooms, way, underWay } = workerData;
const began = new Map(); // clientMessageId -> when it was sent
let times = [];
let n = 0;

function say(socket) {
  const id = `f${n++}`;
  began.set(id, performance.now());
  socket.send(`{"type":"message","content":"and another one","clientMessageId":"${id}"}`);
}

async function messages(room, token) {
  const socket = new WebSocket(`${base.replace(/^http/, 'ws')}/ws/room/${room}?${new URLSearchParams({ token, replay: 'off' })}`, ['fluxy.v1']);
  await new Promise((resolve, reject) => {
    socket.onclose = ({ code, reason }) => reject(new Error(`closed: ${code} ${reason}`));
    socket.onmessage = ({ data }) => {
      if (data.startsWith('{"type":"subscription_succeeded"')) resolve();
      if (!data.startsWith('{"type":"ack"') && !data.startsWith('{"type":"error"')) return;
      const { type, retryable, clientMessageId } = JSON.parse(data);
      if (type === 'error' && !retryable) throw new Error(`refused: ${data}`);
      times.push(performance.now() - began.get(clientMessageId));
      began.delete(clientMessageId);
      say(socket);
    };
  });
  for (let i = 0; i < underWay; i++) say(socket);
}

async function searches(token) {
  for (;;) {
    const at = performance.now();
    const answer = await fetch(`${base}/search/messages?q=another&roomId=${rooms[0]}&limit=1`, { headers: { Authorization: `Bearer ${token}` } });
    const text = await answer.text();
    if (answer.status !== 503 && !text.includes(rooms[0])) throw new Error(`a search: ${answer.status} ${text}`);
    times.push(performance.now() - at);
  }
}

parentPort.on('message', () => {
  parentPort.postMessage(times);
  process.exit(0);
});
if (way === 'messages') await Promise.all(rooms.map((room, i) => messages(room, tokens[i % tokens.length])));
else for (let i = 0; i < underWay; i++) searches(tokens[i % tokens.length]);
// What was measured until there is a queue is no measure.
while (times.length < (way === 'messages' ? rooms.length * underWay : underWay)) await new Promise((wake) => setTimeout(wake, 20));
times = [];
parentPort.postMessage('floods');
