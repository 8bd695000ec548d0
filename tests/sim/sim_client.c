/*
 * sim_client.c - a user at a simulated socket.
 *
 * States: away (no session) -> connecting (session, no subscription yet) -> live -> away ...
 * From away it dials the next gateway after a backoff. Everything unacknowledged is sent again
 * when it is live.
 */
#include "tests/sim/sim_client.h"

#include <assert.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/ident.h"
#include "common/json/json_write.h"
#include "common/wire/msg.h"
#include "tests/sim/sim_check.h"

#define BACKOFF_MIN_MS 20
#define BACKOFF_MAX_MS 800
#define RETRY_MS 150 /* after a retryable error */

struct seen {
    struct map_node node;
    uint64_t seq;
};

struct sim_post {
    struct list link;
    uint64_t number;
};

/* Something that reaches the client, or that the client does, later; ignored when its socket
 * has gone since. */
struct errand {
    struct sim_client *client;
    unsigned socket;
    struct blob *blob; /* server frames */
    uint64_t number;   /* post to send again */
};

static struct slice room_of(const struct sim_client *c)
{
    return slice_str(c->config.room);
}

static struct errand *errand_new(struct sim_client *c)
{
    struct errand *errand = calloc(1, sizeof(*errand));

    if (!errand)
        abort();
    errand->client = c;
    errand->socket = c->generation_of_socket;
    return errand;
}

/* ---- what it says ---- */

static void say(struct sim_client *c, struct slice json)
{
    struct sim_edge *edge = &c->edges[c->edge];

    if (!c->session || edge->node->paused)
        return;
    session_on_text(c->session, json);
    sim_turn_end(edge->node);
}

static void post_key(const struct sim_client *c, uint64_t number, char ret[64])
{
    snprintf(ret, 64, "%s-%" PRIu64, c->config.user, number);
}

static void send_post(struct sim_client *c, uint64_t number)
{
    AUTO_BUF buf = BUF_INIT;
    char key[64];

    post_key(c, number, key);
    buf_printf(&buf,
               "{\"type\":\"message\",\"clientMessageId\":\"%s\",\"content\":\"text of %s\"}",
               key, key);
    say(c, buf_slice(&buf));
}

void sim_client_post(struct sim_client *c)
{
    struct sim_post *post = calloc(1, sizeof(*post));

    if (!post)
        abort();
    post->number = ++c->n_posts;
    list_add_tail(&c->unacked, &post->link);
    c->n_unacked++;
    if (c->is_live)
        send_post(c, post->number);
}

void sim_client_type(struct sim_client *c)
{
    if (c->is_live)
        say(c, SLICE_LIT("{\"type\":\"typing\",\"isTyping\":true}"));
}

/* ---- what it is shown ---- */

static bool seen_eq(const struct map_node *node, const void *key)
{
    return container_of(node, struct seen, node)->seq == *(const uint64_t *)key;
}

static void note_seen(struct sim_client *c, uint64_t seq)
{
    struct seen *seen;

    if (map_find(&c->seen, hash_u64(seq), seen_eq, &seq))
        return;
    seen = calloc(1, sizeof(*seen));
    if (!seen || map_insert(&c->seen, &seen->node, hash_u64(seq)) < 0)
        abort();
    seen->seq = seq;
    c->n_seen++;
}

static uint64_t get_u64(const json_t *object, const char *name)
{
    return (uint64_t)json_integer_value(json_object_get(object, name));
}

static struct slice get_str(const json_t *object, const char *name)
{
    return slice_str(json_string_value(json_object_get(object, name)));
}

static void show(struct sim_client *c, const json_t *message)
{
    int64_t created_us = 0;
    uint64_t seq = get_u64(message, "seq");

    if (time_parse(get_str(message, "createdAt"), &created_us) < 0 || seq == 0)
        sim_violation(c->check, "%s: a message without seq or createdAt", c->config.user);
    if (!slice_eq(get_str(message, "roomId"), room_of(c)))
        sim_violation(c->check, "%s: a message of another room", c->config.user);
    sim_check_shown(c->check, room_of(c), seq, (int64_t)get_u64(message, "id"),
                    get_str(message, "userId"), get_str(message, "clientMessageId"),
                    get_str(message, "content"), created_us);
    note_seen(c, seq);
}

static void take_generation(struct sim_client *c, const json_t *frame)
{
    const char *generation = json_string_value(json_object_get(frame, "generation"));

    if (generation)
        snprintf(c->generation, sizeof(c->generation), "%s", generation);
}

static void on_replay(struct sim_client *c, const json_t *frame)
{
    const json_t *from = json_object_get(frame, "fromSeq");
    uint64_t current = get_u64(frame, "currentSeq");
    uint64_t to = json_object_get(frame, "toSeq") ? get_u64(frame, "toSeq") : current;
    json_t *message;
    size_t i;

    take_generation(c, frame);
    if (json_is_true(json_object_get(frame, "reset")))
        sim_violation(c->check, "%s: reset at %" PRIu64 " without a cause", c->config.user,
                      c->seq);
    if (c->config.native && c->has_cursor && from &&
        (uint64_t)json_integer_value(from) > c->seq)
        sim_violation(c->check, "%s: replay starts at %" PRIu64 ", had %" PRIu64,
                      c->config.user, get_u64(frame, "fromSeq"), c->seq);
    json_array_foreach(json_object_get(frame, "messages"), i, message) show(c, message);
    if (to > c->seq || !c->has_cursor)
        c->seq = to;
    c->has_cursor = true;
}

static void on_message(struct sim_client *c, const json_t *frame)
{
    uint64_t seq = get_u64(frame, "seq");
    bool own = slice_eq_str(get_str(frame, "userId"), c->config.user);

    show(c, frame);
    if (seq == c->seq + 1) {
        c->seq = seq;
    } else if (seq > c->seq) {
        sim_violation(c->check, "%s: live gap, %" PRIu64 " then %" PRIu64, c->config.user,
                      c->seq, seq);
        c->seq = seq;
    } else if (!own) {
        sim_violation(c->check, "%s: live repeat of %" PRIu64 " at %" PRIu64, c->config.user,
                      seq, c->seq);
    }
}

static struct sim_post *find_post(struct sim_client *c, struct slice key)
{
    struct sim_post *post;
    char name[64];

    list_for_each(post, &c->unacked, link)
    {
        post_key(c, post->number, name);
        if (slice_eq_str(key, name))
            return post;
    }
    return NULL;
}

static void on_ack(struct sim_client *c, const json_t *frame)
{
    struct slice key = get_str(frame, "clientMessageId");
    struct sim_post *post = find_post(c, key);

    sim_check_acked(c->check, room_of(c), slice_str(c->config.user), key, get_u64(frame, "seq"),
                    (int64_t)get_u64(frame, "id"));
    c->n_acks++;
    if (!post)
        return; /* acknowledged before: it had been sent twice */
    list_del(&post->link);
    free(post);
    c->n_unacked--;
}

static void on_retry(struct sim *sim, void *arg)
{
    struct errand *errand = arg;
    struct sim_client *c = errand->client;
    struct sim_post *post;

    (void)sim;
    if (errand->socket == c->generation_of_socket && c->is_live) {
        list_for_each(post, &c->unacked, link)
        {
            if (post->number == errand->number) {
                send_post(c, post->number);
                break;
            }
        }
    }
    free(errand);
}

static void on_error(struct sim_client *c, const json_t *frame)
{
    struct sim_post *post = find_post(c, get_str(frame, "clientMessageId"));

    if (!json_is_true(json_object_get(frame, "retryable"))) {
        sim_violation(c->check, "%s: refused for good: %s", c->config.user,
                      get_str(frame, "code").data);
    } else if (post) {
        struct errand *errand = errand_new(c);

        errand->number = post->number;
        sim_after(c->sim, RETRY_MS, on_retry, errand);
    }
}

static void on_subscribed(struct sim_client *c, const json_t *frame)
{
    struct sim_post *post, *next;

    take_generation(c, frame);
    c->is_live = true;
    c->backoff = 0;
    list_for_each_safe(post, next, &c->unacked, link)
    {
        if (!c->is_live)
            return;
        send_post(c, post->number);
    }
}

static void on_frame(struct sim_client *c, struct slice text)
{
    json_t *frame = json_loadb(text.data, text.len, JSON_REJECT_DUPLICATES, NULL);
    struct slice type = get_str(frame, "type");

    if (!frame || type.len == 0)
        sim_violation(c->check, "%s: not a frame: %.*s", c->config.user, (int)text.len,
                      text.data);
    else if (slice_eq_str(type, "replay") || slice_eq_str(type, "history"))
        on_replay(c, frame);
    else if (slice_eq_str(type, "message"))
        on_message(c, frame);
    else if (slice_eq_str(type, "ack"))
        on_ack(c, frame);
    else if (slice_eq_str(type, "error"))
        on_error(c, frame);
    else if (slice_eq_str(type, "subscription_succeeded"))
        on_subscribed(c, frame);
    else if (slice_eq_str(type, "member_joined") || slice_eq_str(type, "member_left"))
        c->check->n_member_frames++;
    json_decref(frame);
}

/* Server frames lie whole in a blob, one or several. */
static void on_frames(struct sim_client *c, const struct blob *blob, unsigned socket)
{
    const uint8_t *at = (const uint8_t *)blob->data;
    size_t left = blob->len;

    while (left >= 2 && socket == c->generation_of_socket) {
        size_t head = 2;
        uint64_t len = at[1] & 0x7fu;

        if (len == 126) {
            len = (uint64_t)at[2] << 8 | at[3];
            head = 4;
        } else if (len == 127) {
            len = 0;
            for (int i = 0; i < 8; i++)
                len = len << 8 | at[2 + i];
            head = 10;
        }
        assert(head + len <= left);
        if ((at[0] & 0x0f) == 1)
            on_frame(c, slice_of(at + head, (size_t)len));
        at += head + len;
        left -= head + (size_t)len;
    }
}

static void on_delivery(struct sim *sim, void *arg)
{
    struct errand *errand = arg;
    struct sim_client *c = errand->client;

    (void)sim;
    if (errand->socket == c->generation_of_socket) {
        c->stream.queued_bytes -= errand->blob->len;
        on_frames(c, errand->blob, errand->socket);
    }
    blob_unref(errand->blob);
    free(errand);
}

static int client_write(struct stream *s, struct blob *blob)
{
    struct sim_client *c = container_of(s, struct sim_client, stream);
    struct errand *errand = errand_new(c);
    uint64_t at = c->sim->now_ms + sim_range(&c->sim->rng, 0, 2);

    errand->blob = blob_ref(blob);
    c->arrives_ms = MAX(c->arrives_ms, at);
    s->queued_bytes += blob->len;
    sim_after(c->sim, c->arrives_ms - c->sim->now_ms, on_delivery, errand);
    return 0;
}

static void client_pause(struct stream *s, bool paused)
{
    (void)s;
    (void)paused; /* the edge's to do; this client sends little */
}

static void client_close(struct stream *s, bool flush)
{
    (void)s;
    (void)flush;
}

static const struct stream_ops client_stream_ops = {client_write, client_pause, client_close};

/* ---- coming and going ---- */

static void dial_later(struct sim_client *c);

static void gone(struct sim_client *c)
{
    c->session = NULL;
    c->is_live = false;
    c->generation_of_socket++;
    if (!c->config.native)
        c->has_cursor = false;
    dial_later(c);
}

static void on_session_close(void *owner, unsigned code, struct slice reason)
{
    struct sim_client *c = owner;

    if (code == 1008)
        sim_violation(c->check, "%s: closed for good: %.*s", c->config.user, (int)reason.len,
                      reason.data);
    gone(c);
}

static void on_session_pause(void *owner, bool paused)
{
    (void)owner;
    (void)paused;
}

static const struct session_events session_events = {.on_close = on_session_close,
                                                     .on_pause = on_session_pause};

void sim_client_connect(struct sim_client *c)
{
    struct session_sink sink = {.framing = FRAMING_WEBSOCKET};
    struct sim_edge *edge;
    struct session_params params = {
        .project = slice_str(c->config.project),
        .user = slice_str(c->config.user),
        .roles = SLICE_LIT("member"),
        .native = c->config.native,
    };
    struct enter_params enter = {
        .room = room_of(c),
        .attach_flags = ATTACH_AS_REPLAY,
        .replay_limit = c->config.replay_limit,
        .trace = SLICE_LIT("sim"),
    };

    if (c->is_stopped || c->session)
        return;
    c->edge = (c->edge + 1) % c->n_edges;
    edge = &c->edges[c->edge];
    if (!edge->sessions || !edge->node->up || edge->node->paused) {
        dial_later(c);
        return;
    }
    c->n_connects++;
    c->generation_of_socket++;
    c->stream = (struct stream){.ops = &client_stream_ops};
    sink.stream = &c->stream;
    if (session_open(edge->sessions, &params, &sink, &session_events, c, &c->session) != 0) {
        c->session = NULL;
        dial_later(c);
        return;
    }
    if (c->config.native && c->has_cursor) {
        enter.attach_flags |= ATTACH_HAS_SEQ;
        enter.last_seq = c->seq;
        enter.generation = slice_str(c->generation);
    }
    if (session_enter(c->session, &enter) != 0) {
        session_close(c->session);
        gone(c);
    }
    sim_turn_end(edge->node);
}

static void on_dial_time(struct sim *sim, void *arg)
{
    struct errand *errand = arg;

    (void)sim;
    if (errand->socket == errand->client->generation_of_socket)
        sim_client_connect(errand->client);
    free(errand);
}

static void dial_later(struct sim_client *c)
{
    unsigned doublings = MIN(c->backoff, 6u);
    uint64_t cap = MIN((uint64_t)BACKOFF_MAX_MS, (uint64_t)BACKOFF_MIN_MS << doublings);

    c->backoff++;
    sim_after(c->sim, sim_range(&c->sim->rng, 1, cap), on_dial_time, errand_new(c));
}

void sim_client_cut(struct sim_client *c)
{
    if (!c->session)
        return;
    session_close(c->session);
    gone(c);
}

void sim_client_hang_up(struct sim_client *c)
{
    struct sim_edge *edge = &c->edges[c->edge];

    if (!c->session || edge->node->paused)
        return;
    session_close(c->session);
    sim_turn_end(edge->node);
    gone(c);
}

bool sim_client_has_settled(const struct sim_client *c)
{
    return c->is_live && c->n_unacked == 0;
}

bool sim_client_has_seen(const struct sim_client *c, uint64_t seq)
{
    return map_find(&c->seen, hash_u64(seq), seen_eq, &seq) != NULL;
}

void sim_client_init(struct sim_client *c, struct sim *sim, struct sim_check *check,
                     const struct sim_client_config *config, struct sim_edge *edges,
                     size_t n_edges, size_t first_edge)
{
    *c = (struct sim_client){.sim = sim,
                             .check = check,
                             .config = *config,
                             .edges = edges,
                             .n_edges = n_edges,
                             .edge = first_edge};
    map_init(&c->seen);
    list_init(&c->unacked);
}

static bool free_seen(struct map_node *node, void *arg)
{
    map_remove(arg, node);
    free(container_of(node, struct seen, node));
    return true;
}

void sim_client_deinit(struct sim_client *c)
{
    struct sim_post *post, *next;

    c->is_stopped = true;
    if (c->session) {
        session_close(c->session);
        c->session = NULL;
    }
    c->generation_of_socket++;
    list_for_each_safe(post, next, &c->unacked, link) free(post);
    map_each(&c->seen, free_seen, &c->seen);
    map_deinit(&c->seen);
}
