/*
 * depart.c - see depart.h.
 *
 *   open --told--> overlapping --its time and the overlap are over--> closed, 1012
 *             +--> ending -------its time is over-------------------+
 *
 * The n-th to be told returns n / pace after the beginning. What is told or
 * closed in one call is bounded, so that a turn is.
 */
#include "gateway/session/depart.h"

#include "common/base/limits.h"
#include "gateway/session/say.h"
#include "gateway/session/sessions.h"

void departure_init(struct departure *d)
{
    list_init(&d->overlapping);
    list_init(&d->ending);
}

uint32_t sessions_depart(struct sessions *all, uint32_t rate, uint64_t time_ms)
{
    struct departure *d = &all->departure;
    uint64_t overlap_ms = MIN((uint64_t)DEPART_OVERLAP_MS, time_ms / 2);
    uint64_t spread_ms = MAX(time_ms - overlap_ms, (uint64_t)1);
    uint64_t needed = ((uint64_t)all->n_open * 1000 + spread_ms - 1) / spread_ms;

    d->has_begun = true;
    d->began_ms = env_now_ms(all->env);
    d->overlap_ms = (uint32_t)overlap_ms;
    d->pace = (uint32_t)MIN(MAX((uint64_t)rate, needed), (uint64_t)UINT32_MAX);
    return d->pace;
}

/* When a session that was told as the n-th comes back, from the beginning. */
static uint64_t return_ms(const struct departure *d, uint64_t n)
{
    return n * 1000 / d->pace;
}

static void tell(struct session *s, uint64_t passed_ms)
{
    struct departure *d = &s->all->departure;
    uint64_t at_ms = return_ms(d, d->told++);
    uint64_t delay_ms = at_ms > passed_ms ? at_ms - passed_ms : 0;
    int r;

    list_del(&s->link);
    list_add_tail(s->is_native && s->stream ? &d->overlapping : &d->ending, &s->link);
    s->is_departing = true;
    s->depart_ms = (uint32_t)at_ms;
    if (!s->stream)
        return; /* its end bears the time to come back */
    s->all->metrics->goaways_drain++;
    r = say_goaway(s, "drain", delay_ms);
    if (r < 0)
        session_end_failed(s, r);
}

static void close_due(struct sessions *all, struct list *told, uint64_t due_ms, size_t *budget)
{
    while (*budget > 0 && !list_empty(told)) {
        struct session *s = list_first(told, struct session, link);

        if (s->depart_ms > due_ms)
            return;
        (*budget)--;
        s->is_departing = false;
        s->is_sent_away = true;
        all->metrics->departed_closed++;
        session_end(s, 1012, SLICE_LIT("drain"));
    }
}

size_t sessions_depart_some(struct sessions *all, uint64_t since_ms)
{
    struct departure *d = &all->departure;
    uint64_t passed_ms = env_now_ms(all->env) - d->began_ms;
    size_t closes =
        (size_t)MIN((uint64_t)d->pace * since_ms / 1000 + 1, (uint64_t)DEPART_CLOSES_PER_CALL);

    for (size_t n = 0; n < DEPART_TOLD_PER_CALL && !list_empty(&all->open); n++)
        tell(list_first(&all->open, struct session, link), passed_ms);
    close_due(all, &d->ending, passed_ms, &closes);
    if (passed_ms >= d->overlap_ms)
        close_due(all, &d->overlapping, passed_ms - d->overlap_ms, &closes);
    return all->n_open;
}

void depart_on_left(struct session *s)
{
    if (!s->is_departing)
        return;
    s->is_departing = false;
    s->all->metrics->departed_left++;
}
