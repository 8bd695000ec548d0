/* mutate.c - see mutate.h. Nothing is shown or acknowledged here: that is release.c. */
#include "shard/host/mutate.h"

#include <errno.h>
#include <stdio.h>

#include "shard/host/change.h"
#include "shard/host/publish.h"
#include "shard/metrics.h"
#include "shard/room/extra.h"
#include "shard/room/reactions.h"

static int refuse(struct mutate *m, enum error_code code, const char *detail)
{
    m->error = code;
    m->detail = detail;
    return MUTATE_REFUSED;
}

static int check_rate(struct room_host *room, struct mutate *m)
{
    uint64_t wait_ms;

    if (m->is_resent || m->is_charged)
        return 0;
    wait_ms =
        limiter_take(&room->limiter, m->user, LIMITER_CHANGE, env_now_ms(room->host->env));
    if (wait_ms == 0)
        return 0;
    room->host->metrics->limited++;
    m->retry_after_ms = wait_ms;
    (void)snprintf(m->detail_bytes, sizeof(m->detail_bytes), "retry in %llus",
                   (unsigned long long)((wait_ms + 999) / 1000));
    return refuse(m, ERROR_rate_limit_exceeded, m->detail_bytes);
}

/* What the caller may do in this room, whatever the message. */
static int check_actor(struct room_host *room, struct mutate *m)
{
    struct actor actor = room_actor(room, m->user, m->project_roles);
    enum error_code why = ERROR_NONE;

    if (rules_enter(&actor) != ENTER_YES)
        return refuse(m, rules_refuse_read(&actor), "");
    switch (m->what.kind) {
    case MUTATION_EDIT:
        why = rules_refuse_write(&actor);
        if (why == ERROR_NONE)
            why = room_refuse_content(room, m->what.content);
        break;
    case MUTATION_DELETE:
        m->what.is_any_author = rules_is_moderator(&actor);
        break;
    case MUTATION_REACTION:
        why = rules_refuse_reaction(&actor);
        if (why == ERROR_NONE && !reaction_emoji_is_valid(m->what.emoji))
            why = ERROR_invalid_emoji;
        break;
    case MUTATION_EXPIRE:
    case MUTATION_STREAM_END:
        why = ERROR_bad_request;
        break;
    }
    if (why == ERROR_NONE && change_restrains(room, m->user))
        return refuse(m, ERROR_unavailable, "what you may do here is just being changed");
    return why == ERROR_NONE ? 0 : refuse(m, why, "");
}

/* 0: *ret_base is the message, which the caller may see. */
static int find_base(struct room_host *room, struct mutate *m, struct entry **ret_base)
{
    struct entry *base = NULL;
    enum found found = find_in_memory(room, m->message_id, &base);

    if (found == FOUND_UNKNOWN && m->base) {
        base = m->base;
        found = FOUND_YES;
    }
    if (found == FOUND_UNKNOWN && !m->is_missing)
        return MUTATE_FIND;
    /* Who has read it from the store may know of it before we do: between its commit and the
     * answer, which may be long when the answer is lost. */
    if (found == FOUND_NO && m->message_id > room->queue.head.last_id &&
        !commit_queue_is_empty(&room->queue))
        return refuse(m, ERROR_unavailable, "the room is just being written to");
    if (found != FOUND_YES || !entry_is_visible(base, m->user))
        return refuse(m, ERROR_message_not_found, "");
    *ret_base = base;
    return 0;
}

/* Only of a message that the caller may see is he told what he may not do with it. */
static int check_hard(struct room_host *room, struct mutate *m)
{
    struct actor actor = room_actor(room, m->user, m->project_roles);

    if (m->what.kind != MUTATION_DELETE || !m->what.is_hard || rules_may_delete_hard(&actor))
        return 0;
    return refuse(m, ERROR_forbidden, "a hard delete needs an administrator");
}

/* Mentions anew, from the new text; attachments stay. */
static int fill_extra(struct room_host *room, struct mutate *m, const struct entry *base,
                      struct commit_push *push, struct side_op ops[MENTIONS_MAX])
{
    struct buf *extra = &room->host->json2;
    struct mentions mentions;

    if (m->what.kind != MUTATION_EDIT)
        return 0;
    mentions_find(&mentions, m->what.content, &room->members, base->visible_to);
    push->n_ops = room_mention_ops(&mentions, base->user, ops);
    buf_clear(extra);
    extra_write_edit(extra, &mentions, base);
    m->what.extra = buf_slice(extra);
    return buf_failed(extra) ? -ENOMEM : 0;
}

/* An office was used: it is written down. */
static size_t audit(const struct mutate *m, const struct entry *base, struct side_op *op,
                    char id[24])
{
    int len;

    if (m->what.kind != MUTATION_DELETE || slice_eq(base->user, m->user))
        return 0;
    len = snprintf(id, 24, "%lld", (long long)base->id);
    *op = (struct side_op){.kind = SIDE_AUDIT,
                           .actor = m->user,
                           .user = slice_of(id, (size_t)len),
                           .text = m->what.is_hard ? SLICE_LIT("message.delete_hard")
                                                   : SLICE_LIT("message.delete")};
    return 1;
}

int room_mutate(struct room_host *room, struct mutate *m)
{
    AUTO(mutation_unref) struct mutation *mutation = NULL;
    struct side_op ops[MENTIONS_MAX];
    struct commit_push push = {.key = m->key,
                               .is_suspect = m->is_resent,
                               .sender = m->sender,
                               .requester = m->request,
                               .ops = ops};
    struct entry *base = NULL;
    char id[24];
    int r;

    m->what.actor = m->user;
    r = check_actor(room, m);
    if (r)
        return r;
    r = check_rate(room, m);
    if (r)
        return r;
    r = find_base(room, m, &base);
    if (r)
        return r;
    r = check_hard(room, m);
    if (r)
        return r;
    r = fill_extra(room, m, base, &push, ops);
    if (r < 0)
        return r;
    mutation = mutation_new(&m->what);
    if (!mutation)
        return -ENOMEM;
    push.entry = base;
    push.mutation = mutation;
    push.n_ops += audit(m, base, &ops[push.n_ops], id);
    r = committer_push(&room->queue, &push);
    return r == COMMIT_PUSH_FULL ? refuse(m, ERROR_unavailable, "too much is waiting") : r;
}

enum error_code mutate_error_of(const struct commit_result *result)
{
    return result->outcome == COMMIT_REJECTED ? result->error
                                              : publish_error_of(result->outcome);
}
