/* verb_live.c - ROOM_LIVE: who is in the room right now. See docs/protocol-client.md. */
#include "shard/api/call.h"
#include "shard/host/host.h"
#include "shard/host/presence.h"

/* A room that slept is asked when its sockets are back: the call itself may have woken it. */
void verb_room_live(struct call *call, struct room_host *room)
{
    struct actor actor = call_actor(call, room);
    struct host *host = call->host;

    if (!rules_may_read(&actor)) {
        call_refuse(call, ERROR_forbidden, "", 0);
        return;
    }
    if (room->settle.phase == SETTLE_ASKING) {
        room_when_settled(room, &call->room_wait);
        return;
    }
    buf_clear(&host->json2);
    presence_put_sockets(&host->json2, room);
    if (buf_failed(&host->json2)) {
        call_refuse(call, ERROR_overloaded, "", 0);
        return;
    }
    buf_clear(&host->json);
    frame_live_body(&host->json, room->id, &room->roster, buf_slice(&host->json2));
    call_reply_buf(call, &host->json);
}
