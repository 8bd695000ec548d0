/*
 * fake_client.h - client sockets for tests of gateway/session: an in-memory
 * stream under a session, what it was given as texts, and shorthands for what
 * the scripted shards say.
 */
#pragma once

#include "gateway/session/session.h"
#include "tests/unit/gateway/fake_shard.h"

struct fake_client {
    struct session *session; /* NULL once closed by either side */
    struct stream *stream;   /* the session's end */
    struct fake_sink remote; /* the client's end */
    size_t at;               /* bytes of remote.in already read */
    unsigned code;           /* of on_close; 0: not closed by the session */
    char reason[64];
    bool is_paused;
    char token[64]; /* the last of on_token: "token/frameId" */
    char text[512]; /* what client_next() returned */
};

struct fake_world {
    struct fake_cluster c;
    struct sessions *sessions;
};

void fake_world_init(struct fake_world *w, size_t shards);
void fake_world_deinit(struct fake_world *w); /* every client must be closed */

/* A native client of project "p", in a room or (room NULL) not yet in one. */
void client_open(struct fake_world *w, struct fake_client *client, const char *user,
                 const char *room);
void client_open_as(struct fake_world *w, struct fake_client *client,
                    const struct session_params *params, const struct enter_params *enter);
/* The socket goes: from this side, or after on_close. */
void client_close(struct fake_world *w, struct fake_client *client);
void client_say(struct fake_client *client, const char *json);
/* The next text that the client was given; fails when there is none. */
const char *client_next(struct fake_world *w, struct fake_client *client);
void client_expect(struct fake_world *w, struct fake_client *client, const char *text);
void client_expect_nothing(struct fake_world *w, struct fake_client *client);

/* What the shard knows of an attach. */
struct fake_attach {
    uint64_t number;
    uint32_t epoch;
    uint32_t flags;
    uint64_t last_seq;
    char user[32];
    char generation[16];
};
/* The next message must be an ATTACH. */
struct fake_attach shard_expect_attach(struct fake_world *w, struct fake_shard *s);
void shard_to_attach(struct fake_shard *s, const struct fake_attach *a, uint64_t done_n,
                     uint64_t cursor, const char *json);
void shard_paged(struct fake_shard *s, const struct fake_attach *a);
void shard_attached(struct fake_shard *s, const struct fake_attach *a, uint64_t seq);
void shard_room_event(struct fake_shard *s, const char *room, uint64_t seq, uint32_t flags,
                      uint64_t except, const char *json);
void shard_sleep(struct fake_shard *s, const char *room);
void shard_wake(struct fake_shard *s, const char *room);
void shard_moved(struct fake_shard *s, const char *object);
void shard_close(struct fake_shard *s, const struct fake_attach *a, unsigned code,
                 const char *reason);
/* A fresh client that is live at seq. */
struct fake_attach client_open_live(struct fake_world *w, struct fake_client *client,
                                    const char *user, const char *room, struct fake_shard *s,
                                    uint64_t seq);
