/* frame_priv.h - what the files share that run client frames (frame_in.c and its likes). */
#pragma once

#include "shard/host/find.h"
#include "shard/host/op.h"
#include "shard/room/command.h"
#include "shard/room/mutation.h"

struct frame {
    uint64_t n; /* 0: is not settled */
    uint32_t flags;
    struct slice json;
    /* After it has waited for the message that it names. */
    bool is_charged, has_failed;
    enum found found;
    struct entry *named; /* YES: owned reference */
};

/* ---- frame_in.c ---- */

/* Settles the op with an error. */
void frame_refuse(struct op *op, struct slice client_id, enum error_code code,
                  const char *detail, uint64_t retry_after_ms);
/* The key of frame n: the client's, or, without one, that of the gateway's numbering. */
void frame_make_key(const struct attach *attach, uint64_t n, struct slice client_id,
                    uint8_t ret[DEDUPE_LEN]);
/* Settles the op: what it asks for was done before, by this entry. */
void frame_acknowledge_repeat(struct op *op, const struct entry *original);
/* The frame goes back to the front of what is held until the store has said what message `id`
 * is; then it runs again. The op is gone. */
void frame_wait_for_message(struct op *op, const struct frame *frame, int64_t id);

/* ---- frame_change.c: edit, delete, reaction ---- */

void frame_run_change(struct op *op, const struct frame *frame, enum mutation_kind kind,
                      const struct command_change *change);

/* ---- frame_stream.c ---- */

void frame_run_stream(struct op *op, const struct frame *frame, const struct command_stream *s);
