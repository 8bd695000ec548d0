/* answer.c - see answer.h. */
#include "tests/sim/property/answer.h"

#include <inttypes.h>

/* What the operation is about, when it exists and its author may see it. */
static const struct pm_message *visible_target(const struct pm_model *model,
                                               const struct pm_op *op)
{
    const struct pm_message *m = pm_by_id(model, op->room, op->target_id);

    return m && pm_may_see(m->op, op->user) ? m : NULL;
}

static bool has_office(const struct pm_op *op)
{
    return op->user == PM_OWNER || op->user == PM_MODERATOR || op->user == PM_ADMIN;
}

/* The word with which it must be refused, whenever it comes; NULL: none. */
static const char *must_refuse(const struct pm_model *model, const struct pm_op *op)
{
    const struct pm_message *m = visible_target(model, op);

    if (op->target_id == 0)
        return NULL;
    if (!m)
        return "message_not_found";
    if (op->kind == PM_DELETE && op->is_hard && op->user != PM_ADMIN)
        return "forbidden";
    if (op->kind == PM_EDIT && m->op->user != op->user)
        return op->target_was_gone ? "message_deleted" : "forbidden";
    if (op->kind == PM_DELETE && m->op->user != op->user && !has_office(op))
        return "forbidden";
    if (op->target_was_gone && (op->kind == PM_EDIT || op->kind == PM_REACTION))
        return "message_deleted";
    if (op->target_was_gone && op->kind == PM_CREATE)
        return "message_not_found";
    if (op->kind == PM_CREATE && m->op->audience && (op->asked & ~m->op->audience))
        return "invalid_visibility"; /* it would tell others of the whisper */
    return NULL;
}

/* Words that are right when the message was deleted while the operation was under way, or when
 * its time was over. */
static bool may_refuse(const struct client *c, const struct pm_op *op, struct slice code)
{
    const struct pm_message *m = visible_target(c->model, op);

    if (!m || !(m->stored.is_deleted || pm_is_over(m, client_now_us(c))))
        return false;
    if (op->kind == PM_EDIT || op->kind == PM_REACTION)
        return slice_eq_str(code, "message_deleted");
    return op->kind == PM_CREATE && slice_eq_str(code, "message_not_found");
}

static void complain(const struct client *c, const struct pm_op *op, const char *what,
                     const json_t *frame)
{
    char *text = json_dumps(frame, JSON_COMPACT);

    sim_violation(&c->world->check,
                  "%s: op %" PRIu64 " (%s of message %" PRId64 " in room-%u) %s: %s", c->name,
                  op->number, pm_kind_name(op->kind), op->target_id, op->room, what,
                  text ? text : "");
    free(text);
}

void answer_on_refusal(struct client *c, const struct pm_op *op, const json_t *frame)
{
    struct slice code = frame_str(frame, "code");
    const char *word = must_refuse(c->model, op);

    c->n_refused++;
    if (!(word && slice_eq_str(code, word)) && !may_refuse(c, op, code))
        complain(c, op, "was refused for a wrong reason", frame);
}

/* ---- done ---- */

static void check_created(struct client *c, const struct pm_op *op, const json_t *frame)
{
    const struct pm_message *m = pm_by_id(c->model, op->room, (int64_t)frame_u64(frame, "id"));

    if (!m || m->op != op || m->seq != frame_u64(frame, "seq"))
        complain(c, op, "was acknowledged with the numbers of another message", frame);
}

static void check_changed(struct client *c, const struct pm_op *op, const json_t *frame)
{
    struct pm_fact fact = {.kind = op->kind,
                           .text = op->number,
                           .actor = op->user,
                           .emoji = op->emoji,
                           .is_added = op->is_added,
                           .is_hard = op->is_hard};
    uint64_t seq = frame_u64(frame, "seq");
    const struct pm_event *event = pm_event(c->model, op->room, seq, c->name);
    const struct pm_message *m = visible_target(c->model, op);
    /* What is so already has no number of its own, but an edit always has one. */
    bool has_number = op->kind == PM_EDIT || !json_is_true(json_object_get(frame, "duplicate"));

    if (!m || (int64_t)frame_u64(frame, "id") != m->id || (event && event->target != m->seq))
        complain(c, op, "was acknowledged with the numbers of another message", frame);
    else if (has_number)
        pm_learn(c->model, op->room, seq, m->id, &fact, c->name);
}

void answer_on_ack(struct client *c, struct pm_op *op, const json_t *frame)
{
    bool is_new = !json_is_true(json_object_get(frame, "duplicate"));
    uint64_t seq = frame_u64(frame, "seq");

    c->n_acks++;
    if (must_refuse(c->model, op))
        complain(c, op, "was done, though it must not", frame);
    if (is_new && seq <= c->last_seq[op->room])
        complain(c, op, "was done before what was asked for earlier", frame);
    if (is_new)
        c->last_seq[op->room] = seq;
    if (op->kind == PM_CREATE)
        check_created(c, op, frame);
    else
        check_changed(c, op, frame);
}
