/* op.c - see op.h. */
#include "shard/host/op.h"

#include <assert.h>
#include <stdlib.h>

#include "shard/host/catchup.h"

struct op *op_new(struct attach *attach, uint64_t n, bool is_resent, struct slice frame_id,
                  struct slice client_id)
{
    struct op *op = malloc(sizeof(*op) + frame_id.len + client_id.len);

    if (!op)
        return NULL;
    *op = (struct op){.attach = attach, .n = n, .is_resent = is_resent};
    if (frame_id.len > 0)
        memcpy(op->bytes, frame_id.data, frame_id.len);
    op->frame_id = slice_of(op->bytes, frame_id.len);
    if (client_id.len > 0)
        memcpy(op->bytes + frame_id.len, client_id.data, client_id.len);
    op->client_id = slice_of(op->bytes + frame_id.len, client_id.len);
    list_add_tail(&attach->ops, &op->in_attach);
    return op;
}

static void op_free(struct op *op)
{
    list_del(&op->in_attach);
    buf_deinit(&op->answer);
    free(op);
}

void ops_orphan(struct attach *attach)
{
    while (!list_empty(&attach->ops)) {
        struct op *op = list_first(&attach->ops, struct op, in_attach);

        list_del(&op->in_attach);
        op->attach = NULL;
        if (!op->is_committing)
            op_free(op);
    }
}

void op_drop(struct op *op)
{
    op_free(op);
}

void op_strand(struct op *op)
{
    assert(op->attach && !op->is_done && !op->is_committing);
    (void)op; /* not done, it holds back its successors */
}

static void encode(struct buf *out, const struct op *op, uint64_t done_n, struct slice json)
{
    struct msg msg = {.type = MSG_TO_ATTACH,
                      .TO_ATTACH = {.attach = op->attach->number,
                                    .done_n = done_n,
                                    .json = json,
                                    .epoch = op->attach->epoch}};

    msg_encode(out, &msg);
}

bool op_is_first(const struct op *op)
{
    return op->attach->ops.next == &op->in_attach;
}

/* Those behind that were ready before their turn. */
static void settle_ready(struct attach *attach)
{
    while (!list_empty(&attach->ops)) {
        struct op *op = list_first(&attach->ops, struct op, in_attach);

        if (!op->is_done)
            return;
        gate_send_encoded(attach->gate, buf_slice(&op->answer));
        op_free(op);
    }
}

void op_settle_all(struct op *op, const struct slice *frames, size_t n)
{
    struct attach *attach = op->attach;
    struct buf *out = op_is_first(op) ? &attach->room->host->wire : &op->answer;

    buf_clear(out);
    for (size_t i = 0; i < n; i++)
        encode(out, op, i == 0 ? op->n : 0, frames[i]);
    if (buf_failed(out)) {
        attach_close(attach, 1013, "overloaded"); /* frees the op */
        return;
    }
    if (!op_is_first(op)) {
        op->is_done = true;
        return;
    }
    gate_send_encoded(attach->gate, buf_slice(out));
    op_free(op);
    settle_ready(attach);
    catchup_on_settled(attach);
}

void op_settle(struct op *op, struct slice first, struct slice second)
{
    const struct slice frames[] = {first, second};

    op_settle_all(op, frames, second.len > 0 ? 2 : 1);
}
