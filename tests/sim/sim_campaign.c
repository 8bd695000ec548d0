/* sim_campaign.c - see sim_campaign.h. */
#include "tests/sim/sim_campaign.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/base/broken.h"
#include "common/base/log.h"
#include "common/base/macros.h"
#include "tests/sim/sim_jobs.h"
#include "tests/sim/sim_shrink.h"

#define ONLY_MAX 10000
#define EVERY_WAIT_MS 1500 /* 500 without traffic, and some of it */

enum mode { MODE_SEEDS, MODE_ONE, MODE_SHRINK, MODE_TWICE, MODE_EVERY_WAIT };

struct choice {
    const struct sim_campaign *campaign;
    struct sim_options options;
    enum mode mode;
    uint64_t seeds;
    unsigned jobs;
    bool no_shrink;
    uint32_t only[ONLY_MAX];
};

static int usage(const char *name)
{
    fprintf(
        stderr,
        "usage: %s [--seeds N] [--from N] [--jobs N] [--ms N] [--no-shrink]\n"
        "       %s --seed N [-v] [LESS]    one seed, with a trace\n"
        "       %s --shrink N [LESS]       what of a seed that fails is enough to fail\n"
        "       %s --twice N [--from N]    each of N seeds twice: is it the same?\n"
        "       %s --every-wait N [LESS]   N short worlds; in each a shard, or a gateway, dies "
        "in\n"
        "                                  each of its turns, before and behind its output\n"
        "LESS: [--ms N] [--only-faults 3,7 | --no-faults] [--calm] [--clients N] [--rooms N]\n"
        "      [--gateways N] [--shards N] [--die shard:N | shard:Nc | gateway:N | "
        "gateway:Nc]\n",
        name, name, name, name, name);
    return 2;
}

static bool parse_only(struct choice *c, const char *list)
{
    char *end;

    c->options.only = c->only;
    for (c->options.n_only = 0; *list; list = *end == ',' ? end + 1 : end) {
        unsigned long n = strtoul(list, &end, 10);

        if (end == list || n == 0 || c->options.n_only == ONLY_MAX ||
            (*end != ',' && *end != '\0'))
            return false;
        c->only[c->options.n_only++] = (uint32_t)n;
    }
    return true;
}

/* shard:12 or gateway:3c */
static bool parse_die(struct sim_options *o, const char *text)
{
    const char *colon = strchr(text, ':');
    char *end;

    if (!colon || (strncmp(text, "shard:", 6) != 0 && strncmp(text, "gateway:", 8) != 0))
        return false;
    o->die_is_gateway = *text == 'g';
    o->die_in_turn = strtoull(colon + 1, &end, 10);
    o->die_is_cut = *end == 'c';
    return o->die_in_turn > 0 && (*end == '\0' || (*end == 'c' && end[1] == '\0'));
}

static bool take(struct choice *c, int option, uint64_t value)
{
    struct sim_options *o = &c->options;

    switch (option) {
    case 'n':
        c->seeds = value;
        return value > 0;
    case 'f':
        o->seed = value;
        return true;
    case 'j':
        c->jobs = (unsigned)MAX(value, (uint64_t)1);
        return true;
    case 'm':
        o->duration_ms = (unsigned)value;
        return true;
    case 's':
    case 'k':
        o->seed = value;
        c->mode = option == 's' ? MODE_ONE : MODE_SHRINK;
        o->is_verbose = option == 's';
        return true;
    case 't':
        c->seeds = value;
        c->mode = MODE_TWICE;
        return value > 0;
    case 'w':
        c->seeds = value;
        c->mode = MODE_EVERY_WAIT;
        return value > 0;
    case 'v':
        o->is_talkative = true;
        return true;
    case 'K':
        c->no_shrink = true;
        return true;
    case 'N':
        return parse_only(c, "");
    case 'c':
        o->is_calm = true;
        return true;
    case 'C':
        o->max_clients = (unsigned)value;
        return value > 0;
    case 'R':
        o->max_rooms = (unsigned)value;
        return value > 0;
    case 'G':
        o->max_gateways = (unsigned)value;
        return value > 0;
    case 'S':
        o->max_shards = (unsigned)value;
        return value > 0;
    default:
        return false;
    }
}

static bool parse(int argc, char **argv, struct choice *c)
{
    static const struct option options[] = {
        {"seeds", required_argument, NULL, 'n'},
        {"from", required_argument, NULL, 'f'},
        {"jobs", required_argument, NULL, 'j'},
        {"ms", required_argument, NULL, 'm'},
        {"seed", required_argument, NULL, 's'},
        {"shrink", required_argument, NULL, 'k'},
        {"twice", required_argument, NULL, 't'},
        {"every-wait", required_argument, NULL, 'w'},
        {"die", required_argument, NULL, 'd'},
        {"verbose", no_argument, NULL, 'v'},
        {"no-shrink", no_argument, NULL, 'K'},
        {"only-faults", required_argument, NULL, 'o'},
        {"no-faults", no_argument, NULL, 'N'},
        {"calm", no_argument, NULL, 'c'},
        {"clients", required_argument, NULL, 'C'},
        {"rooms", required_argument, NULL, 'R'},
        {"gateways", required_argument, NULL, 'G'},
        {"shards", required_argument, NULL, 'S'},
        {0},
    };
    int o;

    while ((o = getopt_long(argc, argv, "v", options, NULL)) != -1) {
        if (o == 'o'   ? !parse_only(c, optarg)
            : o == 'd' ? !parse_die(&c->options, optarg)
                       : !take(c, o, optarg ? strtoull(optarg, NULL, 10) : 0))
            return false;
    }
    return optind == argc;
}

/* ---- what it did ---- */

static void tell_tally(const struct choice *c, const struct sim_tally *t, double seconds)
{
    uint64_t n = 0;

    for (size_t i = 0; i < SIM_KINDS_MAX; i++)
        n += t->n_faults[i];
    printf("%" PRIu64 " faults:", n);
    for (unsigned i = 0; i < SIM_KINDS_MAX && c->campaign->fault_name(i); i++)
        printf(" %s %" PRIu64, c->campaign->fault_name(i), t->n_faults[i]);
    printf("\n%" PRIu64 " messages and changes acknowledged, %" PRIu64 " shown, %" PRIu64
           " turns, %" PRIu64 " s of simulated time; all were live and had everything %" PRIu64
           " ms after healing at the latest; %.0f seeds/s\n",
           t->n_acked, t->n_shown, t->n_turns, t->world_ms / 1000, t->settle_ms,
           (double)t->n_runs / MAX(seconds, 0.001));
}

static int run_seeds(const struct choice *c)
{
    struct sim_outcome outcome;
    struct timespec begin, end;

    clock_gettime(CLOCK_MONOTONIC, &begin);
    sim_jobs_run(c->campaign, &c->options, c->seeds, c->jobs, &outcome);
    clock_gettime(CLOCK_MONOTONIC, &end);
    tell_tally(c, &outcome.tally,
               (double)(end.tv_sec - begin.tv_sec) +
                   (double)(end.tv_nsec - begin.tv_nsec) / 1e9);
    if (outcome.n_known > 0 && !c->no_shrink) {
        struct sim_options first = c->options;

        first.seed = outcome.failed[0];
        if (!sim_shrink(c->campaign, &first))
            printf("seed %" PRIu64 " does not fail alone\n", first.seed);
    }
    printf("%s: %" PRIu64 " passed, %" PRIu64 " failed\n", c->campaign->summary,
           outcome.n_passed, outcome.n_failed);
    return outcome.n_failed > 0;
}

static int run_one(const struct choice *c)
{
    struct sim_tally tally = {0};
    struct sim_options options = c->options;
    bool failed;

    options.tally = &tally;
    failed = c->campaign->run(&options) > 0; /* in this process: for debuggers */
    printf("fingerprint %016" PRIx64 "\n", tally.fingerprint);
    printf("%s: %d passed, %d failed\n", c->campaign->summary, !failed, failed);
    return failed;
}

/* A seed that goes another way the next time cannot be looked into. */
static int run_twice(const struct choice *c)
{
    uint64_t n_other = 0;

    for (uint64_t i = 0; i < c->seeds; i++) {
        struct sim_options options = c->options;
        struct sim_tally alone, after_others = {0};

        options.seed += i;
        (void)sim_job_fails(c->campaign, &options, false, &alone);
        options.tally = &after_others;
        (void)c->campaign->run(&options);
        if (alone.fingerprint == after_others.fingerprint)
            continue;
        n_other++;
        fprintf(stderr, "seed %" PRIu64 " went another way the second time\n", options.seed);
    }
    printf("%s: %" PRIu64 " passed, %" PRIu64 " failed\n", c->campaign->summary,
           c->seeds - n_other, n_other);
    return n_other > 0;
}

/* Until it has no more turns. */
static uint64_t die_in_each(const struct choice *c, struct sim_options *o, uint64_t *ret_failed)
{
    struct sim_tally tally = {0};

    for (o->die_in_turn = 1;; o->die_in_turn++) {
        if (sim_job_fails(c->campaign, o, false, &tally)) {
            ++*ret_failed;
            sim_print_command(c->campaign, o);
        }
        if (!tally.has_died)
            return o->die_in_turn - 1;
    }
}

static int run_every_wait(const struct choice *c)
{
    struct sim_options o = c->options;
    uint64_t n = 0, n_failed = 0;

    o.only = c->only; /* none, unless they are named */
    o.max_clients = o.max_clients ? o.max_clients : 3;
    if (o.duration_ms == c->campaign->duration_ms)
        o.duration_ms = EVERY_WAIT_MS;
    for (uint64_t i = 0; i < c->seeds; i++, o.seed++) {
        for (unsigned way = 0; way < 4; way++) {
            o.die_is_gateway = way & 1;
            o.die_is_cut = way & 2;
            n += die_in_each(c, &o, &n_failed);
        }
    }
    printf("%s: %" PRIu64 " passed, %" PRIu64 " failed\n", c->campaign->summary,
           n - MIN(n, n_failed), n_failed);
    return n_failed > 0 || n == 0;
}

int sim_campaign(const struct sim_campaign *campaign, int argc, char **argv)
{
    static struct choice c;

    c.campaign = campaign;
    c.options.seed = 1;
    c.options.duration_ms = campaign->duration_ms;
    c.seeds = 1000;
    c.jobs = 2;
    if (!parse(argc, argv, &c))
        return usage(campaign->name);
    log_set_level(LOG_LEVEL_ERROR);
    if (broken_name())
        printf("BROKEN BUILD: %s\n", broken_name());
    switch (c.mode) {
    case MODE_SEEDS:
        return run_seeds(&c);
    case MODE_ONE:
        return run_one(&c);
    case MODE_SHRINK:
        if (sim_shrink(campaign, &c.options))
            return 1;
        printf("seed %" PRIu64 " does not fail\n", c.options.seed);
        return 0;
    case MODE_TWICE:
        return run_twice(&c);
    case MODE_EVERY_WAIT:
        return run_every_wait(&c);
    }
    return 2;
}
