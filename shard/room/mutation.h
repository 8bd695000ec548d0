/*
 * mutation.h - a change of an entry that exists: edit, delete, reaction, expiry,
 * the end of a token stream. Asked for once, applied to the newest image of the
 * entry at the moment when the change gets its number (and again, when a batch
 * has failed and is numbered anew), so that changes of one entry never overwrite
 * one another. Pure.
 *
 * What depends only on the entry is decided here (is it the author's, is it
 * deleted, is the reaction there already). What depends on the room (may the
 * user write, is he muted) has been decided before.
 */
#pragma once

#include "common/json/errors.h"
#include "shard/room/entry.h"

enum mutation_kind {
    MUTATION_EDIT = 1,   /* new content and extra */
    MUTATION_DELETE,     /* a tombstone */
    MUTATION_EXPIRE,     /* likewise, because its time is over */
    MUTATION_REACTION,   /* `actor` adds or removes `emoji` */
    MUTATION_STREAM_END, /* the last text of a token stream */
};

/* Immutable, reference-counted. */
struct mutation {
    uint32_t refs;
    enum mutation_kind kind;
    bool is_any_author; /* EDIT, DELETE: an office allows it, whoever wrote the entry */
    bool is_hard;       /* DELETE: nothing is kept but the number */
    bool is_added;      /* REACTION */
    struct slice actor; /* who asks; points into bytes, as the others */
    struct slice content, extra; /* EDIT, STREAM_END */
    struct slice emoji;          /* REACTION */
    char bytes[];
};

/* Copies what the slices of `from` point at. NULL: out of memory. */
struct mutation *mutation_new(const struct mutation *from);
struct mutation *mutation_ref(struct mutation *m);
void mutation_unref(struct mutation *m); /* NULL does nothing */
DEFINE_AUTO(struct mutation, mutation_unref)
size_t mutation_size(const struct mutation *m);

enum mutation_answer {
    MUTATION_NOTHING = 1, /* is so already: takes no seq, is answered like a repeat */
    MUTATION_REFUSED,     /* *ret_error says why */
};
/*
 * The entry as it is after the change, which takes `seq` at now_us: a fresh entry with one
 * reference, the caller's. Sets the outputs only for the answer they belong to. -ENOMEM.
 */
int mutation_apply(const struct mutation *m, const struct entry *base, uint64_t seq,
                   int64_t now_us, struct entry **ret_entry,
                   enum error_code *ret_error) MUST_CHECK;
