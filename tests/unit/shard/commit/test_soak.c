/*
 * test_soak.c - the committer under random faults, many seeds: senders repeat
 * what was not acknowledged, as gateways do; rooms are lost and claimed again.
 * In the end everything acknowledged is there exactly once and in order, and
 * every number belongs to something.
 */
#include <errno.h>
#include <stdlib.h>

#include "fixture.h"

#define ROOMS 6
#define KEYS 600
#define STEPS 2500
#define SEEDS_DEFAULT 60

enum wish_kind { WISH_MESSAGE, WISH_REACTION, WISH_EDIT };

/* What somebody wants to send, with one key however often it is sent. */
struct wish {
    enum wish_kind kind;
    int room;
    uint64_t target; /* seq of the entry that it changes */
    bool is_bad, may_be_there, is_out;
    unsigned sent, tag; /* tag of the try that is out */
    bool is_met;        /* acknowledged */
    uint64_t seq;       /* that it took, as acknowledged; 0: not told */
};

struct soak {
    struct fx fx;
    struct wish wishes[KEYS];
    unsigned next_wish, next_tag;
    size_t read; /* of fx.log */
    unsigned last_tag[ROOMS];
    bool claiming[ROOMS];
    uint64_t random;
    unsigned done, changes;
    uint64_t events[ROOMS]; /* in the database, by their keys */
};

static uint64_t rnd(struct soak *s, uint64_t n)
{
    s->random = s->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (s->random >> 33) % n;
}

static void send_wish(struct soak *s, unsigned i)
{
    struct wish *w = &s->wishes[i];
    bool is_suspect = w->sent > 0 && rnd(s, 2) == 0;
    char key[12];
    int r;

    if (!commit_queue_is_open(&s->fx.rooms[w->room].queue))
        return;
    snprintf(key, sizeof(key), "w%u", i);
    if (w->kind == WISH_MESSAGE) {
        r = fx_push_item(&s->fx, w->room, s->next_tag + 1, w->is_bad ? "bad" : key, key,
                         is_suspect);
    } else {
        struct mutation m =
            w->kind == WISH_EDIT ? fx_edit(w->is_bad ? "bad" : key) : fx_reaction(key, true);

        r = fx_push_change(&s->fx, w->room, s->next_tag + 1, w->target, &m, key, is_suspect);
    }
    assert_true(r == 0 || r == COMMIT_PUSH_FULL);
    if (r)
        return;
    w->sent++;
    w->is_out = true;
    w->tag = ++s->next_tag;
}

static struct wish *wish_of(struct soak *s, unsigned tag)
{
    for (unsigned i = 0; i < s->next_wish; i++) {
        if (s->wishes[i].tag == tag)
            return &s->wishes[i];
    }
    return NULL;
}

static void met(struct wish *w, const struct fx_told *told)
{
    uint64_t seq = w->kind == WISH_MESSAGE        ? told->seq
                   : told->outcome == COMMIT_DONE ? told->updated_seq
                                                  : told->change_seq;

    assert_true(w->kind == WISH_MESSAGE || told->seq == w->target);
    /* That of a reaction that was there already is the last change of the entry. */
    if (told->outcome == COMMIT_DUPLICATE && w->kind == WISH_REACTION && w->seq == 0)
        seq = 0;
    assert_true(w->seq == 0 || seq == 0 || w->seq == seq || w->kind == WISH_REACTION);
    if (w->seq == 0)
        w->seq = seq;
    w->is_met = true;
}

/* Reads what the rooms were told since the last time. */
static void read_log(struct soak *s)
{
    for (; s->read < s->fx.n_log; s->read++) {
        const struct fx_told *told = &s->fx.log[s->read];
        struct wish *w = wish_of(s, told->tag);

        if (told->tag == 0)
            continue; /* released after its sender had been told `unknown` */
        assert_non_null(w);
        assert_true(w->is_out);
        w->is_out = false;
        if (told->outcome != COMMIT_DROPPED) {
            assert_true(told->tag > s->last_tag[told->room]); /* in the order of the pushes */
            s->last_tag[told->room] = told->tag;
        }
        w->may_be_there |= told->outcome == COMMIT_UNKNOWN || told->outcome == COMMIT_DROPPED;
        if (told->outcome == COMMIT_REFUSED)
            assert_true(w->is_bad);
        assert_int_not_equal(told->outcome, COMMIT_REJECTED);
        if (told->outcome == COMMIT_NOTHING) { /* the reaction is there */
            assert_int_equal(w->kind, WISH_REACTION);
            assert_true(w->is_met || w->may_be_there);
            w->is_met = true;
        }
        if (told->outcome == COMMIT_DONE || told->outcome == COMMIT_DUPLICATE)
            met(w, told);
    }
}

static void on_claimed(void *arg, enum store_result result, const struct claim_result *claim)
{
    struct fx_room *room = arg;
    struct soak *s = container_of(room->fx, struct soak, fx);
    int i = (int)(room - room->fx->rooms);

    s->claiming[i] = false;
    if (result == STORE_OK && !commit_queue_is_open(&room->queue)) {
        struct commit_head head = {claim->row.last_seq, claim->row.last_id,
                                   claim->row.last_created_us, claim->row.message_count};

        fx_open_at(room->fx, i, claim->row.fence, &head);
        s->last_tag[i] = s->next_tag;
    }
}

static void on_stolen(void *arg, enum store_result result, const struct claim_result *claim)
{
    (void)arg;
    (void)result;
    (void)claim;
}

static void claim_room(struct soak *s, int i, uint64_t fence, store_claim_fn fn)
{
    struct fx_room *room = &s->fx.rooms[i];

    /* A refusal is tried again in a later step. */
    if (s->fx.sim->ops->claim(s->fx.sim, slice_str(room->project), slice_str(room->room), fence,
                              10, fn, room) == 0)
        s->claiming[i] |= fn == on_claimed;
}

static void make_wish(struct soak *s, int room, struct wish *w)
{
    uint64_t target = 1 + rnd(s, s->fx.rooms[room].last_done_seq + 1);

    *w = (struct wish){.room = room, .is_bad = rnd(s, 50) == 0};
    if (rnd(s, 2) == 0 || !s->fx.rooms[room].images[target])
        return;
    w->target = target;
    w->kind = rnd(s, 3) ? WISH_REACTION : WISH_EDIT;
    w->is_bad &= w->kind == WISH_EDIT;
}

static void send_something(struct soak *s, int room)
{
    if (s->next_wish < KEYS && rnd(s, 2) == 0) {
        make_wish(s, room, &s->wishes[s->next_wish]);
        send_wish(s, s->next_wish++);
    } else if (s->next_wish > 0) {
        unsigned i = (unsigned)rnd(s, s->next_wish); /* perhaps acknowledged long ago */

        if (!s->wishes[i].is_out)
            send_wish(s, i);
    }
}

static void step(struct soak *s)
{
    int room = (int)rnd(s, ROOMS);

    switch (rnd(s, 40)) {
    case 0:
        committer_close_queue(&s->fx.rooms[room].queue);
        break;
    case 1:
        if (rnd(s, 3) == 0)
            claim_room(s, room, 99, on_stolen); /* another shard takes the room */
        break;
    case 2:
        if (rnd(s, 8) == 0)
            sim_server_set_up(&s->fx.server, false);
        break;
    case 3:
        sim_server_set_stalled(&s->fx.server, rnd(s, 12) == 0);
        break;
    case 4:
        if (rnd(s, 4) == 0)
            sim_store_cut(s->fx.sim);
        break;
    case 5:
    case 6:
        sim_server_set_up(&s->fx.server, true);
        break;
    default:
        send_something(s, room);
    }
    for (int i = 0; i < ROOMS; i++) {
        if (!commit_queue_is_open(&s->fx.rooms[i].queue) && !s->claiming[i])
            claim_room(s, i, 1, on_claimed);
    }
    if (rnd(s, 4) == 0)
        fx_advance(&s->fx, rnd(s, 30));
    read_log(s);
}

static bool has_reacted(const struct entry *e, const char *user)
{
    char quoted[24];

    (void)snprintf(quoted, sizeof(quoted), "\"%s\"", user);
    return memmem(e->reactions.data, e->reactions.len, quoted, strlen(quoted)) != NULL;
}

static void check_wish(struct soak *s, unsigned i, uint64_t *edits)
{
    const struct wish *w = &s->wishes[i];
    uint8_t key[DEDUPE_LEN] = {0};
    uint64_t change_seq;
    struct entry *e;

    snprintf((char *)key, sizeof(key), "w%u", i);
    e = sim_room_find(fx_db_room(&s->fx, w->room), key, &change_seq);
    assert_false(w->is_out);
    assert_true(w->kind == WISH_MESSAGE ? change_seq == 0 : !e || change_seq > 0);
    if (w->is_met) {
        assert_non_null(e);
        s->done++;
        s->changes += w->kind != WISH_MESSAGE;
    } else if (e) {
        assert_true(w->may_be_there); /* `unavailable` and `refused` were true */
    }
    if (!e)
        return;
    s->events[w->room]++;
    if (w->kind == WISH_MESSAGE) {
        assert_true(w->seq == 0 || e->seq == w->seq);
        return;
    }
    assert_int_equal(e->seq, w->target);
    assert_true(e->updated_seq >= change_seq);
    if (w->kind == WISH_EDIT)
        edits[e->seq]++;
    else
        assert_true(has_reacted(e, (char *)key));
    assert_true(w->kind == WISH_REACTION || w->seq == 0 || w->seq == change_seq);
}

/* Each edit that has a key is in the version of its entry once, and each seq is taken. */
static void check(struct soak *s)
{
    static uint64_t edits[ROOMS][FX_SEQS];
    size_t n;

    memset(edits, 0, sizeof(edits));
    for (unsigned i = 0; i < s->next_wish; i++)
        check_wish(s, i, edits[s->wishes[i].room]);
    for (int room = 0; room < ROOMS; room++) {
        struct entry *const *e = sim_room_entries(fx_db_room(&s->fx, room), &n);

        assert_int_equal(s->events[room], n);
        for (size_t i = 0; i < n; i++) {
            if (e[i])
                assert_int_equal(e[i]->version - 1, edits[room][i + 1]);
        }
    }
}

static void soak(uint64_t seed)
{
    struct soak *s = calloc(1, sizeof(*s));
    struct commit_config config = commit_config_default();

    assert_non_null(s);
    s->random = seed;
    config.lanes = 1 + (unsigned)rnd(s, 3);
    config.batch_entries = 1 + rnd(s, 40);
    config.queue_entries = 5 + rnd(s, 100);
    fx_init(&s->fx, seed, ROOMS, 2, &config);
    s->fx.server.latency_max_ms = 1 + (unsigned)rnd(s, 8);
    s->fx.server.lost_per_mille = (unsigned)rnd(s, 150);
    s->fx.server.unavailable_per_mille = (unsigned)rnd(s, 100);
    s->fx.server.locked_per_mille = (unsigned)rnd(s, 100);
    s->fx.server.id_block = 1 + (uint32_t)rnd(s, 200);
    for (int i = 0; i < STEPS; i++)
        step(s);
    sim_server_set_up(&s->fx.server, true);
    sim_server_set_stalled(&s->fx.server, false);
    fx_advance(&s->fx, 20000);
    read_log(s);
    fx_check_db(&s->fx);
    check(s);
    assert_true(s->done > 50 && s->changes > 10);
    fx_deinit(&s->fx);
    free(s);
}

static void nothing_acknowledged_is_lost_doubled_or_out_of_order(void **state)
{
    const char *one = getenv("SEED"), *many = getenv("SEEDS");
    uint64_t n = many ? strtoull(many, NULL, 10) : SEEDS_DEFAULT;

    (void)state;
    if (one) {
        soak(strtoull(one, NULL, 10));
        return;
    }
    for (uint64_t seed = 1; seed <= n; seed++) {
        print_message("seed %llu\r",
                      (unsigned long long)seed); /* the last one is the culprit */
        soak(seed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_acknowledged_is_lost_doubled_or_out_of_order),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
