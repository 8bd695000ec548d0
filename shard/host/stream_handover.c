/* stream_handover.c - see stream_handover.h. */
#include "shard/host/stream_handover.h"

#include <stdlib.h>

#include "common/base/ident.h"
#include "common/base/limits.h"
#include "common/base/log.h"
#include "common/base/utf8.h"
#include "shard/host/attach.h"
#include "shard/host/token_stream.h"
#include "shard/metrics.h"

struct handover {
    struct list link; /* room_host.handovers */
    uint64_t seq, gateway, attach, n;
    struct slice user, text; /* point into bytes */
    char bytes[];
};

/* ---- away ---- */

/* The author's, who will go on with it; else any that comes to the new owner. */
static struct gate *carrier(const struct token_stream *stream)
{
    struct room_gate *rg;
    struct gate *any = NULL;

    list_for_each(rg, &stream->room->gates, in_room)
    {
        if (!rg->gate->link)
            continue;
        if (rg->gate->incarnation == stream->gateway)
            return rg->gate;
        any = any ? any : rg->gate;
    }
    return any;
}

static void hand_over(struct token_stream *stream)
{
    struct room_host *room = stream->room;
    struct gate *gate = carrier(stream);
    struct msg msg = {.type = MSG_HANDOVER,
                      .HANDOVER = {.project = room->project,
                                   .room = room->id,
                                   .user = stream->user,
                                   .seq = stream->entry->seq,
                                   .text = buf_slice(&stream->text),
                                   .gateway = stream->gateway,
                                   .attach = stream->attach,
                                   .n = stream->n}};

    if (gate) {
        gate_send(gate, &msg);
        room->host->metrics->streams_handed_over++;
    } else {
        token_stream_save(stream); /* nobody looks, and nobody goes on with it */
    }
}

void streams_hand_over(struct room_host *room)
{
    struct token_stream *stream;

    list_for_each(stream, &room->streams, link)
    {
        if (stream->entry && !stream->is_orphan)
            hand_over(stream);
    }
}

/* ---- here ---- */

static bool begins_with(struct slice text, struct slice begin)
{
    return text.len >= begin.len &&
           (begin.len == 0 || memcmp(text.data, begin.data, begin.len) == 0);
}

/* NULL: nothing is known of it here, or it would have a hole. */
static struct token_stream *find_orphan(const struct room_host *room,
                                        const struct msg_HANDOVER *h)
{
    struct token_stream *stream;

    list_for_each(stream, &room->streams, link)
    {
        if (stream->state == STREAM_OPEN && stream->entry->seq == h->seq)
            return stream->is_orphan && !stream->is_broken && slice_eq(stream->user, h->user) &&
                           begins_with(h->text, buf_slice(&stream->text))
                       ? stream
                       : NULL;
    }
    return NULL;
}

static void take_over(struct room_host *room, const struct msg_HANDOVER *h)
{
    struct token_stream *stream = find_orphan(room, h);
    size_t len;

    if (!stream)
        return;
    len = stream->text.len;
    buf_put_slice(&stream->text, slice_of(h->text.data + len, h->text.len - len));
    if (buf_failed(&stream->text)) { /* it ends with what is stored */
        stream->text.failed = false;
        stream->text.len = len;
        return;
    }
    stream->gateway = h->gateway;
    stream->attach = h->attach;
    stream->n = h->n;
    room->host->metrics->streams_taken_over++;
    token_stream_resume(stream);
}

void streams_take_over(struct room_host *room)
{
    struct handover *h;

    list_for_each(h, &room->handovers, link)
    {
        struct msg_HANDOVER msg = {.user = h->user,
                                   .seq = h->seq,
                                   .text = h->text,
                                   .gateway = h->gateway,
                                   .attach = h->attach,
                                   .n = h->n};

        take_over(room, &msg);
    }
    streams_drop_handovers(room);
}

static void drop(struct handover *h)
{
    list_del(&h->link);
    free(h);
}

void streams_drop_handovers(struct room_host *room)
{
    while (!list_empty(&room->handovers))
        drop(list_first(&room->handovers, struct handover, link));
}

/* The same stream again: its gateway has tried before, or has a newer text of it. */
static size_t make_place(struct room_host *room, uint64_t seq)
{
    struct handover *h, *next;
    size_t n = 0;

    list_for_each_safe(h, next, &room->handovers, link)
    {
        if (h->seq == seq)
            drop(h);
        else
            n++;
    }
    return n;
}

/* Out of memory, or more than a room can have: the stream ends with what is stored. */
static void keep(struct room_host *room, const struct msg_HANDOVER *msg)
{
    struct handover *h = NULL;

    if (make_place(room, msg->seq) < ROOM_STREAMS_MAX)
        h = malloc(sizeof(*h) + msg->user.len + msg->text.len);
    if (!h)
        return;
    *h = (struct handover){
        .seq = msg->seq, .gateway = msg->gateway, .attach = msg->attach, .n = msg->n};
    h->user = slice_of(h->bytes, msg->user.len);
    h->text = slice_of(h->bytes + msg->user.len, msg->text.len);
    memcpy(h->bytes, msg->user.data, msg->user.len);
    if (msg->text.len > 0)
        memcpy(h->bytes + msg->user.len, msg->text.data, msg->text.len);
    list_add_tail(&room->handovers, &h->link);
}

void streams_on_handover(struct host *host, const struct msg_HANDOVER *msg)
{
    struct room_host *room;

    if (!ident_is_valid(msg->project) || !ident_is_valid(msg->room) ||
        !ident_is_valid(msg->user) || msg->text.len > STREAM_MAX_BYTES ||
        !utf8_is_valid(msg->text)) {
        log_warn("a token stream that was handed over makes no sense");
        return;
    }
    if (!host_serves(host, msg->project, msg->room))
        return; /* the sockets behind it are told to look elsewhere, and bring it there */
    room = room_open(host, msg->project, msg->room);
    if (room && room->state == ROOM_CLAIMING)
        keep(room, msg);
    else if (room && room->state == ROOM_ACTIVE)
        take_over(room, msg);
}
