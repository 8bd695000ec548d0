// The chat page: one room over one WebSocket, in plain JavaScript.
//
// It shows what a careful client does: a clientMessageId on every message, kept until the ack; a timeline ordered by
// seq; reconnecting with jitter and `lastSeq`, so that nothing is missed; a hole in the live numbers is asked for; when the
// server says `goaway` the next socket is there before the old one is closed.

const $ = (id) => document.getElementById(id);
const PAGE = 50;
const TYPING_EVERY_MS = 3000;
const TYPING_SHOWN_MS = 10000;
const PING_EVERY_MS = 25000;
const SILENCE_MS = 45000;

/** What the page knows of the room; `seq` is the highest number up to which nothing is missing. */
const room = {
  id: '', user: '', token: '', tokenEnds: 0,
  seq: 0, generation: '', oldest: Infinity, atStart: false, loading: false,
  rows: new Map(), // seq -> <li>
  pending: new Map(), // clientMessageId -> {text, li}
  typing: new Map(), // user -> time at which it fades
  socket: null, next: null, state: 'idle', attempt: 0, heard: 0, left: true, retry: 0, typedAt: 0,
};

function setState(state) {
  room.state = state;
  $('state').dataset.state = state;
  $('state').textContent = state;
}

async function api(method, path, body) {
  const headers = { Authorization: `Bearer ${room.token}` };
  if (body) headers['Content-Type'] = 'application/json';
  const answer = await fetch(path, { method, headers, body: body && JSON.stringify(body) });
  const json = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(json.title || json.error || `HTTP ${answer.status}`);
  return json;
}

/** A fresh token when the one we have is about to end. */
async function ensureToken() {
  if (Date.now() < room.tokenEnds - 60000) return;
  const got = await api('POST', '/demo/session', { userId: room.user });
  room.token = got.token;
  room.tokenEnds = Date.now() + got.expiresIn * 1000;
}

// ---- the timeline ----

function line(message) {
  const li = document.createElement('li');
  const who = document.createElement('span');
  who.className = 'who';
  who.textContent = message.createdAt
    ? `${message.userId} · ${new Date(message.createdAt).toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' })}`
    : message.userId;
  li.append(who, message.content);
  li.classList.toggle('mine', message.userId === room.user);
  return li;
}

function atBottom() {
  const box = $('timeline');
  return box.scrollHeight - box.scrollTop - box.clientHeight < 80;
}

/** Puts a message where its seq belongs. Known ones stay as they are. */
function show(message) {
  const own = message.clientMessageId && message.userId === room.user ? room.pending.get(message.clientMessageId) : undefined;
  if (own) {
    own.li.remove();
    room.pending.delete(message.clientMessageId);
    savePending();
  }
  if (room.rows.has(message.seq)) return;
  const stick = atBottom() || own;
  const li = line(message);
  li.dataset.seq = message.seq;
  li.dataset.id = message.id;
  room.rows.set(message.seq, li);
  room.oldest = Math.min(room.oldest, message.seq);
  let after = $('timeline').lastElementChild;
  while (after && !(Number(after.dataset.seq) < message.seq)) after = after.previousElementSibling;
  if (after) after.after(li);
  else if ($('timeline').firstElementChild?.classList.contains('start')) $('timeline').firstElementChild.after(li);
  else $('timeline').prepend(li);
  if (stick) $('timeline').scrollTop = $('timeline').scrollHeight;
}

async function loadOlder() {
  if (room.loading || room.atStart || room.oldest === Infinity) return;
  room.loading = true;
  try {
    await ensureToken();
    const box = $('timeline');
    const height = box.scrollHeight - box.scrollTop;
    const page = await api('GET', `/api/messages?roomId=${room.id}&beforeSeq=${room.oldest}&limit=${PAGE}&order=asc`);
    page.messages.forEach(show);
    box.scrollTop = box.scrollHeight - height;
    if (!page.hasMore) markStart();
  } catch {
    // The next scroll asks again.
  } finally {
    room.loading = false;
  }
}

function markStart() {
  if (room.atStart) return;
  room.atStart = true;
  const li = document.createElement('li');
  li.className = 'start';
  li.textContent = 'This is the beginning of the room.';
  $('timeline').prepend(li);
}

// ---- sending ----

/** Pending messages survive a reload: they are sent again with the same clientMessageId. */
function savePending() {
  const list = [...room.pending].filter(([, p]) => !p.failed).map(([id, p]) => ({ id, text: p.text }));
  sessionStorage.setItem(`pending:${room.user}:${room.id}`, JSON.stringify(list));
}

function addPending(id, text) {
  const li = line({ userId: room.user, content: text });
  li.classList.add('pending');
  $('timeline').append(li);
  $('timeline').scrollTop = $('timeline').scrollHeight;
  room.pending.set(id, { text, li });
  savePending();
}

function transmit(frame) {
  if (room.socket?.readyState === WebSocket.OPEN) room.socket.send(JSON.stringify(frame));
}

function sendPending() {
  for (const [clientMessageId, { text, failed }] of room.pending) {
    if (!failed) transmit({ type: 'message', content: text, clientMessageId });
  }
}

function fail(frame) {
  const own = room.pending.get(frame.clientMessageId);
  if (!own) return;
  if (frame.retryable) {
    setTimeout(() => transmit({ type: 'message', content: own.text, clientMessageId: frame.clientMessageId }), frame.retryAfterMs || 1000);
    return;
  }
  own.failed = true;
  own.li.classList.add('failed');
  own.li.title = frame.message;
  savePending();
}

// ---- frames from the server ----

function advance(seq) {
  if (seq !== room.seq + 1 && seq > room.seq && room.seq > 0) {
    transmit({ type: 'resume', lastSeq: room.seq, generation: room.generation });
    return false;
  }
  room.seq = Math.max(room.seq, seq);
  return true;
}

function onReplay(frame) {
  if (frame.generation) room.generation = frame.generation;
  if (frame.reset) {
    for (const li of room.rows.values()) li.remove();
    room.rows.clear();
    room.oldest = Infinity;
    room.seq = 0;
  }
  // Rows that the socket before this one has brought are known.
  for (const message of frame.messages || []) if (!message.deletedAt && !(message.updatedSeq <= room.seq && frame.fromSeq !== undefined)) show(message);
  room.seq = Math.max(room.seq, frame.toSeq ?? frame.currentSeq ?? 0);
  if (frame.hasMore === false && (frame.fromSeq === undefined || frame.reset)) markStart();
}

function renderPeople(frame) {
  const users = frame.users || [];
  $('count').textContent = frame.userCount ?? users.length;
  $('people').replaceChildren(...users.map((user) => {
    const li = document.createElement('li');
    li.textContent = user === room.user ? `${user} (you)` : user;
    return li;
  }));
}

function renderTyping() {
  const now = Date.now();
  for (const [user, ends] of room.typing) if (ends < now) room.typing.delete(user);
  const names = [...room.typing.keys()];
  $('typing').textContent = names.length === 0 ? ''
    : names.length === 1 ? `${names[0]} is typing…`
      : names.length < 4 ? `${names.slice(0, -1).join(', ')} and ${names.at(-1)} are typing…` : 'Several people are typing…';
}

const handlers = {
  history: onReplay,
  replay: onReplay,
  subscription_succeeded(frame, socket) {
    if (socket === room.next) changeOver();
    if (frame.generation) room.generation = frame.generation;
    room.attempt = 0;
    setState('live');
    sendPending();
  },
  message(frame) {
    room.typing.delete(frame.userId);
    renderTyping();
    if (frame.seq <= room.seq || advance(frame.seq)) show(frame);
  },
  membership: (frame) => advance(frame.seq),
  skip: (frame) => advance(frame.seq) && (room.seq = Math.max(room.seq, frame.toSeq ?? frame.seq)),
  presence: renderPeople,
  typing(frame) {
    if (frame.userId === room.user) return;
    if (frame.isTyping) room.typing.set(frame.userId, Date.now() + TYPING_SHOWN_MS);
    else room.typing.delete(frame.userId);
    renderTyping();
  },
  error: fail,
  goaway(frame, socket) {
    if (socket !== room.socket) return;
    clearTimeout(room.retry);
    room.retry = setTimeout(connect, frame.reconnectAfterMs);
  },
};

// ---- the connection ----

function leave(reason) {
  room.left = true;
  clearTimeout(room.retry);
  for (const socket of [room.socket, room.next]) socket?.close(1000);
  room.socket = null;
  room.next = null;
  setState('closed');
  $('chat').hidden = true;
  $('join').hidden = false;
  $('join-error').textContent = reason || '';
}

/** The new socket has everything: the old one, which the server wants to close, is not needed any more. */
function changeOver() {
  const old = room.socket;
  room.socket = room.next;
  room.next = null;
  old?.close(1000);
}

/** Full jitter, so that a restart of the server does not bring everybody back in one instant. */
function reconnect() {
  if (room.left) return;
  if (!room.socket) setState('reconnecting');
  const cap = Math.min(10000, 250 * 2 ** room.attempt++);
  room.retry = setTimeout(connect, Math.random() * cap);
}

async function connect() {
  clearTimeout(room.retry);
  try {
    await ensureToken();
  } catch {
    reconnect();
    return;
  }
  if (room.left || room.next) return;
  const query = new URLSearchParams({ token: room.token, replay: 'connect', replayLimit: String(PAGE) });
  if (room.seq > 0) {
    query.set('lastSeq', String(room.seq));
    query.set('generation', room.generation);
  }
  const scheme = location.protocol === 'https:' ? 'wss:' : 'ws:';
  const socket = new WebSocket(`${scheme}//${location.host}/ws/room/${room.id}?${query}`, 'fluxy.v1');
  room[room.socket ? 'next' : 'socket'] = socket; // beside one that is still there: see goaway
  room.heard = Date.now();
  socket.onopen = () => {
    if (room.socket === socket) setState(room.seq > 0 ? 'catching up' : 'connecting');
  };
  socket.onmessage = (event) => {
    if (room.socket !== socket && room.next !== socket) return;
    room.heard = Date.now();
    const frame = JSON.parse(event.data);
    handlers[frame.type]?.(frame, socket);
  };
  socket.onclose = (event) => {
    if (room.next === socket) room.next = null;
    else if (room.socket === socket) room.socket = null;
    else return;
    if (!room.socket && room.next) changeOver(); // it is on its way
    else if (event.code === 1008 && event.reason !== 'token_expired') leave(`The server closed the room: ${event.reason || 'refused'}`);
    else reconnect();
  };
}

setInterval(() => {
  renderTyping();
  if (room.socket && Date.now() - room.heard > SILENCE_MS) {
    for (const socket of [room.socket, room.next]) socket?.close(4000);
    room.socket = null;
    room.next = null;
    reconnect();
  }
}, 1000);
setInterval(() => transmit({ type: 'ping' }), PING_EVERY_MS);
addEventListener('online', () => {
  if (!room.left && !room.socket) connect();
});

// ---- the page ----

$('join').addEventListener('submit', async (event) => {
  event.preventDefault();
  Object.assign(room, {
    id: $('room').value, user: $('name').value, token: '', tokenEnds: 0, seq: 0, generation: '', oldest: Infinity,
    atStart: false, loading: false, attempt: 0, left: false, typedAt: 0,
  });
  for (const map of [room.rows, room.pending, room.typing]) map.clear();
  $('timeline').replaceChildren();
  $('join-error').textContent = '';
  try {
    await ensureToken();
    await api('POST', '/rooms', { id: room.id, name: room.id, type: 'public' });
  } catch (error) {
    room.left = true;
    $('join-error').textContent = error.message;
    return;
  }
  localStorage.setItem('fluxy-demo', JSON.stringify({ name: room.user, room: room.id }));
  $('room-title').textContent = room.id;
  document.title = `${room.id} · FluxyChat`;
  $('join').hidden = true;
  $('chat').hidden = false;
  setState('connecting');
  const kept = JSON.parse(sessionStorage.getItem(`pending:${room.user}:${room.id}`) || '[]');
  for (const { id, text } of kept) addPending(id, text);
  connect();
  $('text').focus();
});

$('composer').addEventListener('submit', (event) => {
  event.preventDefault();
  const text = $('text').value.trim();
  if (!text) return;
  const id = `cmsg_${crypto.randomUUID?.() ?? Array.from(crypto.getRandomValues(new Uint32Array(4)), (n) => n.toString(16)).join('-')}`;
  addPending(id, text);
  transmit({ type: 'message', content: text, clientMessageId: id });
  transmit({ type: 'typing', isTyping: false });
  room.typedAt = 0;
  $('text').value = '';
});

$('text').addEventListener('keydown', (event) => {
  if (event.key === 'Enter' && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    $('composer').requestSubmit();
  }
});
$('text').addEventListener('input', () => {
  if (Date.now() - room.typedAt < TYPING_EVERY_MS) return;
  room.typedAt = Date.now();
  transmit({ type: 'typing', isTyping: true });
});
$('timeline').addEventListener('scroll', () => {
  if ($('timeline').scrollTop < 200) loadOlder();
});
$('leave').addEventListener('click', () => leave(''));

const last = JSON.parse(localStorage.getItem('fluxy-demo') || '{}');
const asked = new URLSearchParams(location.hash.slice(1));
$('name').value = asked.get('name') || last.name || '';
$('room').value = asked.get('room') || last.room || 'lobby';
if (asked.get('name') && asked.get('room')) $('join').requestSubmit();
