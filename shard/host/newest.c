/* newest.c - see newest.h. */
#include "shard/host/newest.h"

static bool has_room(const struct newest *newest, const struct entry *e)
{
    size_t bytes = newest->bytes + entry_size(e);

    if (newest->n == 0 || (newest->n < newest->limit && bytes <= PAGE_MAX_BYTES))
        return true;
    return newest->has_reach && e->seq > newest->reach && newest->n < SNAPSHOT_REACH_MAX &&
           bytes <= SNAPSHOT_REACH_BYTES;
}

bool newest_is_full(const struct newest *newest, uint64_t seq)
{
    return newest->is_cut ||
           (newest->n >= newest->limit && (!newest->has_reach || seq <= newest->reach));
}

bool newest_add(struct newest *newest, struct entry *e)
{
    struct entry *newer = newest->tail ? tail_find_seq(newest->tail, e->seq) : NULL;

    /* Not the tail's in any case: the store shows commits of which we have not heard yet. */
    if (newer && newer->updated_seq > e->updated_seq)
        e = newer;
    if (!entry_is_live(e, newest->now_us) || !entry_is_visible(e, newest->viewer))
        return true;
    if (!has_room(newest, e)) {
        newest->is_cut = true;
        return false;
    }
    newest->bytes += entry_size(e);
    newest->n++;
    newest->entries[SNAPSHOT_REACH_MAX - newest->n] = e;
    return true;
}

void newest_from_tail(struct newest *newest, const struct tail *tail, uint64_t above)
{
    for (size_t i = tail->count; i > 0; i--) {
        struct entry *e = tail_at(tail, i - 1);

        if (e->seq <= MAX(above, tail->seq_floor) || !newest_add(newest, e))
            return;
    }
}
