/* ask.c - see ask.h. */
#include "tests/sim/property/ask.h"

#include <inttypes.h>
#include <stdlib.h>

#include "common/base/buf.h"

#define PENDING_MAX 10
#define RECENT 25 /* most changes are of young messages */

static struct sim_rng *rng_of(const struct client *c)
{
    return &c->world->sim.rng;
}

static unsigned pick(const struct client *c, unsigned n)
{
    return (unsigned)sim_range(rng_of(c), 0, n - 1);
}

static unsigned pick_room(const struct client *c)
{
    return c->config.is_many ? pick(c, PM_ROOMS) : c->config.room;
}

/* A message of the room: mostly a young one. It may be one that the client may not see; but
 * what is committed and not shown yet to anybody, nobody can know of. NULL: there is none. */
static const struct pm_message *pick_message(const struct client *c, unsigned room)
{
    const struct pm_room *r = &c->model->rooms[room];
    const struct view *v = &c->views[room];
    size_t n = r->n_messages;
    size_t span = sim_chance(rng_of(c), 800) ? MIN(n, (size_t)RECENT) : n;
    const struct pm_message *m = n > 0 ? r->messages[n - 1 - pick(c, (unsigned)span)] : NULL;

    return m && (m->seq <= v->seq || view_find(v, m->id)) ? m : NULL;
}

/* One that the user wrote, when one is found quickly. */
static const struct pm_message *pick_own(const struct client *c, unsigned room)
{
    const struct pm_message *m = NULL;

    for (unsigned i = 0; i < 8; i++) {
        m = pick_message(c, room);
        if (m && m->op->user == c->config.user)
            break;
    }
    return m;
}

static void aim(const struct client *c, struct pm_op *op, const struct pm_message *m)
{
    const struct view_message *seen = view_find(&c->views[op->room], m->id);

    op->target_id = m->id;
    op->target_was_gone = seen && seen->is_deleted;
}

/* How often a text is as long as may be; then a few dozens of them fill a page. */
static unsigned long_per_mille(const struct client *c)
{
    return c->world->options.seed % 10 == 0 ? 400 : 10;
}

/* "<#number> some words", a mention now and then. */
static void write_text(const struct client *c, struct pm_op *op)
{
    AUTO_BUF text = BUF_INIT;
    size_t n = sim_chance(rng_of(c), long_per_mille(c)) ? 3900 : pick(c, 40);

    buf_printf(&text, "<#%" PRIu64 "> some words", op->number);
    if (sim_chance(rng_of(c), 300)) {
        unsigned user = pick(c, PM_USERS);

        op->mentions = UINT32_C(1) << user | UINT32_C(1) << PM_USERS; /* @channel */
        buf_printf(&text, " @u%u @channel", user);
    }
    for (size_t i = 0; i < n; i++)
        buf_put_str(&text, i == 0 ? " " : "\xe2\x82\xac");
    if (n == 1)
        text.len--; /* the server trims */
    op->text = slice_dup(buf_slice(&text));
    if (!op->text)
        abort();
}

static void choose_audience(const struct client *c, struct pm_op *op)
{
    unsigned n = 1 + pick(c, 3);

    op->asked = UINT32_C(1) << op->user;
    while (n > 0) {
        unsigned user = pick(c, PM_USERS);

        if (op->asked >> user & 1)
            continue;
        op->asked |= UINT32_C(1) << user;
        n--;
    }
    op->audience = op->asked;
}

static void ask_create(struct client *c, unsigned room)
{
    struct pm_op *op = pm_op_new(c->model, PM_CREATE, room, c->config.user);
    const struct pm_message *parent = sim_chance(rng_of(c), 150) ? pick_message(c, room) : NULL;

    write_text(c, op);
    if (parent)
        aim(c, op, parent);
    if (sim_chance(rng_of(c), 250))
        choose_audience(c, op);
    if (parent && !op->asked) /* a reply is for those who may see what it replies to */
        op->audience = parent->op->audience;
    if (sim_chance(rng_of(c), 100))
        op->expires_in_s = 60 + pick(c, 30);
    client_ask(c, op);
}

static void ask_edit(struct client *c, unsigned room)
{
    const struct pm_message *m =
        sim_chance(rng_of(c), 900) ? pick_own(c, room) : pick_message(c, room);
    struct pm_op *op;

    if (!m)
        return;
    op = pm_op_new(c->model, PM_EDIT, room, c->config.user);
    write_text(c, op);
    aim(c, op, m);
    client_ask(c, op);
}

static void ask_delete(struct client *c, unsigned room)
{
    bool is_any = c->config.user <= PM_ADMIN || sim_chance(rng_of(c), 100);
    const struct pm_message *m = is_any ? pick_message(c, room) : pick_own(c, room);
    struct pm_op *op;

    if (!m)
        return;
    op = pm_op_new(c->model, PM_DELETE, room, c->config.user);
    op->is_hard = sim_chance(rng_of(c), c->config.user == PM_ADMIN ? 400 : 30);
    aim(c, op, m);
    client_ask(c, op);
}

static void ask_reaction(struct client *c, unsigned room)
{
    const struct pm_message *m = pick_message(c, room);
    struct pm_op *op;

    if (!m)
        return;
    op = pm_op_new(c->model, PM_REACTION, room, c->config.user);
    op->emoji = pick(c, PM_EMOJI);
    op->is_added = sim_chance(rng_of(c), 600);
    for (unsigned i = 0; i < PM_EMOJI && !op->is_added; i++) {
        if (m->stored.reactions[i] >> op->user & 1)
            op->emoji = i; /* there is one to take back */
    }
    aim(c, op, m);
    client_ask(c, op);
}

/* Of a message that never was. */
static void ask_nonsense(struct client *c, unsigned room)
{
    struct pm_op *op = pm_op_new(c->model, PM_REACTION, room, c->config.user);

    op->is_added = true;
    op->target_id = sim_chance(rng_of(c), 500) ? INT64_C(900000000000) : 1;
    client_ask(c, op);
}

void ask_something(struct client *c)
{
    unsigned dice = pick(c, 1000), room = pick_room(c);

    if (dice < 930 && c->n_pending >= PENDING_MAX)
        return;
    if (dice < 350)
        ask_create(c, room);
    else if (dice < 560)
        ask_edit(c, room);
    else if (dice < 640)
        ask_delete(c, room);
    else if (dice < 920)
        ask_reaction(c, room);
    else if (dice < 930)
        ask_nonsense(c, room);
    else if (dice < 945)
        client_type(c, room);
    else if (dice < 965 && c->config.is_native)
        client_resume(c, room);
    else if (dice < 980)
        sim_socket_hang_up(&c->socket, 0);
    else if (dice < 990)
        sim_socket_hang_up(&c->socket, sim_range(rng_of(c), 200, 5000));
    else if (dice < 995)
        client_forget(c);
}
