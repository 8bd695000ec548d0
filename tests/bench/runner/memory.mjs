// What connections and rooms cost in memory when nothing happens.

import { pssBytes, ROOM_IDLE_MS } from './cluster.mjs';

const ROOMS_GAUGE = 'fluxy_rooms';
const EVICTION_DEADLINE_MS = 30000;
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

// Plain connections in rooms of ten, quiet until their rooms have left the shard.
export async function measureIdle(programs, connections) {
    const { cluster } = programs;
    cluster.restart('gateway-1');
    cluster.pin(true);
    await untilNoRooms(cluster);
    const { gateway, shard, apiKey } = cluster;
    const result = await programs.load([
        'idle', '--url', gateway.http, '--api-key', apiKey, '--rooms', String(connections / 10), '--members', '10',
        '--settle', String((ROOM_IDLE_MS + 2000) / 1000), '--pid', String(gateway.pid), '--pid', String(shard.pid),
    ]);
    const of = (pid) => result.processes.find((each) => each.pid === pid);
    return {
        ok: result.ok,
        connections,
        gatewayBytesPerConnection: of(gateway.pid).bytesPerConnection,
        gatewayQuietCpuShare: of(gateway.pid).quietCpuShare,
        shardBytesPerConnection: of(shard.pid).bytesPerConnection,
        result,
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

// Rooms are made, used once and left alone until they are evicted. The first round warms the
// allocator up; what the next two add is what evicted rooms leave behind.
export async function measureEvicted(programs, roomsPerRound, rep) {
    const { cluster } = programs;
    const user = { userId: `evict-${process.pid}-${rep}`, roles: ['admin'] };
    const { token } = await post(cluster, '/auth/token', { 'X-Fluxy-Api-Key': cluster.apiKey }, user);
    const authorization = { Authorization: `Bearer ${token}` };
    const bytes = [];
    let peakRooms = 0, roomsLeft = 0;

    for (let round = 0; round < 3; round++) {
        const names = Array.from({ length: roomsPerRound }, (_, i) => `evict-${process.pid}-${rep}-${round}-${i}`);
        await useRooms(cluster, names, authorization);
        peakRooms = Math.max(peakRooms, await roomsInMemory(cluster));
        roomsLeft = await untilNoRooms(cluster);
        bytes.push(pssBytes(cluster.shard.pid));
    }
    return {
        ok: peakRooms > 0,
        roomsLeft,
        peakRooms,
        bytesPerEvictedRoom: (bytes[2] - bytes[0]) / (2 * roomsPerRound),
    };
}
