/*
 * peer.c - one link from a gateway; see peer.h.
 *
 *              handshake done
 *   GREETING ------------------> UP
 *      |                         |
 *      +--- deadline, malformed, silent, overfull, replaced, end of stream ---> CLOSED
 *
 * Losing the link loses no socket: the host keeps them as ghosts until the
 * gateway is back. One timer serves both states.
 */
#include "shard/peer/peer.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "common/base/limits.h"
#include "common/base/log.h"
#include "shard/host/attach.h"
#include "shard/host/frame_in.h"
#include "shard/host/gate.h"
#include "shard/host/gather.h"
#include "shard/host/settle.h"
#include "shard/host/stream_handover.h"
#include "shard/host/user_channel.h"
#include "shard/limits.h"
#include "shard/metrics.h"

/* Encoded messages go to the stream when this much has gathered, at the latest at the end of
 * the turn. */
#define OUT_FLUSH_BYTES (256 * KIB)

/* ---- life ---- */

static void on_dead(struct later *later, void *arg)
{
    struct peer *peer = arg;

    (void)later;
    frame_reader_deinit(&peer->reader);
    buf_deinit(&peer->out);
    free(peer);
}

static int flush_out(struct peer *peer)
{
    AUTO(blob_unref) struct blob *blob = NULL;

    if (peer->out.len == 0)
        return 0;
    blob = buf_to_blob(&peer->out);
    if (!blob)
        return -ENOMEM;
    peer->peers->metrics->link_bytes_out += blob->len;
    peer->written += blob->len;
    if (peer->out.cap > OUT_FLUSH_BYTES)
        buf_deinit(&peer->out); /* a large message has passed: do not keep its memory */
    buf_clear(&peer->out);
    return stream_write(peer->stream, blob);
}

static void leave_up(struct peer *peer)
{
    struct gate *gate = TAKE(peer->gate);

    peer->peers->n_up--;
    peer->peers->metrics->links--;
    if (gate)
        gate_down(gate);
}

void peer_close(struct peer *peer, const char *reason, bool is_orderly)
{
    struct msg goodbye = {.type = MSG_GOODBYE};
    bool was_up = peer->state == PEER_UP;

    if (peer->state == PEER_CLOSED)
        return;
    log_info("link from a gateway ends", L_STR("gateway", peer->handshake.peer_node),
             L_STR("reason", reason));
    if (was_up && is_orderly && peer->stream) {
        goodbye.GOODBYE.reason = slice_str(reason);
        peer_say(peer, &goodbye);
        is_orderly = !buf_failed(&peer->out) && flush_out(peer) == 0;
    }
    peer->state = PEER_CLOSED;
    if (peer->stream)
        stream_close(peer->stream, is_orderly);
    peer->stream = NULL;
    if (!was_up) {
        peer->peers->n_greeting--;
        peer->peers->metrics->links_refused++;
    }
    env_timer_cancel(peer->peers->env, &peer->timer);
    later_cancel(&peer->flush);
    list_del(&peer->link);
    env_free_later(peer->peers->env, &peer->dead);
    if (was_up)
        leave_up(peer);
}

static void arm(struct peer *peer, uint64_t delay_ms)
{
    /* peer_new() has armed it: arming it again needs no memory. */
    int r = env_timer(peer->peers->env, &peer->timer, delay_ms);

    assert(r == 0);
}

/* ---- output ---- */

static size_t queued_bytes(const struct peer *peer)
{
    return peer->out.len + (peer->stream ? peer->stream->queued_bytes : 0);
}

/* More than LINK_QUEUE_HIGH waits: the gateway is not listened to until it has read. */
static void update_pause(struct peer *peer)
{
    bool is_over = queued_bytes(peer) > LINK_QUEUE_HIGH;

    if (is_over == peer->is_paused || !peer->stream)
        return;
    peer->is_paused = is_over;
    stream_pause(peer->stream, is_over);
}

/* After something was appended to out, or failed to be. */
static void after_append(struct peer *peer)
{
    if (queued_bytes(peer) > LINK_QUEUE_MAX)
        peer->out.failed = true;
    if (!buf_failed(&peer->out) && peer->out.len >= OUT_FLUSH_BYTES && flush_out(peer) < 0)
        peer->out.failed = true;
    env_later(peer->peers->env, &peer->flush); /* also to end a link that has lost a message */
}

static void on_flush(struct later *later, void *arg)
{
    struct peer *peer = arg;

    (void)later;
    if (buf_failed(&peer->out) || flush_out(peer) < 0) {
        peer->peers->metrics->links_closed++;
        peer_close(peer,
                   queued_bytes(peer) > LINK_QUEUE_MAX ? "read too slowly" : "out of memory",
                   false);
        return;
    }
    update_pause(peer);
}

void peer_say(struct peer *peer, const struct msg *msg)
{
    if (peer->state == PEER_CLOSED)
        return;
    msg_encode(&peer->out, msg);
    after_append(peer);
}

static struct ring_identity our_ring(const struct peer *peer)
{
    return peer->peers->ring ? ring_identity(peer->peers->ring) : (struct ring_identity){0};
}

static void ping(struct peer *peer)
{
    struct msg msg = {.type = MSG_PING};

    msg.PING.sent_ms = env_now_ms(peer->peers->env);
    msg.PING.ring_epoch = our_ring(peer).epoch;
    msg.PING.ring_hash = our_ring(peer).hash;
    peer_say(peer, &msg);
    if (peer->gate)
        pace_on_ping(peer->gate);
}

/* ---- what the gate needs of us ---- */

static void gate_link_send(void *link, struct slice frames)
{
    struct peer *peer = link;

    if (peer->state == PEER_CLOSED)
        return;
    if (frames.len > 0)
        buf_put_slice(&peer->out, frames);
    else
        peer->out.failed =
            true; /* the gate could not encode a message: the link has lost one */
    after_append(peer);
}

static bool gate_link_is_congested(void *link)
{
    return queued_bytes(link) > LINK_QUEUE_HIGH;
}

static void gate_link_on_replaced(void *link)
{
    struct peer *peer = link;

    peer->gate = NULL;
    peer_close(peer, "the gateway has connected again", false);
}

static void gate_link_ping(void *link)
{
    ping(link);
}

static const struct gate_link_ops gate_ops = {
    .send = gate_link_send,
    .ping = gate_link_ping,
    .is_congested = gate_link_is_congested,
    .on_replaced = gate_link_on_replaced,
};

/* ---- ring and heartbeat ---- */

static void teach_ring(struct peer *peer, struct ring_identity theirs)
{
    struct msg msg = {.type = MSG_RING};

    if (!peer->peers->ring || ring_identity_compare(theirs, our_ring(peer)) >= 0)
        return;
    msg.RING.epoch = our_ring(peer).epoch;
    msg.RING.members = ring_encoded(peer->peers->ring);
    peer_say(peer, &msg);
}

static void answer_ping(struct peer *peer, const struct msg_PING *in)
{
    struct msg msg = {.type = MSG_PONG};

    msg.PONG.sent_ms = in->sent_ms;
    msg.PONG.ring_epoch = our_ring(peer).epoch;
    msg.PONG.ring_hash = our_ring(peer).hash;
    peer_say(peer, &msg);
    teach_ring(peer, (struct ring_identity){in->ring_epoch, in->ring_hash});
}

/* A gateway that has stopped reads nothing either; one that is only slow takes something. */
static void note_taken(struct peer *peer, uint64_t now)
{
    uint64_t taken = peer->written - peer->stream->queued_bytes;

    if (taken != peer->taken || !peer->is_paused || now > peer->beat_due_ms + LINK_HEARTBEAT_MS)
        peer->taken_ms = now;
    peer->taken = taken;
}

static void beat(struct peer *peer)
{
    uint64_t now = env_now_ms(peer->peers->env);

    /* When we ourselves were stopped for a moment, or did not read, its silence proves nothing;
     * but what has waited for longer than this is too old to be answered. */
    note_taken(peer, now);
    if (peer->is_paused)
        peer->heard_ms = now;
    if (now - peer->taken_ms >= LINK_SILENCE_MS) {
        peer->peers->metrics->links_closed++;
        peer_close(peer, "read nothing", false);
        return;
    }
    if (now - peer->heard_ms >= LINK_SILENCE_MS) {
        peer_close(peer, "silent", false);
        return;
    }
    if (now > peer->beat_due_ms + LINK_HEARTBEAT_MS)
        peer->heard_ms = now;
    peer->beat_due_ms = now + LINK_HEARTBEAT_MS;
    arm(peer, LINK_HEARTBEAT_MS);
    ping(peer);
}

static void on_timer(struct timer *timer, void *arg)
{
    struct peer *peer = arg;

    (void)timer;
    if (peer->state == PEER_GREETING)
        peer_close(peer, "no greeting in time", false);
    else
        beat(peer);
}

/* ---- input ---- */

static int on_ring(struct peer *peer, const struct msg_RING *in)
{
    return peer->peers->hooks->on_ring(peer->peers->owner, in->epoch, in->members);
}

static int dispatch(struct peer *peer, const struct msg *msg)
{
    switch (msg->type) {
    case MSG_PING:
        answer_ping(peer, &msg->PING);
        return 0;
    case MSG_PONG:
        pace_on_pong(peer->gate);
        teach_ring(peer, (struct ring_identity){msg->PONG.ring_epoch, msg->PONG.ring_hash});
        return 0;
    case MSG_RING:
        return on_ring(peer, &msg->RING);
    case MSG_GOODBYE:
        return 0; /* the end of the stream follows */
    case MSG_ATTACH:
        if (is_user_channel(msg->ATTACH.room))
            user_on_attach(peer->gate, &msg->ATTACH);
        else
            attach_on_attach(peer->gate, &msg->ATTACH);
        return 0;
    case MSG_DETACH:
        if (is_user_channel(msg->DETACH.room))
            user_on_detach(peer->gate, &msg->DETACH);
        else
            attach_on_detach(peer->gate, &msg->DETACH);
        return 0;
    case MSG_USER_PUSH:
        user_on_push(peer->peers->host, &msg->USER_PUSH);
        return 0;
    case MSG_KICKED:
        gather_on_kicked(peer->gate, &msg->KICKED);
        return 0;
    case MSG_USER_ROOMS_DONE:
        gather_on_user_rooms(peer->gate, &msg->USER_ROOMS_DONE);
        return 0;
    case MSG_FRAME:
        frame_on_frame(peer->gate, &msg->FRAME);
        return 0;
    case MSG_MORE:
        attach_on_more(peer->gate, &msg->MORE);
        return 0;
    case MSG_REFRESH:
        attach_on_refresh(peer->gate, &msg->REFRESH);
        return 0;
    case MSG_ROLES:
        attach_on_roles(peer->gate, &msg->ROLES);
        return 0;
    case MSG_AWAKE:
        settle_on_awake(peer->peers->host, &msg->AWAKE);
        return 0;
    case MSG_HANDOVER:
        streams_on_handover(peer->peers->host, &msg->HANDOVER);
        return 0;
    case MSG_ARRIVED:
        moves_on_arrived(&peer->peers->host->moves, &msg->ARRIVED);
        return 0;
    case MSG_CALL:
        peer->peers->hooks->on_call(peer->peers->owner, peer->gate, &msg->CALL);
        return 0;
    case MSG_HELLO:
    case MSG_AUTH:
    case MSG_TO_ATTACH:
    case MSG_ATTACHED:
    case MSG_PAGED:
    case MSG_CLOSE:
    case MSG_ROOM_EVENT:
    case MSG_SLEEP:
    case MSG_WAKE:
    case MSG_MOVED:
    case MSG_GATEWAY_GONE:
    case MSG_REPLY:
    case MSG_KICK:
    case MSG_USER_ROOMS:
        return -EPROTO; /* not a gateway's to say, or not now */
    }
    return -EPROTO;
}

static int come_up(struct peer *peer)
{
    struct peers *peers = peer->peers;

    peer->state = PEER_UP;
    peer->stream->is_link = true;
    peers->n_greeting--;
    peers->n_up++;
    peers->metrics->links++;
    peer->beat_due_ms = env_now_ms(peers->env) + LINK_HEARTBEAT_MS;
    peer->taken_ms = env_now_ms(peers->env);
    arm(peer, LINK_HEARTBEAT_MS);
    log_info("link from a gateway is up", L_STR("gateway", peer->handshake.peer_node));
    peer->gate = gate_up(peers->host, peer->handshake.peer_incarnation, &gate_ops, peer);
    if (!peer->gate)
        return -ENOMEM;
    ping(peer);
    return 0;
}

static int greet(struct peer *peer, const struct msg *msg)
{
    int r = handshake_feed(&peer->handshake, msg, &peer->out);

    if (r < 0) {
        log_warn("link from a gateway refused", L_STR("gateway", peer->handshake.peer_node),
                 L_STR("reason", peer->handshake.why ? peer->handshake.why : "malformed"));
        return r;
    }
    after_append(peer);
    return r == HANDSHAKE_DONE ? come_up(peer) : 0;
}

/* frame_fn: one message of the gateway. */
static int on_message(void *owner, struct slice message)
{
    struct peer *peer = owner;
    struct msg msg;
    int r = msg_decode(message, &msg);

    if (r < 0)
        return r;
    if (r == MSG_UNKNOWN)
        return 0;
    r = peer->state == PEER_GREETING ? greet(peer, &msg) : dispatch(peer, &msg);
    if (r < 0)
        return r;
    return peer->state == PEER_CLOSED ? -ECONNRESET : 0;
}

static void on_bytes(void *owner, struct slice bytes)
{
    struct peer *peer = owner;
    uint64_t silent_ms = env_now_ms(peer->peers->env) - peer->heard_ms;
    int r;

    /* One of us was stopped, and this is from before: the gateway has given us up, and asks
     * others. */
    if (peer->state == PEER_UP && silent_ms >= LINK_SILENCE_MS) {
        peer_close(peer, "silent", false);
        return;
    }
    peer->heard_ms += silent_ms;
    peer->peers->metrics->link_bytes_in += bytes.len;
    r = frame_reader_feed(&peer->reader, bytes, on_message, peer);
    /* Greetings are short: who has not proved himself makes us hold no more than one frame. */
    if (r == 0 && peer->state == PEER_GREETING && peer->reader.chunks.len > 0)
        r = -EPROTO;
    if (r < 0)
        peer_close(peer, r == -ENOMEM ? "out of memory" : "protocol error", false);
}

static void on_drained(void *owner)
{
    update_pause(owner);
}

static void on_stream_close(void *owner, enum stream_end end)
{
    struct peer *peer = owner;

    peer->stream = NULL; /* it frees itself */
    peer_close(peer, end == STREAM_END_EOF ? "closed by the gateway" : "connection lost",
               false);
}

static const struct stream_events stream_events = {
    .on_bytes = on_bytes,
    .on_drained = on_drained,
    .on_close = on_stream_close,
};

int peer_new(struct peers *peers, struct stream *stream)
{
    struct peer *peer;
    uint8_t nonce[HANDSHAKE_NONCE_LEN];

    if (peers->n_greeting >= LINK_PENDING_MAX)
        return -E2BIG;
    peer = calloc(1, sizeof(*peer));
    if (!peer)
        return -ENOMEM;
    peer->peers = peers;
    timer_init(&peer->timer, on_timer, peer);
    if (env_timer(peers->env, &peer->timer, LINK_HANDSHAKE_TIMEOUT_MS) < 0) {
        free(peer);
        return -ENOMEM;
    }
    frame_reader_init(&peer->reader);
    later_init(&peer->flush, on_flush, peer);
    later_init(&peer->dead, on_dead, peer);
    list_add_tail(&peers->all, &peer->link);
    peers->n_greeting++;
    peer->heard_ms = env_now_ms(peers->env);
    env_random(peers->env, nonce, sizeof(nonce));
    handshake_start(&peer->handshake, &peers->identity, nonce, &peer->out);
    peer->stream = stream;
    stream_set_events(stream, &stream_events, peer);
    return 0;
}
