/* sim_nemesis.c - see sim_nemesis.h. What the faults do is in sim_fault_*.c. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/sim/sim_world.h"

#define BRIEF_MS 60
#define USUAL_MS 6000
#define LONG_MS 16000 /* longer than leases, heartbeats, and the wait for an owner */

static const struct {
    const char *name;
    unsigned share;
    sim_fault_fn fn;
} kinds[] = {
#define SIM_FAULT(name, share) {#name, share, fault_##name},
#include "tests/sim/sim_faults.def"
#undef SIM_FAULT
};

_Static_assert(SIM_FAULT_COUNT <= SIM_KINDS_MAX, "counters for all kinds");

const char *sim_fault_name(unsigned kind)
{
    return kind < SIM_FAULT_COUNT ? kinds[kind].name : NULL;
}

/* ---- what is told ---- */

void sim_trace(struct sim_world *world, const char *fmt, ...)
{
    va_list args;

    if (!world->options.is_verbose)
        return;
    va_start(args, fmt);
    fprintf(stderr, "%8llu ms  ", (unsigned long long)world->sim.now_ms);
    vfprintf(stderr, fmt, args);
    fputc('\n', stderr);
    va_end(args);
}

void sim_tell(struct sim_world *world, const struct sim_strike *strike, const char *fmt, ...)
{
    va_list args;

    world->n_faults++;
    if (world->options.tally)
        world->options.tally->n_faults[strike->kind]++;
    if (!world->options.is_verbose)
        return;
    va_start(args, fmt);
    fprintf(stderr, "%8llu ms  fault %u: ", (unsigned long long)world->sim.now_ms,
            strike->number);
    vfprintf(stderr, fmt, args);
    fputc('\n', stderr);
    va_end(args);
}

/* ---- what lasts ---- */

struct lasting {
    struct sim_world *world;
    sim_heal_fn heal;
    size_t a, b;
    unsigned round;
};

static void on_heal(struct sim *sim, void *arg)
{
    struct lasting *lasting = arg;

    (void)sim;
    if (lasting->round == lasting->world->faults.round && !lasting->world->is_healing)
        lasting->heal(lasting->world, lasting->a, lasting->b);
    free(lasting);
}

void sim_last_for(struct sim_world *world, uint64_t ms, sim_heal_fn heal, size_t a, size_t b)
{
    struct lasting *lasting = malloc(sizeof(*lasting));

    if (!lasting)
        abort();
    *lasting = (struct lasting){world, heal, a, b, world->faults.round};
    sim_after(&world->sim, ms, on_heal, lasting);
}

uint64_t sim_some_time(struct sim_strike *strike)
{
    uint64_t dice = sim_range(&strike->rng, 0, 9);

    if (dice < 2)
        return sim_range(&strike->rng, 0, BRIEF_MS);
    return sim_range(&strike->rng, BRIEF_MS, dice < 9 ? USUAL_MS : LONG_MS);
}

/* ---- upon whom ---- */

size_t sim_some_gateway(struct sim_world *world, struct sim_strike *strike)
{
    return sim_range(&strike->rng, 0, world->n_gateways - 1);
}

size_t sim_some_shard(struct sim_world *world, struct sim_strike *strike)
{
    return sim_range(&strike->rng, 0, world->n_shards - 1);
}

size_t sim_n_nodes(const struct sim_world *world)
{
    return world->n_gateways + world->n_shards;
}

static bool is_gateway(const struct sim_world *world, size_t i)
{
    return i < world->n_gateways;
}

struct sim_node *sim_node_at(struct sim_world *world, size_t i)
{
    return is_gateway(world, i) ? &world->gateways[i].node
                                : &world->shards[i - world->n_gateways].node;
}

bool sim_is_running(const struct sim_world *world, size_t i)
{
    return is_gateway(world, i) ? world->gateways[i].sessions != NULL
                                : world->shards[i - world->n_gateways].is_alive;
}

struct fake_registry *sim_registry_at(struct sim_world *world, size_t i)
{
    return is_gateway(world, i) ? &world->gateways[i].registry
                                : &world->shards[i - world->n_gateways].registry;
}

size_t sim_some_node(struct sim_world *world, struct sim_strike *strike)
{
    return sim_range(&strike->rng, 0, sim_n_nodes(world) - 1);
}

/* ---- the list of faults ---- */

static bool is_wanted(const struct sim_options *options, unsigned number)
{
    if (!options->only)
        return true;
    for (size_t i = 0; i < options->n_only; i++) {
        if (options->only[i] == number)
            return true;
    }
    return false;
}

/* Draws the same numbers for each fault, whatever becomes of it. */
static struct sim_strike draw(struct sim_faults *f)
{
    struct sim_strike strike = {.number = ++f->n_drawn, .rng = {sim_rand(&f->rng)}};
    unsigned total = 0;
    uint64_t dice;

    for (size_t i = 0; i < SIM_FAULT_COUNT; i++)
        total += f->weights[i];
    for (dice = sim_range(&f->rng, 0, total - 1); dice >= f->weights[strike.kind];
         strike.kind++)
        dice -= f->weights[strike.kind];
    return strike;
}

/* Now and then the next one comes at once. */
static uint64_t draw_pause(struct sim_faults *f)
{
    bool at_once = sim_chance(&f->rng, 150);
    uint64_t pause = sim_range(&f->rng, 1, 2 * (uint64_t)f->step_ms);

    return at_once ? 0 : pause;
}

struct next {
    struct sim_world *world;
    unsigned round;
};

static void on_strike(struct sim *sim, void *arg)
{
    struct next *next = arg;
    struct sim_world *w = next->world;
    struct sim_strike strike;

    if (w->is_healing || next->round != w->faults.round) {
        free(next);
        return;
    }
    strike = draw(&w->faults);
    if (w->options.tally)
        w->options.tally->n_drawn = strike.number;
    if (is_wanted(&w->options, strike.number))
        kinds[strike.kind].fn(w, &strike);
    sim_after(sim, draw_pause(&w->faults), on_strike, next);
}

void sim_nemesis_start(struct sim_world *w)
{
    struct next *next;

    w->faults.round++;
    if (w->options.die_in_turn > 0 && w->faults.round == 1)
        sim_die_as_told(w);
    if (w->faults.step_ms == 0)
        return;
    next = malloc(sizeof(*next));
    if (!next)
        abort();
    *next = (struct next){w, w->faults.round};
    sim_after(&w->sim, 100 + draw_pause(&w->faults), on_strike, next);
}

/* ---- what a seed is like ---- */

/* Shards are restarted as an operator does it: nobody may lose anything by that. */
static void only_restarts(struct sim_faults *f)
{
    memset(f->weights, 0, sizeof(f->weights));
    f->weights[SIM_FAULT_leave_shard] = 1;
    f->lost_commits = f->locked_rows = 0;
    f->step_ms = 700;
    f->is_orderly = true;
}

/* Each seed knows only some of the faults: what all of them together hide, few of them show. */
void sim_nemesis_init(struct sim_world *w)
{
    static const unsigned steps_ms[] = {150, 300, 700, 1200, 2500};
    struct sim_faults *f = &w->faults;
    struct sim_rng *rng = &f->rng;
    unsigned density, total = 0;

    *f = (struct sim_faults){.rng = {w->options.seed ^ 0x6e656d65736973u}};
    density = (unsigned)sim_range(rng, 50, 700);
    f->step_ms = steps_ms[sim_range(rng, 0, ARRAY_LEN(steps_ms) - 1)];
    for (size_t i = 0; i < SIM_FAULT_COUNT; i++) {
        f->weights[i] =
            sim_chance(rng, density) ? (unsigned)sim_range(rng, 1, kinds[i].share) : 0;
        total += f->weights[i];
    }
    f->lost_commits = sim_chance(rng, 300) ? (unsigned)sim_range(rng, 1, 120) : 0;
    f->locked_rows = sim_chance(rng, 200) ? (unsigned)sim_range(rng, 1, 80) : 0;
    if (w->options.is_calm)
        f->lost_commits = f->locked_rows = 0;
    if (total == 0 || sim_chance(rng, 50)) /* a quiet day */
        f->step_ms = 0;
    else if (sim_chance(rng, 60) && !w->options.is_calm)
        only_restarts(f);
    f->is_orderly = f->is_orderly || (f->step_ms == 0 && !f->lost_commits && !f->locked_rows);
}
