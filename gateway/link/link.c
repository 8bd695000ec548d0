/*
 * link.c - one connection to one shard; see link.h.
 *
 *              timer                on_open               handshake done
 *   RESTING ----------> CONNECTING ---------> GREETING ------------------> UP
 *      ^                    |                    |                          |
 *      +--------------------+--------------------+--------------------------+
 *             refused, reset, silent, malformed: rest a while, doubling
 *   any state -- link_close() --> CLOSED
 *
 * One timer serves all states: the rest, the time to connect and greet, the
 * heartbeat.
 */
#include "gateway/link/link.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "common/base/limits.h"
#include "common/wire/frame.h"
#include "gateway/metrics.h"

/* Encoded messages go to the stream when this much has gathered, at the latest at the end of
 * the turn. */
#define OUT_FLUSH_BYTES (256 * KIB)

enum link_state { LINK_RESTING, LINK_CONNECTING, LINK_GREETING, LINK_UP, LINK_CLOSED };

struct link {
    struct link_setup setup;
    enum link_state state;
    bool leaving;
    bool was_full;    /* on_drained is owed */
    bool is_feeding;  /* inside frame_reader_feed(): the reader must stay as it is */
    bool is_farewell; /* the peer has said goodbye: the end says nothing about its health */
    char *node_id;
    char *address;
    struct stream *stream; /* NULL while RESTING and CLOSED */
    struct handshake handshake;
    struct frame_reader reader;
    struct timer timer;
    uint64_t rest_ms; /* length of the next rest */
    uint64_t up_since_ms;
    uint64_t heard_ms;    /* when the last bytes came */
    uint64_t beat_due_ms; /* when the heartbeat timer should run */
    struct buf out;       /* encoded in this turn */
    struct later flush;
    struct later dead;
    struct list rooms; /* the session side's */
};

static void link_on_timer(struct timer *timer, void *arg);

/* ---- states ---- */

static bool may_follow(enum link_state from, enum link_state to)
{
    switch (from) {
    case LINK_RESTING:
        return to == LINK_CONNECTING || to == LINK_CLOSED;
    case LINK_CONNECTING:
        return to == LINK_GREETING || to == LINK_RESTING || to == LINK_CLOSED;
    case LINK_GREETING:
        return to == LINK_UP || to == LINK_RESTING || to == LINK_CLOSED;
    case LINK_UP:
        return to == LINK_RESTING || to == LINK_CLOSED;
    case LINK_CLOSED:
        return false;
    }
    return false;
}

static void set_state(struct link *link, enum link_state state)
{
    struct gateway_metrics *m = link->setup.metrics;

    assert(may_follow(link->state, state));
    if (state == LINK_UP) {
        m->links_up++;
        m->link_ups++;
    } else if (link->state == LINK_UP) {
        m->links_up--;
        m->link_downs++;
    }
    link->state = state;
}

static void arm(struct link *link, uint64_t delay_ms)
{
    int r = env_timer(link->setup.env, &link->timer, delay_ms);

    /* link_new() has armed it: moving an armed timer, or arming it again in its own callback,
     * needs no memory. */
    assert(r == 0);
}

static void drop_stream(struct link *link, bool flush)
{
    if (link->stream)
        stream_close(link->stream, flush);
    link->stream = NULL;
    later_cancel(&link->flush);
    buf_clear(&link->out);
    if (!link->is_feeding) {
        frame_reader_deinit(&link->reader);
        frame_reader_init(&link->reader);
    }
}

/* The connection has ended or must end: rest, then try again. */
static void link_down(struct link *link, const char *why)
{
    bool was_up = link->state == LINK_UP;
    uint64_t now = env_now_ms(link->setup.env);

    drop_stream(link, false);
    /* Only a link that has lived a while starts over with short rests. */
    if (was_up && now - link->up_since_ms >= LINK_RETRY_MAX_MS)
        link->rest_ms = LINK_RETRY_MIN_MS;
    set_state(link, LINK_RESTING);
    arm(link, env_jitter_ms(link->setup.env, link->rest_ms));
    link->rest_ms = MIN(link->rest_ms * 2, (uint64_t)LINK_RETRY_MAX_MS);
    link->was_full = false;
    link->setup.events->on_end(link->setup.owner, link, was_up, why);
    if (was_up)
        link->setup.events->on_down(link->setup.owner, link);
}

static void link_fail(struct link *link, enum link_evidence evidence)
{
    static const char *const words[] = {
        [LINK_REFUSED] = "refused", [LINK_RESET] = "reset", [LINK_TIMEOUT] = "timeout"};
    bool is_farewell = link->is_farewell;

    link_down(link, is_farewell ? "the shard said goodbye" : words[evidence]);
    if (!is_farewell && link->state != LINK_CLOSED)
        link->setup.events->on_evidence(link->setup.owner, link, evidence);
}

/* ---- output ---- */

static size_t queued_bytes(const struct link *link)
{
    return link->out.len + (link->stream ? link->stream->queued_bytes : 0);
}

static int flush_out(struct link *link)
{
    AUTO(blob_unref) struct blob *blob = NULL;

    if (link->out.len == 0)
        return 0;
    blob = buf_to_blob(&link->out);
    if (!blob)
        return -ENOMEM;
    link->setup.metrics->link_bytes_out += blob->len;
    if (link->out.cap > OUT_FLUSH_BYTES)
        buf_deinit(&link->out); /* a large message has passed: do not keep its memory */
    buf_clear(&link->out);
    return stream_write(link->stream, blob);
}

static void link_on_flush(struct later *later, void *arg)
{
    struct link *link = arg;

    (void)later;
    if (link->stream && (buf_failed(&link->out) || flush_out(link) < 0))
        link_down(link,
                  "its output is over the bound, or memory is out"); /* all is sent again after
                                                                        the re-attach */
}

/* After something was appended to out. */
static int after_append(struct link *link)
{
    if (buf_failed(&link->out))
        return -ENOMEM;
    env_later(link->setup.env, &link->flush);
    if (link->out.len >= OUT_FLUSH_BYTES)
        return flush_out(link);
    return 0;
}

int link_send(struct link *link, const struct msg *msg)
{
    if (link->state != LINK_UP)
        return -ENOTCONN;
    msg_encode(&link->out, msg);
    /* A failure is kept in out and ends the link when the turn does: the caller may be in the
     * middle of a walk. */
    env_later(link->setup.env, &link->flush);
    if (queued_bytes(link) > LINK_QUEUE_MAX)
        link->out.failed = true;
    if (buf_failed(&link->out))
        return -ENOMEM;
    if (link_is_full(link))
        link->was_full = true;
    return after_append(link);
}

bool link_is_full(const struct link *link)
{
    return queued_bytes(link) > LINK_QUEUE_HIGH;
}

static void check_drained(struct link *link)
{
    if (link->state != LINK_UP || !link->was_full || link_is_full(link))
        return;
    link->was_full = false;
    link->setup.events->on_drained(link->setup.owner, link);
}

/* For what need not arrive: when the link is not up there is nobody to tell, and without memory
 * it ends by itself. */
static void say(struct link *link, const struct msg *msg)
{
    int r = link_send(link, msg);

    (void)r;
}

void link_ping(struct link *link)
{
    struct msg msg = {.type = MSG_PING};

    msg.PING.sent_ms = env_now_ms(link->setup.env);
    msg.PING.ring_epoch = link->setup.ring->epoch;
    msg.PING.ring_hash = link->setup.ring->hash;
    say(link, &msg);
}

/* ---- input ---- */

static void answer_ping(struct link *link, const struct msg_PING *ping)
{
    struct msg msg = {.type = MSG_PONG};

    msg.PONG.sent_ms = ping->sent_ms;
    msg.PONG.ring_epoch = link->setup.ring->epoch;
    msg.PONG.ring_hash = link->setup.ring->hash;
    say(link, &msg);
}

static int greet(struct link *link, const struct msg *msg)
{
    int r;

    r = handshake_feed(&link->handshake, msg, &link->out);
    if (r < 0)
        return r;
    if (link->handshake.state != HANDSHAKE_HELLO &&
        !slice_eq_str(slice_str(link->handshake.peer_node), link->node_id))
        return -EADDRNOTAVAIL;
    if (r == HANDSHAKE_DONE) {
        link->up_since_ms = env_now_ms(link->setup.env);
        link->beat_due_ms = link->up_since_ms + LINK_HEARTBEAT_MS;
        arm(link, LINK_HEARTBEAT_MS);
        set_state(link, LINK_UP);
        link_ping(link);
        link->setup.events->on_up(link->setup.owner, link);
    }
    return link->stream ? after_append(link) : -ECONNRESET;
}

static void dispatch(struct link *link, const struct msg *msg)
{
    const struct link_events *events = link->setup.events;
    void *owner = link->setup.owner;

    if (msg->type == MSG_PING) {
        answer_ping(link, &msg->PING);
        events->on_heartbeat(owner, link,
                             (struct ring_identity){msg->PING.ring_epoch, msg->PING.ring_hash});
    } else if (msg->type == MSG_PONG) {
        events->on_heartbeat(owner, link,
                             (struct ring_identity){msg->PONG.ring_epoch, msg->PONG.ring_hash});
    } else if (msg->type == MSG_GOODBYE) {
        link->is_farewell = true;
    } else {
        events->on_message(owner, link, msg);
    }
}

/* frame_fn: one message of the shard. */
static int link_on_message(void *owner, struct slice message)
{
    struct link *link = owner;
    struct msg msg;
    int r;

    r = msg_decode(message, &msg);
    if (r < 0)
        return r;
    if (r == MSG_UNKNOWN)
        return 0;
    if (link->state == LINK_GREETING)
        return greet(link, &msg);
    dispatch(link, &msg);
    return link->state == LINK_UP ? 0
                                  : -ECONNRESET; /* a user of ours may have ended the link */
}

static const char *why(const struct link *link, int r)
{
    if (r == -ENOMEM)
        return "out of memory";
    if (r == -EADDRNOTAVAIL)
        return "another node answers at this address";
    return link->handshake.state == HANDSHAKE_FAILED ? link->handshake.why
                                                     : "malformed message";
}

/* Nothing has come for so long that one of us was stopped. What comes now may be from before:
 * typing, presence, events of a past that must not be shown as the present; and the shard has
 * given us up, or soon will. */
static bool is_too_old(const struct link *link)
{
    return env_now_ms(link->setup.env) - link->heard_ms >= LINK_SILENCE_MS;
}

static void link_on_bytes(void *owner, struct slice bytes)
{
    struct link *link = owner;
    struct stream *stream = link->stream;
    int r;

    if (link->state == LINK_UP && is_too_old(link)) {
        link_down(link, "what arrives is too old");
        return;
    }
    link->heard_ms = env_now_ms(link->setup.env);
    link->setup.metrics->link_bytes_in += bytes.len;
    link->is_feeding = true;
    r = frame_reader_feed(&link->reader, bytes, link_on_message, link);
    link->is_feeding = false;
    if (link->stream != stream) { /* ended underneath, perhaps opened again */
        frame_reader_deinit(&link->reader);
        frame_reader_init(&link->reader);
        return;
    }
    if (r < 0)
        link_down(link,
                  why(link, r)); /* whose fault it is cannot be told, so it is no evidence */
}

static void link_on_drained(void *owner)
{
    check_drained(owner);
}

static void link_on_open(void *owner)
{
    struct link *link = owner;
    uint8_t nonce[HANDSHAKE_NONCE_LEN];

    set_state(link, LINK_GREETING);
    link->heard_ms = env_now_ms(link->setup.env);
    arm(link, LINK_HANDSHAKE_TIMEOUT_MS);
    env_random(link->setup.env, nonce, sizeof(nonce));
    handshake_start(&link->handshake, link->setup.identity, nonce, &link->out);
    if (after_append(link) < 0)
        link_down(link, "out of memory");
}

static void link_on_stream_close(void *owner, enum stream_end end)
{
    struct link *link = owner;

    link->stream = NULL; /* it frees itself */
    switch (end) {
    case STREAM_END_REFUSED:
        link_fail(link, LINK_REFUSED);
        break;
    case STREAM_END_TIMEOUT:
        link_fail(link, LINK_TIMEOUT);
        break;
    case STREAM_END_EOF:
    case STREAM_END_RESET:
        link_fail(link, LINK_RESET);
        break;
    case STREAM_END_TLS:
    case STREAM_END_ERROR:
        link_down(link, "TLS or system error"); /* may as well be our own fault */
        break;
    }
}

static const struct stream_events stream_events = {
    .on_open = link_on_open,
    .on_bytes = link_on_bytes,
    .on_drained = link_on_drained,
    .on_close = link_on_stream_close,
};

/* ---- time ---- */

static void try_connect(struct link *link)
{
    struct env *env = link->setup.env;
    int r;

    link->is_farewell = false;
    set_state(link, LINK_CONNECTING);
    arm(link, CONNECT_TIMEOUT_MS);
    r = env->ops->connect(env, link->address, &stream_events, link, &link->stream);
    if (r < 0) {
        link->stream = NULL;
        link_down(link, "cannot begin to connect");
        return;
    }
    link->stream->is_link = true;
}

static void beat(struct link *link)
{
    uint64_t now = env_now_ms(link->setup.env);
    bool was_stopped = now > link->beat_due_ms + LINK_HEARTBEAT_MS;

    if (is_too_old(link)) {
        /* When we ourselves were stopped, the peer's silence proves nothing about it. */
        if (was_stopped)
            link_down(link, "we were stopped");
        else
            link_fail(link, LINK_TIMEOUT);
        return;
    }
    if (was_stopped)
        link->heard_ms = now; /* what it has sent has not been read yet */
    link->beat_due_ms = now + LINK_HEARTBEAT_MS;
    arm(link, LINK_HEARTBEAT_MS);
    link_ping(link);
    check_drained(link);
}

static void link_on_timer(struct timer *timer, void *arg)
{
    struct link *link = arg;

    (void)timer;
    switch (link->state) {
    case LINK_RESTING:
        try_connect(link);
        break;
    case LINK_CONNECTING:
    case LINK_GREETING:
        link_fail(link, LINK_TIMEOUT);
        break;
    case LINK_UP:
        beat(link);
        break;
    case LINK_CLOSED:
        break;
    }
}

/* ---- life ---- */

static void link_free(struct link *link)
{
    if (!link)
        return;
    assert(!link->stream);
    env_timer_cancel(link->setup.env, &link->timer);
    later_cancel(&link->flush);
    frame_reader_deinit(&link->reader);
    buf_deinit(&link->out);
    free(link->node_id);
    free(link->address);
    free(link);
}
DEFINE_AUTO(struct link, link_free)

static void link_on_dead(struct later *later, void *arg)
{
    (void)later;
    link_free(arg);
}

int link_new(const struct link_setup *setup, struct slice node_id, struct slice address,
             struct link **ret_link)
{
    AUTO(link_free) struct link *link = calloc(1, sizeof(*link));
    int r;

    if (!link)
        return -ENOMEM;
    link->setup = *setup;
    link->rest_ms = LINK_RETRY_MIN_MS;
    frame_reader_init(&link->reader);
    timer_init(&link->timer, link_on_timer, link);
    later_init(&link->flush, link_on_flush, link);
    later_init(&link->dead, link_on_dead, link);
    list_init(&link->rooms);
    link->node_id = slice_dup(node_id);
    link->address = slice_dup(address);
    if (!link->node_id || !link->address)
        return -ENOMEM;
    r = env_timer(setup->env, &link->timer, 0);
    if (r < 0)
        return r;
    *ret_link = TAKE(link);
    return 0;
}

void link_close(struct link *link)
{
    struct msg goodbye = {.type = MSG_GOODBYE};

    if (link->state == LINK_CLOSED)
        return;
    if (link->state == LINK_UP) {
        goodbye.GOODBYE.reason = SLICE_LIT("gateway closes the link");
        say(link, &goodbye);
        if (!buf_failed(&link->out) && flush_out(link) < 0)
            link->is_farewell =
                true; /* a goodbye that cannot be said is an end like any other */
    }
    set_state(link, LINK_CLOSED);
    drop_stream(link, true);
    env_timer_cancel(link->setup.env, &link->timer);
    env_free_later(link->setup.env, &link->dead);
}

bool link_is_up(const struct link *link)
{
    return link->state == LINK_UP;
}

struct slice link_node_id(const struct link *link)
{
    return slice_str(link->node_id);
}

struct slice link_address(const struct link *link)
{
    return slice_str(link->address);
}

struct list *link_rooms(struct link *link)
{
    return &link->rooms;
}

void link_set_leaving(struct link *link, bool leaving)
{
    link->leaving = leaving;
}

void link_hurry(struct link *link)
{
    if (link->state != LINK_RESTING)
        return;
    link->rest_ms = LINK_RETRY_MIN_MS;
    arm(link, 0);
}

bool link_is_leaving(const struct link *link)
{
    return link->leaving;
}
