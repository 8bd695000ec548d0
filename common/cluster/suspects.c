/* suspects.c - see suspects.h. */
#include "common/cluster/suspects.h"

#include <assert.h>

/* SUSPECTS_MAX: it is not among them. */
static size_t find(const struct suspects *suspects, struct slice id, uint64_t now_ms)
{
    size_t i = 0;

    while (i < SUSPECTS_MAX &&
           (suspects->list[i].until_ms <= now_ms ||
            !slice_eq(slice_of(suspects->list[i].id, suspects->list[i].id_len), id)))
        i++;
    return i;
}

bool suspects_has(const struct suspects *suspects, struct slice id, uint64_t now_ms)
{
    return find(suspects, id, now_ms) < SUSPECTS_MAX;
}

bool suspects_add(struct suspects *suspects, struct slice id, uint64_t now_ms)
{
    size_t at = find(suspects, id, now_ms);

    assert(id.len > 0 && id.len <= NODE_ID_MAX);
    for (size_t i = 0; at == SUSPECTS_MAX && i < SUSPECTS_MAX; i++) {
        if (suspects->list[i].until_ms <= now_ms)
            at = i;
    }
    if (at == SUSPECTS_MAX)
        return false;
    memcpy(suspects->list[at].id, id.data, id.len);
    suspects->list[at].id_len = id.len;
    suspects->list[at].until_ms = now_ms + SUSPECT_MS;
    return true;
}
