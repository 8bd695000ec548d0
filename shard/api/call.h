/*
 * call.h - one call from its arrival to its reply. Handlers work on it step by
 * step: each step replies, or starts one thing whose callback is the next step.
 * The memory lives until nothing (store, committer) holds it any more.
 */
#pragma once

#include <jansson.h>

#include "common/base/buf.h"
#include "common/base/fair.h"
#include "common/json/errors.h"
#include "common/json/json_read.h"
#include "common/wire/msg.h"
#include "shard/api/api.h"
#include "shard/api/idempotency.h"
#include "shard/host/change.h"
#include "shard/host/find.h"
#include "shard/host/lookup.h"
#include "shard/host/room_host.h"
#include "shard/room/rules.h"

struct call;
struct gather;

/* What an operation needs before its handler runs. */
enum call_object {
    CALL_OBJECT_NONE,     /* any shard */
    CALL_OBJECT_PROJECT,  /* we own the project */
    CALL_OBJECT_USER,     /* we own the user, whose id is call->room_id */
    CALL_OBJECT_ROOM,     /* we own the room, and it is active; a room that does not exist is
                             `forbidden` */
    CALL_OBJECT_NEW_ROOM, /* we own the room; the handler also runs (with NULL) when there is
                             none */
};

/* Runs a call. room: active, for the ROOM objects. */
typedef void (*call_handler_fn)(struct call *call, struct room_host *room);

struct call {
    struct gate_client client; /* on gate's list */
    struct list in_api;
    struct api *api;
    struct host *host; /* not to be touched once the call is answered */
    struct env *env;
    struct file_store *files; /* likewise */
    struct key_drops *drops;  /* likewise */
    struct gate *gate;        /* NULL: forgotten, nobody hears the reply */
    const struct call_row *row;
    uint64_t number;
    uint32_t op;
    unsigned project_roles;
    uint64_t started_us; /* env_mono_us() */
    json_t *params;
    bool is_answered;
    bool is_writing; /* with the committer: without an answer it is not known whether it was
                        done */
    size_t held;     /* callbacks to come that cannot be taken back */
    struct timer deadline;
    struct fair_item turn; /* call_turn.h */
    struct later dead;
    struct slice object, project, room_id, user, key, trace; /* point into bytes */
    struct idempotency idempotency;
    struct slice data; /* of the message; only while the handler is called for the first time */

    /* What it may wait for; each at most once at a time. */
    struct room_wait room_wait;
    struct change_wait change_wait;
    struct lookup_wait lookup_wait;
    struct read_wait read_wait;
    struct room_request request;
    void (*on_rows)(struct call *call, const struct query_rows *rows); /* query.h */
    /* The handler's own. */
    struct {
        bool is_created; /* ROOM_CREATE: by this call */
        uint8_t dedupe[DEDUPE_LEN];
        struct slice target; /* MEMBER_*: the user; points into params */
        enum member_role role;
        struct history *history;
        struct gather *gather; /* USER_EVENT, CONNECTION*: under way; NULL: none */
        size_t n_delivered;    /* USER_EVENT: to the user's channel */
        int64_t expires_us;    /* MODERATE */
        enum found found;      /* the message that is named: the parent, or the one to change */
        struct entry *named;   /* YES: owned reference */
        int64_t limit;         /* of a list: rows in the answer */
        struct buf page;       /* NOTIFICATIONS_LIST: the answer as far as it is made */
    } verb;
    char bytes[];
};

struct file_store;

struct call_turns;
struct call_turns *call_turns_of(struct api *api);

struct call_row {
    enum call_object object;
    call_handler_fn handler;
};

/* ---- replies: the call is over; the caller returns and touches it no more ---- */

void call_reply(struct call *call, unsigned status, struct slice body);
void call_reply_buf(struct call *call, const struct buf *body);                /* 200 */
void call_reply_data(struct call *call, struct slice data);                    /* 200 */
void call_reply_page(struct call *call, struct slice body, struct slice data); /* 200 */
void call_reply_ok(struct call *call); /* 200, {"ok":true} */
/* detail may be empty. */
void call_refuse(struct call *call, enum error_code code, const char *detail,
                 uint64_t retry_after_ms);
void call_refuse_fields(struct call *call, const struct json_fields *fields);
/* Looks up the message that the caller names and runs the handler again with verb.found and
 * verb.named; refuses when the store cannot say. */
void call_find_message(struct call *call, struct room_host *room, int64_t id);
/* The object lives elsewhere: look again. */
void call_moved(struct call *call);

/* For idempotency.c: goes out as it is. */
void call_send(struct call *call, unsigned status, struct slice body, uint64_t retry_after_ms);

/* ---- steps ---- */

/* Begins with what the operation needs, then its handler. */
void call_run(struct call *call);

/* Runs the handler again when the room is active (it may have gone and come back). */
void call_find_room(struct call *call);
/* A store call or a committer push with this call as its argument is open. */
static inline void call_hold(struct call *call)
{
    call->held++;
}
/* Its callback has come. False: the call was answered meanwhile, there is nothing left to do.
 */
bool call_release(struct call *call) MUST_CHECK;
struct actor call_actor(const struct call *call, const struct room_host *room);
/* Of a change that the call waited for. True: it is done; else the call has been answered, or
 * its handler runs again. */
bool call_changed(struct call *call, enum change_outcome outcome,
                  enum error_code error) MUST_CHECK;
/* Makes the caller a member of a public room, then runs the handler again. */
void call_join(struct call *call, struct room_host *room);

/* ---- the verbs ---- */

void verb_key_lookup(struct call *call, struct room_host *room);
void verb_project_config(struct call *call, struct room_host *room);
void verb_user_event(struct call *call, struct room_host *room);
void verb_connections_close(struct call *call, struct room_host *room);
void verb_event_trigger(struct call *call, struct room_host *room);
void verb_connection_terminate(struct call *call, struct room_host *room);
void verb_rooms_list(struct call *call, struct room_host *room);
void verb_room_create(struct call *call, struct room_host *room);
void verb_dm_open(struct call *call, struct room_host *room);
void verb_room_delete(struct call *call, struct room_host *room);
void verb_room_update(struct call *call, struct room_host *room);
void verb_room_get(struct call *call, struct room_host *room);
void verb_room_live(struct call *call, struct room_host *room);
void verb_members_list(struct call *call, struct room_host *room);
void verb_member_add(struct call *call, struct room_host *room);
void verb_member_remove(struct call *call, struct room_host *room);
void verb_member_preferences(struct call *call, struct room_host *room);
void verb_room_read(struct call *call, struct room_host *room);
void verb_room_unread(struct call *call, struct room_host *room);
void verb_draft_get(struct call *call, struct room_host *room);
void verb_draft_put(struct call *call, struct room_host *room);
void verb_room_pin(struct call *call, struct room_host *room);
void verb_inbox(struct call *call, struct room_host *room);
void verb_snooze(struct call *call, struct room_host *room);
void verb_follow_up_add(struct call *call, struct room_host *room);
void verb_follow_up_update(struct call *call, struct room_host *room);
void verb_follow_up_remove(struct call *call, struct room_host *room);
void verb_notifications_list(struct call *call, struct room_host *room);
void verb_notifications_read(struct call *call, struct room_host *room);
void verb_message_delivered(struct call *call, struct room_host *room);
void verb_deliveries_list(struct call *call, struct room_host *room);
void verb_message_post(struct call *call, struct room_host *room);
void verb_moderate(struct call *call, struct room_host *room);
void verb_announce(struct call *call, struct room_host *room);
void verb_report(struct call *call, struct room_host *room);
void verb_reports_list(struct call *call, struct room_host *room);
void verb_audit_list(struct call *call, struct room_host *room);
void verb_blocks_list(struct call *call, struct room_host *room);
void verb_block_set(struct call *call, struct room_host *room);
void verb_message_locate(struct call *call, struct room_host *room);
void verb_message_edit(struct call *call, struct room_host *room);
void verb_message_delete(struct call *call, struct room_host *room);
void verb_reaction_add(struct call *call, struct room_host *room);
void verb_reaction_remove(struct call *call, struct room_host *room);
void verb_search_messages(struct call *call, struct room_host *room);
void verb_search_conversations(struct call *call, struct room_host *room);
void verb_export_start(struct call *call, struct room_host *room);
void verb_export_page(struct call *call, struct room_host *room);
void verb_history(struct call *call, struct room_host *room);
void verb_file_create(struct call *call, struct room_host *room);
void verb_file_put(struct call *call, struct room_host *room);
void verb_file_finish(struct call *call, struct room_host *room);
void verb_file_stat(struct call *call, struct room_host *room);
void verb_file_get(struct call *call, struct room_host *room);
void verb_file_remove(struct call *call, struct room_host *room);
/* Frees what verb_history() keeps in the call. */
void history_free(struct history *history);
