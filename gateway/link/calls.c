/*
 * calls.c - requests to shards; see calls.h.
 *
 *              link there            REPLY
 *   WAITING ----------------> SENT ----------> done
 *      ^                        |
 *      +------------------------+   link broke, 421: look again, after a pause that doubles
 *   either -- deadline --> done (unavailable, outcome_unknown)
 *
 * One timer per call: the next try or the deadline, whichever comes first.
 */
#include "gateway/link/calls.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/buf.h"
#include "common/base/limits.h"
#include "common/base/map.h"
#include "gateway/link/link_pool.h"
#include "gateway/metrics.h"

#define RETRY_AFTER_MS 1000 /* what a client is told when we could not reach anybody */

enum call_state { CALL_WAITING, CALL_SENT, CALL_DONE };

struct calls {
    struct env *env;
    struct link_pool *pool;
    struct gateway_metrics *metrics;
    struct map by_number;
    struct list pending; /* struct call, oldest first */
    uint64_t next_number;
};

struct call {
    struct calls *calls;
    struct map_node node;
    struct list link;
    enum call_state state;
    bool was_sent;     /* a shard may have done it */
    bool is_once;      /* not to be sent again */
    bool is_over;      /* its one link has broken: ends at the next timer */
    struct link *sent; /* while SENT; only compared, never followed */
    uint64_t
        released; /* epoch of the ring under which its last owner has said that it has gone */
    uint64_t number;
    uint64_t started_ms, deadline_ms;
    uint64_t pause_ms; /* before the next try */
    struct timer timer;
    call_done_fn fn;
    void *arg;
    struct msg_CALL msg; /* slices point into bytes */
    char bytes[];
};

static void set_state(struct call *call, enum call_state state)
{
    assert(call->state != CALL_DONE);
    call->state = state;
    if (state != CALL_SENT)
        call->sent = NULL;
}

/* ---- the end of a call ---- */

static void call_free(struct call *call)
{
    struct calls *calls = call->calls;

    env_timer_cancel(calls->env, &call->timer);
    map_remove(&calls->by_number, &call->node);
    list_del(&call->link);
    calls->metrics->calls_pending--;
    free(call);
}

static void count(const struct call *call, bool is_error)
{
    struct gateway_metrics *m = call->calls->metrics;

    histogram_observe(&m->call_us, 1000 * (env_now_ms(call->calls->env) - call->started_ms));
    switch ((enum call_op)call->msg.op) {
#define CALL(name, number, text)                                                               \
    case CALL_##name:                                                                          \
        m->calls_##name++;                                                                     \
        m->call_errors_##name += is_error;                                                     \
        break;
#include "common/wire/calls.def"
#undef CALL
    }
}

static void finish(struct call *call, const struct call_reply *reply)
{
    call_done_fn fn = call->fn;
    void *arg = call->arg;

    count(call, reply->status >= 500);
    set_state(call, CALL_DONE);
    call_free(call); /* first: fn may start or cancel other calls, or free calls itself */
    fn(arg, reply);
}

/* Only what changes something can have an unknown outcome. Here is what only reads: an
 * operation that is missing is told to the client with more caution than it needs, never with
 * less. */
static bool changes_something(uint32_t op)
{
    switch (op) {
    case CALL_KEY_LOOKUP:
    case CALL_PROJECT_CONFIG:
    case CALL_ROOMS_LIST:
    case CALL_ROOM_GET:
    case CALL_ROOM_LIVE:
    case CALL_ROOM_UNREAD:
    case CALL_MEMBERS_LIST:
    case CALL_HISTORY:
    case CALL_MESSAGE_LOCATE:
    case CALL_DELIVERIES_LIST:
    case CALL_DRAFT_GET:
    case CALL_INBOX:
    case CALL_NOTIFICATIONS_LIST:
    case CALL_SEARCH_MESSAGES:
    case CALL_SEARCH_CONVERSATIONS:
    case CALL_REPORTS_LIST:
    case CALL_AUDIT_LIST:
    case CALL_BLOCKS_LIST:
    case CALL_FILE_STAT:
    case CALL_FILE_GET:
        return false;
    default:
        return true;
    }
}

static void expire(struct call *call)
{
    struct call_reply reply = {.status = 503, .retry_after_ms = RETRY_AFTER_MS};

    reply.error =
        call->was_sent && changes_something(call->msg.op) ? "outcome_unknown" : "unavailable";
    call->calls->metrics->calls_expired++;
    finish(call, &reply);
}

/* ---- trying ---- */

static void arm(struct call *call, uint64_t delay_ms)
{
    uint64_t now = env_now_ms(call->calls->env);
    uint64_t left = call->deadline_ms > now ? call->deadline_ms - now : 0;
    int r = env_timer(call->calls->env, &call->timer, MIN(delay_ms, left));

    /* calls_start() has armed it: moving an armed timer, or arming it again in its own
     * callback, needs no memory. */
    assert(r == 0);
}

/* Another try after a pause; events of the pool may come first. */
static void wait_for_retry(struct call *call)
{
    set_state(call, CALL_WAITING);
    arm(call, env_jitter_ms(call->calls->env, call->pause_ms));
    call->pause_ms = MIN(call->pause_ms * 2, (uint64_t)MOVED_RETRY_MAX_MS);
}

/* Only rooms stay with their last owner for a while. */
static bool is_room(struct slice object)
{
    static const char prefix[] = "room/";

    return object.len >= sizeof(prefix) - 1 &&
           memcmp(object.data, prefix, sizeof(prefix) - 1) == 0;
}

static struct link *choose(const struct call *call)
{
    struct link_pool *pool = call->calls->pool;
    struct slice object = call->msg.object;
    struct link *holder = NULL;

    if (object.len == 0)
        return link_pool_any(pool);
    if (is_room(object) && call->released != link_pool_epoch(pool))
        holder = link_pool_holder(pool, object);
    return holder ? holder : link_pool_owner(pool, object);
}

static void try_send(struct call *call)
{
    struct calls *calls = call->calls;
    struct msg msg = {.type = MSG_CALL};
    struct link *link = choose(call);
    uint64_t now = env_now_ms(calls->env);

    if (!link || link_is_full(link)) {
        wait_for_retry(call);
        return;
    }
    msg.CALL = call->msg;
    msg.CALL.deadline_ms = (uint32_t)(call->deadline_ms > now ? call->deadline_ms - now : 0);
    if (link_send(link, &msg) < 0) {
        wait_for_retry(call);
        return;
    }
    if (call->was_sent)
        calls->metrics->calls_retried++;
    call->was_sent = true;
    set_state(call, CALL_SENT);
    call->sent = link;
    arm(call, UINT64_MAX);
}

static void call_on_timer(struct timer *timer, void *arg)
{
    struct call *call = arg;

    (void)timer;
    if (call->is_over || env_now_ms(call->calls->env) >= call->deadline_ms)
        expire(call);
    else if (call->state == CALL_WAITING)
        try_send(call);
}

/* ---- events of the pool ---- */

/* Somebody who was not reachable may be now. try_send() ends no call, so the walk is safe. */
static void retry_waiting(struct calls *calls)
{
    struct call *call;

    list_for_each(call, &calls->pending, link)
    {
        if (call->state == CALL_WAITING && !call->is_over)
            try_send(call);
    }
}

/* Ends in its timer: nobody may end a call while the list is walked. */
static void give_up(struct call *call)
{
    set_state(call, CALL_WAITING);
    call->is_over = true;
    arm(call, 0);
}

static void calls_on_up(void *owner, struct link *link)
{
    (void)link;
    retry_waiting(owner);
}

static void calls_on_down(void *owner, struct link *link)
{
    struct calls *calls = owner;
    struct call *call;

    list_for_each(call, &calls->pending, link)
    {
        if (call->state != CALL_SENT || call->sent != link)
            continue;
        if (call->is_once)
            give_up(call);
        else
            wait_for_retry(call);
    }
}

static void calls_on_ring(void *owner)
{
    retry_waiting(owner);
}

static void calls_on_drained(void *owner, struct link *link)
{
    (void)link;
    retry_waiting(owner);
}

static bool number_eq(const struct map_node *node, const void *key)
{
    return container_of(node, struct call, node)->number == *(const uint64_t *)key;
}

/* Its last owner does not have it any more: the next one is asked at once. Else the rings
 * differ. */
static void look_again(struct call *call, const struct link *link)
{
    struct link_pool *pool = call->calls->pool;

    if (call->released != link_pool_epoch(pool) &&
        link == link_pool_holder(pool, call->msg.object)) {
        call->released = link_pool_epoch(pool);
        try_send(call);
        return;
    }
    link_pool_refresh_ring(pool);
    wait_for_retry(call);
}

static void calls_on_message(void *owner, struct link *link, const struct msg *msg)
{
    struct calls *calls = owner;
    const struct msg_REPLY *in = &msg->REPLY;
    struct call_reply reply = {.status = in->status,
                               .body = in->body,
                               .data = in->data,
                               .replayed = in->replayed,
                               .retry_after_ms = in->retry_after_ms};
    struct map_node *node;
    struct call *call;

    node = map_find(&calls->by_number, hash_u64(in->call), number_eq, &in->call);
    if (!node)
        return; /* expired or cancelled */
    call = container_of(node, struct call, node);
    if (in->status == 421) {
        if (call->state == CALL_SENT && call->sent == link)
            look_again(call, link);
        return;
    }
    /* An answer of an earlier try is as good: it is the same call with the same key. */
    finish(call, &reply);
}

static const struct link_user_events pool_events = {
    .on_up = calls_on_up,
    .on_down = calls_on_down,
    .on_ring = calls_on_ring,
    .on_message = calls_on_message,
    .on_drained = calls_on_drained,
};

/* ---- life ---- */

int calls_new(struct env *env, struct link_pool *pool, struct gateway_metrics *metrics,
              struct calls **ret_calls)
{
    struct calls *calls = calloc(1, sizeof(*calls));

    if (!calls)
        return -ENOMEM;
    calls->env = env;
    calls->pool = pool;
    calls->metrics = metrics;
    calls->next_number = 1;
    map_init(&calls->by_number);
    list_init(&calls->pending);
    link_pool_set_user(pool, LINK_USER_CALLS, &pool_events, calls);
    *ret_calls = calls;
    return 0;
}

void calls_free(struct calls *calls)
{
    if (!calls)
        return;
    while (!list_empty(&calls->pending))
        call_free(list_first(&calls->pending, struct call, link));
    link_pool_set_user(calls->pool, LINK_USER_CALLS, NULL, NULL);
    map_deinit(&calls->by_number);
    free(calls);
}

static struct slice put(char **at, struct slice s)
{
    char *begin = *at;

    if (s.len > 0)
        memcpy(begin, s.data, s.len);
    *at += s.len;
    return slice_of(begin, s.len);
}

/* Copies the parameters into one block; own_key is used when there is none. */
static struct call *call_copy(const struct call_params *p, struct slice own_key)
{
    struct slice key = p->key.len > 0 ? p->key : own_key;
    size_t len = p->object.len + p->project.len + p->user.len + p->roles.len + key.len +
                 p->params.len + p->trace.len + p->data.len + p->client_key.len +
                 p->request.len;
    struct call *call = calloc(1, sizeof(*call) + len);
    char *at;

    if (!call)
        return NULL;
    at = call->bytes;
    call->msg.op = p->op;
    call->msg.object = put(&at, p->object);
    call->msg.project = put(&at, p->project);
    call->msg.user = put(&at, p->user);
    call->msg.roles = put(&at, p->roles);
    call->msg.key = put(&at, key);
    call->msg.params = put(&at, p->params);
    call->msg.trace = put(&at, p->trace);
    call->msg.data = put(&at, p->data);
    call->msg.client_key = put(&at, p->client_key);
    call->msg.request = put(&at, p->request);
    return call;
}

int calls_start(struct calls *calls, const struct call_params *params, call_done_fn fn,
                void *arg, struct call **ret_call)
{
    struct call *call;
    char own_key[48];
    int len, r;

    if (calls->by_number.count >= CALLS_IN_FLIGHT_MAX) {
        calls->metrics->calls_overloaded++;
        return CALLS_OVERLOADED;
    }
    len = snprintf(own_key, sizeof(own_key), "%llu:c%llu",
                   (unsigned long long)link_pool_incarnation(calls->pool),
                   (unsigned long long)calls->next_number);
    call = call_copy(params, slice_of(own_key, (size_t)len));
    if (!call)
        return -ENOMEM;
    call->calls = calls;
    call->number = calls->next_number++;
    call->msg.call = call->number;
    call->started_ms = env_now_ms(calls->env);
    call->deadline_ms =
        call->started_ms + (params->deadline_ms ? params->deadline_ms : CALL_DEADLINE_MS);
    call->pause_ms = MOVED_RETRY_MIN_MS;
    call->is_once = params->once;
    call->fn = fn;
    call->arg = arg;
    timer_init(&call->timer, call_on_timer, call);
    list_add_tail(&calls->pending, &call->link);
    calls->metrics->calls_pending++;
    r = map_insert(&calls->by_number, &call->node, hash_u64(call->number));
    if (r < 0)
        goto fail_insert;
    r = env_timer(calls->env, &call->timer, call->deadline_ms - call->started_ms);
    if (r < 0)
        goto fail_timer;
    try_send(call);
    *ret_call = call;
    return 0;

fail_timer:
    map_remove(&calls->by_number, &call->node);
fail_insert:
    list_del(&call->link);
    calls->metrics->calls_pending--;
    free(call);
    return r;
}

void call_cancel(struct call *call)
{
    if (call)
        call_free(call);
}

size_t calls_pending(const struct calls *calls)
{
    return calls->by_number.count;
}
