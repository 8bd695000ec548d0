/*
 * sim_shrink.c - see sim_shrink.h. Delta debugging: something is left out, and if
 * the run still fails, it stays out.
 *
 * A run that ends sooner is the same up to there. With fewer faults all that
 * follows is another course of events, of the same world, and any violation will
 * do: it is one.
 */
#include "tests/sim/sim_shrink.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/base/macros.h"
#include "tests/sim/sim_jobs.h"

#define TRIALS_MAX 1500
#define SECONDS_MAX 90
#define SHORTEST_MS 100

struct shrink {
    const struct sim_campaign *campaign;
    struct sim_options best; /* fails */
    uint32_t *faults;        /* those of best */
    size_t n_faults, n_all;
    unsigned trials;
    time_t until;
};

static bool is_over(const struct shrink *s)
{
    return s->trials >= TRIALS_MAX || time(NULL) > s->until;
}

/* True, and it is the best one, when it fails. */
static bool attempt(struct shrink *s, const struct sim_options *options)
{
    struct sim_tally tally;

    if (is_over(s))
        return false;
    s->trials++;
    if (!sim_job_fails(s->campaign, options, false, &tally))
        return false;
    s->best = *options;
    return true;
}

static bool try_ms(struct shrink *s, unsigned ms)
{
    struct sim_options options = s->best;

    options.duration_ms = ms;
    return attempt(s, &options);
}

/* The shortest time, as far as longer ones fail too. */
static void shrink_time(struct shrink *s)
{
    unsigned passes = 0;

    while (s->best.duration_ms > passes + SHORTEST_MS && !is_over(s)) {
        unsigned ms = passes + (s->best.duration_ms - passes) / 2;

        if (!try_ms(s, ms))
            passes = ms;
    }
}

/* Without `n` faults from `at` on. */
static bool try_without(struct shrink *s, size_t at, size_t n)
{
    uint32_t *fewer = calloc(s->n_faults + 1, sizeof(*fewer));
    struct sim_options options = s->best;

    if (!fewer)
        abort();
    memcpy(fewer, s->faults, at * sizeof(*fewer));
    memcpy(fewer + at, s->faults + at + n, (s->n_faults - at - n) * sizeof(*fewer));
    options.only = fewer;
    options.n_only = s->n_faults - n;
    if (!attempt(s, &options)) {
        free(fewer);
        return false;
    }
    free(s->faults);
    s->faults = fewer;
    s->n_faults -= n;
    return true;
}

static void shrink_faults(struct shrink *s)
{
    for (size_t n = s->n_faults; n > 0; n /= 2) {
        for (size_t at = 0; at < s->n_faults && !is_over(s);) {
            if (!try_without(s, at, MIN(n, s->n_faults - at)))
                at += n;
        }
    }
}

static void shrink_count(struct shrink *s, size_t offset, unsigned from, unsigned to)
{
    unsigned now;

    memcpy(&now, (const char *)&s->best + offset, sizeof(now));
    for (unsigned n = from; n <= to && (now == 0 || n < now); n++) {
        struct sim_options options = s->best;

        memcpy((char *)&options + offset, &n, sizeof(n));
        if (attempt(s, &options))
            return;
    }
}

static void shrink_world(struct shrink *s)
{
    struct sim_options calm = s->best;

    calm.is_calm = true;
    if (!s->best.is_calm)
        (void)attempt(s, &calm);
    shrink_count(s, offsetof(struct sim_options, max_rooms), 1, 1);
    shrink_count(s, offsetof(struct sim_options, max_shards), 1, 2);
    shrink_count(s, offsetof(struct sim_options, max_gateways), 1, 2);
    shrink_count(s, offsetof(struct sim_options, max_clients), 2, 6);
}

void sim_print_command(const struct sim_campaign *campaign, const struct sim_options *options)
{
    printf("build/tests/sim/%s --seed %" PRIu64 " --ms %u", campaign->name, options->seed,
           options->duration_ms);
    if (options->only && options->n_only == 0)
        printf(" --no-faults");
    for (size_t i = 0; options->only && i < options->n_only; i++)
        printf("%s%" PRIu32, i == 0 ? " --only-faults " : ",", options->only[i]);
    if (options->die_in_turn > 0)
        printf(" --die %s:%" PRIu64 "%s", options->die_is_gateway ? "gateway" : "shard",
               options->die_in_turn, options->die_is_cut ? "c" : "");
    if (options->is_calm)
        printf(" --calm");
    if (options->max_rooms)
        printf(" --rooms %u", options->max_rooms);
    if (options->max_shards)
        printf(" --shards %u", options->max_shards);
    if (options->max_gateways)
        printf(" --gateways %u", options->max_gateways);
    if (options->max_clients)
        printf(" --clients %u", options->max_clients);
    printf("\n");
}

static void list_faults(struct shrink *s, unsigned n_drawn)
{
    s->faults = calloc((size_t)n_drawn + s->best.n_only + 1, sizeof(*s->faults));
    if (!s->faults)
        abort();
    if (s->best.only) {
        s->n_faults = s->best.n_only;
        memcpy(s->faults, s->best.only, s->n_faults * sizeof(*s->faults));
    } else {
        s->n_faults = n_drawn;
        for (unsigned i = 0; i < n_drawn; i++)
            s->faults[i] = i + 1;
    }
    s->best.only = s->faults;
    s->best.n_only = s->n_faults;
}

static bool shrink(struct shrink *s)
{
    struct sim_options before;
    struct sim_tally tally;

    s->best.is_verbose = s->best.is_talkative = false;
    s->until = time(NULL) + SECONDS_MAX;
    if (!sim_job_fails(s->campaign, &s->best, false, &tally))
        return false;
    list_faults(s, tally.n_drawn);
    s->n_all = s->n_faults;
    do {
        before = s->best;
        shrink_time(s);
        shrink_faults(s);
        shrink_world(s);
    } while (!is_over(s) &&
             (before.duration_ms != s->best.duration_ms || before.n_only != s->best.n_only));
    return true;
}

bool sim_shrink_find(const struct sim_campaign *campaign, const struct sim_options *options,
                     struct sim_options *ret_least)
{
    struct shrink s = {.campaign = campaign, .best = *options};

    if (!shrink(&s))
        return false;
    *ret_least = s.best;
    return true;
}

bool sim_shrink(const struct sim_campaign *campaign, const struct sim_options *options)
{
    struct shrink s = {.campaign = campaign, .best = *options};
    struct sim_tally tally;

    if (!shrink(&s))
        return false;
    printf("seed %" PRIu64 ", shrunk in %u trials: %zu of %zu faults, %u of %u ms\n",
           options->seed, s.trials, s.best.n_only, s.n_all, s.best.duration_ms,
           options->duration_ms);
    s.best.is_verbose = true;
    (void)sim_job_fails(campaign, &s.best, true, &tally);
    printf("again: ");
    sim_print_command(campaign, &s.best);
    free(s.faults);
    return true;
}
