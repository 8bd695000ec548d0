/*
 * publish.c - the write path, top to bottom. Nothing is acknowledged or fanned
 * out here: that is release.c, after the commit.
 */
#include "shard/host/publish.h"

#include <errno.h>

#include "common/base/limits.h"
#include "shard/host/change.h"
#include "shard/metrics.h"
#include "shard/room/audience.h"
#include "shard/room/extra.h"
#include "shard/room/words.h"

static int refuse(struct publish *p, enum error_code code, const char *detail)
{
    p->error = code;
    p->detail = detail;
    return PUBLISH_REFUSED;
}

static int refuse_for(struct room_host *room, struct publish *p, enum error_code code,
                      uint64_t wait_ms)
{
    room->host->metrics->limited++;
    p->retry_after_ms = wait_ms;
    (void)snprintf(p->detail_bytes, sizeof(p->detail_bytes), "retry in %llus",
                   (unsigned long long)((wait_ms + 999) / 1000));
    return refuse(p, code, p->detail_bytes);
}

/* What the gateway sends again has been let through once. */
static int check_rate(struct room_host *room, struct publish *p)
{
    uint64_t wait_ms;

    if (p->is_resent || p->is_charged || p->by_office)
        return 0;
    wait_ms = limiter_take(&room->limiter, p->user, p->way, env_now_ms(room->host->env));
    return wait_ms == 0 ? 0 : refuse_for(room, p, ERROR_rate_limit_exceeded, wait_ms);
}

/* Last of all, so that what is refused for another reason costs nobody his turn. */
static int check_slow_mode(struct room_host *room, struct publish *p, const struct actor *actor)
{
    uint64_t wait_ms;

    if (p->is_resent || p->by_office || rules_is_moderator(actor))
        return 0;
    wait_ms =
        limiter_take(&room->slow_limiter, p->user, LIMITER_SOCKET, env_now_ms(room->host->env));
    return wait_ms == 0 ? 0 : refuse_for(room, p, ERROR_slow_mode, wait_ms);
}

/* May he write here? */
static int check_actor(struct publish *p, const struct actor *actor)
{
    enum error_code why = p->by_office ? ERROR_NONE : rules_refuse_write(actor);

    return why == ERROR_NONE ? 0 : refuse(p, why, "");
}

/* And this? */
static int check_content(const struct room_host *room, struct publish *p)
{
    enum error_code why =
        p->by_office ? ERROR_NONE : room_refuse_content(room, p->message->content);

    return why == ERROR_NONE ? 0 : refuse(p, why, "");
}

/* 0: there is none (*ret_parent NULL), or it exists and the author may see it. */
static int check_parent(struct room_host *room, struct publish *p, struct entry **ret_parent)
{
    struct entry *parent = p->parent_entry;
    enum found found = p->parent;

    if (p->message->parent_id == 0)
        return 0;
    if (found == FOUND_UNKNOWN)
        found = find_in_memory(room, p->message->parent_id, &parent);
    if (found == FOUND_UNKNOWN)
        return PUBLISH_FIND_PARENT;
    if (found == FOUND_NO || !entry_is_live(parent, host_now_us(room->host)) ||
        !entry_is_visible(parent, p->user))
        return refuse(p, ERROR_message_not_found, "the message replied to");
    *ret_parent = parent;
    return 0;
}

/* A reply tells whoever sees it of the message that it answers: a reply to a whisper is for
 * those of the whisper, all of them unless it names some. */
static int follow_parent(struct publish *p, const struct entry *parent)
{
    if (!parent || parent->visible_to.len == 0)
        return 0;
    if (p->is_streaming || p->message->is_open)
        return refuse(p, ERROR_invalid_visibility, "a reply to a whisper must be a whisper");
    if (!p->message->is_whisper)
        buf_put_slice(&p->visible_to, parent->visible_to);
    else if (!audience_includes(parent->visible_to, buf_slice(&p->visible_to)))
        return refuse(p, ERROR_invalid_visibility,
                      "visibleTo names somebody who may not see the message replied to");
    return buf_failed(&p->visible_to) ? -ENOMEM : 0;
}

/* The list in p->visible_to: the author first, then whom he names, each once. */
static int fill_visible_to(struct room_host *room, struct publish *p,
                           const struct entry *parent)
{
    buf_clear(&p->visible_to);
    if (!p->message->is_whisper)
        return follow_parent(p, parent);
    switch (audience_write(&p->visible_to, p->user, p->message->visible_to, &room->members)) {
    case 0:
        return buf_failed(&p->visible_to) ? -ENOMEM : follow_parent(p, parent);
    case AUDIENCE_NOT_MEMBER:
        return refuse(p, ERROR_invalid_visibility, "visibleTo names somebody who is no member");
    case AUDIENCE_EMPTY:
        return refuse(p, ERROR_invalid_visibility, "nobody is named but the author");
    default:
        return refuse(p, ERROR_invalid_visibility, "too many users");
    }
}

static int check_expiry(struct room_host *room, struct publish *p)
{
    int64_t now_us = host_now_us(room->host), in_us;

    if (p->message->expires_us)
        p->expires_us = p->message->expires_us;
    else if (p->message->expires_in_s)
        p->expires_us = now_us + p->message->expires_in_s * 1000000;
    else
        return 0;
    in_us = p->expires_us - now_us;
    /* A second of grace for what was under way. */
    if (in_us < (EXPIRY_MIN_S - 1) * INT64_C(1000000) ||
        in_us > EXPIRY_MAX_S * INT64_C(1000000))
        return refuse(p, ERROR_invalid_expiry, "");
    return 0;
}

static struct entry *make_entry(struct room_host *room, const struct publish *p,
                                const struct mentions *mentions)
{
    struct buf *extra = &room->host->json2;
    struct entry from = {.kind = ENTRY_MESSAGE,
                         .version = 1,
                         .parent_id = p->message->parent_id,
                         .expires_us = p->expires_us,
                         .visible_to = buf_slice(&p->visible_to),
                         .flags = p->is_streaming ? ENTRY_STREAMING : 0,
                         .user = p->user,
                         .client_id = p->message->client_id,
                         .content = p->message->content};

    buf_clear(extra);
    extra_write_message(extra, p->message, mentions, p->dedupe);
    if (buf_failed(extra))
        return NULL;
    from.extra = buf_slice(extra);
    memcpy(from.dedupe, p->dedupe, DEDUPE_LEN);
    return entry_new(&from);
}

size_t room_mention_ops(const struct mentions *mentions, struct slice author,
                        struct side_op ops[MENTIONS_MAX])
{
    size_t n = 0;

    for (size_t i = 0; i < mentions->n; i++) {
        if (!slice_eq(mentions->names[i], author))
            ops[n++] = (struct side_op){.kind = SIDE_MENTION, .user = mentions->names[i]};
    }
    return n;
}

int room_publish(struct room_host *room, struct publish *p)
{
    struct actor actor = room_actor(room, p->user, p->project_roles);
    AUTO(entry_unref) struct entry *e = NULL;
    struct side_op ops[MENTIONS_MAX + 1];
    struct commit_push push = {
        .is_suspect = p->is_suspect, .sender = p->sender, .requester = p->request, .ops = ops};
    struct entry *parent = NULL;
    struct mentions mentions;
    int r;

    r = check_actor(p, &actor);
    if (r)
        return r;
    p->original = tail_find(&room->tail, p->dedupe);
    if (p->original)
        return PUBLISH_DUPLICATE;
    if (change_restrains(room, p->user))
        return refuse(p, ERROR_unavailable, "what you may do here is just being changed");
    r = check_content(room, p);
    if (r)
        return r;
    r = check_rate(room, p);
    if (r)
        return r;
    r = check_parent(room, p, &parent);
    if (r)
        return r;
    r = check_expiry(room, p);
    if (r)
        return r;
    r = fill_visible_to(room, p, parent);
    if (r)
        return r;
    mentions_find(&mentions, p->message->content, &room->members, buf_slice(&p->visible_to));
    push.n_ops = room_mention_ops(&mentions, p->user, ops);
    if (p->by_office)
        ops[push.n_ops++] = (struct side_op){
            .kind = SIDE_AUDIT, .actor = p->user, .text = SLICE_LIT("room.announcement")};
    r = check_slow_mode(room, p, &actor);
    if (r)
        return r;
    e = make_entry(room, p, &mentions);
    if (!e)
        return -ENOMEM;
    push.entry = e;
    r = committer_push(&room->queue, &push);
    if (r == 0)
        return 0;
    if (!p->is_resent && !p->by_office)
        room_publish_refund(room, p->user, p->way);
    return r == COMMIT_PUSH_FULL ? refuse(p, ERROR_unavailable, "too much is waiting") : r;
}

void room_publish_refund(struct room_host *room, struct slice user, enum limiter_way way)
{
    limiter_refund(&room->limiter, user, way, env_now_ms(room->host->env));
    limiter_refund(&room->slow_limiter, user, LIMITER_SOCKET, env_now_ms(room->host->env));
}

enum error_code room_refuse_content(const struct room_host *room, struct slice content)
{
    const struct room_settings *settings = &room->facts.settings;

    return words_find(content, settings->blocked_words, settings->n_blocked_words, false) <
                   content.len
               ? ERROR_blocked_content
               : ERROR_NONE;
}

enum error_code publish_error_of(enum commit_outcome outcome)
{
    switch (outcome) {
    case COMMIT_NOTHING:
    case COMMIT_REJECTED:
    case COMMIT_REFUSED:
        return ERROR_bad_request;
    case COMMIT_UNAVAILABLE:
        return ERROR_unavailable;
    case COMMIT_UNKNOWN:
        return ERROR_outcome_unknown;
    case COMMIT_DONE:
    case COMMIT_DUPLICATE:
    case COMMIT_DROPPED:
        break;
    }
    return ERROR_internal_error;
}
