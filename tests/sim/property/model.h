/*
 * model.h - what is true: what clients asked for, what the store has committed,
 * and, event by event in the order of their numbers, what each message is by
 * that. Plain rules over plain arrays, independent of the code that is tested.
 *
 * Three sources are held against each other: the operations (what was asked
 * for), the commits (which number belongs to which message, and the images that
 * were stored), and the facts that clients learn from acknowledgements and live
 * frames (what happened at a number). An event of which nobody has learned, as
 * when the asker lost its connection, is taken from the stored image.
 */
#pragma once

#include "shard/store/store.h"
#include "tests/sim/sim_check.h"
#include "tests/support/sim_db.h"

#define PM_USERS 12
#define PM_ROOMS 3
#define PM_EMOJI 4

#define PM_OWNER 0     /* of the rooms: may delete what others wrote */
#define PM_MODERATOR 1 /* likewise */
#define PM_ADMIN 2     /* of the project: may delete for good, too */

enum pm_kind { PM_NONE, PM_CREATE, PM_EDIT, PM_DELETE, PM_REACTION, PM_EXPIRE };

/* What a client asked for. */
struct pm_op {
    uint64_t number; /* from 1 */
    enum pm_kind kind;
    unsigned room, user;
    int64_t target_id; /* of the message that is changed; of the parent of a new one, or 0 */
    char *text;        /* CREATE, EDIT: begins with <#number>, so is unique */
    uint32_t mentions; /* users named in it, as bits; PM_USERS stands for a group */
    uint32_t asked;    /* CREATE: the audience that it names, the author too; 0: none */
    uint32_t audience; /* who may see it by that, and by what it replies to; 0: everybody */
    unsigned expires_in_s;
    bool is_hard, is_added;
    unsigned emoji;

    bool target_was_gone; /* as the client saw it when it asked */
    uint64_t seq;         /* at which it was done: CREATE, when committed; EDIT, when learned */
};

/* The part of a message that changes. */
struct pm_state {
    uint64_t text; /* number of the operation that wrote it; 0: it is deleted */
    uint32_t version;
    bool is_deleted, is_hard, is_expired;
    uint32_t reactions[PM_EMOJI]; /* users, as bits */
};

struct pm_message {
    uint64_t seq;
    int64_t id;
    const struct pm_op *op; /* that made it */
    int64_t expires_us;
    struct pm_state now;    /* by the model, after the events that are settled */
    struct pm_state stored; /* as committed last */
    bool is_unsure;         /* an event of it is not known: the next stored image tells */
};

/* What happened at a number, as clients learn it. */
struct pm_fact {
    enum pm_kind kind;
    uint64_t text; /* EDIT: number of the operation */
    unsigned actor;
    unsigned emoji;
    bool is_added, is_hard;
};

struct pm_event {
    bool is_committed;
    uint64_t target; /* seq of the message; 0: not known */
    struct pm_fact fact;
    bool has_image; /* the message as it was stored with this event last */
    struct pm_state image;
};

struct pm_room {
    struct pm_event *events; /* by seq - 1 */
    size_t n_events, cap_events;
    struct pm_message **messages; /* by seq, and so by id */
    size_t n_messages, cap_messages;
    uint64_t settled;
};

struct pm_model {
    struct sim_check *check;
    struct pm_op **ops;
    size_t n_ops, cap_ops;
    struct pm_room rooms[PM_ROOMS];
    uint64_t n_learned, n_adopted; /* events that clients, or only the store, told of */
};

extern const char *const pm_emoji[PM_EMOJI];
const char *pm_kind_name(enum pm_kind kind);
unsigned pm_user(struct slice name); /* PM_USERS: nobody */
unsigned pm_room(struct slice name); /* PM_ROOMS: none */
unsigned pm_emoji_find(struct slice name);

void pm_init(struct pm_model *model, struct sim_check *check);
void pm_deinit(struct pm_model *model);

/* ---- asked for ---- */
struct pm_op *pm_op_new(struct pm_model *model, enum pm_kind kind, unsigned room,
                        unsigned user);
struct pm_op *pm_op_find(const struct pm_model *model, uint64_t number); /* or NULL */
/* The operation that wrote this text; 0: it is empty. A violation when it is nobody's. */
uint64_t pm_text_find(struct pm_model *model, struct slice text);

/* ---- committed ---- */
void pm_on_commit(struct pm_model *model, const struct batch_room *room);
struct pm_message *pm_by_seq(const struct pm_model *model, unsigned room, uint64_t seq);
struct pm_message *pm_by_id(const struct pm_model *model, unsigned room, int64_t id);
/* Its time is over or about to be: it may be shown or not, and will be buried. */
bool pm_is_over(const struct pm_message *message, int64_t now_us);
/* No message of the room is in that state. */
bool pm_is_buried(const struct pm_model *model, unsigned room, int64_t now_us);
bool pm_may_see(const struct pm_op *create, unsigned user);
/* The event, when it is committed; else NULL, and a violation. */
const struct pm_event *pm_event(struct pm_model *model, unsigned room, uint64_t seq,
                                const char *who);

/* ---- learned ---- */
/* who: is told in violations. */
void pm_learn(struct pm_model *model, unsigned room, uint64_t seq, int64_t target_id,
              const struct pm_fact *fact, const char *who);

/* ---- true ---- */
/* Plays the events that are new and compares with the stored images. */
void pm_settle(struct pm_model *model, unsigned room);
/* The model's messages and the store's rows are the same. */
void pm_compare_store(struct pm_model *model, unsigned room, const struct sim_room *stored);
