/*
 * floor_store.c - group commit at its simplest: all that has come in while one INSERT was under
 * way goes into the next one; when it returns, its frames go out.
 */
#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/bench/floor.h"
#include "tests/bench/pg_table.h"
#include "tests/bench/tool.h"

struct stored {
    struct floor_room *room;
    struct iovec frame; /* owned until it is queued */
    size_t head_len;
    uint64_t seq;
};

struct batch {
    struct stored *items; /* owned */
    uint32_t n, cap;
};

struct floor_store {
    PGconn *pg;
    struct batch forming;
    struct batch in_flight;
    struct text column[4];
    uint64_t rows;
    uint64_t run; /* makes ids unique over runs */
};

static void give_up(const struct floor_store *s, const char *what)
{
    die("%s: %s", what, PQerrorMessage(s->pg));
}

struct floor_store *floor_store_new(const char *conninfo)
{
    struct floor_store *s = must_calloc(1, sizeof(*s));
    PGresult *r;

    s->pg = PQconnectdb(conninfo);
    if (PQstatus(s->pg) != CONNECTION_OK)
        give_up(s, "connect");
    pg_table_make(s->pg);
    r = PQprepare(s->pg, "store", PG_TABLE_INSERT_MANY, 5, NULL);
    if (PQresultStatus(r) != PGRES_COMMAND_OK)
        give_up(s, "prepare");
    PQclear(r);
    if (PQsetnonblocking(s->pg, 1) != 0)
        give_up(s, "non-blocking");
    s->run = now_ns();
    return s;
}

int floor_store_fd(const struct floor_store *s)
{
    return PQsocket(s->pg);
}

void floor_store_add(struct floor_store *s, struct floor_room *room, struct iovec frame,
                     size_t head_len)
{
    struct batch *b = &s->forming;

    if (b->n == b->cap) {
        b->cap = b->cap ? b->cap * 2 : 256;
        b->items = must_realloc(b->items, b->cap * sizeof(*b->items));
    }
    b->items[b->n++] = (struct stored){room, frame, head_len, ++room->last_seq};
}

/* Array literals; what the generator sends needs no quoting. */
static void write_columns(struct floor_store *s)
{
    for (size_t i = 0; i < 4; i++) {
        text_clear(&s->column[i]);
        text_add(&s->column[i], "{", 1);
    }
    for (uint32_t i = 0; i < s->in_flight.n; i++) {
        const struct stored *m = &s->in_flight.items[i];
        const char *comma = i ? "," : "";

        text_addf(&s->column[0], "%s%s", comma, m->room->name);
        text_addf(&s->column[1], "%s%llu", comma, (unsigned long long)m->seq);
        text_addf(&s->column[2], "%s", comma);
        pg_table_id(&s->column[2], s->run, ++s->rows);
        text_addf(&s->column[3], "%s\"", comma);
        text_add(&s->column[3], (const char *)m->frame.iov_base + m->head_len,
                 m->frame.iov_len - m->head_len);
        text_add(&s->column[3], "\"", 1);
    }
    for (size_t i = 0; i < 4; i++)
        text_add(&s->column[i], "}", 1);
}

bool floor_store_pump(struct floor_store *s)
{
    int flushed;

    if (s->in_flight.n == 0 && s->forming.n > 0) {
        struct batch empty = s->in_flight;
        char project[32];

        s->in_flight = s->forming;
        s->forming = empty;
        write_columns(s);
        snprintf(project, sizeof(project), "run%llu", (unsigned long long)s->run);
        const char *values[] = {project, s->column[0].p, s->column[1].p, s->column[2].p,
                                s->column[3].p};
        if (!PQsendQueryPrepared(s->pg, "store", 5, values, NULL, NULL, 0))
            give_up(s, "insert");
    }
    flushed = PQflush(s->pg);
    if (flushed < 0)
        give_up(s, "insert");
    return flushed > 0;
}

void floor_store_on_event(struct floor *f, struct floor_store *s)
{
    PGresult *r;

    if (!PQconsumeInput(s->pg))
        give_up(s, "read");
    if (s->in_flight.n == 0 || PQisBusy(s->pg))
        return;
    while ((r = PQgetResult(s->pg)) != NULL) {
        if (PQresultStatus(r) != PGRES_COMMAND_OK)
            give_up(s, "insert");
        PQclear(r);
    }
    for (uint32_t i = 0; i < s->in_flight.n; i++)
        floor_queue(f, s->in_flight.items[i].room, s->in_flight.items[i].frame);
    s->in_flight.n = 0;
}
