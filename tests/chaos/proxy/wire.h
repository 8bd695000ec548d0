/*
 * wire.h - ways and wires of the relay. A way is a listening port and a target;
 * a wire is one connection over it, from its client to the target. Each wire
 * belongs to a peer: the name of the gateway in the greeting of a link, nothing
 * on other ways.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NAME_MAX_BYTES 32

struct event_base;
struct way;
struct relay;

enum direction { UP, DOWN }; /* UP: from the client to the target */

enum rule_mode { RULE_PASS, RULE_HOLD, RULE_DELAY, RULE_SLOW };

struct rule {
    enum rule_mode mode;
    uint32_t value; /* delay: milliseconds; slow: bytes a second */
};

/* All of it lives until the process ends. */
struct relay *relay_new(struct event_base *base);

/* NULL: there is none. */
struct way *relay_find(struct relay *relay, const char *name);

/* Listens on a free port of 127.0.0.1. has_peers: wires are told apart by the greeting of their
 * gateway. NULL: errno says why. */
struct way *relay_add(struct relay *relay, const char *name, bool has_peers);
uint16_t way_port(const struct way *way);
void way_set_target(struct way *way, uint16_t port);

/* peer "*": all of them, and those that come. A rule for a peer goes before one for all;
 * "*" forgets those of single peers. False: too many peers. */
bool way_set_rule(struct way *way, const char *peer, enum direction dir, struct rule rule);

/* Resets the wires that are open; how many they were. */
size_t way_cut(struct way *way, const char *peer);

/* Connections to the port are refused until this is called with false. */
void way_refuse(struct way *way, bool on);
