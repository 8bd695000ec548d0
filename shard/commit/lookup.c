/*
 * lookup.c - suspects: items whose key is probably in an old row. They are
 * asked for together; until the answer each holds back its successors in its
 * room. While we hold the room's fence the answer stays true: only our own
 * commits add rows, and their keys are known here.
 */
#include <stdlib.h>

#include "shard/commit/commit_priv.h"
#include "shard/limits.h"

static void lookup_on_timer(struct timer *timer, void *arg)
{
    struct committer *c = arg;

    (void)timer;
    lookup_ask(c);
}

void lookup_init(struct committer *c)
{
    list_init(&c->suspects);
    timer_init(&c->lookup_timer, lookup_on_timer, c);
}

void lookup_add(struct commit_item *item)
{
    list_add_tail(&item->queue->committer->suspects, &item->suspect);
}

void lookup_drop(struct commit_item *item)
{
    list_del(&item->suspect);
    if (item->lookup)
        item->lookup->items[item->lookup_slot] = NULL;
    item->lookup = NULL;
}

static void put_off(struct committer *c)
{
    c->lookup_backoff_ms = MIN(MAX(c->lookup_backoff_ms * 2, (uint64_t)COMMIT_RETRY_MIN_MS),
                               (uint64_t)COMMIT_RETRY_MAX_MS);
    committer_arm(c, &c->lookup_timer, env_jitter_ms(c->env, c->lookup_backoff_ms));
}

static void lookup_on_found(void *arg, enum store_result result,
                            const struct dedupe_found *found)
{
    struct committer *c = arg;
    struct commit_lookup *lookup = TAKE(c->lookup);

    for (size_t i = lookup->n;
         i-- > 0;) { /* backwards, so that those to ask again keep their order */
        struct commit_item *item = lookup->items[i];

        if (!item)
            continue;
        item->lookup = NULL;
        if (result != STORE_OK) {
            list_add_head(&c->suspects, &item->suspect);
            continue;
        }
        item->checked = true;
        item->state = ITEM_NEW;
        if (found[i].entry)
            item_set_duplicate(item, found[i].entry, found[i].change_seq);
    }
    for (size_t i = 0; i < lookup->n; i++) {
        if (lookup->items[i])
            queue_advance(lookup->items[i]->queue);
    }
    free(lookup);
    if (result == STORE_OK)
        c->lookup_backoff_ms = 0;
    else
        put_off(c);
    committer_kick_later(c);
}

static void fill(struct commit_lookup *lookup, struct list *suspects, struct dedupe_key *keys)
{
    while (lookup->n < COMMIT_LOOKUP_KEYS && !list_empty(suspects)) {
        struct commit_item *item = list_first(suspects, struct commit_item, suspect);
        struct dedupe_key *key = &keys[lookup->n];

        list_del(&item->suspect);
        key->project = item->queue->project;
        key->room = item->queue->room;
        memcpy(key->dedupe, item->key, DEDUPE_LEN);
        item->lookup = lookup;
        item->lookup_slot = lookup->n;
        lookup->items[lookup->n++] = item;
    }
}

void lookup_ask(struct committer *c)
{
    struct dedupe_key *keys;

    if (c->lookup || list_empty(&c->suspects) || timer_is_armed(&c->lookup_timer))
        return;
    c->lookup =
        calloc(1, sizeof(*c->lookup) + COMMIT_LOOKUP_KEYS * sizeof(c->lookup->items[0]));
    keys = calloc(COMMIT_LOOKUP_KEYS, sizeof(*keys));
    if (!c->lookup || !keys) {
        free(TAKE(c->lookup));
        put_off(c);
    } else {
        fill(c->lookup, &c->suspects, keys);
        if (c->store->ops->find_dedupe(c->store, keys, c->lookup->n, lookup_on_found, c) < 0)
            lookup_on_found(c, STORE_UNAVAILABLE, NULL);
    }
    free(keys);
}
