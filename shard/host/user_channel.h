/*
 * user_channel.h - the channels of users: the sockets that listen to one, and
 * events for them. The owner of the ring object "user/<project>/<user>" keeps
 * who listens in memory only: no claim, no database. An event reaches a socket
 * once or not at all.
 */
#pragma once

#include "common/wire/msg.h"

struct gate;
struct host;

/* ---- for the shard ---- */

/* An event for the user's channel, as `user_event`: to the sockets that listen when the user is
 * ours, else on its way to the owner through any gateway. Lost when there is none, when a link
 * is congested, or while the user moves. name: of the event; data: a JSON value; both are
 * bounded by the caller (EVENT_NAME_MAX, EVENT_DATA_MAX). */
void user_push(struct host *host, struct slice project, struct slice user, struct slice name,
               struct slice data_json);

/* The members of a user_event frame behind `type` and `roomId`, up to the closing brace. */
void user_event_write(struct buf *out, struct host *host, struct slice user, struct slice name,
                      struct slice data_json);
/* Gives a whole frame to the sockets that listen here, but for the one with this id (may be
 * empty); how many. */
size_t user_channel_deliver(struct host *host, struct slice project, struct slice user,
                            struct slice except_socket_id, struct slice json);

/* ---- messages of a gateway; those about rooms are not for here ---- */

void user_on_attach(struct gate *gate, const struct msg_ATTACH *msg);
void user_on_detach(struct gate *gate, const struct msg_DETACH *msg);
void user_on_push(struct host *host, const struct msg_USER_PUSH *msg);

/* ---- inside the host ---- */

/* The link is gone, and the gateway attaches its sockets again when it is back. */
void user_sockets_drop(struct gate *gate);
/* Users that are no longer ours leave: their sockets are told to look again. */
void user_channels_check(struct host *host);
/* Forgets all of them without telling anybody. */
void user_channels_drop(struct host *host);
