/*
 * publish.h - the write path of messages, the same for sockets and REST:
 * authorise, recognise repeats, limit, queue for commit.
 */
#pragma once

#include "shard/host/find.h"
#include "shard/host/room_host.h"
#include "shard/room/command.h"
#include "shard/room/mentions.h"

struct publish {
    struct room_request *request; /* is settled by the committer when the answer is 0 */
    const struct command_message *message;
    bool is_streaming; /* the text comes later: it may be empty now */
    struct slice user;
    unsigned project_roles;
    enum limiter_way way;
    uint64_t sender; /* attach.sender; 0: no socket */
    uint8_t dedupe[DEDUPE_LEN];
    bool is_resent;    /* sent again by the gateway: has been let through the limit before */
    bool is_suspect;   /* probably a repeat: look it up before the commit */
    bool is_charged;   /* has been through the limit already */
    bool by_office;    /* an announcement: the caller has checked that he may, and the room's
                          limits are not for him; it is audited */
    enum found parent; /* what the store has said about the parent, if it was asked: */
    struct entry *parent_entry; /* YES: the parent, borrowed */

    struct buf visible_to; /* scratch of room_publish(); the caller deinits it */
    int64_t expires_us;    /* likewise */

    /* PUBLISH_REFUSED */
    enum error_code error;
    const char *detail; /* may be "" */
    char detail_bytes[32];
    uint64_t retry_after_ms;
    /* PUBLISH_DUPLICATE: the original, borrowed */
    struct entry *original;
};

enum publish_answer {
    PUBLISH_DUPLICATE = 1,
    PUBLISH_REFUSED,
    PUBLISH_FIND_PARENT, /* look it up with find_start() and come again, charged, with what was
                            found */
};
int room_publish(struct room_host *room, struct publish *p) MUST_CHECK;

/* What is written so that those who are named find the message. Returns how many. */
size_t room_mention_ops(const struct mentions *mentions, struct slice author,
                        struct side_op ops[MENTIONS_MAX]);
/* The repeat had been charged against the limit: gives it back. */
void room_publish_refund(struct room_host *room, struct slice user, enum limiter_way way);
/* Is there something in the text that the settings of the room forbid? ERROR_NONE, or
 * blocked_content. Asked wherever a text comes into the room. */
enum error_code room_refuse_content(const struct room_host *room, struct slice content);
/* The error word for a commit that did not happen (REFUSED, UNAVAILABLE, UNKNOWN). */
enum error_code publish_error_of(enum commit_outcome outcome);
