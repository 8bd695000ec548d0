/* test_changes_pg.c - on a real PostgreSQL: changes of entries, their keys, side writes, and
 * how they are read again. */
#include <stdlib.h>

#include "common/base/limits.h"
#include "pg_fixture.h"

static int setup(void **state)
{
    struct pgx *x = calloc(1, sizeof(*x));

    *state = x;
    pgx_init(x, 1);
    assert_true(pgx_create_room(x, "a", 1));
    assert_true(pgx_create_room(x, "b", 1));
    return 0;
}

static int teardown(void **state)
{
    pgx_deinit(*state);
    free(*state);
    return 0;
}

/* n messages "x<seq>" in a fresh room. */
static void fill(struct pgx *x, const char *room, unsigned n)
{
    static int64_t next_id = 100;
    struct pgx_batch b;
    struct pgx_submit s;

    pgx_batch_init(&b, next_id);
    (void)pgx_batch_room(&b, room, 1, 0, n, "x");
    pgx_submit(x, &b.batch, &s);
    assert_true(s.committed[0]);
    next_id += n;
    pgx_batch_deinit(&b);
}

static struct entry image_of(uint64_t seq)
{
    return (struct entry){.kind = ENTRY_MESSAGE,
                          .seq = seq,
                          .id = 99 + (int64_t)seq,
                          .created_us = 1700000000000000 + (int64_t)seq * 1000,
                          .version = 2,
                          .message_no = seq,
                          .edited_us = 1800000000000000,
                          .user = SLICE_LIT("ann"),
                          .content = SLICE_LIT("new"),
                          .extra = SLICE_LIT("{\"e\":1}"),
                          .visible_to = SLICE_LIT("ann,bob"),
                          .reactions = SLICE_LIT("{\"+\":[\"bob\"]}")};
}

struct found {
    bool done;
    struct dedupe_found rows[2];
};

static void on_dedupe(void *arg, enum store_result result, const struct dedupe_found *found)
{
    struct found *f = arg;

    assert_int_equal(result, STORE_OK);
    f->done = true;
    for (size_t i = 0; i < ARRAY_LEN(f->rows); i++) {
        f->rows[i] = found[i];
        if (found[i].entry)
            (void)entry_ref(found[i].entry);
    }
}

static void look_up(struct pgx *x, const char *first, const char *second, struct found *ret)
{
    const char *const names[] = {first, second};
    struct dedupe_key keys[2];

    *ret = (struct found){0};
    memset(keys, 0, sizeof(keys));
    for (size_t i = 0; i < 2; i++) {
        keys[i].project = SLICE_LIT("p");
        keys[i].room = SLICE_LIT("a");
        memcpy(keys[i].dedupe, names[i], strlen(names[i]));
    }
    assert_int_equal(x->store->ops->find_dedupe(x->store, keys, 2, on_dedupe, ret), 0);
    pgx_wait(x, &ret->done);
}

static void a_change_is_written_and_found_by_its_key(void **state)
{
    struct pgx *x = *state;
    struct entry image = image_of(2);
    struct pgx_batch b;
    struct pgx_submit s;
    struct found f;

    fill(x, "a", 3);
    pgx_batch_init(&b, 200);
    (void)pgx_batch_room(&b, "a", 1, 3, 1, "x");
    pgx_batch_change(&b, &image, "k1");
    pgx_submit(x, &b.batch, &s);
    assert_true(s.committed[0]);
    pgx_batch_deinit(&b);
    assert_string_equal(pgx_sql(x, "SELECT concat_ws(' ', updated_seq, version, content, extra,"
                                   " reactions, visible_to::text, extract(epoch FROM edited_at)"
                                   " ::bigint, id, message_no) FROM timeline WHERE seq = 2"),
                        "5 2 new {\"e\":1} {\"+\":[\"bob\"]} {ann,bob} 1800000000 101 2");
    assert_string_equal(pgx_sql(x, "SELECT concat_ws(' ', last_seq, message_count) FROM rooms"
                                   " WHERE room_id = 'a'"),
                        "5 4");
    look_up(x, "k1", "x1", &f);
    assert_int_equal(f.rows[0].change_seq, 5);
    assert_int_equal(f.rows[0].entry->seq, 2);
    assert_true(slice_eq_str(f.rows[0].entry->visible_to, "ann,bob"));
    assert_int_equal(f.rows[1].change_seq, 0);
    assert_int_equal(f.rows[1].entry->seq, 1);
    entry_unref(f.rows[0].entry);
    entry_unref(f.rows[1].entry);
}

static void a_key_of_a_change_counts_once(void **state)
{
    struct pgx *x = *state;
    struct entry image = image_of(1), other = image_of(2);
    struct pgx_batch b;
    struct pgx_submit s;

    fill(x, "a", 3);
    fill(x, "b", 1);
    pgx_batch_init(&b, 200);
    (void)pgx_batch_room(&b, "a", 1, 3, 0, "x");
    b.rooms[0].last_id = 102;
    b.rooms[0].last_created_us = 1700000000003000;
    pgx_batch_change(&b, &image, "k1");
    pgx_submit(x, &b.batch, &s);
    assert_true(s.committed[0]);
    pgx_batch_deinit(&b);
    for (int twice_in_one = 0; twice_in_one < 2; twice_in_one++) {
        pgx_batch_init(&b, 200);
        (void)pgx_batch_room(&b, "a", 1, 4, 1, "y");
        pgx_batch_change(&b, &image, twice_in_one ? "k2" : "k1");
        pgx_batch_change(&b, &other, twice_in_one ? "k2" : "k3");
        (void)pgx_batch_room(&b, "b", 1, 1, 1, "y");
        pgx_submit(x, &b.batch, &s);
        assert_int_equal(s.result, STORE_BAD_DATA);
        assert_true(s.is_duplicate);
        pgx_batch_deinit(&b);
    }
    assert_string_equal(
        pgx_sql(x, "SELECT string_agg(concat_ws(' ', room_id, last_seq), ',' ORDER BY room_id)"
                   " FROM rooms"),
        "a 4,b 1");
    assert_string_equal(pgx_sql(x, "SELECT count(*) FROM room_ops"), "1");
}

static void side_writes_are_made(void **state)
{
    struct pgx *x = *state;
    struct pgx_batch b;
    struct pgx_submit s;
    struct pgx_claim c;

    pgx_batch_init(&b, 100);
    (void)pgx_batch_room(&b, "a", 1, 0, 1, "x");
    pgx_batch_side(&b, (struct side_op){.kind = SIDE_RESTRICT,
                                        .user = SLICE_LIT("eve"),
                                        .banned_us = RESTRICT_FOREVER_US});
    pgx_batch_side(&b, (struct side_op){.kind = SIDE_RESTRICT,
                                        .user = SLICE_LIT("max"),
                                        .muted_us = 4000000000000000});
    pgx_batch_side(&b, (struct side_op){.kind = SIDE_RESTRICT,
                                        .user = SLICE_LIT("old"),
                                        .muted_us = 1600000000000000});
    pgx_batch_side(&b,
                   (struct side_op){.kind = SIDE_PIN, .id = 100, .actor = SLICE_LIT("ann")});
    pgx_batch_side(&b, (struct side_op){.kind = SIDE_ROOM,
                                        .text = SLICE_LIT("Renamed"),
                                        .json = SLICE_LIT("{\"slow\":3}")});
    pgx_batch_side(&b,
                   (struct side_op){.kind = SIDE_MENTION, .user = SLICE_LIT("bob"), .seq = 1});
    pgx_batch_side(&b,
                   (struct side_op){.kind = SIDE_MENTION, .user = SLICE_LIT("bob"), .seq = 1});
    pgx_batch_side(&b, (struct side_op){.kind = SIDE_AUDIT,
                                        .text = SLICE_LIT("room.ban"),
                                        .actor = SLICE_LIT("ann"),
                                        .user = SLICE_LIT("eve"),
                                        .json = SLICE_LIT("{\"why\":\"spam\"}")});
    pgx_batch_side(&b, (struct side_op){.kind = SIDE_AUDIT,
                                        .text = SLICE_LIT("room.update"),
                                        .actor = SLICE_LIT("ann")});
    pgx_submit(x, &b.batch, &s);
    assert_true(s.committed[0]);
    pgx_batch_deinit(&b);
    pgx_claim(x, "a", 1, &c);
    assert_int_equal(c.n_restrictions, 2); /* that of old is over */
    assert_string_equal(c.restrictions[0].user, "eve");
    assert_true(c.restrictions[0].banned_us == RESTRICT_FOREVER_US);
    assert_int_equal(c.restrictions[0].muted_us, 0);
    assert_int_equal(c.restrictions[1].muted_us, 4000000000000000);
    assert_int_equal(c.row.pinned_id, 100);
    assert_int_equal(c.row.pinned_us, 1700000000000000);
    assert_string_equal(pgx_sql(x, "SELECT concat_ws(' ', type, name, settings, pinned_by)"
                                   " FROM rooms WHERE room_id = 'a'"),
                        "group Renamed {\"slow\":3} ann");
    assert_string_equal(pgx_sql(x, "SELECT banned_until FROM restrictions WHERE user_id = "
                                   "'eve' AND muted_until IS NULL"),
                        "infinity");
    assert_string_equal(
        pgx_sql(x, "SELECT string_agg(concat_ws(' ', project_id, user_id, room_id, seq), ',')"
                   " FROM mentions"),
        "p bob a 1");
    assert_string_equal(
        pgx_sql(x, "SELECT string_agg(concat_ws(' ', project_id, action, actor_id, room_id,"
                   " coalesce(target_id, '-'), coalesce(detail::text, '-')), ',' ORDER BY id)"
                   " FROM audit_events"),
        "p room.ban ann a eve {\"why\":\"spam\"},p room.update ann a - -");
}

static void side_writes_take_away_too(void **state)
{
    struct pgx *x = *state;
    struct pgx_batch b;
    struct pgx_submit s;
    struct pgx_claim c;

    for (uint64_t seq = 0; seq < 2; seq++) {
        pgx_batch_init(&b, 100 + (int64_t)seq);
        (void)pgx_batch_room(&b, "a", 1, seq, 1, "x");
        pgx_batch_side(&b, (struct side_op){.kind = SIDE_RESTRICT,
                                            .user = SLICE_LIT("eve"),
                                            .muted_us = seq ? 0 : RESTRICT_FOREVER_US});
        pgx_batch_side(
            &b,
            (struct side_op){.kind = SIDE_PIN, .id = seq ? 0 : 100, .actor = SLICE_LIT("ann")});
        pgx_batch_side(&b, (struct side_op){.kind = SIDE_ROOM,
                                            .type = seq ? SLICE_LIT("public") : SLICE_LIT(""),
                                            .json = seq ? SLICE_LIT("{}") : SLICE_LIT("[1]")});
        pgx_submit(x, &b.batch, &s);
        assert_true(s.committed[0]);
        pgx_batch_deinit(&b);
    }
    pgx_claim(x, "a", 1, &c);
    assert_int_equal(c.n_restrictions, 0);
    assert_int_equal(c.row.pinned_id, 0);
    assert_int_equal(c.row.pinned_us, 0);
    assert_string_equal(pgx_sql(x, "SELECT count(*) FROM restrictions"), "0");
    assert_string_equal(
        pgx_sql(x, "SELECT concat_ws(' ', type, name, settings, coalesce(pinned_by, '-'))"
                   " FROM rooms WHERE room_id = 'a'"),
        "public A room {} -");
}

static void a_room_that_lost_contributes_nothing(void **state)
{
    struct pgx *x = *state;
    struct entry image = image_of(1);
    struct pgx_batch b;
    struct pgx_submit s;

    fill(x, "a", 2);
    fill(x, "b", 2);
    pgx_batch_init(&b, 200);
    for (int i = 0; i < 2; i++) {
        (void)pgx_batch_room(&b, i ? "b" : "a", i ? 9 : 1, 2, 1, "x");
        pgx_batch_change(&b, &image, i ? "kb" : "ka");
        pgx_batch_op(&b, "bob", ROLE_MEMBER);
        for (int kind = SIDE_RESTRICT; kind <= SIDE_AUDIT; kind++)
            pgx_batch_side(&b, (struct side_op){.kind = (enum side_kind)kind,
                                                .user = SLICE_LIT("eve"),
                                                .actor = SLICE_LIT("ann"),
                                                .id = 5,
                                                .text = SLICE_LIT("text"),
                                                .muted_us = RESTRICT_FOREVER_US,
                                                .seq = 3});
    }
    pgx_submit(x, &b.batch, &s);
    assert_true(s.committed[0] && !s.committed[1]);
    pgx_batch_deinit(&b);
    for (int i = 0; i < 2; i++) {
        const char *room = i ? "b" : "a";

        assert_string_equal(
            pgx_sql(x,
                    "SELECT concat_ws(' ', (SELECT count(*) FROM timeline WHERE room_id = r),"
                    " (SELECT count(*) FROM timeline WHERE room_id = r AND updated_seq <> seq),"
                    " (SELECT count(*) FROM room_ops WHERE room_id = r),"
                    " (SELECT count(*) FROM members WHERE room_id = r),"
                    " (SELECT count(*) FROM restrictions WHERE room_id = r),"
                    " (SELECT count(*) FROM mentions WHERE room_id = r),"
                    " (SELECT count(*) FROM audit_events WHERE room_id = r),"
                    " (SELECT concat_ws(' ', last_seq, name, pinned_id) FROM rooms"
                    "  WHERE room_id = r)) FROM (VALUES ('%s')) v(r)",
                    room),
            i ? "2 0 0 1 0 0 0 2 A room" : "3 1 1 2 1 1 1 4 text 5");
    }
}

/* 30 entries, of which 10 are claimed; what is older comes along when it has changed since. */
static void a_claim_brings_what_has_changed_since(void **state)
{
    struct pgx *x = *state;
    struct pgx_batch b;
    struct pgx_submit s;
    struct pgx_claim c;

    fill(x, "a", 30);
    pgx_claim(x, "a", 1, &c);
    assert_int_equal(c.n_tail, 10);
    assert_int_equal(c.seq_floor, 20);
    assert_int_equal(c.touched_floor, 20);
    pgx_batch_init(&b, 200);
    (void)pgx_batch_room(&b, "a", 1, 30, 0, "x");
    for (uint64_t seq = 1; seq <= 3; seq++) { /* seqs 31, 32, 33 */
        struct entry image = image_of(seq == 3 ? 25 : seq);

        pgx_batch_change(&b, &image, NULL);
    }
    pgx_submit(x, &b.batch, &s);
    assert_true(s.committed[0]);
    pgx_batch_deinit(&b);
    pgx_claim(x, "a", 1, &c);
    assert_int_equal(c.n_tail, 12);
    assert_int_equal(c.tail_seqs[9], 1);
    assert_int_equal(c.tail_seqs[10], 2);
    assert_int_equal(c.tail_seqs[11], 25);
    assert_int_equal(c.seq_floor, 20);
    assert_int_equal(c.touched_floor, 20);
    pgx_batch_init(&b, 200);
    (void)pgx_batch_room(&b, "a", 1, 33, 0, "x");
    for (uint64_t seq = 3; seq <= 13; seq++) { /* 34 .. 44: more than come along */
        struct entry image = image_of(seq);

        pgx_batch_change(&b, &image, NULL);
    }
    pgx_submit(x, &b.batch, &s);
    assert_true(s.committed[0]);
    pgx_batch_deinit(&b);
    pgx_claim(x, "a", 1, &c);
    assert_int_equal(c.n_tail, 20);
    assert_int_equal(c.seq_floor, 20);
    assert_int_equal(c.touched_floor, 34);
    fill(x, "b", 9);
    pgx_claim(x, "b", 1, &c); /* all of it */
    assert_int_equal(c.n_tail, 9);
    assert_int_equal(c.seq_floor, 0);
    assert_int_equal(c.touched_floor, 0);
}

struct paged {
    bool done;
    char seqs[64];
};

static void on_page(void *arg, enum store_result result, const struct page *page)
{
    struct paged *p = arg;
    int at = 0;

    assert_int_equal(result, STORE_OK);
    p->done = true;
    for (size_t i = 0; i < page->n_entries; i++)
        at += snprintf(p->seqs + at, sizeof(p->seqs) - (size_t)at, "%llu ",
                       (unsigned long long)page->entries[i]->seq);
}

static const char *page(struct pgx *x, enum page_kind kind, bool live, const char *viewer)
{
    static struct paged p;
    struct page_query query = {.project = SLICE_LIT("p"),
                               .room = SLICE_LIT("a"),
                               .kind = kind,
                               .limit = 20,
                               .live_messages_only = live,
                               .viewer = slice_str(viewer)};

    p = (struct paged){0};
    assert_int_equal(x->store->ops->page(x->store, &query, on_page, &p), 0);
    pgx_wait(x, &p.done);
    return p.seqs;
}

static void pages_leave_out_what_is_not_to_be_seen(void **state)
{
    struct pgx *x = *state;

    fill(x, "a", 5);
    (void)pgx_sql(x, "UPDATE timeline SET visible_to = '{ann,bob}' WHERE seq = 2");
    (void)pgx_sql(x, "UPDATE timeline SET expires_at = now() - interval '1 s' WHERE seq = 3");
    (void)pgx_sql(x, "UPDATE timeline SET expires_at = now() + interval '1 h' WHERE seq = 4");
    (void)pgx_sql(x, "UPDATE timeline SET deleted_at = now() WHERE seq = 5");
    assert_string_equal(page(x, PAGE_AFTER_SEQ, true, "bob"), "1 2 4 ");
    assert_string_equal(page(x, PAGE_AFTER_SEQ, true, "bo"), "1 4 ");
    assert_string_equal(page(x, PAGE_AFTER_SEQ, true, "ann,bob"), "1 4 ");
    assert_string_equal(page(x, PAGE_AFTER_SEQ, true, ""), "1 2 4 ");
    assert_string_equal(page(x, PAGE_CHANGED_AFTER, false, ""), "1 2 3 4 5 ");
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(a_change_is_written_and_found_by_its_key),
        CASE(a_key_of_a_change_counts_once),
        CASE(side_writes_are_made),
        CASE(side_writes_take_away_too),
        CASE(a_room_that_lost_contributes_nothing),
        CASE(a_claim_brings_what_has_changed_since),
        CASE(pages_leave_out_what_is_not_to_be_seen),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
