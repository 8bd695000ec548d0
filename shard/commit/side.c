/* side.c - what an item writes beside its entry: copies, sizes, and what may share a part. */
#include <assert.h>
#include <stdlib.h>

#include "shard/commit/commit_priv.h"

static size_t texts_size(const struct side_op *op)
{
    return op->user.len + op->actor.len + op->type.len + op->text.len + op->json.len;
}

size_t side_ops_size(const struct side_op *ops, size_t n)
{
    size_t size = n * sizeof(*ops);

    for (size_t i = 0; i < n; i++)
        size += texts_size(&ops[i]);
    return size;
}

static void move(struct slice *s, char **at)
{
    if (s->len > 0)
        memcpy(*at, s->data, s->len);
    *s = slice_of(*at, s->len);
    *at += s->len;
}

struct side_block *side_block_new(const struct side_op *ops, size_t n)
{
    struct side_block *block = malloc(sizeof(*block) + side_ops_size(ops, n));
    char *at;

    if (!block)
        return NULL;
    block->refs = 1;
    block->n = n;
    at = (char *)&block->ops[n];
    for (size_t i = 0; i < n; i++) {
        struct side_op *op = &block->ops[i];

        *op = ops[i];
        move(&op->user, &at);
        move(&op->actor, &at);
        move(&op->type, &at);
        move(&op->text, &at);
        move(&op->json, &at);
    }
    return block;
}

struct side_block *side_block_ref(struct side_block *block)
{
    assert(block->refs > 0);
    block->refs++;
    return block;
}

void side_block_unref(struct side_block *block)
{
    if (block && --block->refs == 0)
        free(block);
}

/* Mentions are of their own event, audit records of their own act; of the rest a part has room
 * for one per kind and user. */
static bool may_be_twice(enum side_kind kind)
{
    return kind == SIDE_MENTION || kind == SIDE_AUDIT;
}

bool side_blocks_agree(const struct side_block *a, const struct side_block *b)
{
    for (size_t i = 0; i < a->n; i++) {
        if (may_be_twice(a->ops[i].kind))
            continue;
        for (size_t k = 0; k < b->n; k++) {
            if (a->ops[i].kind == b->ops[k].kind && slice_eq(a->ops[i].user, b->ops[k].user))
                return false;
        }
    }
    return true;
}
