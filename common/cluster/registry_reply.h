/*
 * registry_reply.h - what the registry's script answers, read: pure over a
 * reply of hiredis. Everything in it may have been written by others.
 */
#pragma once

#include "common/cluster/registry.h"

struct redisReply; /* hiredis/hiredis.h */

/* A view and what it points to. The slices point into the reply. */
struct registry_reply {
    struct registry_view view;
    struct ring_member members[RING_MEMBERS_MAX];
    uint64_t lease_age_ms[RING_MEMBERS_MAX];
};

/* What on_reply is told: 0 or enum registry_answer, with the view; -EACCES: Redis refuses (the
 * reply says why); -EBADMSG: this is no answer of the script. */
int registry_reply_parse(const struct redisReply *reply, struct registry_reply *ret) MUST_CHECK;
