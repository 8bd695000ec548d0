/* load_options.c - the command line of the load generator. */
#include "tests/bench/load_options.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/macros.h"
#include "tests/bench/setup.h"
#include "tests/bench/tool.h"

static const char usage_text[] =
    "usage: load MODE --url http://127.0.0.1:PORT [--url ...] (--api-key KEY | --floor) ...\n"
    "\n"
    "MODE  open     messages at a fixed rate; latency from the time each was due\n"
    "      closed   each sender keeps --inflight messages not yet delivered to all members\n"
    "      durable  each sender keeps --inflight messages not yet acknowledged\n"
    "      idle     open connections, wait, report the memory each costs the --pid processes\n"
    "\n"
    "  --url URL        a gateway; several share the connections in turn\n"
    "  --api-key KEY    mints the tokens\n"
    "  --floor          the target is the floor server\n"
    "  --prefix NAME    begins the names of rooms and users (default: from the clock)\n"
    "  --rooms N        (1)     --members N  per room (10)     --senders N  per room (1)\n"
    "  --rate X         open: messages per second, all senders together (50)\n"
    "  --inflight N     closed, durable: per sender (10)\n"
    "  --size BYTES     of content (128)\n"
    "  --opening N      connections being opened at one time (64)\n"
    "  --settle S (0.5)  --warmup S (1)  --seconds S (5)  --drain S (10)\n"
    "  --pid PID        a server process to account for (repeatable)\n"
    "  --pg PID         the postmaster of the server's PostgreSQL\n"
    "\n"
    "Prints one JSON object. Status 1 when a message was lost, doubled, out of order or\n"
    "misnumbered, or a connection was lost; 2 when the run could not be done.\n";

enum option_id {
    OPT_URL = 256,
    OPT_API_KEY,
    OPT_FLOOR,
    OPT_PREFIX,
    OPT_ROOMS,
    OPT_MEMBERS,
    OPT_SENDERS,
    OPT_RATE,
    OPT_INFLIGHT,
    OPT_SIZE,
    OPT_OPENING,
    OPT_SETTLE,
    OPT_WARMUP,
    OPT_SECONDS,
    OPT_DRAIN,
    OPT_PID,
    OPT_PG,
    OPT_HELP,
};

static const struct option long_options[] = {
    {"url", required_argument, NULL, OPT_URL},
    {"api-key", required_argument, NULL, OPT_API_KEY},
    {"floor", no_argument, NULL, OPT_FLOOR},
    {"prefix", required_argument, NULL, OPT_PREFIX},
    {"rooms", required_argument, NULL, OPT_ROOMS},
    {"members", required_argument, NULL, OPT_MEMBERS},
    {"senders", required_argument, NULL, OPT_SENDERS},
    {"rate", required_argument, NULL, OPT_RATE},
    {"inflight", required_argument, NULL, OPT_INFLIGHT},
    {"size", required_argument, NULL, OPT_SIZE},
    {"opening", required_argument, NULL, OPT_OPENING},
    {"settle", required_argument, NULL, OPT_SETTLE},
    {"warmup", required_argument, NULL, OPT_WARMUP},
    {"seconds", required_argument, NULL, OPT_SECONDS},
    {"drain", required_argument, NULL, OPT_DRAIN},
    {"pid", required_argument, NULL, OPT_PID},
    {"pg", required_argument, NULL, OPT_PG},
    {"help", no_argument, NULL, OPT_HELP},
    {NULL, 0, NULL, 0},
};

static const char *const mode_names[] = {
    [LOAD_OPEN] = "open",
    [LOAD_CLOSED] = "closed",
    [LOAD_DURABLE] = "durable",
    [LOAD_IDLE] = "idle",
};

const char *load_mode_name(enum load_mode mode)
{
    return mode_names[mode];
}

static enum load_mode parse_mode(const char *word)
{
    for (size_t i = 0; i < ARRAY_LEN(mode_names); i++) {
        if (strcmp(word, mode_names[i]) == 0)
            return (enum load_mode)i;
    }
    die("'%s' is no mode: open, closed, durable or idle", word);
}

static void parse_url(struct load_options *o, const char *url)
{
    if (o->n_targets == LOAD_MAX_TARGETS)
        die("more than %d --url", LOAD_MAX_TARGETS);
    setup_address(url, &o->target[o->n_targets++]);
}

static uint32_t count_of(const char *what, const char *s, double min, double max)
{
    return (uint32_t)tool_number(what, s, min, max);
}

static void parse_size_option(struct load_options *o, int id, const char *arg)
{
    switch (id) {
    case OPT_ROOMS:
        o->rooms = count_of("--rooms", arg, 1, 1e6);
        break;
    case OPT_MEMBERS:
        o->members = count_of("--members", arg, 1, 1e6);
        break;
    case OPT_SENDERS:
        o->senders = count_of("--senders", arg, 1, 1e6);
        break;
    case OPT_RATE:
        o->rate = tool_number("--rate", arg, 0.001, 1e7);
        break;
    case OPT_INFLIGHT:
        o->inflight = count_of("--inflight", arg, 1, 1e6);
        break;
    case OPT_SIZE:
        o->size = count_of("--size", arg, 64, 4000); /* 64: the marker must fit */
        break;
    case OPT_OPENING:
        o->opening = count_of("--opening", arg, 1, 1e4);
        break;
    default:
        die("option %d is not handled", id);
    }
}

static void parse_option(struct load_options *o, int id, const char *arg)
{
    switch (id) {
    case OPT_URL:
        parse_url(o, arg);
        break;
    case OPT_API_KEY:
        o->api_key = arg;
        break;
    case OPT_FLOOR:
        o->floor = true;
        break;
    case OPT_PREFIX:
        o->prefix = arg;
        break;
    case OPT_SETTLE:
        o->settle_s = tool_number("--settle", arg, 0, 3600);
        break;
    case OPT_WARMUP:
        o->warmup_s = tool_number("--warmup", arg, 0, 3600);
        break;
    case OPT_SECONDS:
        o->seconds = tool_number("--seconds", arg, 0.1, 86400);
        break;
    case OPT_DRAIN:
        o->drain_s = tool_number("--drain", arg, 0, 3600);
        break;
    case OPT_PID:
        if (o->n_pids == LOAD_MAX_PIDS)
            die("more than %d --pid", LOAD_MAX_PIDS);
        o->pids[o->n_pids++] = (pid_t)tool_number("--pid", arg, 1, 1e8);
        break;
    case OPT_PG:
        o->pg_pid = (pid_t)tool_number("--pg", arg, 1, 1e8);
        break;
    case OPT_HELP:
        fputs(usage_text, stdout);
        exit(0);
    case '?':
        fputs("load --help lists the options\n", stderr);
        exit(2);
    default:
        parse_size_option(o, id, arg);
    }
}

static void check_options(const struct load_options *o)
{
    if (o->n_targets == 0)
        die("--url is missing");
    if (!o->floor && !o->api_key)
        die("--api-key is missing (or --floor)");
    if (o->senders > o->members)
        die("--senders is more than --members");
    if (o->mode == LOAD_IDLE && o->n_pids == 0)
        die("idle measures memory: --pid is missing");
}

void load_options_parse(struct load_options *o, int argc, char **argv)
{
    static char clock_prefix[32];
    int id;

    snprintf(clock_prefix, sizeof(clock_prefix), "b%llx", (unsigned long long)now_ns());
    *o = (struct load_options){
        .prefix = clock_prefix,
        .rooms = 1,
        .members = 10,
        .senders = 1,
        .inflight = 10,
        .size = 128,
        .opening = 64,
        .rate = 50,
        .settle_s = 0.5,
        .warmup_s = 1,
        .seconds = 5,
        .drain_s = 10,
    };
    while ((id = getopt_long(argc, argv, "", long_options, NULL)) != -1)
        parse_option(o, id, optarg);
    if (optind + 1 != argc)
        die("give one MODE; --help lists the options");
    o->mode = parse_mode(argv[optind]);
    check_options(o);
}
