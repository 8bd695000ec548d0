// What connections and rooms cost in memory when nothing happens.

import { pssBytes, ROOM_IDLE_MS } from './cluster.mjs';

const ROOMS_GAUGE = 'fluxy_rooms';
const HEAP_GAUGE = 'fluxy_heap_bytes';
const EVICTION_DEADLINE_MS = 30000;
const EVICTION_ROUNDS = 4; // after the one that warms up
const PARALLEL_REQUESTS = 16;

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

async function roomsInMemory(cluster) {
    const rooms = await cluster.metric(cluster.shard, ROOMS_GAUGE);
    if (rooms === undefined)
        throw new Error(`the shard has no metric ${ROOMS_GAUGE}`);
    return rooms;
}

async function untilNoRooms(cluster) {
    const deadline = Date.now() + EVICTION_DEADLINE_MS;
    let rooms;
    while ((rooms = await roomsInMemory(cluster)) > 0 && Date.now() < deadline)
        await pause(100);
    return rooms;
}

// Looks on until `stop()`: the fewest rooms in the shard while every socket was open.
function watchRooms(cluster, connections) {
    let watching = true;
    let fewest;
    const watch = async () => {
        while (watching) {
            const before = await cluster.metric(cluster.gateway, 'fluxy_connections');
            const rooms = await roomsInMemory(cluster);
            const after = await cluster.metric(cluster.gateway, 'fluxy_connections');
            if (before >= connections && after >= connections)
                fewest = Math.min(fewest ?? rooms, rooms);
            await pause(200);
        }
        return fewest;
    };
    const done = watch();
    return () => {
        watching = false;
        return done;
    };
}

// Plain connections in rooms of ten, quiet until their rooms have left the shard.
export async function measureIdle(programs, connections) {
    const { cluster } = programs;
    cluster.restart('gateway-1');
    cluster.pin(true);
    await untilNoRooms(cluster);
    const { gateway, apiKey } = cluster;
    const stop = watchRooms(cluster, connections);
    const result = await programs.load([
        'idle', '--url', gateway.http, '--api-key', apiKey, '--rooms', String(connections / 10), '--members', '10',
        '--settle', String((ROOM_IDLE_MS + 2000) / 1000), '--pid', String(gateway.pid),
    ]);
    return {
        ok: result.ok,
        connections,
        roomsInShard: await stop(),
        gatewayBytesPerConnection: result.processes[0].bytesPerConnection,
        gatewayQuietCpuShare: result.processes[0].quietCpuShare,
    };
}

async function post(cluster, path, headers, body) {
    const answer = await fetch(cluster.gateway.http + path, {
        method: 'POST',
        headers: { 'Content-Type': 'application/json', ...headers },
        body: JSON.stringify(body),
    });
    if (!answer.ok)
        throw new Error(`POST ${path}: ${answer.status} ${await answer.text()}`);
    return answer.json();
}

async function useRooms(cluster, names, authorization) {
    const left = [...names];
    const worker = async () => {
        for (let name = left.pop(); name !== undefined; name = left.pop()) {
            await post(cluster, '/rooms', authorization, { id: name, name, type: 'public' });
            await post(cluster, '/messages', authorization, { roomId: name, content: 'one message' });
        }
    };
    await Promise.all(Array.from({ length: PARALLEL_REQUESTS }, worker));
}

// Rooms are made, used once and left alone until they are evicted. The first round warms up; what
// the others add to the memory that the shard has allocated and not freed is what they leave behind.
export async function measureEvicted(programs, roomsPerRound, rep) {
    const { cluster } = programs;
    const user = { userId: `evict-${process.pid}-${rep}`, roles: ['admin'] };
    const { token } = await post(cluster, '/auth/token', { 'X-Fluxy-Api-Key': cluster.apiKey }, user);
    const authorization = { Authorization: `Bearer ${token}` };
    const heap = [], pss = [];
    let peakRooms = 0, roomsLeft = 0;

    for (let round = 0; round <= EVICTION_ROUNDS; round++) {
        const names = Array.from({ length: roomsPerRound }, (_, i) => `evict-${process.pid}-${rep}-${round}-${i}`);
        await useRooms(cluster, names, authorization);
        peakRooms = Math.max(peakRooms, await roomsInMemory(cluster));
        roomsLeft = Math.max(roomsLeft, await untilNoRooms(cluster));
        heap.push(await cluster.metric(cluster.shard, HEAP_GAUGE));
        pss.push(pssBytes(cluster.shard.pid));
    }
    const rooms = roomsPerRound * EVICTION_ROUNDS;
    return {
        ok: peakRooms > 0,
        rooms,
        roomsLeft,
        peakRooms,
        heapBytesPerEvictedRoom: (heap.at(-1) - heap[0]) / rooms,
        pssBytesPerEvictedRoom: (pss.at(-1) - pss[0]) / rooms,
    };
}
