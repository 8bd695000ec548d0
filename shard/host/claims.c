/* claims.c - see claims.h. */
#include "shard/host/claims.h"

#include "shard/host/host.h"
#include "shard/host/room_host.h"
#include "shard/limits.h"

void claims_init(struct claims *claims)
{
    *claims = (struct claims){0};
    list_init(&claims->waiting[0]);
    list_init(&claims->waiting[1]);
}

void claims_stop(struct claims *claims)
{
    claims->is_running = true;
}

bool claims_are_full(const struct claims *claims)
{
    return claims->n_waiting >= CLAIMS_WAITING_MAX;
}

static void leave_queue(struct claims *claims, struct room_host *room)
{
    list_del(&room->in_claims);
    claims->n_waiting--;
}

/* A start that fails ends at once: no recursion. */
static void run(struct claims *claims)
{
    if (claims->is_running)
        return;
    claims->is_running = true;
    while (claims->n_out < CLAIMS_MAX && claims->n_waiting > 0) {
        struct list *queue = &claims->waiting[list_empty(&claims->waiting[0])];
        struct room_host *room = list_first(queue, struct room_host, in_claims);

        leave_queue(claims, room);
        claims->n_out++;
        room->is_claim_out = true;
        room_start_claim(room);
    }
    claims->is_running = false;
}

void claims_go_on(struct claims *claims)
{
    claims->is_running = false;
    run(claims);
}

void claims_want(struct room_host *room)
{
    struct claims *claims = &room->host->claims;

    list_add_tail(&claims->waiting[!room->is_hurried], &room->in_claims);
    claims->n_waiting++;
    run(claims);
}

void claims_hurry(struct room_host *room)
{
    if (room->is_hurried)
        return;
    room->is_hurried = true;
    if (!list_linked(&room->in_claims))
        return;
    list_del(&room->in_claims);
    list_add_tail(&room->host->claims.waiting[0], &room->in_claims);
}

void claims_on_end(struct room_host *room)
{
    struct claims *claims = &room->host->claims;

    if (!room->is_claim_out)
        return;
    room->is_claim_out = false;
    claims->n_out--;
    run(claims);
}

void claims_forget(struct room_host *room)
{
    if (list_linked(&room->in_claims))
        leave_queue(&room->host->claims, room);
    claims_on_end(room);
}
