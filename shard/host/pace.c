/* pace.c - see pace.h. */
#include "shard/host/pace.h"

#include <errno.h>
#include <stdlib.h>

#include "shard/host/catchup_priv.h"
#include "shard/host/gate.h"
#include "shard/limits.h"
#include "shard/metrics.h"

struct pace {
    struct env *env;
    struct shard_metrics *metrics;
    unsigned refs;            /* the host's, and one for each read */
    bool is_stopped;          /* the host is gone */
    struct list gates;        /* struct gate_pace.in_turn */
    struct list readers[2];   /* struct catchup.in_pace, as in gate_pace.waiting */
    size_t turn_bytes;        /* given in this turn */
    size_t reads;             /* under way */
    struct later end_of_turn; /* a new turn has its own bytes */
    struct timer timer;       /* goes on in the next turn */
    void (*on_may_reply)(void *arg);
    void *on_may_reply_arg;
};

static struct gate *gate_of(struct gate_pace *gp)
{
    return container_of(gp, struct gate, pace);
}

/* Asks how far the link has been read, if so much has gone out since it was last asked. */
static void mark(struct gate_pace *gp, struct gate *gate, uint64_t least)
{
    unsigned last = (gp->first_mark + gp->n_marks + PACE_MARKS - 1) % PACE_MARKS;
    uint64_t marked = gp->n_marks > 0 ? gp->marks[last].given : gp->taken;

    if (gp->given - marked >= least && gate->link && gate->ops->ping)
        gate->ops->ping(gate->link); /* comes back as pace_on_ping() */
}

/* ---- large answers ---- */

bool pace_may_reply(const struct gate *gate)
{
    const struct gate_pace *gp = &gate->pace;

    return !gate->link || !gate->ops->ping || gp->replied - gp->replies_read < PACE_REPLY_BYTES;
}

void pace_replied(struct gate *gate, size_t bytes)
{
    struct gate_pace *gp = &gate->pace;
    unsigned last = (gp->first_mark + gp->n_marks + PACE_MARKS - 1) % PACE_MARKS;
    uint64_t marked = gp->n_marks > 0 ? gp->marks[last].replied : gp->replies_read;

    gp->replied += bytes;
    if (gp->replied - marked >= PACE_MARK_BYTES && gate->link && gate->ops->ping)
        gate->ops->ping(gate->link);
}

void pace_on_may_reply(struct pace *pace, void (*fn)(void *arg), void *arg)
{
    pace->on_may_reply = fn;
    pace->on_may_reply_arg = arg;
}

static void tell_may_reply(struct pace *pace)
{
    if (pace->on_may_reply)
        pace->on_may_reply(pace->on_may_reply_arg);
}

/* ---- queues ---- */

static bool is_waited_for(const struct gate_pace *gp)
{
    return !list_empty(&gp->waiting[0]) || !list_empty(&gp->waiting[1]);
}

/* A link that cannot be asked how far it has read is not held back (tests). */
static bool may_give(const struct gate_pace *gp, const struct gate *gate)
{
    return !gate->link || !gate->ops->ping || gp->given - gp->taken < PACE_LINK_BYTES;
}

static void arm(struct pace *pace)
{
    int r;

    if (timer_is_armed(&pace->timer))
        return;
    r = env_timer(pace->env, &pace->timer, 0);
    (void)r; /* out of memory: the next PONG, or the next who comes, goes on */
}

static void take_turn(struct pace *pace, struct gate_pace *gp)
{
    if (!is_waited_for(gp) || !may_give(gp, gate_of(gp)))
        return;
    if (!list_linked(&gp->in_turn))
        list_add_tail(&pace->gates, &gp->in_turn);
    arm(pace);
}

static struct catchup *first_of(struct list queues[2])
{
    struct catchup *c;

    if (list_empty(&queues[0]) && list_empty(&queues[1]))
        return NULL;
    c = list_first(&queues[list_empty(&queues[0])], struct catchup, in_pace);
    list_del(&c->in_pace);
    return c;
}

static void append(struct pace *pace, struct list queues[2], struct catchup *c)
{
    pace->metrics->catchups_paced++;
    list_add_tail(&queues[!catchup_was_live(c)], &c->in_pace);
}

/* One step of the gate that is first; then it is the last. */
static void go_on(struct pace *pace)
{
    struct gate_pace *gp = list_first(&pace->gates, struct gate_pace, in_turn);
    struct catchup *c;

    list_del(&gp->in_turn);
    if (!may_give(gp, gate_of(gp)))
        return; /* until it has read more */
    c = first_of(gp->waiting);
    if (is_waited_for(gp))
        list_add_tail(&pace->gates, &gp->in_turn);
    if (c)
        catchup_run(c);
}

static void read_on(struct pace *pace)
{
    struct catchup *c;

    for (size_t n = 0; n < PACE_READS_MAX && pace->reads < PACE_READS_MAX; n++) {
        c = first_of(pace->readers);
        if (!c)
            return;
        catchup_run(c);
    }
}

static void on_timer(struct timer *timer, void *arg)
{
    struct pace *pace = arg;

    (void)timer;
    read_on(pace);
    while (!list_empty(&pace->gates) && pace->turn_bytes < PACE_TURN_BYTES)
        go_on(pace);
    if (!list_empty(&pace->gates))
        arm(pace);
}

static void on_end_of_turn(struct later *later, void *arg)
{
    struct pace *pace = arg;

    (void)later;
    pace->turn_bytes = 0;
}

void pace_enter(struct pace *pace, struct catchup *c)
{
    struct gate_pace *gp = &c->attach->gate->pace;

    if (!is_waited_for(gp) && may_give(gp, c->attach->gate) &&
        pace->turn_bytes < PACE_TURN_BYTES) {
        catchup_run(c);
        return;
    }
    append(pace, gp->waiting, c);
    take_turn(pace, gp);
}

void pace_given(struct pace *pace, struct gate *gate, uint64_t before)
{
    struct gate_pace *gp = &gate->pace;
    uint64_t bytes = gp->sent - before;

    pace->turn_bytes += PACE_STEP_BYTES + bytes;
    env_later(pace->env, &pace->end_of_turn);
    gp->given += bytes;
    mark(gp, gate, PACE_MARK_BYTES);
}

/* ---- what has been read ---- */

void gate_pace_init(struct gate_pace *gp)
{
    list_init(&gp->in_turn);
    list_init(&gp->waiting[0]);
    list_init(&gp->waiting[1]);
}

void gate_pace_reset(struct gate_pace *gp)
{
    list_del(&gp->in_turn);
    gp->given = gp->taken = 0;
    gp->replied = gp->replies_read = 0;
    gp->pings = gp->pongs = 0;
    gp->n_marks = 0;
    tell_may_reply(gate_of(gp)->host->pace);
}

void pace_on_ping(struct gate *gate)
{
    struct gate_pace *gp = &gate->pace;
    unsigned at = (gp->first_mark + gp->n_marks) % PACE_MARKS;

    gp->pings++;
    if (gp->n_marks == PACE_MARKS)
        return; /* one of those before tells enough */
    gp->marks[at].ping = gp->pings;
    gp->marks[at].given = gp->given;
    gp->marks[at].replied = gp->replied;
    gp->n_marks++;
}

void pace_on_pong(struct gate *gate)
{
    struct gate_pace *gp = &gate->pace;
    bool was_full = !pace_may_reply(gate);

    gp->pongs++;
    while (gp->n_marks > 0 && gp->marks[gp->first_mark].ping <= gp->pongs) {
        gp->taken = gp->marks[gp->first_mark].given;
        gp->replies_read = gp->marks[gp->first_mark].replied;
        gp->first_mark = (gp->first_mark + 1) % PACE_MARKS;
        gp->n_marks--;
    }
    if (gp->n_marks == 0 && !may_give(gp, gate))
        mark(gp, gate, 1);
    if (gp->n_marks == 0 && !pace_may_reply(gate))
        pace_replied(gate, 0);
    if (was_full && pace_may_reply(gate))
        tell_may_reply(gate->host->pace);
    take_turn(gate->host->pace, gp);
}

/* ---- reads ---- */

bool pace_may_read(struct pace *pace, struct catchup *c)
{
    if (pace->reads >= PACE_READS_MAX) {
        append(pace, pace->readers, c);
        return false;
    }
    pace->reads++;
    pace->refs++;
    return true;
}

void pace_read_ended(struct pace *pace)
{
    pace->reads--;
    if (!pace->is_stopped && (!list_empty(&pace->readers[0]) || !list_empty(&pace->readers[1])))
        arm(pace);
    pace_unref(pace);
}

/* ---- life ---- */

int pace_new(struct env *env, struct shard_metrics *metrics, struct pace **ret_pace)
{
    struct pace *pace = calloc(1, sizeof(*pace));

    if (!pace)
        return -ENOMEM;
    pace->env = env;
    pace->metrics = metrics;
    pace->refs = 1;
    list_init(&pace->gates);
    list_init(&pace->readers[0]);
    list_init(&pace->readers[1]);
    later_init(&pace->end_of_turn, on_end_of_turn, pace);
    timer_init(&pace->timer, on_timer, pace);
    *ret_pace = pace;
    return 0;
}

void pace_stop(struct pace *pace)
{
    if (!pace)
        return;
    pace->is_stopped = true;
    env_timer_cancel(pace->env, &pace->timer);
    later_cancel(&pace->end_of_turn);
    pace_unref(pace);
}

void pace_unref(struct pace *pace)
{
    if (--pace->refs == 0)
        free(pace);
}
