/* sim_stream.c - see sim_stream.h. */
#include "tests/sim/sim_stream.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/sim/sim_client.h"

#define DELTAS_MAX 40
#define PAUSE_MAX_MS 250

struct ended {
    struct list link; /* sim_stream.ended */
    int64_t id;
    uint64_t seq; /* of the end */
    unsigned said;
};

static void say_next(struct sim_socket *socket, uint64_t number);

static struct sim_client *client_of(struct sim_socket *socket)
{
    return container_of(socket, struct sim_client, socket);
}

/* ---- saying ---- */

static void name(const struct sim_client *c, const char *what, char ret[64])
{
    snprintf(ret, 64, "%s-%s-%u", c->config.user, what, c->stream.number);
}

void sim_stream_begin(struct sim_client *c)
{
    struct sim_stream *s = &c->stream;
    char key[64], json[200];

    if (!c->is_live || s->state != SIM_STREAM_NONE)
        return;
    s->number++;
    s->said = 0;
    s->wanted = (unsigned)sim_range(&c->world->sim.rng, 0, DELTAS_MAX);
    s->state = SIM_STREAM_STARTING;
    name(c, "start", key);
    snprintf(
        json, sizeof(json),
        "{\"type\":\"stream\",\"op\":\"start\",\"content\":\"s\",\"clientMessageId\":\"%s\"}",
        key);
    sim_socket_say(&c->socket, slice_str(json));
}

static void say_later(struct sim_client *c)
{
    sim_socket_after(&c->socket, sim_range(&c->world->sim.rng, 1, PAUSE_MAX_MS), say_next,
                     c->stream.number);
}

static void say_next(struct sim_socket *socket, uint64_t number)
{
    struct sim_client *c = client_of(socket);
    struct sim_stream *s = &c->stream;
    char key[64], json[200];

    if (s->state != SIM_STREAM_OPEN || s->number != number)
        return;
    if (s->said < s->wanted) {
        snprintf(json, sizeof(json),
                 "{\"type\":\"stream\",\"op\":\"delta\",\"content\":\"%u.\"}", ++s->said);
        say_later(c);
    } else {
        s->state = SIM_STREAM_ENDING;
        name(c, "end", key);
        snprintf(json, sizeof(json), "{\"type\":\"stream\",\"op\":\"end\",\"frameId\":\"%s\"}",
                 key);
    }
    sim_socket_say(socket, slice_str(json));
}

/* ---- hearing ---- */

void sim_stream_on_frame(struct sim_client *c, const json_t *frame)
{
    struct sim_stream *s = &c->stream;

    if (s->state != SIM_STREAM_STARTING || !slice_eq_str(frame_str(frame, "op"), "started"))
        return;
    s->id = (int64_t)frame_u64(frame, "id");
    s->state = SIM_STREAM_OPEN;
    say_later(c);
}

bool sim_stream_on_ack(struct sim_client *c, const json_t *frame)
{
    struct sim_stream *s = &c->stream;
    struct ended *ended;
    struct slice frame_id = frame_str(frame, "frameId");
    char key[64];

    name(c, "end", key);
    if (s->state != SIM_STREAM_ENDING || !slice_eq_str(frame_id, key))
        return frame_id.len > 0 && strstr(frame_id.data, "-end-"); /* of one given up */
    s->state = SIM_STREAM_NONE;
    if (s->may_be_lost)
        return true;
    ended = calloc(1, sizeof(*ended));
    if (!ended)
        abort();
    ended->id = s->id;
    ended->seq = frame_u64(frame, "seq");
    ended->said = s->said;
    list_add_tail(&s->ended, &ended->link);
    return true;
}

/* Of a delta it bears no name. */
bool sim_stream_on_error(struct sim_client *c, const json_t *frame)
{
    struct sim_stream *s = &c->stream;
    struct slice key = frame_str(frame, "clientMessageId");
    char start[64], end[64];

    if (key.len == 0)
        key = frame_str(frame, "frameId");
    name(c, "start", start);
    name(c, "end", end);
    if (key.len > 0 && !slice_eq_str(key, start) && !slice_eq_str(key, end))
        return strstr(key.data, "-start-") || strstr(key.data, "-end-"); /* of one given up */
    /* stream_open: of an earlier connection, and not ended yet. */
    if (c->world->faults.is_orderly && s->state != SIM_STREAM_NONE &&
        !slice_eq_str(frame_str(frame, "code"), "stream_open"))
        sim_violation(c->check, "%s: the stream %u has ended with %s", c->config.user,
                      s->number, frame_str(frame, "code").data);
    s->state = SIM_STREAM_NONE;
    return true;
}

void sim_stream_on_gone(struct sim_client *c)
{
    c->stream.state = SIM_STREAM_NONE;
}

/* ---- what is stored ---- */

/* How many numbers it has; UINT_MAX: something is missing or twice. */
static unsigned count(struct slice text)
{
    size_t at = 1;
    unsigned n = 0;

    while (at < text.len) {
        char want[16];
        size_t len = (size_t)snprintf(want, sizeof(want), "%u.", n + 1);

        if (text.len - at < len || memcmp(text.data + at, want, len) != 0)
            return UINT_MAX;
        at += len;
        n++;
    }
    return n;
}

void sim_stream_check_text(struct sim_check *check, struct slice room, uint64_t seq,
                           struct slice text)
{
    if (sim_stream_is_text(text) && count(text) == UINT_MAX)
        sim_violation(check, "%.*s: the stream %" PRIu64 " has a hole: %.*s", (int)room.len,
                      room.data, seq, (int)text.len, text.data);
}

void sim_stream_check_ended(struct sim_client *c, int64_t id, struct slice text)
{
    struct ended *ended;

    if (sim_check_has_lost(c->check, slice_str(c->config.room)))
        return; /* perhaps the end of the stream was lost, and not its beginning */
    list_for_each(ended, &c->stream.ended, link)
    {
        if (ended->id == id && count(text) != ended->said)
            sim_violation(c->check, "%s: said %u, and was told that it is stored: %.*s",
                          c->config.user, ended->said, (int)text.len, text.data);
    }
}

static void drop(struct ended *ended)
{
    list_del(&ended->link);
    free(ended);
}

void sim_stream_forget(struct sim_client *c, uint64_t head)
{
    struct ended *ended, *next;

    c->stream.may_be_lost = true; /* an answer may be on its way */
    list_for_each_safe(ended, next, &c->stream.ended, link)
    {
        if (ended->seq > head)
            drop(ended);
    }
}

/* ---- life ---- */

void sim_stream_init(struct sim_client *c)
{
    list_init(&c->stream.ended);
}

void sim_stream_deinit(struct sim_client *c)
{
    while (!list_empty(&c->stream.ended))
        drop(list_first(&c->stream.ended, struct ended, link));
}
