/* newest.c - see newest.h. */
#include "shard/host/newest.h"

bool newest_add(struct newest *newest, struct entry *e)
{
    if (e->kind != ENTRY_MESSAGE || e->deleted_us)
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

        if (e->seq <= above || !newest_add(newest, e))
            return;
    }
}
