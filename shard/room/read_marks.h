/*
 * read_marks.h - how far users say that they have read, gathered until it is
 * written: of each user the newest message only. Pure; a message is an id,
 * which rises with seq within the room.
 */
#pragma once

#include "common/base/buf.h"
#include "common/base/list.h"
#include "common/base/map.h"

struct read_mark {
    struct map_node node;
    struct list link;  /* oldest first */
    int64_t id;        /* of the newest message that he has read */
    struct list waits; /* of whoever wants to know what became of it */
    struct slice user; /* points into bytes */
    char bytes[];
};

struct read_marks {
    struct map by_user;
    struct list marks; /* struct read_mark.link */
};

void read_marks_init(struct read_marks *marks);
/* Frees the marks; nobody waits for them any more. */
void read_marks_deinit(struct read_marks *marks);
static inline size_t read_marks_count(const struct read_marks *marks)
{
    return marks->by_user.count;
}

struct read_mark *read_marks_find(const struct read_marks *marks, struct slice user);
/* The user has read up to this message: his mark, which never goes back. NULL: out of memory.
 */
struct read_mark *read_marks_put(struct read_marks *marks, struct slice user, int64_t id);
/* The oldest marks, at most max, leave for a list of their own. */
void read_marks_take(struct read_marks *marks, size_t max, struct list *ret_marks);
/* Back from there: joins a younger one of the same user, with those who wait. -ENOMEM: it stays
 * outside. */
int read_marks_give_back(struct read_marks *marks, struct read_mark *mark) MUST_CHECK;
void read_mark_free(struct read_mark *mark);

/* [{"u": user, "i": id}, ...] of a list that was taken. */
void read_marks_write(struct buf *out, const struct list *marks);
