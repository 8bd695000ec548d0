/*
 * sim_check.c - order, durability, exactly once: compared by value.
 */
#include "tests/sim/sim_check.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/buf.h"

/* One (room, seq), as first shown or stored. */
struct fact {
    struct map_node node;
    uint64_t seq;
    int64_t id;
    int64_t created_us;
    bool stored;
    struct slice room, text; /* text: user and key joined; or the content of a version */
    char bytes[];
};

/* One (room, user, key). */
struct key_fact {
    struct map_node node;
    uint64_t seq;
    int64_t id;
    bool stored, acked;
    size_t len;
    char bytes[];
};

/* One (room, seq) that was the message `id`, or changed it. seq 0: the room has lost something.
 */
struct lost {
    struct map_node node;
    uint64_t seq;
    int64_t id;
    struct slice room;
    char bytes[];
};

#define TELL_MAX 20 /* violations that are printed */

void sim_check_init(struct sim_check *check, bool verbose)
{
    *check = (struct sim_check){.is_verbose = verbose};
    map_init(&check->facts);
    map_init(&check->texts);
    map_init(&check->keys);
    map_init(&check->lost);
}

static bool free_fact(struct map_node *node, void *arg)
{
    map_remove(arg, node);
    free(container_of(node, struct fact, node));
    return true;
}

static bool free_key(struct map_node *node, void *arg)
{
    map_remove(arg, node);
    free(container_of(node, struct key_fact, node));
    return true;
}

static bool free_lost(struct map_node *node, void *arg)
{
    map_remove(arg, node);
    free(container_of(node, struct lost, node));
    return true;
}

void sim_check_deinit(struct sim_check *check)
{
    map_each(&check->lost, free_lost, &check->lost);
    map_deinit(&check->lost);
    map_each(&check->facts, free_fact, &check->facts);
    map_each(&check->texts, free_fact, &check->texts);
    map_each(&check->keys, free_key, &check->keys);
    map_deinit(&check->facts);
    map_deinit(&check->texts);
    map_deinit(&check->keys);
}

void sim_violation(struct sim_check *check, const char *fmt, ...)
{
    va_list args;

    if (check->violations++ >= TELL_MAX)
        return;
    va_start(args, fmt);
    fputs("violation: ", stderr);
    vfprintf(stderr, fmt, args);
    fputc('\n', stderr);
    va_end(args);
}

struct fact_key {
    struct slice room;
    uint64_t seq;
};

static bool fact_eq(const struct map_node *node, const void *key)
{
    const struct fact *fact = container_of(node, struct fact, node);
    const struct fact_key *want = key;

    return fact->seq == want->seq && slice_eq(fact->room, want->room);
}

static uint64_t fact_hash(const struct fact_key *key)
{
    return hash_two(key->room, slice_of(&key->seq, sizeof(key->seq)));
}

static struct fact *fact_find(const struct map *facts, struct slice room, uint64_t seq)
{
    struct fact_key key = {room, seq};
    struct map_node *node = map_find(facts, fact_hash(&key), fact_eq, &key);

    return node ? container_of(node, struct fact, node) : NULL;
}

static struct slice join(struct buf *buf, struct slice a, struct slice b, struct slice c)
{
    buf_clear(buf);
    buf_put_slice(buf, a);
    buf_put_char(buf, '\n');
    buf_put_slice(buf, b);
    buf_put_char(buf, '\n');
    buf_put_slice(buf, c);
    return buf_slice(buf);
}

static struct fact *fact_new(struct map *facts, const struct fact_key *key, int64_t id,
                             struct slice text)
{
    struct slice room = key->room;
    struct fact *fact = calloc(1, sizeof(*fact) + room.len + text.len);

    if (!fact || map_insert(facts, &fact->node, fact_hash(key)) < 0)
        abort();
    fact->seq = key->seq;
    fact->id = id;
    memcpy(fact->bytes, room.data, room.len);
    if (text.len > 0)
        memcpy(fact->bytes + room.len, text.data, text.len);
    fact->room = slice_of(fact->bytes, room.len);
    fact->text = slice_of(fact->bytes + room.len, text.len);
    return fact;
}

static struct fact *fact_note(struct sim_check *check, struct map *facts, struct slice room,
                              uint64_t seq, int64_t id, struct slice text)
{
    struct fact_key key = {room, seq};
    struct fact *fact = fact_find(facts, room, seq);

    if (!fact)
        return fact_new(facts, &key, id, text);
    if (fact->id != id || !slice_eq(fact->text, text)) {
        sim_violation(check,
                      "%.*s seq %" PRIu64 ": two contents: id %" PRId64
                      " \"%.*s\" and id %" PRId64 " \"%.*s\"",
                      (int)room.len, room.data, seq, fact->id, (int)fact->text.len,
                      fact->text.data, id, (int)text.len, text.data);
    }
    return fact;
}

/* ---- what a failover takes back ---- */

static bool lost_eq(const struct map_node *node, const void *key)
{
    const struct lost *lost = container_of(node, struct lost, node), *want = key;

    return lost->seq == want->seq && lost->id == want->id && slice_eq(lost->room, want->room);
}

static uint64_t lost_hash(const struct lost *lost)
{
    return hash_two(lost->room, slice_of(&lost->seq, sizeof(lost->seq)));
}

static bool is_lost(const struct sim_check *check, struct slice room, uint64_t seq, int64_t id)
{
    struct lost key = {.seq = seq, .id = id, .room = room};

    return check->lost.count > 0 && map_find(&check->lost, lost_hash(&key), lost_eq, &key);
}

void sim_check_lost(struct sim_check *check, struct slice room, uint64_t seq, int64_t id)
{
    struct lost *lost;

    if (is_lost(check, room, seq, id))
        return;
    lost = calloc(1, sizeof(*lost) + room.len);
    if (!lost)
        abort();
    memcpy(lost->bytes, room.data, room.len);
    lost->seq = seq;
    lost->id = id;
    lost->room = slice_of(lost->bytes, room.len);
    if (map_insert(&check->lost, &lost->node, lost_hash(lost)) < 0)
        abort();
}

bool sim_check_has_lost(const struct sim_check *check, struct slice room)
{
    return is_lost(check, room, 0, 0);
}

struct forget {
    struct map *map;
    struct slice room;
    uint64_t head;
};

static bool forget_fact(struct map_node *node, void *arg)
{
    const struct forget *f = arg;
    struct fact *fact = container_of(node, struct fact, node);

    if (fact->seq > f->head && slice_eq(fact->room, f->room))
        (void)free_fact(node, f->map);
    return true;
}

static bool forget_key(struct map_node *node, void *arg)
{
    const struct forget *f = arg;
    struct key_fact *fact = container_of(node, struct key_fact, node);

    if (fact->seq > f->head && fact->len > f->room.len && fact->bytes[f->room.len] == '\n' &&
        memcmp(fact->bytes, f->room.data, f->room.len) == 0)
        (void)free_key(node, f->map);
    return true;
}

void sim_check_forget(struct sim_check *check, struct slice room, uint64_t head)
{
    struct forget f = {&check->facts, room, head};

    sim_check_lost(check, room, 0, 0);
    map_each(&check->facts, forget_fact, &f);
    f.map = &check->keys;
    map_each(&check->keys, forget_key, &f);
}

/* ---- what is shown and stored ---- */

/* Versions stay small: a text has one number. */
static void text_note(struct sim_check *check, const struct sim_shown *m)
{
    assert(m->version < 4096);
    if (!m->is_deleted && !is_lost(check, m->room, 0, 0))
        fact_note(check, &check->texts, m->room, m->seq << 12 | m->version, m->id, m->content);
}

void sim_check_shown(struct sim_check *check, const struct sim_shown *m)
{
    AUTO_BUF buf = BUF_INIT;
    struct slice who = join(&buf, m->user, m->key, (struct slice){0});
    struct fact *fact, *before;

    check->n_shown++;
    if (is_lost(check, m->room, m->seq, m->id))
        return;
    fact = fact_note(check, &check->facts, m->room, m->seq, m->id, who);
    before = m->seq > 1 ? fact_find(&check->facts, m->room, m->seq - 1) : NULL;

    text_note(check, m);
    if (fact->created_us && fact->created_us != m->created_us)
        sim_violation(check, "seq %" PRIu64 ": createdAt changed", m->seq);
    fact->created_us = m->created_us;
    if (!before || !before->created_us)
        return; /* a change, or not shown yet */
    if (before->created_us >= m->created_us)
        sim_violation(check, "seq %" PRIu64 ": createdAt does not rise", m->seq);
    if (before->id >= m->id)
        sim_violation(check, "seq %" PRIu64 ": id does not rise", m->seq);
}

#define CHANGE SLICE_LIT("a change")

void sim_check_changed(struct sim_check *check, struct slice room, uint64_t seq, int64_t id)
{
    if (!is_lost(check, room, seq, id) && !is_lost(check, room, seq, 0))
        fact_note(check, &check->facts, room, seq, id, CHANGE);
}

static bool key_eq(const struct map_node *node, const void *key)
{
    const struct key_fact *fact = container_of(node, struct key_fact, node);

    return slice_eq(slice_of(fact->bytes, fact->len), *(const struct slice *)key);
}

static struct key_fact *key_note(struct sim_check *check, struct slice name)
{
    uint64_t hash = hash_slice(name);
    struct map_node *node = map_find(&check->keys, hash, key_eq, &name);
    struct key_fact *fact;

    if (node)
        return container_of(node, struct key_fact, node);
    fact = calloc(1, sizeof(*fact) + name.len);
    if (!fact || map_insert(&check->keys, &fact->node, hash) < 0)
        abort();
    fact->len = name.len;
    memcpy(fact->bytes, name.data, name.len);
    return fact;
}

void sim_check_acked(struct sim_check *check, struct slice room, struct slice user,
                     struct slice key, uint64_t seq, int64_t id)
{
    AUTO_BUF buf = BUF_INIT;
    struct key_fact *fact;

    check->n_acked++;
    if (is_lost(check, room, seq, id))
        return;
    fact = key_note(check, join(&buf, room, user, key));
    if (fact->acked && (fact->seq != seq || fact->id != id))
        sim_violation(check, "key %.*s acknowledged at seq %" PRIu64 " and at %" PRIu64,
                      (int)key.len, key.data, fact->seq, seq);
    fact->acked = true;
    fact->seq = seq;
    fact->id = id;
}

void sim_check_stored(struct sim_check *check, const struct sim_shown *m)
{
    AUTO_BUF buf = BUF_INIT;
    struct slice who = join(&buf, m->user, m->key, (struct slice){0});
    struct key_fact *owner;

    fact_note(check, &check->facts, m->room, m->seq, m->id, who)->stored = true;
    text_note(check, m);
    if (m->key.len == 0)
        return;
    owner = key_note(check, join(&buf, m->room, m->user, m->key));
    if (owner->stored)
        sim_violation(check, "key %.*s stored twice", (int)m->key.len, m->key.data);
    if (owner->acked && (owner->seq != m->seq || owner->id != m->id))
        sim_violation(check, "key %.*s acknowledged at %" PRIu64 ", stored at %" PRIu64,
                      (int)m->key.len, m->key.data, owner->seq, m->seq);
    owner->stored = true;
}

void sim_check_stored_change(struct sim_check *check, struct slice room, uint64_t seq)
{
    struct fact *fact = fact_find(&check->facts, room, seq);

    if (!fact)
        return; /* nobody was there to see it */
    if (!slice_eq(fact->text, CHANGE))
        sim_violation(check, "%.*s seq %" PRIu64 ": shown as a message, stored as a change",
                      (int)room.len, room.data, seq);
    fact->stored = true;
}

static bool fact_is_stored(struct map_node *node, void *arg)
{
    struct fact *fact = container_of(node, struct fact, node);

    if (!fact->stored)
        sim_violation(arg, "%.*s seq %" PRIu64 " was shown and is not stored: %.*s",
                      (int)fact->room.len, fact->room.data, fact->seq, (int)fact->text.len,
                      fact->text.data);
    return true;
}

static bool key_is_stored(struct map_node *node, void *arg)
{
    struct key_fact *fact = container_of(node, struct key_fact, node);

    if (fact->acked && !fact->stored)
        sim_violation(arg, "%.*s was acknowledged and is not stored", (int)fact->len,
                      fact->bytes);
    return true;
}

void sim_check_finish(struct sim_check *check)
{
    map_each(&check->facts, fact_is_stored, check);
    map_each(&check->keys, key_is_stored, check);
}
