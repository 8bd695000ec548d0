/*
 * scan.h - the few facts of a server frame that the generator needs, without a JSON tree.
 *
 * One pass over the top-level keys of the object; nested values are stepped over. It trusts
 * the server's JSON to be well formed (the system tests check that) but never reads past the
 * end. Pure.
 *
 * The marker is what the generator puts at the start of each content:
 *
 *     ~~SENDER:N:DUE~~   sender index, that sender's message number, due time in ns
 *
 * and a clientMessageId is "SENDER-N".
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SCAN_MARK '~'

enum scan_kind {
    SCAN_OTHER,   /* a frame we have no use for, except for its seq */
    SCAN_MESSAGE, /* a chat message */
    SCAN_ACK,     /* the sender's acknowledgement */
    SCAN_READY,   /* subscription_succeeded: the socket is in the room */
    SCAN_ERROR,   /* an error frame */
    SCAN_REPLAY,  /* what was missed, or a snapshot */
    SCAN_GOAWAY,  /* the gateway wants the socket to go elsewhere */
    SCAN_BAD,     /* not a JSON object */
};

struct scan {
    enum scan_kind kind;
    bool has_seq;
    bool has_mark;  /* content (or, for an ack, clientMessageId) carried our marker */
    bool duplicate; /* an ack said so */
    uint32_t sender;
    uint32_t n;
    uint64_t due_ns; /* 0 for an ack */
    uint64_t seq;
    uint64_t to_seq; /* of a `skip`: the last number that it covers; 0: seq alone */
};

void scan_frame(const char *p, size_t len, struct scan *ret);

/* A message as it stands in a list or a replay: no `type`. */
void scan_row(const char *p, size_t len, struct scan *ret);

/* A floor's frame: the content itself and nothing else. */
void scan_raw(const char *p, size_t len, struct scan *ret);
