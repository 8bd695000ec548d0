/* newest.c - see newest.h. */
#include "shard/host/newest.h"
#include "shard/limits.h"

bool newest_add(struct newest *newest, struct entry *e)
{
    struct entry *newer = newest->tail ? tail_find_seq(newest->tail, e->seq) : NULL;

    /* Not the tail's in any case: the store shows commits of which we have not heard yet. */
    if (newer && newer->updated_seq > e->updated_seq)
        e = newer;
    if (!entry_is_live(e, newest->now_us) || !entry_is_visible(e, newest->viewer))
        return true;
    if (newest->n == newest->limit ||
        (newest->n > 0 && newest->bytes + entry_size(e) > PAGE_MAX_BYTES)) {
        newest->is_cut = true;
        return false;
    }
    newest->bytes += entry_size(e);
    newest->n++;
    newest->entries[SNAPSHOT_MAX - newest->n] = e;
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
