/*
 * openings.c - thousands who come at once must not hold up those who are here:
 * sockets and event streams are let in in turn, so many in a turn of the loop.
 */
#include "common/base/limits.h"
#include "gateway/edge/front_internal.h"
#include "gateway/metrics.h"

static bool take(struct front *front)
{
    struct openings *openings = &front->openings;

    if (openings->used >= OPENINGS_PER_TURN)
        return false;
    openings->used++;
    env_later(front->parts.env, &openings->end_of_turn);
    return true;
}

static void arm(struct front *front)
{
    int r;

    if (list_empty(&front->openings.waiting) || timer_is_armed(&front->openings.timer))
        return;
    r = env_timer(front->parts.env, &front->openings.timer, 0);
    (void)r; /* out of memory: the next who comes goes on */
}

bool openings_take_turn(struct front *front)
{
    return list_empty(&front->openings.waiting) && take(front);
}

bool openings_are_full(const struct front *front)
{
    return front->openings.n_waiting >= OPENINGS_WAITING_MAX;
}

void openings_wait(struct front *front, struct opening *opening)
{
    list_add_tail(&front->openings.waiting, &opening->link);
    front->openings.n_waiting++;
    front->parts.metrics->openings_waited++;
    arm(front);
}

void openings_leave(struct front *front, struct opening *opening)
{
    if (!list_linked(&opening->link))
        return;
    list_del(&opening->link);
    front->openings.n_waiting--;
}

static void on_end_of_turn(struct later *later, void *arg)
{
    struct front *front = arg;

    (void)later;
    front->openings.used = 0;
}

static void on_timer(struct timer *timer, void *arg)
{
    struct front *front = arg;
    struct openings *openings = &front->openings;

    (void)timer;
    while (!list_empty(&openings->waiting) && take(front)) {
        struct opening *opening = list_first(&openings->waiting, struct opening, link);

        openings_leave(front, opening);
        opening->run(opening);
    }
    arm(front);
}

void openings_init(struct front *front)
{
    list_init(&front->openings.waiting);
    timer_init(&front->openings.timer, on_timer, front);
    later_init(&front->openings.end_of_turn, on_end_of_turn, front);
}

void openings_stop(struct front *front)
{
    env_timer_cancel(front->parts.env, &front->openings.timer);
    later_cancel(&front->openings.end_of_turn);
}
