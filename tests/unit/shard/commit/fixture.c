/* fixture.c - see fixture.h. */
#include "fixture.h"

#include <stdlib.h>

static struct fx *fx_of(struct store *spy)
{
    return container_of(spy, struct fx, spy);
}

/* ---- the spy: counts, and passes on ---- */

struct spied {
    struct fx *fx;
    store_submit_fn fn;
    void *arg;
    bool has_room[FX_ROOMS];
};

static void spy_on_submitted(void *arg, enum store_result result, const bool *committed,
                             bool is_duplicate)
{
    struct spied *s = arg;

    for (int i = 0; i < FX_ROOMS; i++)
        s->fx->refusals[i] += result == STORE_BAD_DATA && s->has_room[i];
    s->fn(s->arg, result, committed, is_duplicate);
    free(s);
}

/* Each entry once, and only older ones. */
static void check_changed(const struct batch_room *room)
{
    for (size_t i = 0; i < room->n_changed; i++) {
        assert_true(room->changed[i]->seq <= room->expect_seq);
        assert_in_range(room->changed[i]->updated_seq, room->expect_seq + 1, room->new_seq);
        for (size_t k = 0; k < i; k++)
            assert_int_not_equal(room->changed[i]->seq, room->changed[k]->seq);
    }
}

static int spy_submit(struct store *store, unsigned lane, const struct batch *batch,
                      store_submit_fn fn, void *arg)
{
    struct fx *fx = fx_of(store);
    struct spied *s = calloc(1, sizeof(*s));
    size_t rows = 0, changed = 0, keys = 0;
    int r;

    assert_non_null(s);
    *s = (struct spied){.fx = fx, .fn = fn, .arg = arg};
    for (size_t i = 0; i < batch->n_rooms; i++) {
        const struct batch_room *room = &batch->rooms[i];
        size_t events = (size_t)(room->new_seq - room->expect_seq);

        rows += events;
        changed += room->n_changed;
        keys += room->n_keys;
        assert_true(events >= room->n_entries + room->n_changed && events > 0);
        assert_true(room->n_changed > 0 || events == room->n_entries);
        check_changed(room);
        for (size_t k = 0; k < room->n_ops; k++)
            fx->op_seqs[room->ops[k].kind] = room->ops[k].seq;
        for (int k = 0; k < FX_ROOMS; k++)
            s->has_room[k] |= slice_eq_str(batch->rooms[i].room, fx->rooms[k].room);
    }
    if (fx->submits < ARRAY_LEN(fx->rows)) {
        fx->rows[fx->submits] = rows;
        fx->rooms_in[fx->submits] = batch->n_rooms;
        fx->changed[fx->submits] = changed;
        fx->keys[fx->submits] = keys;
    }
    fx->submits++;
    r = fx->sim->ops->submit(fx->sim, lane, batch, spy_on_submitted, s);
    if (r < 0)
        free(s);
    return r;
}

static int spy_find_dedupe(struct store *store, const struct dedupe_key *keys, size_t n,
                           store_dedupe_fn fn, void *arg)
{
    struct fx *fx = fx_of(store);

    return fx->sim->ops->find_dedupe(fx->sim, keys, n, fn, arg);
}

static int spy_probe_fences(struct store *store, const struct fence_probe *rooms, size_t n,
                            store_fences_fn fn, void *arg)
{
    struct fx *fx = fx_of(store);

    return fx->sim->ops->probe_fences(fx->sim, rooms, n, fn, arg);
}

static int spy_id_block(struct store *store, store_ids_fn fn, void *arg)
{
    struct fx *fx = fx_of(store);

    return fx->sim->ops->id_block(fx->sim, fn, arg);
}

static int64_t spy_clock_offset_us(struct store *store)
{
    struct fx *fx = fx_of(store);

    return fx->sim->ops->clock_offset_us(fx->sim);
}

/* ---- what the rooms are told ---- */

static void image_set(struct fx_room *room, struct entry *e)
{
    assert_true(e->seq < FX_SEQS);
    entry_unref(room->images[e->seq]);
    room->images[e->seq] = entry_ref(e);
}

static void put_text(char *at, size_t size, struct slice text)
{
    snprintf(at, size, "%.*s", (int)text.len, text.data ? text.data : "");
}

static void room_on_settled(void *owner, const struct commit_result *result)
{
    struct fx_room *room = owner;
    struct fx *fx = room->fx;
    struct fx_told *told = &fx->log[fx->n_log++];

    assert_true(fx->n_log < FX_LOG);
    *told = (struct fx_told){
        .room = (int)(room - fx->rooms),
        .outcome = result->outcome,
        .tag = (unsigned)(uintptr_t)result->requester,
        .seq = result->entry->seq,
        .updated_seq = result->entry->updated_seq,
        .change_seq = result->change_seq,
        .message_no = result->entry->message_no,
        .id = result->entry->id,
        .created_us = result->entry->created_us,
        .version = result->entry->version,
        .flags = result->entry->flags,
        .error = result->error,
        .n_ops = result->n_ops,
    };
    put_text(told->content, sizeof(told->content), result->entry->content);
    put_text(told->reactions, sizeof(told->reactions), result->entry->reactions);
    if (result->outcome == COMMIT_DONE) {
        uint64_t seq = result->mutation ? told->updated_seq : told->seq;

        assert_int_equal(seq, room->last_done_seq + 1);
        room->last_done_seq = seq;
        image_set(room, result->entry);
    }
}

static void room_on_lost(void *owner)
{
    struct fx_room *room = owner;

    assert_false(commit_queue_is_open(&room->queue));
    room->lost = true;
}

static const struct commit_events events = {room_on_settled, room_on_lost};

struct sim_room *fx_db_room(struct fx *fx, int room)
{
    return sim_db_room(fx->server.db, slice_str(fx->rooms[room].project),
                       slice_str(fx->rooms[room].room));
}

void fx_open_at(struct fx *fx, int i, uint64_t fence, const struct commit_head *head)
{
    struct fx_room *room = &fx->rooms[i];
    size_t n;
    struct entry *const *rows = sim_room_entries(fx_db_room(fx, i), &n);

    for (size_t k = 0; k < n; k++) {
        if (rows[k] && rows[k]->seq <= head->last_seq)
            image_set(room, rows[k]);
    }
    room->lost = false;
    room->last_done_seq = head->last_seq;
    assert_int_equal(committer_open_queue(fx->c, &room->queue, slice_str(room->project),
                                          slice_str(room->room), fence, head, &events, room),
                     0);
}

void fx_open(struct fx *fx, int i)
{
    const struct room_row *row = sim_room_row(fx_db_room(fx, i));
    struct commit_head head = {row->last_seq, row->last_id, row->last_created_us,
                               row->message_count};

    fx_open_at(fx, i, row->fence, &head);
}

void fx_init(struct fx *fx, uint64_t seed, int n, int rooms_per_project,
             const struct commit_config *config)
{
    struct commit_config defaults = commit_config_default();

    memset(fx, 0, sizeof(*fx));
    fake_env_init(&fx->fake, seed);
    sim_server_init(&fx->server, &fx->fake.env, seed);
    fx->sim = sim_store_new(&fx->server, &fx->fake.env);
    fx->spy_ops = *fx->sim->ops;
    fx->spy_ops.submit = spy_submit;
    fx->spy_ops.find_dedupe = spy_find_dedupe;
    fx->spy_ops.probe_fences = spy_probe_fences;
    fx->spy_ops.id_block = spy_id_block;
    fx->spy_ops.clock_offset_us = spy_clock_offset_us;
    fx->spy.ops = &fx->spy_ops;
    assert_int_equal(
        committer_new(&fx->fake.env, &fx->spy, config ? config : &defaults, &fx->c), 0);
    for (int i = 0; i < n; i++) {
        struct fx_room *room = &fx->rooms[i];
        struct room_create create = {.type = SLICE_LIT("group"),
                                     .name = SLICE_LIT("n"),
                                     .created_by = SLICE_LIT("u"),
                                     .fence = 1};

        room->fx = fx;
        snprintf(room->project, sizeof(room->project), "p%d", i / rooms_per_project);
        snprintf(room->room, sizeof(room->room), "r%d", i);
        create.project = slice_str(room->project);
        create.room = slice_str(room->room);
        assert_true(sim_db_create_room(fx->server.db, &create));
        fx_open(fx, i);
    }
    fake_env_advance(&fx->fake, 10); /* ids arrive */
}

void fx_deinit(struct fx *fx)
{
    for (int i = 0; i < FX_ROOMS; i++)
        committer_close_queue(&fx->rooms[i].queue);
    fx->server.is_stalled = false;
    fake_env_advance(&fx->fake, 60000);
    committer_free(fx->c);
    for (size_t i = 0; i < (size_t)FX_ROOMS * FX_SEQS; i++)
        entry_unref(fx->rooms[i / FX_SEQS].images[i % FX_SEQS]);
    sim_store_free(fx->sim);
    sim_server_deinit(&fx->server);
    fake_env_deinit(&fx->fake);
}

static int push(struct fx *fx, int room, const struct entry *from, const char *key,
                struct commit_push *push)
{
    struct entry *e = entry_new(from);
    int r;

    assert_non_null(e);
    snprintf((char *)e->dedupe, DEDUPE_LEN, "%s", key);
    push->entry = e;
    r = committer_push(&fx->rooms[room].queue, push);
    entry_unref(e);
    return r;
}

int fx_push_item(struct fx *fx, int room, unsigned tag, const char *content, const char *key,
                 bool is_suspect)
{
    struct entry from = {.kind = ENTRY_MESSAGE,
                         .version = 1,
                         .user = SLICE_LIT("u"),
                         .content = slice_str(content)};
    struct commit_push p = {.is_suspect = is_suspect, .requester = (void *)(uintptr_t)tag};

    if (strcmp(content, "bad") == 0)
        from.content = slice_of("b\0d", 3);
    return push(fx, room, &from, key ? key : content, &p);
}

int fx_push(struct fx *fx, int room, unsigned tag, const char *content, const char *key)
{
    return fx_push_item(fx, room, tag, content, key, false);
}

int fx_push_by(struct fx *fx, int room, uint64_t sender, unsigned tag, const char *content)
{
    struct entry from = {.kind = ENTRY_MESSAGE,
                         .version = 1,
                         .user = SLICE_LIT("u"),
                         .content = slice_str(content)};
    struct commit_push p = {.sender = sender, .requester = (void *)(uintptr_t)tag};

    return push(fx, room, &from, content, &p);
}

int fx_push_member(struct fx *fx, int room, unsigned tag, const char *user,
                   enum member_role role)
{
    struct entry from = {.kind = ENTRY_MEMBERSHIP, .version = 1, .user = slice_str(user)};
    struct side_op op = {.kind = SIDE_MEMBER, .user = slice_str(user), .role = role};
    struct commit_push p = {.ops = &op, .n_ops = 1, .requester = (void *)(uintptr_t)tag};
    char key[16];

    snprintf(key, sizeof(key), "m%u", tag);
    return push(fx, room, &from, key, &p);
}

/* ---- changes ---- */

static int push_change(struct fx *fx, int room, uint64_t seq, const struct mutation *from,
                       const char *key, struct commit_push *p)
{
    AUTO(mutation_unref) struct mutation *mutation = mutation_new(from);
    uint8_t dedupe[DEDUPE_LEN] = {0};
    int r;

    assert_non_null(mutation);
    p->entry = fx->rooms[room].images[seq];
    assert_non_null(p->entry);
    p->mutation = mutation;
    p->key = key ? dedupe : NULL;
    if (key)
        snprintf((char *)dedupe, sizeof(dedupe), "%s", key);
    r = committer_push(&fx->rooms[room].queue, p);
    p->key = NULL;
    return r;
}

int fx_push_change_with(struct fx *fx, int room, unsigned tag, uint64_t seq,
                        const struct mutation *from, const char *key, const struct side_op *ops,
                        size_t n_ops)
{
    struct commit_push p = {.ops = ops, .n_ops = n_ops, .requester = (void *)(uintptr_t)tag};

    return push_change(fx, room, seq, from, key, &p);
}

int fx_push_change(struct fx *fx, int room, unsigned tag, uint64_t seq,
                   const struct mutation *from, const char *key, bool is_suspect)
{
    struct commit_push p = {.is_suspect = is_suspect, .requester = (void *)(uintptr_t)tag};

    return push_change(fx, room, seq, from, key, &p);
}

struct mutation fx_edit(const char *content)
{
    struct mutation m = {
        .kind = MUTATION_EDIT, .actor = SLICE_LIT("u"), .content = slice_str(content)};

    if (strcmp(content, "bad") == 0)
        m.content = slice_of("b\0d", 3);
    return m;
}

struct mutation fx_delete(void)
{
    return (struct mutation){.kind = MUTATION_DELETE, .actor = SLICE_LIT("u")};
}

struct mutation fx_reaction(const char *actor, bool is_added)
{
    return (struct mutation){.kind = MUTATION_REACTION,
                             .actor = slice_str(actor),
                             .emoji = SLICE_LIT("+"),
                             .is_added = is_added};
}

const struct entry *fx_row(struct fx *fx, int room, uint64_t seq)
{
    size_t n;
    struct entry *const *rows = sim_room_entries(fx_db_room(fx, room), &n);

    assert_true(seq <= n && rows[seq - 1]);
    return rows[seq - 1];
}

void fx_advance(struct fx *fx, uint64_t ms)
{
    fake_env_advance(&fx->fake, ms);
}

const struct fx_told *fx_told(struct fx *fx, unsigned tag)
{
    const struct fx_told *found = NULL;

    for (size_t i = 0; i < fx->n_log; i++) {
        if (fx->log[i].tag != tag)
            continue;
        if (found)
            fail_msg("requester %u was told twice", tag);
        found = &fx->log[i];
    }
    if (!found)
        fail_msg("requester %u was told nothing", tag);
    return found;
}

size_t fx_count(const struct fx *fx, enum commit_outcome outcome)
{
    size_t n = 0;

    for (size_t i = 0; i < fx->n_log; i++)
        n += fx->log[i].outcome == outcome;
    return n;
}

static void check_room(const struct sim_room *room)
{
    bool used[FX_SEQS] = {false};
    const struct entry *last = NULL;
    uint64_t head = sim_room_row(room)->last_seq;
    struct entry *const *e;
    size_t n;

    e = sim_room_entries(room, &n);
    assert_int_equal(n, head);
    assert_true(n < FX_SEQS);
    for (size_t i = 0; i < n; i++) {
        if (!e[i])
            continue;
        assert_int_equal(e[i]->seq, i + 1);
        assert_in_range(e[i]->updated_seq, e[i]->seq, head);
        assert_false(used[e[i]->updated_seq]);
        used[e[i]->updated_seq] = true;
        assert_true(e[i]->updated_seq == i + 1 || !e[e[i]->updated_seq - 1]);
        if (last) {
            assert_true(e[i]->id > last->id);
            assert_true(e[i]->created_us > last->created_us);
            assert_true(e[i]->message_no >= last->message_no);
        }
        last = e[i];
        for (size_t k = 0; k < i; k++)
            assert_true(!e[k] || memcmp(e[i]->dedupe, e[k]->dedupe, DEDUPE_LEN) != 0);
    }
    assert_true(!last || last->message_no == sim_room_row(room)->message_count);
}

void fx_check_db(struct fx *fx)
{
    for (int i = 0; i < FX_ROOMS; i++) {
        if (fx->rooms[i].fx)
            check_room(fx_db_room(fx, i));
    }
}
