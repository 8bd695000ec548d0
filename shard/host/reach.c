/* reach.c - see reach.h. */
#include "shard/host/reach.h"

#include <stdlib.h>
#include <string.h>

#include "shard/limits.h"

struct reach_step {
    uint64_t seq, at_ms;
};

struct reach_note {
    struct map_node node;
    struct list by_age;
    /* A later one is only kept when its seq is larger: it counts once the ones before it are
     * too old. */
    struct reach_step steps[REACH_STEPS];
    unsigned n_steps;
    struct reach_key key; /* points into bytes */
    char bytes[];
};

void reaches_init(struct reaches *reaches)
{
    map_init(&reaches->notes);
    list_init(&reaches->by_age);
}

static void drop(struct reaches *reaches, struct reach_note *note)
{
    map_remove(&reaches->notes, &note->node);
    list_del(&note->by_age);
    free(note);
}

void reaches_forget(struct reaches *reaches)
{
    while (!list_empty(&reaches->by_age))
        drop(reaches, list_first(&reaches->by_age, struct reach_note, by_age));
}

void reaches_deinit(struct reaches *reaches)
{
    reaches_forget(reaches);
    map_deinit(&reaches->notes);
}

/* ---- finding ---- */

static uint64_t hash_of(const struct reach_key *key)
{
    return hash_two(key->room, key->user) ^ hash_two(key->project, key->room);
}

static bool key_eq(const struct map_node *node, const void *arg)
{
    const struct reach_key *a = &container_of(node, const struct reach_note, node)->key;
    const struct reach_key *b = arg;

    return slice_eq(a->user, b->user) && slice_eq(a->room, b->room) &&
           slice_eq(a->project, b->project);
}

static struct reach_note *find(const struct reaches *reaches, const struct reach_key *key)
{
    struct map_node *node = map_find(&reaches->notes, hash_of(key), key_eq, key);

    return node ? container_of(node, struct reach_note, node) : NULL;
}

static bool is_fresh(const struct reach_step *step, uint64_t now_ms)
{
    return now_ms - step->at_ms < REACH_KEEP_MS;
}

uint64_t reaches_find(const struct reaches *reaches, const struct reach_key *key,
                      uint64_t now_ms)
{
    const struct reach_note *note = find(reaches, key);

    for (unsigned i = 0; note && i < note->n_steps; i++) {
        if (is_fresh(&note->steps[i], now_ms))
            return note->steps[i].seq;
    }
    return UINT64_MAX;
}

/* ---- noting ---- */

static struct slice copy(char **at, struct slice s)
{
    struct slice to = slice_of(*at, s.len);

    if (s.len > 0)
        memcpy(*at, s.data, s.len);
    *at += s.len;
    return to;
}

static struct reach_note *note_new(struct reaches *reaches, const struct reach_key *key)
{
    struct reach_note *note =
        calloc(1, sizeof(*note) + key->project.len + key->room.len + key->user.len);
    char *at;

    if (!note)
        return NULL;
    at = note->bytes;
    note->key.project = copy(&at, key->project);
    note->key.room = copy(&at, key->room);
    note->key.user = copy(&at, key->user);
    list_init(&note->by_age);
    if (map_insert(&reaches->notes, &note->node, hash_of(key)) < 0) {
        free(note);
        return NULL;
    }
    return note;
}

static void add_step(struct reach_note *note, uint64_t seq, uint64_t now_ms)
{
    struct reach_step *steps = note->steps;
    unsigned n = 0;

    for (unsigned i = 0; i < note->n_steps; i++) {
        if (is_fresh(&steps[i], now_ms) && steps[i].seq < seq)
            steps[n++] = steps[i];
    }
    if (n == REACH_STEPS) { /* the first two become one that reaches as far, and as long */
        steps[0].at_ms = steps[1].at_ms;
        memmove(&steps[1], &steps[2], (REACH_STEPS - 2) * sizeof(*steps));
        n--;
    }
    steps[n] = (struct reach_step){.seq = seq, .at_ms = now_ms};
    note->n_steps = n + 1;
}

void reaches_put(struct reaches *reaches, const struct reach_key *key, uint64_t seq,
                 uint64_t now_ms)
{
    struct reach_note *note = find(reaches, key);

    if (!note)
        note = note_new(reaches, key);
    if (!note)
        return;
    add_step(note, seq, now_ms);
    list_del(&note->by_age);
    list_add_tail(&reaches->by_age, &note->by_age);
    if (reaches->notes.count > REACH_NOTES_MAX)
        drop(reaches, list_first(&reaches->by_age, struct reach_note, by_age));
}

void reaches_prune(struct reaches *reaches, uint64_t now_ms)
{
    for (unsigned i = 0; i < REACH_PRUNE && !list_empty(&reaches->by_age); i++) {
        struct reach_note *note = list_first(&reaches->by_age, struct reach_note, by_age);

        if (is_fresh(&note->steps[note->n_steps - 1], now_ms))
            return; /* all behind it have been noted later */
        drop(reaches, note);
    }
}
