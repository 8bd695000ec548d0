/* fake_registry.c - see fake_registry.h. */
#include "tests/support/fake_registry.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#define TIMEOUT_MS 1000

struct fake_registry_request {
    struct fake_registry *f;
    enum registry_op op;
    struct timer timer;
    bool happened;
    int r;
    /* the operation's arguments, copied */
    char id[NODE_ID_MAX + 1], address[LINK_ADDRESS_MAX + 1], observer[NODE_ID_MAX + 1];
    struct ring_member member;
    struct registry_eviction eviction;
    uint64_t known_epoch;
    bool found;
    struct ring *ring;
};

static void request_free(struct fake_registry_request *q)
{
    timer_cancel(&q->f->env->timers, &q->timer);
    ring_unref(q->ring);
    free(q);
}

static void server_hint(struct fake_registry_server *server)
{
    struct fake_registry *f;

    list_for_each(f, &server->clients, link)
    {
        if (!f->cut && !f->deaf)
            env_later(f->env, &f->hint);
    }
}

static int request_happen(struct fake_registry_request *q)
{
    struct fake_registry_server *server = q->f->server;
    struct registry_model *m = &server->model;
    uint64_t now = server->wall_ms(server->arg), before = m->epoch;
    int r = 0;

    switch (q->op) {
    case REGISTRY_PUT:
        r = registry_model_put(m, now, &q->member, q->known_epoch, q->found);
        break;
    case REGISTRY_RENEW:
        r = registry_model_renew(m, now, q->member.id, q->member.incarnation);
        break;
    case REGISTRY_REMOVE:
        r = registry_model_remove(m, now, q->member.id, q->member.incarnation, q->known_epoch);
        break;
    case REGISTRY_EVICT:
        r = registry_model_evict(m, now, &q->eviction);
        break;
    case REGISTRY_READ:
        r = registry_model_read(m, now);
        break;
    case REGISTRY_RESTORE:
        r = registry_model_restore(m, now, q->ring, q->known_epoch);
        break;
    case REGISTRY_OP_COUNT:
        abort();
    }
    if (m->epoch != before) {
        server_hint(server);
    } else if (r == REGISTRY_EMPTY && now >= server->asked_ms + RING_FOUND_MS) {
        server->asked_ms = now; /* who knows the ring? */
        server_hint(server);
    }
    return r;
}

/* Half way the operation happens, at the end it is answered. */
static void request_on_timer(struct timer *timer, void *arg)
{
    struct fake_registry_request *q = arg;
    struct fake_registry *f = q->f;
    struct registry_view view;

    if (!q->happened) {
        q->happened = true;
        if (f->cut)
            q->r = -ETIMEDOUT;
        else
            q->r = f->server->down ? -ENOTCONN : request_happen(q);
        if (env_timer(f->env, timer,
                      f->cut || f->deaf ? TIMEOUT_MS : f->delay_ms - f->delay_ms / 2) < 0)
            abort();
        return;
    }
    f->requests[q->op] = NULL;
    view = registry_model_view(&f->server->model, f->server->wall_ms(f->server->arg));
    if ((f->cut || f->deaf) && q->r >= 0)
        q->r = -ETIMEDOUT; /* it has happened, and nobody knows */
    if (f->registry.events)
        f->registry.events->on_reply(f->registry.owner, q->op, q->r, q->r < 0 ? NULL : &view);
    request_free(q);
}

static struct slice keep(char *to, struct slice from)
{
    if (from.len)
        memcpy(to, from.data, from.len);
    to[from.len] = '\0';
    return slice_of(to, from.len);
}

static struct fake_registry_request *request_new(struct registry *registry, enum registry_op op)
{
    struct fake_registry *f = container_of(registry, struct fake_registry, registry);
    struct fake_registry_request *q = calloc(1, sizeof(*q));

    assert(!f->requests[op]);
    f->counts[op]++;
    if (!q)
        return NULL;
    q->f = f;
    q->op = op;
    timer_init(&q->timer, request_on_timer, q);
    if (env_timer(f->env, &q->timer, f->delay_ms / 2) < 0) {
        free(q);
        return NULL;
    }
    f->requests[op] = q;
    return q;
}

static int fake_put(struct registry *registry, const struct ring_member *member,
                    uint64_t known_epoch, bool found)
{
    struct fake_registry_request *q = request_new(registry, REGISTRY_PUT);

    if (!q)
        return -ENOMEM;
    q->member = *member;
    q->member.id = keep(q->id, member->id);
    q->member.address = keep(q->address, member->address);
    q->known_epoch = known_epoch;
    q->found = found;
    return 0;
}

static int fake_with_id(struct registry *registry, enum registry_op op, struct slice id,
                        uint64_t incarnation, uint64_t known_epoch)
{
    struct fake_registry_request *q = request_new(registry, op);

    if (!q)
        return -ENOMEM;
    q->member = (struct ring_member){.id = keep(q->id, id), .incarnation = incarnation};
    q->known_epoch = known_epoch;
    return 0;
}

static int fake_renew(struct registry *registry, struct slice id, uint64_t incarnation)
{
    return fake_with_id(registry, REGISTRY_RENEW, id, incarnation, 0);
}

static int fake_remove(struct registry *registry, struct slice id, uint64_t incarnation,
                       uint64_t known_epoch)
{
    return fake_with_id(registry, REGISTRY_REMOVE, id, incarnation, known_epoch);
}

static int fake_evict(struct registry *registry, const struct registry_eviction *eviction)
{
    struct fake_registry_request *q = request_new(registry, REGISTRY_EVICT);

    if (!q)
        return -ENOMEM;
    q->eviction = *eviction;
    q->eviction.id = keep(q->id, eviction->id);
    q->eviction.observer = keep(q->observer, eviction->observer);
    return 0;
}

static int fake_read(struct registry *registry)
{
    return request_new(registry, REGISTRY_READ) ? 0 : -ENOMEM;
}

static int fake_restore(struct registry *registry, const struct ring *ring,
                        uint64_t expected_epoch)
{
    struct fake_registry_request *q = request_new(registry, REGISTRY_RESTORE);

    if (!q)
        return -ENOMEM;
    q->ring = ring_ref(ring);
    q->known_epoch = expected_epoch;
    return 0;
}

static const struct registry_ops fake_ops = {
    .put = fake_put,
    .renew = fake_renew,
    .remove = fake_remove,
    .evict = fake_evict,
    .read = fake_read,
    .restore = fake_restore,
};

static void fake_on_hint(struct later *later, void *arg)
{
    struct fake_registry *f = arg;

    (void)later;
    if (!f->cut && !f->deaf && !f->server->down && f->registry.events)
        f->registry.events->on_hint(f->registry.owner);
}

void fake_registry_server_init(struct fake_registry_server *server, uint64_t (*wall_ms)(void *),
                               void *arg)
{
    *server = (struct fake_registry_server){.wall_ms = wall_ms, .arg = arg};
    registry_model_init(&server->model);
    list_init(&server->clients);
}

int fake_registry_server_remove(struct fake_registry_server *server, struct slice id,
                                uint64_t incarnation)
{
    int r = registry_model_remove(&server->model, server->wall_ms(server->arg), id, incarnation,
                                  server->model.epoch);

    if (r == 0)
        server_hint(server);
    return r;
}

void fake_registry_init(struct fake_registry *f, struct fake_registry_server *server,
                        struct env *env)
{
    *f = (struct fake_registry){
        .registry = {.ops = &fake_ops},
        .server = server,
        .env = env,
        .delay_ms = 2,
    };
    later_init(&f->hint, fake_on_hint, f);
    list_add_tail(&server->clients, &f->link);
}

void fake_registry_deinit(struct fake_registry *f)
{
    for (int op = 0; op < REGISTRY_OP_COUNT; op++) {
        if (f->requests[op])
            request_free(f->requests[op]);
        f->requests[op] = NULL;
    }
    later_cancel(&f->hint);
    list_del(&f->link);
}
