/* lookup.c - see lookup.h. Bodies hold secrets: they are wiped when they are forgotten. */
#include "shard/host/lookup.h"

#include <errno.h>
#include <stdlib.h>

#include "common/base/buf.h"
#include "common/base/codec.h"
#include "common/base/map.h"
#include "common/base/secret.h"
#include "common/json/errors.h"
#include "common/json/json_write.h"
#include "shard/limits.h"

#define KEY_HASH_LEN 32

enum lookup_kind { LOOKUP_PROJECT, LOOKUP_KEY };

struct lookups {
    struct env *env;
    struct store *store;
    struct map entries; /* struct lookup by kind and name */
};

struct lookup {
    struct map_node node;
    struct lookups *lookups; /* NULL: gone, only the store's answer is awaited */
    enum lookup_kind kind;
    bool is_fetching;
    uint64_t fetched_ms;
    unsigned status; /* 0: nothing known yet */
    struct buf body;
    struct list waits; /* struct lookup_wait */
    struct slice name; /* project id, or the hash of a key; points into bytes */
    char bytes[];
};

/* ---- the table ---- */

struct lookup_id {
    enum lookup_kind kind;
    struct slice name;
};

static bool id_eq(const struct map_node *node, const void *key)
{
    const struct lookup *l = container_of(node, const struct lookup, node);
    const struct lookup_id *id = key;

    return l->kind == id->kind && slice_eq(l->name, id->name);
}

static void forget_body(struct lookup *l)
{
    if (l->body.data)
        secret_wipe(l->body.data, l->body.len);
    buf_deinit(&l->body);
    l->body = BUF_INIT;
    l->status = 0;
}

static void lookup_drop(struct lookup *l)
{
    map_remove(&l->lookups->entries, &l->node);
    forget_body(l);
    free(l);
}

static bool drop_stale(struct map_node *node, void *arg);

static struct lookup *lookup_new(struct lookups *lookups, struct lookup_id id)
{
    uint64_t now_ms = env_now_ms(lookups->env);
    struct lookup *l;

    if (lookups->entries.count >= PROJECT_CACHE_MAX)
        map_each(&lookups->entries, drop_stale, &now_ms);
    if (lookups->entries.count >= PROJECT_CACHE_MAX)
        return NULL;
    l = calloc(1, sizeof(*l) + id.name.len);
    if (!l)
        return NULL;
    l->lookups = lookups;
    l->kind = id.kind;
    memcpy(l->bytes, id.name.data, id.name.len);
    l->name = slice_of(l->bytes, id.name.len);
    list_init(&l->waits);
    if (map_insert(&lookups->entries, &l->node, hash_slice(id.name)) < 0) {
        free(l);
        return NULL;
    }
    return l;
}

int lookups_new(struct env *env, struct store *store, struct lookups **ret_lookups)
{
    struct lookups *lookups = calloc(1, sizeof(*lookups));

    if (!lookups)
        return -ENOMEM;
    lookups->env = env;
    lookups->store = store;
    map_init(&lookups->entries);
    *ret_lookups = lookups;
    return 0;
}

static bool drop_one(struct map_node *node, void *arg)
{
    struct lookup *l = container_of(node, struct lookup, node);

    (void)arg;
    if (l->is_fetching)
        l->lookups = NULL;
    else
        lookup_drop(l);
    return true;
}

void lookups_free(struct lookups *lookups)
{
    if (!lookups)
        return;
    map_each(&lookups->entries, drop_one, NULL);
    map_deinit(&lookups->entries);
    free(lookups);
}

static bool is_fresh(const struct lookup *l, uint64_t now_ms)
{
    return l->status != 0 && now_ms - l->fetched_ms < PROJECT_CACHE_MS;
}

/* True, and was so not too long ago: good enough while the store cannot be asked. */
static bool is_usable(const struct lookup *l, uint64_t now_ms)
{
    return l->status == 200 && now_ms - l->fetched_ms < PROJECT_STALE_MS;
}

static bool prune_one(struct map_node *node, void *arg)
{
    struct lookup *l = container_of(node, struct lookup, node);
    const uint64_t *now_ms = arg;

    if (!l->is_fetching && !is_fresh(l, *now_ms) && !is_usable(l, *now_ms))
        lookup_drop(l);
    return true;
}

static bool drop_stale(struct map_node *node, void *arg)
{
    struct lookup *l = container_of(node, struct lookup, node);
    const uint64_t *now_ms = arg;

    if (!l->is_fetching && !is_fresh(l, *now_ms))
        lookup_drop(l);
    return true;
}

void lookups_prune(struct lookups *lookups, uint64_t now_ms)
{
    map_each(&lookups->entries, prune_one, &now_ms);
}

/* ---- answers ---- */

static void tell(struct lookup *l, unsigned status, struct slice body)
{
    while (!list_empty(&l->waits)) {
        struct lookup_wait *wait = list_first(&l->waits, struct lookup_wait, link);

        list_del(&wait->link);
        wait->fn(wait, status, body);
    }
}

static void tell_error(struct list *waits, enum error_code code)
{
    AUTO_BUF body = BUF_INIT;

    error_body_write(&body, code, slice_of(NULL, 0), slice_of(NULL, 0));
    while (!list_empty(waits)) {
        struct lookup_wait *wait = list_first(waits, struct lookup_wait, link);

        list_del(&wait->link);
        wait->fn(wait, error_info(code)->status, buf_slice(&body));
    }
}

static void write_secret(struct json_writer *w, const struct project_secret *secret)
{
    size_t len = BASE64_LEN(secret->key.len) + 1;
    char *text = malloc(len);

    json_write_object(w);
    json_field_str(w, "kid", secret->kid);
    if (text) {
        len = base64_encode(BASE64_STANDARD, secret->key.data, secret->key.len, text);
        json_field_str(w, "key", slice_of(text, len));
        secret_wipe(text, len);
    } else {
        w->out->failed = true;
    }
    free(text);
    json_write_object_end(w);
}

static void write_project(struct buf *out, const struct project_row *row)
{
    struct json_writer w = json_writer(out);

    json_write_object(&w);
    json_field_str(&w, "project", row->project);
    json_field_str(&w, "name", row->name);
    json_field_u64(&w, "version", row->version);
    json_field_array(&w, "secrets");
    for (size_t i = 0; i < row->n_secrets; i++)
        write_secret(&w, &row->secrets[i]);
    json_write_array_end(&w);
    json_field_raw(&w, "origins", SLICE_LIT("[]"));
    json_write_object_end(&w);
}

static void write_key(struct buf *out, const struct key_row *row)
{
    struct json_writer w = json_writer(out);

    json_write_object(&w);
    json_field_str(&w, "project", row->project);
    json_field_str(&w, "keyId", row->key_id);
    json_field_raw(&w, "scopes", row->scopes.len ? row->scopes : SLICE_LIT("[]"));
    json_write_object_end(&w);
}

/* ---- the store's answer ---- */

/* The store cannot be asked: what is still usable is the answer. */
static bool answer_stale(struct lookup *l, enum store_result result)
{
    if (result != STORE_UNAVAILABLE || !is_usable(l, env_now_ms(l->lookups->env)))
        return false;
    l->is_fetching = false;
    tell(l, l->status, buf_slice(&l->body));
    return true;
}

static void finish(struct lookup *l, enum store_result result, enum error_code not_found)
{
    l->is_fetching = false;
    l->fetched_ms = env_now_ms(l->lookups->env);
    if (result == STORE_OK) {
        l->status = 200;
    } else if (result == STORE_NOT_FOUND) {
        l->status = error_info(not_found)->status;
        error_body_write(&l->body, not_found, slice_of(NULL, 0), slice_of(NULL, 0));
    }
    if (l->status == 0 || buf_failed(&l->body)) {
        forget_body(l);
        tell_error(&l->waits, ERROR_unavailable);
        return;
    }
    tell(l, l->status, buf_slice(&l->body));
}

/* Frees what nobody asks for any more. */
static bool is_abandoned(struct lookup *l)
{
    if (l->lookups)
        return false;
    forget_body(l);
    free(l);
    return true;
}

static void on_project(void *arg, enum store_result result, const struct project_row *row)
{
    struct lookup *l = arg;

    if (is_abandoned(l) || answer_stale(l, result))
        return;
    forget_body(l);
    if (result == STORE_OK)
        write_project(&l->body, row);
    finish(l, result, ERROR_not_found);
}

static void on_key(void *arg, enum store_result result, const struct key_row *row)
{
    struct lookup *l = arg;

    if (is_abandoned(l) || answer_stale(l, result))
        return;
    forget_body(l);
    if (result == STORE_OK)
        write_key(&l->body, row);
    finish(l, result, ERROR_invalid_api_key);
}

/* ---- asking ---- */

static void fetch(struct lookup *l)
{
    struct store *store = l->lookups->store;
    int r;

    l->is_fetching = true;
    if (l->kind == LOOKUP_PROJECT)
        r = store->ops->project(store, l->name, on_project, l);
    else
        r = store->ops->api_key(store, (const uint8_t *)l->name.data, on_key, l);
    if (r < 0 && !answer_stale(l, STORE_UNAVAILABLE)) {
        l->is_fetching = false;
        tell_error(&l->waits, ERROR_unavailable);
    }
}

static void ask(struct lookups *lookups, struct lookup_id id, struct lookup_wait *wait)
{
    struct map_node *node = map_find(&lookups->entries, hash_slice(id.name), id_eq, &id);
    struct lookup *l = node ? container_of(node, struct lookup, node) : lookup_new(lookups, id);
    uint64_t now_ms = env_now_ms(lookups->env);
    struct list alone;

    list_init(&wait->link);
    if (!l) {
        list_init(&alone);
        list_add_tail(&alone, &wait->link);
        tell_error(&alone, ERROR_overloaded);
        return;
    }
    if (is_fresh(l, now_ms) ||
        (is_usable(l, now_ms) && !lookups->store->ops->is_available(lookups->store))) {
        wait->fn(wait, l->status, buf_slice(&l->body));
        return;
    }
    list_add_tail(&l->waits, &wait->link);
    if (!l->is_fetching)
        fetch(l);
}

void lookup_project(struct lookups *lookups, struct slice project, struct lookup_wait *wait)
{
    ask(lookups, (struct lookup_id){LOOKUP_PROJECT, project}, wait);
}

void lookup_key(struct lookups *lookups, const uint8_t key_hash[32], struct lookup_wait *wait)
{
    ask(lookups, (struct lookup_id){LOOKUP_KEY, slice_of(key_hash, KEY_HASH_LEN)}, wait);
}
