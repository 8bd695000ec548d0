/*
 * fixture.h - a shard's host with its calls on a fake environment and the
 * in-memory store, and gateways that are played by the test: they send what the
 * test says and write down what they get, a line per message.
 *
 * Lines of the transcript:
 *     to 1 done=2 cur=5 {ack seq=5}     TO_ATTACH (done, cur: left out when 0)
 *     event 5 {message seq=5 ...}       ROOM_EVENT (or: ephemeral; except=1; native)
 *     attached 1 @5, paged 1, close 1 1008 not_member, sleep r, wake r, moved room/p/r, gone
 * 257 reply 7 200 {...}                 with the whole body
 *     kick 1 user=u 4001 why            KICK (or: token=, before=, room= socket=)
 *     rooms 1 user=u a,b                USER_ROOMS
 *     push u {user_event ...}           USER_PUSH
 */
#pragma once

#include "common/base/buf.h"
#include "common/base/limits.h"
#include "common/wire/msg.h"
#include "shard/api/api.h"
#include "shard/host/gate.h"
#include "shard/host/host.h"
#include "shard/metrics.h"
#include "tests/support/fake_env.h"
#include "tests/support/sim_store.h"
#include "tests/support/test.h"

#define FX_INCARNATION 77

struct fx_gate {
    struct fx *fx;
    struct gate *gate; /* NULL: link down */
    uint64_t incarnation;
    uint32_t epoch;
    bool is_congested, hides_presence;
    /* A PING is answered at once, or by fx_pong(). */
    bool is_reading_slowly;
    unsigned pings; /* not answered */
    /* WAKE is answered at the end of the turn, unless the gateway remembers who was in the room
     * (SLEEP, MOVED) or is_slow: then by fx_awake(). */
    bool is_slow;
    uint64_t wake; /* not answered yet; 0: none */
    char wake_room[ID_MAX + 1];
    struct buf last_seen;        /* users */
    char generation[ID_MAX + 1]; /* as any of its attaches was last told it */
    struct later awake;
    struct buf log;
    uint64_t calls;
    uint64_t move; /* of the last MOVED that had one */
};

struct fx {
    struct fake_env fake;
    struct sim_server server;
    struct store *store;
    struct committer *committer;
    struct shard_metrics metrics;
    struct host *host;
    struct api *api;
    struct ring *ring;
    struct fx_gate gates[3];
};

/* Rooms in project p: g (group) and c (announcement) with owner ann, members bob, cid; pub
 * (public) with owner ann. */
void fx_init(struct fx *fx);
/* The same with ann at the first gateway and bob at the second, in g; all has been told. cid's
 * is the third. */
void fx_begin_two(struct fx *fx);
/* The same with ann at the first gateway, in g, who has said "1", "2"... "n"; all has been
 * told. */
void fx_begin_talk(struct fx *fx, unsigned n);
void fx_deinit(struct fx *fx);
/* Lets everything happen that needs no waiting: 50 ms pass. */
void fx_run(struct fx *fx);
/* The ring has us alone, or somebody else alone. */
void fx_set_ring(struct fx *fx, bool is_ours);
/* We are to hand over everything to another shard. */
void fx_drain(struct fx *fx);
/* One more in project p: owner ann; members bob, cid, or none. */
void fx_create_room(struct fx *fx, const char *room, const char *type, bool with_members);
struct sim_room *fx_row(struct fx *fx, const char *room);

/* ---- a gateway ---- */

void fx_link_up(struct fx_gate *g);
void fx_link_down(struct fx_gate *g);

struct fx_attach {
    uint64_t number;
    const char *room, *user;
    uint32_t flags;
    uint64_t last_seq;
    const char *generation;
    uint32_t limit;
    const char *roles;
    uint64_t gap_n;
};
void fx_attach(struct fx_gate *g, const struct fx_attach *a);
#define FX_ATTACH(g, ...) fx_attach((g), &(struct fx_attach){__VA_ARGS__})
void fx_detach(struct fx_gate *g, uint64_t number);
/* Somebody whose gateway kept his socket in g is attached again. */
void fx_back(struct fx_gate *g, const char *user);
/* The user u<i>, an admin, comes into g by the second gateway. */
void fx_enter(struct fx *fx, unsigned i, uint32_t flags);
void fx_frame(struct fx_gate *g, uint64_t attach, uint64_t n, uint32_t flags, const char *json);
/* {"type":"message","content":content,"clientMessageId":id} (id may be NULL) */
void fx_say(struct fx_gate *g, uint64_t attach, uint64_t n, const char *content,
            const char *id);
/* The room of the last MOVED has a live socket at its new owner. */
void fx_arrived(struct fx_gate *g);
/* Every socket of the last WAKE's room has been attached. */
void fx_awake(struct fx_gate *g);
void fx_more(struct fx_gate *g, uint64_t attach);
/* The oldest PING is answered. */
void fx_pong(struct fx_gate *g);
/* A call about a room of project p (object room/p/<room>; NULL: no object). Numbers count
 * from 1. */
void fx_call(struct fx_gate *g, enum call_op op, const char *room, const char *user,
             const char *roles, const char *params);

/* What came since the last look, all of it. */
void fx_expect(struct fx_gate *g, const char *want, const char *name);
/* Throws away what came. */
void fx_forget(struct fx_gate *g);
/* Whether a line of what came contains the text. */
bool fx_got(const struct fx_gate *g, const char *text);
/* How many times the text stands in what came. */
size_t fx_count(const struct fx_gate *g, const char *text);
