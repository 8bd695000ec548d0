/* reads.c - see reads.h. */
#include "shard/host/reads.h"

#include <stdlib.h>

#include "common/base/limits.h"
#include "common/base/log.h"
#include "common/wire/msg.h"
#include "shard/host/find.h"
#include "shard/host/room_host.h"
#include "shard/limits.h"
#include "shard/metrics.h"
#include "shard/room/frames.h"
#include "shard/store/sql.h"

/* One statement under way. Outlives the room when that is closed meanwhile. */
struct read_flight {
    struct room_host *room; /* NULL: closed, nobody wants to know */
    struct host *host;
    struct list marks;
};

static void plan(struct room_host *room);
static void start(struct room_host *room);

/* ---- answers ---- */

static void tell(struct read_mark *mark, enum read_outcome outcome, enum error_code error)
{
    while (!list_empty(&mark->waits)) {
        struct read_wait *wait = list_first(&mark->waits, struct read_wait, link);

        list_del(&wait->link);
        wait->fn(wait, outcome, error);
    }
}

static void drop_mark(struct host *host, struct read_mark *mark)
{
    host->metrics->reads_waiting--;
    read_mark_free(mark);
}

static void drop_all(struct host *host, struct list *marks, enum read_outcome outcome,
                     enum error_code error)
{
    while (!list_empty(marks)) {
        struct read_mark *mark = list_first(marks, struct read_mark, link);

        tell(mark, outcome, error);
        drop_mark(host, mark);
    }
}

/* Who named another message than the newest, which turned out not to exist: asks again for his
 * own. */
static void settle_lost(struct room_host *room, struct read_mark *mark)
{
    while (!list_empty(&mark->waits)) {
        struct read_wait *wait = list_first(&mark->waits, struct read_wait, link);
        enum error_code error = ERROR_message_not_found;

        list_del(&wait->link);
        if (wait->id != mark->id)
            error = reads_put(room, mark->user, wait->id, wait);
        if (error == ERROR_message_not_found)
            wait->fn(wait, READ_NOT_FOUND, error);
        else if (error != ERROR_NONE)
            wait->fn(wait, READ_FAILED, error);
    }
}

/* To a room with more people than that, receipts are not told: everybody reads everything, and
 * their number would grow with the square. */
static bool is_told(const struct room_host *room)
{
    return room->roster.n_users <= PRESENCE_LIST_MAX;
}

/* Whoever may not see a whisper does not learn that it was read. */
static void show(struct room_host *room, const struct read_mark *mark, struct slice visible_to,
                 struct slice at)
{
    struct entry about = {.kind = ENTRY_MESSAGE, .visible_to = visible_to};
    struct buf *json = &room->host->json;

    if (!is_told(room))
        return;
    buf_clear(json);
    frame_read(json, room->id, mark->user, mark->id, at);
    if (room_show(room, &about, 0, EVENT_EPHEMERAL) < 0)
        room->host->metrics->ephemerals_dropped++;
}

/* Rows are in the order of the marks: found, visible to, moved at. */
static void settle(struct read_flight *flight, const struct query_rows *rows)
{
    struct room_host *room = flight->room;
    struct host *host = flight->host;

    for (size_t i = 0; !list_empty(&flight->marks); i++) {
        struct read_mark *mark = list_first(&flight->marks, struct read_mark, link);
        const struct slice *cells = i < rows->n_rows ? rows->cells + i * rows->n_columns : NULL;
        bool found = cells && cells[0].len > 0 && cells[0].data[0] == 't';

        if (found && cells[2].data) {
            host->metrics->reads_written++;
            if (room)
                show(room, mark, cells[1], cells[2]);
        }
        if (found || !room)
            tell(mark, READ_DONE, ERROR_NONE);
        else
            settle_lost(room, mark);
        drop_mark(host, mark);
    }
}

/* Not written: the marks go back, those who wait are told. */
static void take_back(struct read_flight *flight)
{
    struct room_host *room = flight->room;
    struct reads *reads = room ? &room->reads : NULL;

    while (!list_empty(&flight->marks)) {
        struct read_mark *mark = list_first(&flight->marks, struct read_mark, link);
        size_t before = reads ? read_marks_count(&reads->waiting) : 0;

        tell(mark, READ_FAILED, ERROR_unavailable);
        if (!reads || read_marks_give_back(&reads->waiting, mark) < 0)
            drop_mark(flight->host, mark);
        else if (read_marks_count(&reads->waiting) == before)
            flight->host->metrics->reads_waiting--; /* two have become one */
    }
}

static void go_on(struct room_host *room, bool has_failed)
{
    struct reads *reads = &room->reads;
    uint64_t now_ms = env_now_ms(room->host->env);

    if (room->state == ROOM_LEAVING) {
        reads->has_given_up = has_failed;
        if (has_failed || read_marks_count(&reads->waiting) == 0)
            room_leave_on(room);
        else
            start(room);
        return;
    }
    if (has_failed) {
        reads->retry_ms =
            reads->retry_ms ? MIN(reads->retry_ms * 2, STORE_RETRY_MAX_MS) : STORE_RETRY_MIN_MS;
        reads->not_before_ms = now_ms + env_jitter_ms(room->host->env, reads->retry_ms);
    } else {
        reads->retry_ms = 0;
    }
    plan(room);
}

static void on_written(void *arg, enum store_result result, const struct query_rows *rows,
                       bool is_duplicate)
{
    struct read_flight *flight = arg;
    struct room_host *room = flight->room;
    struct host *host = flight->host;

    (void)is_duplicate;
    if (room)
        room->reads.flight = NULL;
    if (result == STORE_OK)
        settle(flight, rows);
    else if (result == STORE_UNAVAILABLE || result == STORE_UNKNOWN)
        take_back(flight);
    else
        drop_all(host, &flight->marks, READ_FAILED, ERROR_internal_error);
    if (result != STORE_OK)
        host->metrics->reads_failed++;
    free(flight);
    if (room && room->state != ROOM_CLOSED)
        go_on(room, result != STORE_OK);
}

/* ---- writing ---- */

/* Takes marks out and asks the store. False: they are back, or (without room) gone. */
static bool write_some(struct room_host *room, struct read_flight *flight)
{
    struct buf *json = &flight->host->json2;
    struct store *store = flight->host->store;
    struct store_query q = {.id = SQL_QUERY_read_put,
                            .n_params = 3,
                            .params = {{.type = QUERY_TEXT, .text = room->project},
                                       {.type = QUERY_TEXT, .text = room->id},
                                       {.type = QUERY_TEXT}}};

    read_marks_take(&room->reads.waiting, READ_BATCH, &flight->marks);
    buf_clear(json);
    read_marks_write(json, &flight->marks);
    q.params[2].text = buf_slice(json);
    if (!buf_failed(json) && store->ops->query(store, &q, on_written, flight) == 0)
        return true;
    flight->host->metrics->reads_failed++;
    take_back(flight);
    return false;
}

static void start(struct room_host *room)
{
    struct reads *reads = &room->reads;
    struct read_flight *flight = calloc(1, sizeof(*flight));

    if (!flight) {
        go_on(room, true);
        return;
    }
    flight->room = room;
    flight->host = room->host;
    reads->not_before_ms = env_now_ms(room->host->env) + READ_INTERVAL_MS;
    if (write_some(room, flight)) {
        reads->flight = flight;
        return;
    }
    free(flight);
    go_on(room, true);
}

static void on_timer(struct timer *timer, void *arg)
{
    struct room_host *room = arg;

    (void)timer;
    if (!room->reads.flight && read_marks_count(&room->reads.waiting) > 0)
        start(room);
}

static void plan(struct room_host *room)
{
    struct reads *reads = &room->reads;
    uint64_t now_ms = env_now_ms(room->host->env), delay_ms = READ_GATHER_MS;

    if (reads->flight || read_marks_count(&reads->waiting) == 0 ||
        timer_is_armed(&reads->timer))
        return;
    if (reads->not_before_ms > now_ms + delay_ms)
        delay_ms = reads->not_before_ms - now_ms;
    if (env_timer(room->host->env, &reads->timer, delay_ms) < 0)
        room->host->metrics->reads_failed++; /* out of memory; the next mark plans anew */
}

/* ---- for others ---- */

void reads_init(struct room_host *room)
{
    read_marks_init(&room->reads.waiting);
    timer_init(&room->reads.timer, on_timer, room);
}

/* As far as memory can say; the store has the last word. */
static bool may_be_there(const struct room_host *room, struct slice user, int64_t id)
{
    struct entry *e;

    switch (find_in_memory(room, id, &e)) {
    case FOUND_YES:
        return entry_is_visible(e, user);
    case FOUND_NO:
        return false;
    case FOUND_UNKNOWN:
        break;
    }
    return id <= room->queue.head.last_id;
}

enum error_code reads_put(struct room_host *room, struct slice user, int64_t id,
                          struct read_wait *wait)
{
    struct shard_metrics *metrics = room->host->metrics;
    struct read_marks *waiting = &room->reads.waiting;
    bool is_new = read_marks_find(waiting, user) == NULL;
    struct read_mark *mark;

    if (!may_be_there(room, user, id))
        return ERROR_message_not_found;
    if (is_new && (read_marks_count(waiting) >= READ_MARKS_MAX ||
                   metrics->reads_waiting >= READ_MARKS_TOTAL_MAX))
        return ERROR_overloaded;
    mark = read_marks_put(waiting, user, id);
    if (!mark)
        return ERROR_overloaded;
    metrics->reads_waiting += is_new;
    if (wait) {
        wait->id = id;
        list_add_tail(&mark->waits, &wait->link);
    }
    plan(room);
    return ERROR_NONE;
}

int64_t reads_pending(const struct room_host *room, struct slice user)
{
    const struct read_mark *mark = read_marks_find(&room->reads.waiting, user);
    int64_t id = mark ? mark->id : 0;

    if (!room->reads.flight)
        return id;
    list_for_each(mark, &room->reads.flight->marks, link)
    {
        if (slice_eq(mark->user, user))
            id = MAX(id, mark->id);
    }
    return id;
}

void reads_flush(struct room_host *room)
{
    env_timer_cancel(room->host->env, &room->reads.timer);
    if (!room->reads.flight)
        start(room);
}

void reads_end(struct room_host *room, bool keep)
{
    struct reads *reads = &room->reads;
    struct read_mark *mark;

    env_timer_cancel(room->host->env, &reads->timer);
    if (reads->flight) {
        list_for_each(mark, &reads->flight->marks, link) tell(mark, READ_MOVED, ERROR_NONE);
        reads->flight->room = NULL;
        reads->flight = NULL;
    }
    list_for_each(mark, &reads->waiting.marks, link) tell(mark, READ_MOVED, ERROR_NONE);
    while (keep && read_marks_count(&reads->waiting) > 0) {
        struct read_flight *flight = calloc(1, sizeof(*flight));

        if (!flight)
            break;
        flight->host = room->host;
        if (!write_some(room, flight)) {
            free(flight);
            break;
        }
    }
    drop_all(room->host, &reads->waiting.marks, READ_MOVED, ERROR_NONE);
    read_marks_deinit(&reads->waiting);
    read_marks_init(&reads->waiting);
}
