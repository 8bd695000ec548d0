/* idempotency.c - see idempotency.h; statements in queries_files.def. */
#include "shard/api/idempotency.h"

#include "shard/api/key_drops.h"
#include "shard/api/query.h"
#include "shard/host/host.h"
#include "shard/limits.h"
#include "shard/metrics.h"

_Static_assert(IDEMPOTENCY_STALE_S * 1000 > CALL_DEADLINE_MS, "a call has ended by then");

/* ---- the end of a call ---- */

static void give_up(struct call *call)
{
    const struct idempotency *idem = &call->idempotency;

    key_drops_add(call->drops, call->project, call->user, idem->client_key, idem->own_key);
}

static void send_answer(struct call *call)
{
    struct idempotency *idem = &call->idempotency;

    idem->state = IDEMPOTENCY_ENDED;
    call_send(call, idem->status, buf_slice(&idem->body), idem->retry_after_ms);
}

/* Written down or not (then the key is given up as soon as that can be, and whoever comes again
 * runs it again, which does no harm): the answer is what has happened. */
static void on_written(void *arg, enum store_result result, const struct query_rows *rows,
                       bool is_duplicate)
{
    struct call *call = arg;

    (void)rows;
    (void)is_duplicate;
    if (!call_release(call))
        return;
    if (result != STORE_OK) {
        call->host->metrics->keys_unwritten++;
        give_up(call);
    }
    if (call->idempotency.state == IDEMPOTENCY_ENDING)
        send_answer(call);
}

static int write_down(struct call *call, bool keep)
{
    const struct idempotency *idem = &call->idempotency;
    struct store *store = call->host->store;
    struct store_query q = query_of(call, keep ? SQL_QUERY_key_keep : SQL_QUERY_key_drop);

    query_text(&q, call->user);
    query_text(&q, idem->client_key);
    query_text(&q, idem->own_key);
    if (keep) {
        query_int(&q, idem->status);
        query_text(&q, buf_slice(&idem->body));
    }
    return store->ops->query(store, &q, on_written, call);
}

bool idempotency_take(struct call *call, unsigned status, struct slice body,
                      uint64_t retry_after_ms)
{
    struct idempotency *idem = &call->idempotency;
    bool keep = status < 300 && body.len <= IDEMPOTENCY_BODY_MAX;

    if (idem->state == IDEMPOTENCY_ENDING) { /* the deadline: what is known is said now */
        give_up(call);                       /* unless the answer is written down first */
        send_answer(call);
        return true;
    }
    if (idem->state == IDEMPOTENCY_CHECKING)
        give_up(call); /* the deadline: the key may have been written down, or will be */
    if (idem->state != IDEMPOTENCY_RUNNING || status == 421) /* the gateway comes again */
        return false;
    if (status >= 500) { /* too late to wait for anything */
        idem->state = IDEMPOTENCY_ENDED;
        give_up(call);
        return false;
    }
    idem->status = status;
    idem->retry_after_ms = retry_after_ms;
    buf_put_slice(&idem->body, body);
    if (buf_failed(&idem->body))
        return false;
    idem->state = IDEMPOTENCY_ENDING;
    call_hold(call);
    if (write_down(call, keep) < 0) {
        idem->state = IDEMPOTENCY_ENDED;
        call->held--; /* the call is not answered yet */
        call->host->metrics->keys_unwritten++;
        give_up(call);
        return false;
    }
    return true;
}

/* ---- its beginning ---- */

static void replay(struct call *call, unsigned status, struct slice body)
{
    call->idempotency.replayed = true;
    call->host->metrics->keys_replayed++;
    call_reply(call, status, body);
}

static void on_begun(void *arg, enum store_result result, const struct query_rows *rows,
                     bool is_duplicate)
{
    struct call *call = arg;
    struct slice word;
    int64_t status;

    (void)is_duplicate;
    if (!call_release(call))
        return;
    call->idempotency.state = IDEMPOTENCY_NONE;
    if (result != STORE_OK) {
        give_up(call); /* it may have been written down all the same */
        call_refuse(call, result == STORE_FAILED ? ERROR_internal_error : ERROR_unavailable, "",
                    0);
        return;
    }
    word = rows->n_rows ? query_cell(rows, 0, 0) : SLICE_LIT("same");
    status = rows->n_rows ? query_cell_int(rows, 0, 1) : 0;
    if (slice_eq_str(word, "mine")) {
        call->idempotency.state = IDEMPOTENCY_RUNNING;
        call_run(call);
    } else if (slice_eq_str(word, "other")) {
        call_refuse(call, ERROR_idempotency_mismatch, "", 0);
    } else if (status == 0) {
        call_refuse(call, ERROR_conflict, "the request with this key is still under way",
                    IDEMPOTENCY_RETRY_MS);
    } else {
        replay(call, (unsigned)status, query_cell(rows, 0, 2));
    }
}

void idempotency_begin(struct call *call)
{
    struct idempotency *idem = &call->idempotency;
    struct store *store = call->host->store;
    struct store_query q = query_of(call, SQL_QUERY_key_begin);

    query_text(&q, call->user);
    query_text(&q, idem->client_key);
    query_text(&q, idem->request);
    query_text(&q, idem->own_key);
    query_int(&q, IDEMPOTENCY_STALE_S);
    query_int(&q, IDEMPOTENCY_KEEP_S);
    idem->state = IDEMPOTENCY_CHECKING;
    call->data = slice_of(NULL, 0); /* of the message, which is gone by then */
    call_hold(call);
    if (store->ops->query(store, &q, on_begun, call) < 0 && call_release(call)) {
        idem->state = IDEMPOTENCY_NONE;
        call_refuse(call, ERROR_unavailable, "", 0);
    }
}
