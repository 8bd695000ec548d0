/* client.c - see client.h. */
#include "tests/sim/property/client.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/json/json_write.h"
#include "common/wire/msg.h"
#include "tests/sim/property/answer.h"

#define RETRY_MS 150 /* after a retryable error */

struct pending {
    struct list link;
    struct pm_op *op;
};

static struct client *client_of(struct sim_socket *s)
{
    return container_of(s, struct client, socket);
}

int64_t client_now_us(const struct client *c)
{
    return env_wall_us(&c->world->database.env);
}

static void complain(const struct client *c, const char *what, struct slice text)
{
    sim_violation(&c->world->check, "%s: %s: %.*s", c->name, what,
                  (int)MIN(text.len, (size_t)400), text.data);
}

static void trace(const struct client *c, const char *what, struct slice text)
{
    if (c->world->options.is_talkative)
        sim_trace(c->world, "%s %s %.*s", c->name, what, (int)text.len, text.data);
}

/* ---- what it says ---- */

static void say(struct client *c, struct slice json)
{
    trace(c, "says", json);
    sim_socket_say(&c->socket, json);
}

static const char *name_of(const struct client *c, unsigned user)
{
    return c->world->users[user];
}

static void write_create(const struct client *c, struct json_writer *w, const struct pm_op *op)
{
    if (op->target_id)
        json_field_i64(w, "parentId", op->target_id);
    if (op->expires_in_s)
        json_field_u64(w, "expiresInSeconds", op->expires_in_s);
    if (op->asked == 0)
        return;
    json_field_str(w, "visibility", SLICE_LIT("whisper"));
    json_field_array(w, "visibleTo");
    for (unsigned i = 0; i < PM_USERS; i++) {
        if (i != op->user && (op->asked >> i & 1))
            json_write_str(w, slice_str(name_of(c, i)));
    }
    json_write_array_end(w);
}

static void write_change(struct json_writer *w, const struct pm_op *op)
{
    json_field_i64(w, "messageId", op->target_id);
    if (op->kind == PM_DELETE && op->is_hard)
        json_field_bool(w, "hard", true);
    if (op->kind == PM_REACTION) {
        json_field_str(w, "emoji", slice_str(pm_emoji[op->emoji]));
        json_field_str(w, "op", op->is_added ? SLICE_LIT("add") : SLICE_LIT("remove"));
    }
}

static void send_op(struct client *c, const struct pm_op *op)
{
    static const char *const types[] = {[PM_CREATE] = "message",
                                        [PM_EDIT] = "edit",
                                        [PM_DELETE] = "delete",
                                        [PM_REACTION] = "reaction"};
    AUTO_BUF buf = BUF_INIT;
    struct json_writer w = json_writer(&buf);
    char key[32];

    snprintf(key, sizeof(key), "op-%" PRIu64, op->number);
    json_write_object(&w);
    json_field_str(&w, "type", slice_str(types[op->kind]));
    json_field_str(&w, "roomId", slice_str(c->world->rooms[op->room]));
    json_field_str(&w, "userId", slice_str(name_of(c, PM_OWNER))); /* is never identity */
    json_field_str(&w, "frameId", slice_str(key));
    json_field_str(&w, "clientMessageId", slice_str(key));
    if (op->text)
        json_field_str(&w, "content", slice_str(op->text));
    if (op->kind == PM_CREATE)
        write_create(c, &w, op);
    else
        write_change(&w, op);
    json_write_object_end(&w);
    say(c, buf_slice(&buf));
}

void client_ask(struct client *c, struct pm_op *op)
{
    struct pending *p = calloc(1, sizeof(*p));

    if (!p)
        abort();
    p->op = op;
    list_add_tail(&c->pending, &p->link);
    c->n_pending++;
    if (c->is_live[op->room])
        send_op(c, op);
}

void client_resume(struct client *c, unsigned room)
{
    struct view *v = &c->views[room];
    struct sim_rng *rng = &c->world->sim.rng;
    AUTO_BUF buf = BUF_INIT;

    if (!c->is_live[room] || v->is_resuming)
        return;
    v->has_asked = v->is_resuming = true;
    memcpy(v->resumed, v->generation, sizeof(v->resumed));
    buf_printf(&buf,
               "{\"type\":\"resume\",\"roomId\":\"%s\",\"frameId\":\"resume\","
               "\"generation\":\"%s\",\"lastSeq\":%" PRIu64 "}",
               c->world->rooms[room], v->generation,
               sim_chance(rng, 300) ? 0
                                    : sim_range(rng, v->seq > 50 ? v->seq - 50 : 0, v->seq));
    say(c, buf_slice(&buf));
}

void client_type(struct client *c, unsigned room)
{
    AUTO_BUF buf = BUF_INIT;

    buf_printf(&buf, "{\"type\":\"typing\",\"isTyping\":true,\"roomId\":\"%s\"}",
               c->world->rooms[room]);
    if (c->is_live[room])
        say(c, buf_slice(&buf));
}

/* ---- what it is answered ---- */

static struct pending *find_pending(struct client *c, uint64_t number)
{
    struct pending *p;

    list_for_each(p, &c->pending, link)
    {
        if (p->op->number == number)
            return p;
    }
    return NULL;
}

static void drop(struct client *c, struct pending *p)
{
    list_del(&p->link);
    free(p);
    c->n_pending--;
}

static uint64_t number_of(const json_t *frame)
{
    struct slice id = frame_str(frame, "frameId");

    return id.len > 3 && memcmp(id.data, "op-", 3) == 0 ? strtoull(id.data + 3, NULL, 10) : 0;
}

static void on_ack(struct client *c, const json_t *frame, struct slice text)
{
    struct pm_op *op = pm_op_find(c->model, number_of(frame));
    struct pending *p;

    if (!op || op->user != c->config.user) {
        complain(c, "acknowledges what it did not ask for", text);
        return;
    }
    answer_on_ack(c, op, frame);
    p = find_pending(c, op->number);
    if (p) /* else it was sent twice, and answered before */
        drop(c, p);
}

static void on_retry(struct sim_socket *socket, uint64_t number)
{
    struct client *c = client_of(socket);
    struct pending *p = find_pending(c, number);

    if (p && c->is_live[p->op->room])
        send_op(c, p->op);
}

static void subscribe_again(struct sim_socket *socket, uint64_t room);

/* The room is left, the socket stays. */
static void on_unsubscribed(struct client *c, const json_t *frame, struct slice text)
{
    unsigned room = pm_room(frame_str(frame, "roomId"));

    if (room == PM_ROOMS || !c->config.is_many ||
        !json_is_true(json_object_get(frame, "retryable"))) {
        complain(c, "leaves a room without a cause", text);
        return;
    }
    c->is_live[room] = false;
    c->last_seq[room] = 0;
    view_disconnected(&c->views[room]);
    sim_socket_after(&c->socket, RETRY_MS, subscribe_again, room);
}

static void on_error(struct client *c, const json_t *frame, struct slice text)
{
    struct pm_op *op = pm_op_find(c->model, number_of(frame));
    bool is_retryable = json_is_true(json_object_get(frame, "retryable"));
    struct pending *p;

    if (slice_eq_str(frame_str(frame, "frameId"), "resume") && is_retryable) {
        for (unsigned i = 0; i < PM_ROOMS; i++)
            c->views[i].is_resuming = false; /* its pages may have been given, or not */
        return;
    }
    if (json_is_true(json_object_get(frame, "unsubscribed"))) {
        on_unsubscribed(c, frame, text);
        return;
    }
    if (!op || op->user != c->config.user) {
        complain(c, "an error without a cause", text);
        return;
    }
    p = find_pending(c, op->number);
    if (is_retryable) {
        if (p)
            sim_socket_after(&c->socket, RETRY_MS, on_retry, op->number);
        return;
    }
    answer_on_refusal(c, op, frame);
    if (p)
        drop(c, p);
}

/* ---- what it is shown ---- */

/* Whatever kind of frame it is: a text that somebody else was meant to see is not in it. */
static void check_secrets(const struct client *c, struct slice text)
{
    const char *at = text.data, *end = text.data + text.len;

    while ((at = memmem(at, (size_t)(end - at), "<#", 2)) != NULL) {
        const struct pm_op *op = pm_op_find(c->model, strtoull(at + 2, NULL, 10));
        const struct pm_message *m =
            op && op->kind == PM_EDIT ? pm_by_id(c->model, op->room, op->target_id) : NULL;
        const struct pm_op *create = m ? m->op : op;

        if (!create || !c->views[create->room].is_used || !pm_may_see(create, c->config.user))
            complain(c, "is shown what is not for it", text);
        at += 2;
    }
}

static void on_subscribed(struct client *c, unsigned room)
{
    struct pending *p, *next;

    c->is_live[room] = true;
    sim_socket_is_well(&c->socket);
    list_for_each_safe(p, next, &c->pending, link)
    {
        if (p->op->room == room && c->is_live[room])
            send_op(c, p->op);
    }
}

static void on_frame(struct sim_socket *socket, const json_t *frame, struct slice text)
{
    struct client *c = client_of(socket);
    struct slice type = frame_str(frame, "type"), name = frame_str(frame, "roomId");
    unsigned room = name.len ? pm_room(name) : PM_ROOMS;

    c->n_frames++;
    trace(c, "gets", text);
    check_secrets(c, text);
    if (slice_eq_str(type, "ack"))
        on_ack(c, frame, text);
    else if (slice_eq_str(type, "error"))
        on_error(c, frame, text);
    else if (name.len > 0 && (room == PM_ROOMS || !c->views[room].is_used))
        complain(c, "is told of a room that it is not in", text);
    else if (room < PM_ROOMS && view_on_frame(&c->views[room], type, frame) &&
             slice_eq_str(type, "subscription_succeeded"))
        on_subscribed(c, room);
}

/* ---- coming and going ---- */

static void on_dial(struct sim_socket *socket, struct session_params *params,
                    struct enter_params *enter)
{
    struct client *c = client_of(socket);
    struct sim_rng *rng = &c->world->sim.rng;
    struct view *v = &c->views[c->config.room];

    *params = (struct session_params){
        .project = SLICE_LIT(SIM_PROJECT),
        .user = slice_str(name_of(c, c->config.user)),
        .roles = c->config.user == PM_ADMIN ? SLICE_LIT("admin,member") : SLICE_LIT("member"),
        .native = c->config.is_native,
        .many_rooms = c->config.is_many,
    };
    v->limit = c->limit;
    *enter = (struct enter_params){
        .room = slice_str(c->world->rooms[c->config.room]),
        .attach_flags = (sim_chance(rng, 500) ? ATTACH_AS_REPLAY : 0u) |
                        (sim_chance(rng, 300) ? ATTACH_CACHE : 0u),
        .replay_limit = c->limit,
        .trace = SLICE_LIT("sim"),
    };
    if (c->config.is_native && v->has_cursor) {
        enter->attach_flags |= ATTACH_HAS_SEQ;
        enter->last_seq = v->seq;
        enter->generation = slice_str(v->generation);
    }
}

static void subscribe(struct client *c, unsigned room)
{
    struct view *v = &c->views[room];
    AUTO_BUF buf = BUF_INIT;

    v->limit = c->limit;
    buf_printf(&buf, "{\"type\":\"subscribe\",\"roomId\":\"%s\",\"replayLimit\":%u",
               c->world->rooms[room], c->limit);
    if (v->has_cursor)
        buf_printf(&buf, ",\"lastSeq\":%" PRIu64 ",\"generation\":\"%s\"", v->seq,
                   v->generation);
    buf_put_char(&buf, '}');
    trace(c, "says", buf_slice(&buf));
    session_on_text(c->socket.session, buf_slice(&buf));
}

static void subscribe_again(struct sim_socket *socket, uint64_t room)
{
    subscribe(client_of(socket), (unsigned)room);
    sim_turn_end(socket->world->edges[socket->edge].node);
}

static void on_open(struct sim_socket *socket)
{
    struct client *c = client_of(socket);

    for (unsigned i = 0; i < PM_ROOMS && c->config.is_many; i++) {
        if (socket->session)
            subscribe(c, i);
    }
}

static void on_gone(struct sim_socket *socket)
{
    struct client *c = client_of(socket);

    trace(c, "is", SLICE_LIT("away"));
    for (unsigned i = 0; i < PM_ROOMS; i++) {
        c->is_live[i] = false;
        c->last_seq[i] = 0;
        if (c->views[i].is_used)
            view_disconnected(&c->views[i]);
    }
}

static const struct sim_socket_events socket_events = {
    .on_dial = on_dial, .on_open = on_open, .on_frame = on_frame, .on_gone = on_gone};

void client_forget(struct client *c)
{
    static const uint32_t limits[] = {3, 10, 50, 500};

    sim_socket_hang_up(&c->socket, 0);
    if (c->socket.session)
        return; /* its gateway stands still */
    c->limit = limits[sim_range(&c->world->sim.rng, 0, ARRAY_LEN(limits) - 1)];
    for (unsigned i = 0; i < PM_ROOMS; i++) {
        if (c->views[i].is_used)
            view_forget(&c->views[i]);
    }
}

bool client_has_settled(const struct client *c)
{
    if (c->n_pending > 0)
        return false;
    for (unsigned i = 0; i < PM_ROOMS; i++) {
        const struct view *v = &c->views[i];
        uint64_t head = v->is_used ? sim_cluster_head(c->world, c->world->rooms[i]) : 0;

        if (v->is_used &&
            (!c->is_live[i] || v->is_resuming || (v->is_native && v->seq != head) ||
             !sim_socket_is_given(&c->socket, slice_str(c->world->rooms[i]), head)))
            return false;
    }
    return true;
}

void client_init(struct client *c, struct sim_world *world, struct pm_model *model,
                 const struct client_config *config, unsigned index)
{
    *c = (struct client){.world = world, .model = model, .config = *config, .limit = 500};
    snprintf(c->name, sizeof(c->name), "client-%u (u%u%s)", index, config->user,
             config->is_many     ? ", many rooms"
             : config->is_native ? ""
                                 : ", old");
    list_init(&c->pending);
    for (unsigned i = 0; i < PM_ROOMS; i++) {
        if (config->is_many || i == config->room)
            view_init(&c->views[i], model, c->name, i, config->user, config->is_native);
    }
    sim_socket_init(&c->socket, world, &socket_events, c->name, index);
    sim_socket_connect(&c->socket);
}

void client_deinit(struct client *c)
{
    sim_socket_deinit(&c->socket);
    while (!list_empty(&c->pending))
        drop(c, list_first(&c->pending, struct pending, link));
    for (unsigned i = 0; i < PM_ROOMS; i++) {
        if (c->views[i].is_used)
            view_deinit(&c->views[i]);
    }
}
