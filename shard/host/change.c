/* change.c - see change.h. */
#include "shard/host/change.h"

#include <errno.h>
#include <stdlib.h>

#include "shard/host/attach.h"
#include "shard/room/dedupe.h"
#include "shard/room/extra.h"

struct member_change {
    struct room_request request;
    struct list link; /* room_host.changes */
    struct room_host *room;
    bool takes_owner;   /* counts in room_host.owners_leaving */
    bool has_key;       /* of the call that asked for it */
    struct list own;    /* who started it: at most one struct change_wait */
    struct list behind; /* others of the same user */
    struct slice user;  /* points into bytes */
    char bytes[];
};

static void tell(struct list *waits, enum change_outcome outcome, enum error_code error)
{
    while (!list_empty(waits)) {
        struct change_wait *wait = list_first(waits, struct change_wait, link);

        list_del(&wait->link);
        wait->fn(wait, outcome, error);
    }
}

/* Takes it out of the room; it is ours alone from here. */
static void unlink_change(struct member_change *change)
{
    if (change->room && change->takes_owner)
        change->room->owners_leaving--;
    list_del(&change->link);
    change->room = NULL;
}

static void on_settled(struct room_request *request, const struct commit_result *result)
{
    struct member_change *change = container_of(request, struct member_change, request);

    if (change->room)
        unlink_change(change);
    switch (result->outcome) {
    case COMMIT_DONE:
        tell(&change->own, CHANGE_DONE, ERROR_NONE);
        break;
    case COMMIT_DUPLICATE: /* the same entry, committed after all, or by the same call before */
        tell(&change->own, change->has_key ? CHANGE_DONE : CHANGE_AGAIN, ERROR_NONE);
        break;
    case COMMIT_NOTHING:
    case COMMIT_REJECTED:
    case COMMIT_REFUSED:
    case COMMIT_UNAVAILABLE:
    case COMMIT_UNKNOWN:
        tell(&change->own, CHANGE_FAILED,
             result->outcome == COMMIT_UNKNOWN ? ERROR_outcome_unknown : ERROR_unavailable);
        break;
    case COMMIT_DROPPED:
        tell(&change->own, CHANGE_MOVED, ERROR_NONE);
        tell(&change->behind, CHANGE_MOVED, ERROR_NONE);
        break;
    }
    tell(&change->behind, CHANGE_AGAIN, ERROR_NONE);
    free(change);
}

static struct member_change *find(const struct room_host *room, struct slice user)
{
    struct member_change *change;

    list_for_each(change, &room->changes, link)
    {
        if (slice_eq(change->user, user))
            return change;
    }
    return NULL;
}

static struct entry *make_moderation(struct room_host *room, const struct change *change)
{
    const struct change_moderation *m = change->moderation;
    struct entry from = {.kind = ENTRY_MODERATION, .version = 1, .user = change->user};
    struct buf *extra = &room->host->json2;

    buf_clear(extra);
    extra_write_moderation(extra, m->action, m->by, m->expires_us);
    if (buf_failed(extra))
        return NULL;
    from.extra = buf_slice(extra);
    memcpy(from.dedupe, m->key, DEDUPE_LEN);
    return entry_new(&from);
}

static struct entry *make_entry(struct room_host *room, const struct change *change,
                                enum member_role old_role)
{
    struct host *host = room->host;
    struct buf *extra = &host->json2;
    enum membership_change what = old_role == ROLE_NONE       ? CHANGE_ADDED
                                  : change->role == ROLE_NONE ? CHANGE_REMOVED
                                                              : CHANGE_ROLE;
    struct entry from = {.kind = ENTRY_MEMBERSHIP, .version = 1, .user = change->user};
    uint64_t key[2] = {host->config.incarnation, ++host->change_count};

    buf_clear(extra);
    extra_write_membership(extra, what, change->role);
    if (buf_failed(extra))
        return NULL;
    from.extra = buf_slice(extra);
    dedupe_key(DEDUPE_SHARD, change->user, slice_of(key, sizeof(key)), from.dedupe);
    return entry_new(&from);
}

static struct member_change *change_new(struct room_host *room, const struct change *change)
{
    struct member_change *c = calloc(1, sizeof(*c) + change->user.len);

    if (!c)
        return NULL;
    c->request.on_settled = on_settled;
    c->room = room;
    c->has_key = change->moderation != NULL;
    c->user = slice_of(c->bytes, change->user.len);
    memcpy(c->bytes, change->user.data, change->user.len);
    list_init(&c->link);
    list_init(&c->own);
    list_init(&c->behind);
    return c;
}

#define CHANGE_OPS 3

/* What the change writes beside its entry. Returns how many. */
static size_t make_ops(const struct change *change, enum member_role old_role,
                       struct side_op ops[CHANGE_OPS])
{
    const struct change_moderation *m = change->moderation;
    size_t n = 0;

    if (!m || change->role != old_role)
        ops[n++] =
            (struct side_op){.kind = SIDE_MEMBER, .user = change->user, .role = change->role};
    if (m) {
        ops[n++] = (struct side_op){.kind = SIDE_RESTRICT,
                                    .user = change->user,
                                    .muted_us = m->muted_us,
                                    .banned_us = m->banned_us};
        ops[n++] = (struct side_op){.kind = SIDE_AUDIT,
                                    .user = change->user,
                                    .actor = m->by,
                                    .text = slice_str(m->audit),
                                    .json = m->detail};
    }
    return n;
}

int change_start(struct room_host *room, const struct change *change, struct change_wait *wait)
{
    enum member_role old_role = members_role(&room->members, change->user);
    struct side_op ops[CHANGE_OPS];
    struct commit_push push = {.ops = ops, .n_ops = make_ops(change, old_role, ops)};
    AUTO(entry_unref) struct entry *e = NULL;
    struct member_change *c = find(room, change->user);
    int r;

    if (c) {
        list_add_tail(&c->behind, &wait->link);
        return 0;
    }
    e = change->moderation ? make_moderation(room, change) : make_entry(room, change, old_role);
    c = e ? change_new(room, change) : NULL;
    if (!c)
        return -ENOMEM;
    push.entry = e;
    push.requester = &c->request;
    r = committer_push(&room->queue, &push);
    if (r) {
        free(c);
        return r == COMMIT_PUSH_FULL ? -EBUSY : r;
    }
    c->takes_owner = old_role == ROLE_OWNER && change->role != ROLE_OWNER;
    room->owners_leaving += c->takes_owner;
    list_add_tail(&room->changes, &c->link);
    list_add_tail(&c->own, &wait->link);
    return 0;
}

void changes_cancel(struct room_host *room)
{
    while (!list_empty(&room->changes)) {
        struct member_change *c = list_first(&room->changes, struct member_change, link);

        unlink_change(c);
        tell(&c->own, CHANGE_MOVED, ERROR_NONE);
        tell(&c->behind, CHANGE_MOVED, ERROR_NONE);
        /* The committer still holds it and gives it back as dropped. */
    }
}

/* A socket of the user that has no right to be here, or NULL. */
static struct attach *find_expelled(const struct room_host *room, struct slice user,
                                    const char **ret_reason)
{
    struct room_gate *rg;
    struct attach *attach;

    list_for_each(rg, &room->gates, in_room)
    {
        list_for_each(attach, &rg->attaches, in_room_gate)
        {
            struct actor actor = room_actor(room, user, attach->project_roles);

            /* Who is still on his way in is asked again when he enters. */
            if (attach_is_inside(attach) && slice_eq(attach->user, user) &&
                rules_enter(&actor) != ENTER_YES) {
                *ret_reason = rules_close_reason(&actor);
                return attach;
            }
        }
    }
    return NULL;
}

void change_expel(struct room_host *room, struct slice user)
{
    const char *reason = "";
    struct attach *attach;

    while ((attach = find_expelled(room, user, &reason)))
        attach_close(attach, 1008, reason);
}
