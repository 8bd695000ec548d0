/* fanout.c - one event to all live sockets of a room: encoded once, one copy of the bytes per
 * link. */
#include "shard/host/attach.h"
#include "shard/host/gate.h"
#include "shard/host/host.h"
#include "shard/host/room_host.h"
#include "shard/metrics.h"

static void send_except(struct room_gate *rg, struct msg *msg, const struct attach *except)
{
    bool is_alone = except->state == ATTACH_LIVE && rg->n_live == 1;

    if (is_alone)
        return;
    msg->ROOM_EVENT.except = except->number;
    gate_send(rg->gate, msg);
    msg->ROOM_EVENT.except = 0;
}

void room_fanout(struct room_host *room, uint64_t seq, uint32_t flags,
                 const struct attach *except, struct slice json)
{
    struct msg msg = {.type = MSG_ROOM_EVENT,
                      .ROOM_EVENT = {.seq = seq,
                                     .flags = flags,
                                     .project = room->project,
                                     .room = room->id,
                                     .json = json}};
    struct host *host = room->host;
    bool is_encoded = false; /* host->wire holds the message, without an exception */
    struct room_gate *rg;

    list_for_each(rg, &room->gates, in_room)
    {
        if (rg->n_live == 0 || !rg->gate->link)
            continue;
        if ((flags & EVENT_EPHEMERAL) && gate_is_congested(rg->gate)) {
            host->metrics->ephemerals_dropped++;
            continue;
        }
        host->metrics->events_out++;
        if (except && except->gate == rg->gate) {
            send_except(rg, &msg, except);
            is_encoded = false;
            continue;
        }
        if (!is_encoded) {
            buf_clear(&host->wire);
            msg_encode(&host->wire, &msg);
            is_encoded = true;
        }
        gate_send_encoded(rg->gate,
                          buf_failed(&host->wire) ? slice_of(NULL, 0) : buf_slice(&host->wire));
    }
}
