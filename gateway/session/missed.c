/* missed.c - see missed.h. */
#include "gateway/session/missed.h"

#include <stdlib.h>

#include "common/base/limits.h"
#include "gateway/session/sessions.h"

#define PREFIX "room/"
#define PREFIX_LEN (sizeof(PREFIX) - 1)

struct missed {
    struct map_node node; /* missed_rooms.by_name */
    struct list link;     /* missed_rooms.by_due */
    uint64_t due_ms;
    unsigned tries;
    struct slice object, project, room; /* point into bytes */
    char bytes[];
};

struct name {
    struct slice project, room;
};

static bool name_eq(const struct map_node *node, const void *key)
{
    const struct missed *m = container_of(node, const struct missed, node);
    const struct name *name = key;

    return slice_eq(m->room, name->room) && slice_eq(m->project, name->project);
}

static struct missed *find(const struct missed_rooms *missed, struct slice project,
                           struct slice room)
{
    struct name name = {project, room};
    struct map_node *node = map_find(&missed->by_name, hash_two(project, room), name_eq, &name);

    return node ? container_of(node, struct missed, node) : NULL;
}

static void drop(struct missed_rooms *missed, struct missed *m)
{
    map_remove(&missed->by_name, &m->node);
    list_del(&m->link);
    free(m);
}

/* Its owner may be out of reach just now, or another one next time. */
static void ask(struct sessions *all, struct missed *m)
{
    struct link *link = link_pool_owner(all->pool, m->object);
    struct msg msg = {.type = MSG_DETACH,
                      .DETACH = {.project = m->project, .room = m->room, .wake = 1}};

    m->tries++;
    m->due_ms = env_now_ms(all->env) + MISSED_RETRY_MS;
    list_del(&m->link);
    list_add_tail(&all->missed.by_due, &m->link);
    if (link && link_send(link, &msg) < 0)
        return; /* the link ends */
}

static struct missed *missed_new(struct slice project, struct slice room)
{
    size_t len = PREFIX_LEN + project.len + 1 + room.len;
    struct missed *m = calloc(1, sizeof(*m) + len);
    char *at;

    if (!m)
        return NULL;
    at = m->bytes;
    memcpy(at, PREFIX, PREFIX_LEN);
    memcpy(at + PREFIX_LEN, project.data, project.len);
    at[PREFIX_LEN + project.len] = '/';
    memcpy(at + PREFIX_LEN + project.len + 1, room.data, room.len);
    m->object = slice_of(at, len);
    m->project = slice_of(at + PREFIX_LEN, project.len);
    m->room = slice_of(at + PREFIX_LEN + project.len + 1, room.len);
    list_init(&m->link);
    return m;
}

void missed_add(struct sessions *all, struct slice project, struct slice room)
{
    struct missed *m = find(&all->missed, project, room);

    if (!m) {
        if (all->missed.by_name.count >= MISSED_MAX)
            return;
        m = missed_new(project, room);
        if (!m)
            return;
        if (map_insert(&all->missed.by_name, &m->node, hash_two(project, room)) < 0) {
            free(m);
            return;
        }
    }
    m->tries = 0;
    ask(all, m);
}

void missed_on_wake(struct sessions *all, struct slice project, struct slice room)
{
    struct missed *m = find(&all->missed, project, room);

    if (m)
        drop(&all->missed, m);
}

void missed_sweep(struct sessions *all)
{
    uint64_t now_ms = env_now_ms(all->env);

    while (!list_empty(&all->missed.by_due)) {
        struct missed *m = list_first(&all->missed.by_due, struct missed, link);

        if (m->due_ms > now_ms)
            return;
        if (m->tries >= MISSED_TRIES)
            drop(&all->missed, m);
        else
            ask(all, m);
    }
}

void missed_init(struct missed_rooms *missed)
{
    map_init(&missed->by_name);
    list_init(&missed->by_due);
}

void missed_deinit(struct missed_rooms *missed)
{
    while (!list_empty(&missed->by_due))
        drop(missed, list_first(&missed->by_due, struct missed, link));
    map_deinit(&missed->by_name);
}
