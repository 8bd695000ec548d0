/* verb_inbox.c - INBOX and SNOOZE: what waits for a user over all of his rooms. Any shard
 * answers, from the database. See docs/protocol-client.md.
 */
#include "common/base/ident.h"
#include "common/base/limits.h"
#include "common/json/json_write.h"
#include "shard/api/query.h"
#include "shard/host/host.h"
#include "shard/limits.h"

/* ---- INBOX ---- */

struct sections {
    bool mentions, rooms, follow_ups;
};

/* A list of words; none, or one that we do not know, means all. */
static struct sections read_sections(struct slice where)
{
    static const struct {
        const char *word;
        struct sections sections;
    } words[] = {
        {"mentions", {.mentions = true}},     {"unread", {.rooms = true}},
        {"unreadRooms", {.rooms = true}},     {"snoozed", {.rooms = true}},
        {"snoozedRooms", {.rooms = true}},    {"followUps", {.follow_ups = true}},
        {"follow-ups", {.follow_ups = true}},
    };
    static const struct sections all = {true, true, true};
    struct sections found = {0};

    while (where.len > 0) {
        const char *comma = memchr(where.data, ',', where.len);
        size_t len = comma ? (size_t)(comma - where.data) : where.len, i = 0;

        while (i < ARRAY_LEN(words) && !slice_eq_str(slice_of(where.data, len), words[i].word))
            i++;
        if (i == ARRAY_LEN(words))
            return all;
        found.mentions |= words[i].sections.mentions;
        found.rooms |= words[i].sections.rooms;
        found.follow_ups |= words[i].sections.follow_ups;
        where = comma ? slice_of(comma + 1, where.len - len - 1) : slice_of(NULL, 0);
    }
    return found.mentions || found.rooms || found.follow_ups ? found : all;
}

static void on_inbox(struct call *call, const struct query_rows *rows)
{
    bool is_of_one = json_is_string(json_object_get(call->params, "roomId"));

    if (is_of_one && query_cell_int(rows, 0, 1) == 0)
        call_refuse(call, ERROR_forbidden, "", 0); /* not his room, or no room */
    else
        call_reply(call, 200, query_cell(rows, 0, 0));
}

void verb_inbox(struct call *call, struct room_host *room)
{
    struct json_fields f = json_fields(call->params);
    struct slice only = json_get_id_opt(&f, "roomId", ERROR_invalid_id);
    struct sections sections =
        read_sections(json_get_str_opt(&f, "where", 0, ID_MAX, ERROR_bad_request));
    int64_t limit =
        json_get_int_opt(&f, "limit", INBOX_PAGE, 1, INBOX_PAGE_MAX, ERROR_invalid_limit);
    struct store_query q = query_of(call, SQL_QUERY_inbox);

    (void)room;
    if (json_fields_failed(&f)) {
        call_refuse_fields(call, &f);
        return;
    }
    query_text(&q, call->user);
    query_text(&q, only);
    query_bool(&q, sections.mentions);
    query_bool(&q, sections.rooms);
    query_bool(&q, sections.follow_ups);
    query_int(&q, limit);
    call_query(call, &q, on_inbox);
}

/* ---- SNOOZE ---- */

static void reply_snoozed(struct call *call, struct slice until)
{
    struct json_writer w = json_writer(&call->host->json);

    buf_clear(w.out);
    json_write_object(&w);
    json_field_bool(&w, "ok", true);
    json_field_str(&w, "roomId", json_slice(json_object_get(call->params, "roomId")));
    if (until.data)
        json_field_str(&w, "snoozedUntil", until);
    else
        json_field_null(&w, "snoozedUntil");
    json_write_object_end(&w);
    call_reply_buf(call, w.out);
}

static void on_snoozed(struct call *call, const struct query_rows *rows)
{
    if (rows->n_rows == 0)
        call_refuse(call, ERROR_not_a_member, "", 0);
    else
        reply_snoozed(call, query_cell(rows, 0, 0));
}

static void on_woken(struct call *call, const struct query_rows *rows)
{
    if (rows->n_rows == 0)
        call_refuse(call, ERROR_not_a_member, "", 0);
    else
        reply_snoozed(call, slice_of(NULL, 0));
}

/* Until when: an instant, or how long from now. */
static int64_t read_until(const struct call *call, struct json_fields *f)
{
    static const struct {
        const char *name;
        int64_t seconds;
    } units[] = {{"durationSeconds", 1},
                 {"seconds", 1},
                 {"minutes", 60},
                 {"hours", 3600},
                 {"days", 86400}};
    struct slice until = json_get_str_opt(f, "until", 1, TIME_TEXT_MAX, ERROR_bad_request);
    int64_t now_us = host_now_us(call->host), us = 0;

    if (!until.data)
        until = json_get_str_opt(f, "snoozedUntil", 1, TIME_TEXT_MAX, ERROR_bad_request);
    if (until.data && time_parse(until, &us) < 0)
        json_fields_fail(f, ERROR_bad_request, "until must be an RFC 3339 time");
    for (size_t i = 0; i < ARRAY_LEN(units) && !us; i++) {
        int64_t n = json_get_int_opt(f, units[i].name, 0, 1, SNOOZE_MAX_S, ERROR_bad_request);

        us = n ? now_us + n * units[i].seconds * 1000000 : 0;
    }
    if (!json_fields_failed(f) &&
        (us <= now_us || us > now_us + SNOOZE_MAX_S * INT64_C(1000000)))
        json_fields_fail(f, ERROR_bad_request,
                         "until must be a time to come, at most a year from now");
    return us;
}

void verb_snooze(struct call *call, struct room_host *room)
{
    struct json_fields f = json_fields(call->params);
    struct slice id = json_get_id(&f, "roomId", ERROR_invalid_id);
    bool ends = json_is_true(json_object_get(call->params, "ends"));
    int64_t until_us = ends ? 0 : read_until(call, &f);
    struct store_query q = query_of(call, ends ? SQL_QUERY_snooze_end : SQL_QUERY_snooze);

    (void)room;
    if (json_fields_failed(&f)) {
        call_refuse_fields(call, &f);
        return;
    }
    query_text(&q, call->user);
    query_text(&q, id);
    if (!ends)
        query_time(&q, until_us - until_us % 1000);
    call_query(call, &q, ends ? on_woken : on_snoozed);
}
