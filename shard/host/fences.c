/* fences.c - see fences.h. Commits are safe without this; it is for what is answered from
 * memory. */
#include "shard/host/fences.h"

#include <stdlib.h>

#include "common/base/log.h"
#include "shard/host/host.h"
#include "shard/host/room_host.h"
#include "shard/metrics.h"

/* The names are copied: rooms may go while the query is under way. */
struct fences_probe {
    struct host *host; /* NULL: gone */
    size_t n;
    struct fence_probe *rooms;
    char *bytes;
};

static void probe_free(struct fences_probe *probe)
{
    if (!probe)
        return;
    free(probe->rooms);
    free(probe->bytes);
    free(probe);
}
DEFINE_AUTO(struct fences_probe, probe_free)

static struct slice put(char **at, struct slice s)
{
    struct slice copy = slice_of(*at, s.len);

    memcpy(*at, s.data, s.len);
    *at += s.len;
    return copy;
}

/* Room for n names of len bytes together. */
static struct fences_probe *probe_alloc(size_t n, size_t len)
{
    struct fences_probe *probe = calloc(1, sizeof(*probe));

    if (!probe)
        return NULL;
    probe->rooms = calloc(n + 1, sizeof(*probe->rooms));
    probe->bytes = malloc(len + 1);
    if (!probe->rooms || !probe->bytes) {
        probe_free(probe);
        return NULL;
    }
    return probe;
}

static struct fences_probe *probe_new(struct host *host)
{
    struct fences_probe *probe;
    const struct room_host *room;
    size_t n = 0, len = 0;
    char *at;

    list_for_each(room, &host->rooms_by_use, by_use)
    {
        n++;
        len += room->project.len + room->id.len;
    }
    probe = probe_alloc(n, len);
    if (!probe)
        return NULL;
    probe->host = host;
    at = probe->bytes;
    list_for_each(room, &host->rooms_by_use, by_use)
    {
        if (room->state != ROOM_ACTIVE)
            continue;
        probe->rooms[probe->n].project = put(&at, room->project);
        probe->rooms[probe->n].room = put(&at, room->id);
        probe->n++;
    }
    return probe;
}

static void on_probed(void *arg, enum store_result result, const struct fence_state *rows)
{
    AUTO(probe_free) struct fences_probe *probe = arg;
    struct host *host = probe->host;

    if (!host)
        return;
    host->probe = NULL;
    for (size_t i = 0; i < probe->n && result == STORE_OK; i++) {
        struct room_host *room = room_find(host, probe->rooms[i].project, probe->rooms[i].room);

        if (!room || room->state != ROOM_ACTIVE || rows[i].fence == host->config.incarnation)
            continue;
        log_info("room has another fence", L_SLICE("room", room->object));
        host->metrics->moves_fence++;
        room_close(room, ROOM_END_MOVED);
    }
}

void fences_probe(struct host *host)
{
    struct store *store = host->store;
    struct fences_probe *probe;

    if (host->probe || host->rooms.count == 0)
        return;
    probe = probe_new(host);
    if (!probe)
        return; /* out of memory: the next second tries again */
    if (probe->n == 0 ||
        store->ops->probe_fences(store, probe->rooms, probe->n, on_probed, probe) < 0) {
        probe_free(probe); /* likewise */
        return;
    }
    host->probe = probe;
    host->metrics->fence_checks++;
}

void fences_stop(struct host *host)
{
    if (host->probe)
        host->probe->host = NULL;
    host->probe = NULL;
}
