/*
 * user_channel.c - who listens to which user's channel; see user_channel.h.
 *
 * A channel is there while it has sockets. There is nothing to catch up with,
 * so an attach is live at once; a link that breaks takes its sockets along.
 */
#include "shard/host/user_channel.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/base/ident.h"
#include "common/base/limits.h"
#include "common/base/log.h"
#include "common/cluster/ring.h"
#include "common/json/json_write.h"
#include "shard/host/gate.h"
#include "shard/host/host.h"
#include "shard/limits.h"
#include "shard/metrics.h"

#define OBJECT_MAX (sizeof("user//") + 2 * ID_MAX)

struct user_channel {
    struct map_node node; /* host.users */
    struct host *host;
    struct list sockets; /* struct user_socket */
    uint32_t n;
    struct slice object, project, user; /* point into bytes */
    char bytes[];
};

struct user_socket {
    struct map_node node; /* gate.user_sockets, by number */
    struct list in_channel;
    struct user_channel *channel;
    struct gate *gate;
    uint64_t number;
    struct slice id; /* points into bytes */
    char bytes[];
};

/* ---- channels ---- */

struct channel_key {
    struct slice project, user;
};

static bool channel_eq(const struct map_node *node, const void *key)
{
    const struct user_channel *channel = container_of(node, const struct user_channel, node);
    const struct channel_key *k = key;

    return slice_eq(channel->user, k->user) && slice_eq(channel->project, k->project);
}

static struct user_channel *channel_find(const struct host *host, struct slice project,
                                         struct slice user)
{
    struct channel_key key = {project, user};
    struct map_node *node = map_find(&host->users, hash_two(project, user), channel_eq, &key);

    return node ? container_of(node, struct user_channel, node) : NULL;
}

static struct slice object_name(struct slice project, struct slice user, char ret[OBJECT_MAX])
{
    int len = snprintf(ret, OBJECT_MAX, "user/%.*s/%.*s", (int)project.len, project.data,
                       (int)user.len, user.data);

    return slice_of(ret, (size_t)len);
}

static struct user_channel *channel_new(struct host *host, struct slice project,
                                        struct slice user, struct slice object)
{
    struct user_channel *channel = calloc(1, sizeof(*channel) + object.len);

    if (!channel)
        return NULL;
    memcpy(channel->bytes, object.data, object.len);
    channel->host = host;
    channel->object = slice_of(channel->bytes, object.len);
    channel->user = slice_of(channel->bytes + object.len - user.len, user.len);
    channel->project = slice_of(channel->user.data - 1 - project.len, project.len);
    list_init(&channel->sockets);
    if (map_insert(&host->users, &channel->node, hash_two(project, user)) < 0) {
        free(channel);
        return NULL;
    }
    host->metrics->user_channels++;
    return channel;
}

static void channel_free(struct user_channel *channel)
{
    channel->host->metrics->user_channels--;
    map_remove(&channel->host->users, &channel->node);
    free(channel);
}

/* ---- sockets ---- */

static bool number_eq(const struct map_node *node, const void *key)
{
    return container_of(node, const struct user_socket, node)->number == *(const uint64_t *)key;
}

static struct user_socket *socket_find(const struct gate *gate, uint64_t number)
{
    struct map_node *node = map_find(&gate->user_sockets, hash_u64(number), number_eq, &number);

    return node ? container_of(node, struct user_socket, node) : NULL;
}

/* NULL: out of memory. */
static struct user_socket *socket_new(struct gate *gate, struct user_channel *channel,
                                      const struct msg_ATTACH *msg)
{
    struct user_socket *socket = calloc(1, sizeof(*socket) + msg->socket_id.len);

    if (!socket)
        return NULL;
    if (map_insert(&gate->user_sockets, &socket->node, hash_u64(msg->attach)) < 0) {
        free(socket);
        return NULL;
    }
    socket->gate = gate;
    socket->number = msg->attach;
    socket->channel = channel;
    if (msg->socket_id.len > 0)
        memcpy(socket->bytes, msg->socket_id.data, msg->socket_id.len);
    socket->id = slice_of(socket->bytes, msg->socket_id.len);
    list_add_tail(&channel->sockets, &socket->in_channel);
    channel->n++;
    gate->host->metrics->user_sockets++;
    return socket;
}

/* The last one takes the channel with it. */
static void socket_drop(struct user_socket *socket)
{
    struct user_channel *channel = socket->channel;

    map_remove(&socket->gate->user_sockets, &socket->node);
    list_del(&socket->in_channel);
    channel->n--;
    channel->host->metrics->user_sockets--;
    free(socket);
    if (channel->n == 0)
        channel_free(channel);
}

static bool drop_visit(struct map_node *node, void *arg)
{
    (void)arg;
    socket_drop(container_of(node, struct user_socket, node));
    return true;
}

void user_sockets_drop(struct gate *gate)
{
    map_each(&gate->user_sockets, drop_visit, NULL);
}

/* ---- to the gateways ---- */

/* The first frame of a socket. */
static void greet(const struct user_socket *socket, uint32_t epoch)
{
    const struct user_channel *channel = socket->channel;
    struct msg msg = {.type = MSG_TO_ATTACH,
                      .TO_ATTACH = {.attach = socket->number, .epoch = epoch}};
    struct json_writer w = json_writer(&channel->host->json);

    buf_clear(w.out);
    json_write_object(&w);
    json_field_str(&w, "type", SLICE_LIT("user_subscription_succeeded"));
    json_field_str(&w, "userId", channel->user);
    json_field_str(&w, "socketId", socket->id);
    json_field_u64(&w, "connectionCount", channel->n);
    json_write_object_end(&w);
    if (buf_failed(w.out))
        return; /* the socket still gets its events */
    msg.TO_ATTACH.json = buf_slice(w.out);
    gate_send(socket->gate, &msg);
}

static void say_attached(const struct user_socket *socket, uint32_t epoch)
{
    struct msg msg = {.type = MSG_ATTACHED,
                      .ATTACHED = {.attach = socket->number, .epoch = epoch}};

    gate_send(socket->gate, &msg);
}

/* ---- coming and going ---- */

static void enter(struct gate *gate, const struct msg_ATTACH *msg, struct slice user,
                  struct slice object)
{
    struct host *host = gate->host;
    struct user_channel *channel = channel_find(host, msg->project, user);
    bool is_back = msg->flags & ATTACH_REATTACH; /* was let in before */
    struct user_socket *socket;

    if (channel && channel->n >= USER_SOCKETS_MAX && !is_back) {
        gate_send_close(gate, msg->attach, msg->epoch, 1008, "channel_at_capacity");
        return;
    }
    if (!channel)
        channel = channel_new(host, msg->project, user, object);
    socket = channel ? socket_new(gate, channel, msg) : NULL;
    if (!socket) {
        if (channel && channel->n == 0)
            channel_free(channel);
        gate_send_close(gate, msg->attach, msg->epoch, 1013, "overloaded");
        return;
    }
    if (!is_back)
        greet(socket, msg->epoch);
    say_attached(socket, msg->epoch);
}

void user_on_attach(struct gate *gate, const struct msg_ATTACH *msg)
{
    struct slice user = slice_of(msg->room.data + 1, msg->room.len - 1);
    struct user_socket *before = socket_find(gate, msg->attach);
    char bytes[OBJECT_MAX];
    struct slice object;

    if (before)
        socket_drop(before); /* it starts over */
    if (!ident_is_valid(msg->project) || !ident_is_valid(user) || !slice_eq(user, msg->user)) {
        gate_send_close(gate, msg->attach, msg->epoch, 1008, "forbidden");
        return;
    }
    object = object_name(msg->project, user, bytes);
    log_debug("attach", L_SLICE("user_channel", object), L_U64("attach", msg->attach),
              L_SLICE("trace_id", msg->trace));
    if (host_owns(gate->host, object))
        enter(gate, msg, user, object);
    else
        gate_send_moved(gate, object);
}

void user_on_detach(struct gate *gate, const struct msg_DETACH *msg)
{
    struct user_socket *socket = socket_find(gate, msg->attach);

    if (socket)
        socket_drop(socket);
}

/* Gateways with sockets here are told once each; then the channel goes. */
static void channel_move(struct user_channel *channel)
{
    struct host *host = channel->host;
    struct user_socket *socket, *next;

    host->push_count++;
    list_for_each_safe(socket, next, &channel->sockets, in_channel)
    {
        struct gate *gate = socket->gate;
        bool is_last = channel->n == 1;

        if (gate->pushed != host->push_count)
            gate_send_moved(gate, channel->object);
        gate->pushed = host->push_count;
        socket_drop(socket);
        if (is_last)
            return; /* the channel has gone with it */
    }
}

static bool check_visit(struct map_node *node, void *arg)
{
    struct user_channel *channel = container_of(node, struct user_channel, node);

    if (!host_owns(arg, channel->object))
        channel_move(channel);
    return true;
}

void user_channels_check(struct host *host)
{
    map_each(&host->users, check_visit, host);
}

void user_channels_drop(struct host *host)
{
    struct gate *gate;

    list_for_each(gate, &host->all_gates, in_host) user_sockets_drop(gate);
}

/* ---- events ---- */

/* One ROOM_EVENT per gateway with sockets here. */
static void fan_out(struct user_channel *channel, const struct user_socket *except,
                    struct slice json)
{
    struct host *host = channel->host;
    char name[1 + ID_MAX] = {USER_CHANNEL_MARK};
    struct msg msg = {.type = MSG_ROOM_EVENT,
                      .ROOM_EVENT = {.flags = EVENT_EPHEMERAL,
                                     .project = channel->project,
                                     .room = slice_of(name, 1 + channel->user.len),
                                     .json = json}};
    struct user_socket *socket;

    memcpy(name + 1, channel->user.data, channel->user.len);
    host->push_count++;
    list_for_each(socket, &channel->sockets, in_channel)
    {
        struct gate *gate = socket->gate;

        if (gate->pushed == host->push_count || socket == except)
            continue;
        gate->pushed = host->push_count;
        if (gate_is_congested(gate)) {
            host->metrics->ephemerals_dropped++;
            continue;
        }
        msg.ROOM_EVENT.except = except && except->gate == gate ? except->number : 0;
        host->metrics->events_out++;
        gate_send(gate, &msg);
    }
}

size_t user_channel_deliver(struct host *host, struct slice project, struct slice user,
                            struct slice except_socket_id, struct slice json)
{
    struct user_channel *channel = channel_find(host, project, user);
    struct user_socket *socket, *except = NULL;

    if (!channel)
        return 0;
    if (except_socket_id.len > 0) {
        list_for_each(socket, &channel->sockets, in_channel)
        {
            if (slice_eq(socket->id, except_socket_id))
                except = socket;
        }
    }
    host->metrics->user_events++;
    fan_out(channel, except, json);
    return channel->n - (except ? 1 : 0);
}

void user_event_write(struct buf *out, struct host *host, struct slice user, struct slice name,
                      struct slice data_json)
{
    int64_t now_us = env_steady_us(host->env) + host->store->ops->clock_offset_us(host->store);
    struct json_writer w = json_writer(out);

    json_field_str(&w, "userId", user);
    json_field_str(&w, "name", name);
    json_field_raw(&w, "data", data_json);
    json_field_time(&w, "at", now_us - now_us % 1000);
    json_write_object_end(&w);
}

/* The next gateway with a link that has room, in turn. */
static struct gate *any_gate(struct host *host)
{
    struct gate *gate;

    list_for_each(gate, &host->all_gates, in_host)
    {
        if (gate_is_congested(gate))
            continue;
        list_del(&gate->in_host);
        list_add_tail(&host->all_gates, &gate->in_host);
        return gate;
    }
    return NULL;
}

static void send_on(struct host *host, struct slice project, struct slice user,
                    struct slice json)
{
    struct msg msg = {.type = MSG_USER_PUSH,
                      .USER_PUSH = {.project = project, .user = user, .json = json}};
    struct gate *gate = any_gate(host);

    if (!gate) {
        host->metrics->ephemerals_dropped++;
        return;
    }
    host->metrics->user_pushes++;
    gate_send(gate, &msg);
}

void user_push(struct host *host, struct slice project, struct slice user, struct slice name,
               struct slice data_json)
{
    AUTO_BUF json = BUF_INIT; /* not the host's: the caller may be using that */
    char object[OBJECT_MAX];

    buf_put_slice(&json, SLICE_LIT("{\"type\":\"user_event\","));
    user_event_write(&json, host, user, name, data_json);
    if (buf_failed(&json))
        return; /* an event that may be lost is */
    if (host_owns(host, object_name(project, user, object)))
        (void)user_channel_deliver(host, project, user, slice_of(NULL, 0), buf_slice(&json));
    else
        send_on(host, project, user, buf_slice(&json));
}

void user_on_push(struct host *host, const struct msg_USER_PUSH *msg)
{
    /* Not ours any more, or nobody listens: lost, as it may be. */
    (void)user_channel_deliver(host, msg->project, msg->user, slice_of(NULL, 0), msg->json);
}
