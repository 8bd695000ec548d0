/* change.c - see change.h. */
#include "shard/host/change.h"

#include <errno.h>
#include <stdlib.h>

#include "shard/host/attach.h"
#include "shard/room/dedupe.h"
#include "shard/room/extra.h"

/* The largest number of ops of one change: the member list, what he may do, a record of it. */
#define CHANGE_OPS 3

struct pending_change {
    struct room_request request;
    struct list link; /* room_host.changes */
    struct room_host *room;
    bool takes_owner; /* counts in room_host.owners_leaving */
    bool restrains;   /* its subject may do less afterwards; counts in room_host.restraining */
    bool has_key;     /* of the call that asked for it */
    enum entry_kind kind;
    struct list own;      /* who started it: at most one struct change_wait */
    struct list behind;   /* others of the same subject */
    struct slice subject; /* points into bytes */
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

/* Whoever started it, with the numbers that it got. */
static void tell_done(struct list *own, const struct entry *e)
{
    struct change_wait *wait;

    list_for_each(wait, own, link)
    {
        wait->seq = e->seq;
        wait->at_us = e->created_us;
    }
    tell(own, CHANGE_DONE, ERROR_NONE);
}

/* Takes it out of the room; it is ours alone from here. */
static void unlink_change(struct pending_change *change)
{
    if (change->room && change->takes_owner)
        change->room->owners_leaving--;
    if (change->room && change->restrains)
        change->room->restraining--;
    list_del(&change->link);
    change->room = NULL;
}

static void on_settled(struct room_request *request, const struct commit_result *result)
{
    struct pending_change *change = container_of(request, struct pending_change, request);

    if (change->room)
        unlink_change(change);
    switch (result->outcome) {
    case COMMIT_DONE:
        tell_done(&change->own, result->entry);
        break;
    case COMMIT_DUPLICATE: /* the same entry, committed after all, or by the same call before */
        if (change->has_key)
            tell_done(&change->own, result->entry);
        else
            tell(&change->own, CHANGE_AGAIN, ERROR_NONE);
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

/* What concerns one user waits for one another, whatever it is; of the room as a whole, what is
 * of one kind. */
static struct pending_change *find(const struct room_host *room, const struct room_event *event)
{
    struct pending_change *change;

    list_for_each(change, &room->changes, link)
    {
        if (slice_eq(change->subject, event->subject) &&
            (event->subject.len > 0 || change->kind == event->kind))
            return change;
    }
    return NULL;
}

static struct entry *make_entry(struct host *host, const struct room_event *event)
{
    struct entry from = {
        .kind = event->kind, .version = 1, .user = event->user, .extra = event->extra};
    uint64_t key[2] = {host->config.incarnation, ++host->change_count};

    if (event->key)
        memcpy(from.dedupe, event->key, DEDUPE_LEN);
    else
        dedupe_key(DEDUPE_SHARD, event->user, slice_of(key, sizeof(key)), from.dedupe);
    return entry_new(&from);
}

static struct pending_change *change_new(struct room_host *room, const struct room_event *event)
{
    struct pending_change *c = calloc(1, sizeof(*c) + event->subject.len);

    if (!c)
        return NULL;
    c->request.on_settled = on_settled;
    c->room = room;
    c->kind = event->kind;
    c->has_key = event->key != NULL;
    c->subject = slice_of(c->bytes, event->subject.len);
    if (event->subject.len > 0)
        memcpy(c->bytes, event->subject.data, event->subject.len);
    list_init(&c->link);
    list_init(&c->own);
    list_init(&c->behind);
    return c;
}

/* 0: waits behind another one (*ret_change NULL), or is under way. */
static int start(struct room_host *room, const struct room_event *event,
                 struct change_wait *wait, struct pending_change **ret_change)
{
    struct commit_push push = {.ops = event->ops, .n_ops = event->n_ops};
    AUTO(entry_unref) struct entry *e = NULL;
    struct pending_change *c = find(room, event);
    int r;

    *ret_change = NULL;
    if (c && wait) {
        list_add_tail(&c->behind, &wait->link);
        return 0;
    }
    if (c)
        return -EBUSY;
    e = make_entry(room->host, event);
    c = e ? change_new(room, event) : NULL;
    if (!c)
        return -ENOMEM;
    push.entry = e;
    push.requester = &c->request;
    r = committer_push(&room->queue, &push);
    if (r) {
        free(c);
        return r == COMMIT_PUSH_FULL ? -EBUSY : r;
    }
    list_add_tail(&room->changes, &c->link);
    if (wait)
        list_add_tail(&c->own, &wait->link);
    *ret_change = c;
    return 0;
}

int change_start_event(struct room_host *room, const struct room_event *event,
                       struct change_wait *wait)
{
    struct pending_change *change;

    return start(room, event, wait, &change);
}

static struct slice audit_word(enum member_role old_role, enum member_role new_role)
{
    if (old_role == ROLE_NONE)
        return SLICE_LIT("member.add");
    return new_role == ROLE_NONE ? SLICE_LIT("member.remove") : SLICE_LIT("member.role");
}

/* What the change writes beside its entry. extra: of the entry. Returns how many. */
static size_t make_ops(const struct change *change, enum member_role old_role,
                       struct slice extra, struct side_op ops[CHANGE_OPS])
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
    } else if (change->actor.len > 0 && !slice_eq(change->actor, change->user)) {
        ops[n++] = (struct side_op){.kind = SIDE_AUDIT,
                                    .user = change->user,
                                    .actor = change->actor,
                                    .text = audit_word(old_role, change->role),
                                    .json = extra};
    }
    return n;
}

static void write_extra(struct buf *extra, const struct change *change,
                        enum member_role old_role)
{
    const struct change_moderation *m = change->moderation;
    enum membership_change what = old_role == ROLE_NONE       ? CHANGE_ADDED
                                  : change->role == ROLE_NONE ? CHANGE_REMOVED
                                                              : CHANGE_ROLE;

    if (m)
        extra_write_moderation(extra, m->action, m->by, m->expires_us);
    else
        extra_write_membership(extra, what, change->role);
}

int change_start(struct room_host *room, const struct change *change, struct change_wait *wait)
{
    enum member_role old_role = members_role(&room->members, change->user);
    struct buf *extra = &room->host->json2;
    struct side_op ops[CHANGE_OPS];
    struct room_event event = {.kind = change->moderation ? ENTRY_MODERATION : ENTRY_MEMBERSHIP,
                               .user = change->user,
                               .subject = change->user,
                               .key = change->moderation ? change->moderation->key : NULL,
                               .ops = ops};
    struct pending_change *c;
    int r;

    buf_clear(extra);
    write_extra(extra, change, old_role);
    if (buf_failed(extra))
        return -ENOMEM;
    event.extra = buf_slice(extra);
    event.n_ops = make_ops(change, old_role, event.extra, ops);
    r = start(room, &event, wait, &c);
    if (c) {
        c->takes_owner = old_role == ROLE_OWNER && change->role != ROLE_OWNER;
        room->owners_leaving += c->takes_owner;
        c->restrains = change->role < old_role ||
                       (change->moderation &&
                        (change->moderation->muted_us || change->moderation->banned_us));
        room->restraining += c->restrains;
    }
    return r;
}

void changes_cancel(struct room_host *room)
{
    while (!list_empty(&room->changes)) {
        struct pending_change *c = list_first(&room->changes, struct pending_change, link);

        unlink_change(c);
        tell(&c->own, CHANGE_MOVED, ERROR_NONE);
        tell(&c->behind, CHANGE_MOVED, ERROR_NONE);
        /* The committer still holds it and gives it back as dropped. */
    }
}

bool change_restrains(const struct room_host *room, struct slice user)
{
    const struct pending_change *c;

    if (room->restraining == 0)
        return false;
    list_for_each(c, &room->changes, link)
    {
        if (c->restrains && slice_eq(c->subject, user))
            return true;
    }
    return false;
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
