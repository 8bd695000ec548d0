/*
 * mutate.h - the write path of changes to messages (edit, delete, reaction), the
 * same for sockets and REST: find the message, authorise, limit, queue for
 * commit. What depends on the message as it will be then is decided there
 * (shard/room/mutation.h).
 */
#pragma once

#include "shard/host/find.h"
#include "shard/host/room_host.h"

struct mutate {
    struct room_request *request; /* is settled by the committer when the answer is 0 */
    int64_t message_id;
    struct slice user;
    unsigned project_roles;
    uint64_t sender; /* attach.sender; 0: no socket */
    const uint8_t
        *key; /* DEDUPE_LEN bytes, so that the change is made once however often it is sent */
    bool is_resent;     /* has been let through the limit before; look its key up first */
    bool is_charged;    /* has been through the limit already */
    struct entry *base; /* what the store has said, if it was asked: the message, borrowed */
    bool is_missing;    /* or that there is none */

    /* MUTATE_REFUSED */
    enum error_code error;
    const char *detail; /* may be "" */
    char detail_bytes[32];
    uint64_t retry_after_ms;
    /* Kind and what the kind needs; actor, extra and is_any_author are filled in here. Last,
     * because its type ends in the bytes that its copies have. */
    struct mutation what;
};

enum mutate_answer {
    MUTATE_REFUSED = 1,
    MUTATE_FIND, /* look message_id up with find_start() and come again, charged, with what was
                    found */
};
int room_mutate(struct room_host *room, struct mutate *m) MUST_CHECK;

/* The error word for a change that did not happen (REJECTED and what publish_error_of() knows).
 */
enum error_code mutate_error_of(const struct commit_result *result);
