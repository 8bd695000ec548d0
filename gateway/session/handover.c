/* handover.c - see handover.h. */
#include "gateway/session/handover.h"

#include <stdlib.h>

#include "common/base/limits.h"
#include "gateway/session/sessions.h"

struct handover {
    struct list link; /* local_room.handovers */
    uint64_t seq, gateway, attach, n;
    struct slice user, text; /* point into bytes */
    char bytes[];
};

static void drop(struct local_room *room, struct handover *h)
{
    room->all->handover_bytes -= h->text.len;
    list_del(&h->link);
    free(h);
}

void handovers_drop(struct local_room *room)
{
    while (!list_empty(&room->handovers))
        drop(room, list_first(&room->handovers, struct handover, link));
}

/* The same stream from an earlier owner, whose text is shorter. */
static void drop_older(struct local_room *room, uint64_t seq)
{
    struct handover *h, *next;

    list_for_each_safe(h, next, &room->handovers, link)
    {
        if (h->seq == seq)
            drop(room, h);
    }
}

static bool has_place(const struct local_room *room, const struct msg_HANDOVER *in)
{
    const struct handover *h;
    size_t n = 0;

    list_for_each(h, &room->handovers, link) n++;
    return n < ROOM_STREAMS_MAX && in->text.len <= STREAM_MAX_BYTES && in->user.len <= ID_MAX &&
           room->all->handover_bytes + in->text.len <= HANDOVER_BYTES_MAX;
}

void handovers_take(struct local_room *room, const struct msg_HANDOVER *in)
{
    struct sessions *all = room->all;
    struct handover *h = NULL;

    drop_older(room, in->seq);
    if (has_place(room, in))
        h = malloc(sizeof(*h) + in->user.len + in->text.len);
    if (!h) {
        all->metrics->handovers_dropped++;
        return;
    }
    *h = (struct handover){
        .seq = in->seq, .gateway = in->gateway, .attach = in->attach, .n = in->n};
    h->user = slice_of(h->bytes, in->user.len);
    h->text = slice_of(h->bytes + in->user.len, in->text.len);
    if (in->user.len > 0)
        memcpy(h->bytes, in->user.data, in->user.len);
    if (in->text.len > 0)
        memcpy(h->bytes + in->user.len, in->text.data, in->text.len);
    list_add_tail(&room->handovers, &h->link);
    all->handover_bytes += in->text.len;
    all->metrics->handovers++;
}

int handovers_send(const struct local_room *room)
{
    const struct handover *h;

    list_for_each(h, &room->handovers, link)
    {
        struct msg msg = {.type = MSG_HANDOVER,
                          .HANDOVER = {.project = local_room_project(room),
                                       .room = local_room_name(room),
                                       .user = h->user,
                                       .seq = h->seq,
                                       .text = h->text,
                                       .gateway = h->gateway,
                                       .attach = h->attach,
                                       .n = h->n}};
        int r = link_send(room->link, &msg);

        if (r < 0)
            return r;
    }
    return 0;
}
