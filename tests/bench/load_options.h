/*
 * load_options.h - what one run of the load generator is to do.
 */
#pragma once

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define LOAD_MAX_TARGETS 16
#define LOAD_MAX_PIDS 16

enum load_mode {
    LOAD_OPEN,    /* messages at a fixed rate, whatever the server does */
    LOAD_CLOSED,  /* each sender keeps some messages not yet delivered to every member */
    LOAD_DURABLE, /* each sender keeps some messages not yet acknowledged */
    LOAD_IDLE,    /* connections that do nothing; what they cost in memory */
};

struct load_options {
    enum load_mode mode;
    bool floor; /* the target is the floor server: no tokens, no acks, no seq */
    struct sockaddr_in target[LOAD_MAX_TARGETS];
    uint32_t n_targets;
    const char *api_key;
    const char *prefix; /* begins the name of each room and user; unique per run */
    uint32_t rooms;
    uint32_t members;  /* per room */
    uint32_t senders;  /* per room; the first members */
    uint32_t inflight; /* closed and durable: per sender */
    uint32_t size;     /* bytes of content */
    uint32_t opening;  /* connections being opened at one time */
    double rate;       /* open: messages per second, all senders together */
    double settle_s, warmup_s, seconds, drain_s;
    pid_t pids[LOAD_MAX_PIDS]; /* server processes to account for */
    uint32_t n_pids;
    pid_t pg_pid; /* the postmaster, or 0 */
};

const char *load_mode_name(enum load_mode mode);

/* die()s with a text that names what is wrong. */
void load_options_parse(struct load_options *o, int argc, char **argv);
