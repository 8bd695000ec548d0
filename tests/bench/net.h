/*
 * net.h - many WebSocket clients on one epoll, as cheap as a client can be.
 *
 * A client connects, sends the upgrade request it was given, and from then on hands every text
 * or binary payload to `on_payload`. Pings are answered here. What is sent during a turn goes
 * out at its end, one send() per client. Nothing reconnects: a lost connection is reported.
 *
 * It knows no chat protocol and does not check what a server may not do beyond framing.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

struct net;
struct net_client;

struct net_events {
    /* The upgrade was accepted. */
    void (*on_open)(void *owner, struct net_client *c);
    /* One message; the bytes live until return. */
    void (*on_payload)(void *owner, struct net_client *c, const char *p, size_t len);
    /* The client is gone, or never came to be; not called after net_close(). */
    void (*on_lost)(void *owner, struct net_client *c, const char *why);
};

struct net_client {
    int fd; /* -1 when closed */
    bool open;
    bool wants_write;
    bool queued; /* on the list of clients that have output */
    uint32_t in_len, in_cap;
    uint32_t out_len, out_off, out_cap;
    uint32_t id; /* the owner's index */
    char *in;    /* owned; a frame that is not complete yet */
    char *out;   /* owned; bytes to send from out_off */
};

struct net *net_new(const struct net_events *events, void *owner, uint32_t max_clients);
void net_free(struct net *net);

/* Starts connecting; @request is the whole HTTP request head. */
void net_connect(struct net *net, struct net_client *c, uint32_t id,
                 const struct sockaddr *addr, socklen_t addr_len, const char *request,
                 size_t request_len);
void net_close(struct net *net, struct net_client *c);
/* Says goodbye (1000) first, if there is room for it. */
void net_leave(struct net *net, struct net_client *c);

/* Queues one masked text frame. */
void net_send(struct net *net, struct net_client *c, const char *p, size_t len);

/* One turn: waits at most @wait_ns for something to happen, handles it, flushes. */
void net_turn(struct net *net, uint64_t wait_ns);

/* When the bytes now being handled were read. */
uint64_t net_read_at_ns(const struct net *net);
uint64_t net_bytes_in(const struct net *net);
