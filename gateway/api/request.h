/*
 * request.h - one REST request on its way: what the endpoints work with, and
 * how they end it. An endpoint is called once with a request and ends it
 * exactly once, by one of the replies below or by starting a call whose answer
 * is passed on.
 */
#pragma once

#include "common/base/buf.h"
#include "common/json/json_read.h"
#include "common/json/json_write.h"
#include "gateway/api/admit.h"
#include "gateway/api/api.h"
#include "gateway/api/font.h"
#include "gateway/api/rate_table.h"
#include "gateway/auth/roles.h"
#include "gateway/embedded/embedded.h"
#include "gateway/http/exchange.h"
#include "gateway/http/router.h"
#include "gateway/link/calls.h"

struct api {
    struct env *env;
    struct calls *calls;
    struct admit *admit;
    struct gateway_metrics *metrics;
    const struct api_hooks *hooks;
    void *owner;
    char *demo_project, *operator_project, *operator_key, *allowed_origins;
    bool any_origin;
    struct list requests;            /* struct api_request: under way */
    struct rate_table mint_limit;    /* by address and key */
    struct rate_table bad_key_limit; /* by address */
    struct rate_table upload_limit;  /* by user */
    uint64_t upload_max_bytes;
    size_t n_uploads;              /* under way */
    struct rate_table event_limit; /* by project and user */
    size_t n_exports;
    struct font_file *export_font; /* of PDF exports; owned; NULL: there are none */
};

#define REQUEST_HASH_BYTES 32

struct api_request {
    struct list link; /* api.requests */
    struct api *api;
    struct http_exchange *ex;
    struct admission admission;
    struct buf credential;      /* the token or API key that it came with; wiped at the end */
    char room[ID_MAX + 1];      /* first path parameter, of room routes */
    char member[ID_MAX + 1];    /* second */
    char roles[ROLES_TEXT_MAX]; /* of the token */
    struct slice roles_text;
    int64_t message; /* first path parameter, of message routes */
    json_t *body;    /* owned; of routes that take one */
    /* Takes the next good answer instead of passing it on (once; may be NULL), and what it will
     * ask then. */
    void (*then)(struct api_request *req, struct slice body);
    enum call_op next_op;
    struct buf next_params;
    /* Looks at a good answer before it is passed on; may be NULL. Writes what is sent into out,
     * or returns false to have it sent as it is. */
    bool (*rewrite)(struct api_request *req, struct slice body, struct buf *out);
    bool errors_have_code; /* error bodies repeat the word as "code" */
    uint64_t limit_left;   /* of rate-limited routes, for the RateLimit header */
    bool has_limit;
    /* Idempotency-Key, or empty: for the call whose answer is passed on. Points into the head.
     */
    struct slice client_key;
    uint8_t request_hash[REQUEST_HASH_BYTES];
    bool replayed; /* the answer is one that was kept */
    /* Of endpoints that take steps; free_state (may be NULL) is called when the request ends.
     */
    void *state;
    void (*free_state)(void *state);
    unsigned stream_status;
    bool streams; /* an answer in parts has begun */
};

/* ---- ends ---- */

void api_reply_json(struct api_request *req, unsigned status, struct slice body);
void api_reply_error(struct api_request *req, enum error_code code, struct slice detail);
void api_reply_retry(struct api_request *req, enum error_code code, uint64_t retry_after_ms);
/* A file of the chat page; type is its content type. */
void api_reply_page(struct api_request *req, const struct embedded *file, const char *type);
/* A description of the interface: JSON that anybody may keep for a while. */
void api_reply_document(struct api_request *req, const struct embedded *file);
void api_reply_redirect(struct api_request *req, const char *to);
void api_reply_not_modified(struct api_request *req, struct slice etag);
void api_reply_bad_range(struct api_request *req, uint64_t size); /* 416 */
/* allow: "GET, HEAD, OPTIONS" */
void api_reply_method_not_allowed(struct api_request *req, const char *allow);
void api_reply_options(struct api_request *req, const char *allow);

/* An answer in parts, with the headers that every answer has; see gateway/http/exchange.h for
 * what the functions promise. The request lives until one of the last two. */
int api_reply_begin(struct api_request *req, const struct http_stream_head *head,
                    const struct http_stream_events *events, void *owner) MUST_CHECK;
int api_reply_part(struct api_request *req, struct slice part) MUST_CHECK;
void api_reply_end(struct api_request *req);
void api_reply_abort(struct api_request *req);

/* Asks the owner of the room, or any shard, on behalf of the caller, and passes the answer on.
 */
void api_call_room(struct api_request *req, enum call_op op, struct slice room,
                   struct slice params);
/* Asks the owner of the room that message `req->message` is in, with next_params. */
void api_call_message(struct api_request *req, enum call_op op);
void api_call_any(struct api_request *req, enum call_op op, struct slice params);
/* The same with the answer for the endpoint (fn's argument is the request). room empty: any
 * shard. data: of operations that have some. False: as many calls are under way as may be, and
 * fn is not called. */
bool api_ask(struct api_request *req, enum call_op op, struct slice room, struct slice params,
             struct slice data, call_done_fn fn) MUST_CHECK;
/* What a call has answered, good or bad, is the answer. */
void api_pass_on(struct api_request *req, const struct call_reply *answer);

/* ---- help ---- */

/* False: the request has been answered with what is wrong. */
bool api_fields_ok(struct api_request *req, const struct json_fields *fields);
/* A token that is pinned to a room is good for that room only. False: answered. */
bool api_may_use_room(struct api_request *req, struct slice room);

/* Whether a field that lists entity tags (If-None-Match) has this one, or "*". */
bool api_has_tag(const struct api_request *req, const char *field, struct slice etag);

/* Reads Idempotency-Key. False: answered. */
bool api_take_client_key(struct api_request *req);
/* 16 random bytes; the same ones when the same user asks for the same thing with the same key.
 */
void api_random_for_key(struct api_request *req, uint8_t ret[16]);
/* The client's key for that part of the request which is about this room. False: out of memory.
 */
bool api_key_for_room(struct api_request *req, struct slice room,
                      char ret[2 * REQUEST_HASH_BYTES + 1]) MUST_CHECK;
/* Counts n events of this caller. False: too many in this minute, answered. */
bool api_may_send_events(struct api_request *req, size_t n);

/* ---- endpoints ---- */

void api_get_health(struct api_request *req);
void api_get_root(struct api_request *req);
void api_get_demo(struct api_request *req);
void api_get_demo_script(struct api_request *req);
void api_get_demo_style(struct api_request *req);
void api_get_feature_flags(struct api_request *req);
void api_get_openapi(struct api_request *req);
void api_get_asyncapi(struct api_request *req);
void api_post_demo_session(struct api_request *req);
void api_post_events(struct api_request *req);
void api_post_user_events(struct api_request *req);
void api_delete_connections(struct api_request *req);
void api_post_terminate(struct api_request *req);
void api_post_auth_token(struct api_request *req);
void api_post_auth_signin(struct api_request *req);
void api_post_tokens_anonymous(struct api_request *req);
void api_post_admin_member_token(struct api_request *req);
void api_post_auth_channel(struct api_request *req);
void api_get_rooms(struct api_request *req);
void api_post_rooms(struct api_request *req);
void api_post_rooms_dm(struct api_request *req);
void api_post_open_dm(struct api_request *req);
void api_get_room(struct api_request *req);
void api_get_stream(struct api_request *req);
void api_get_live(struct api_request *req);
void api_patch_room(struct api_request *req);
void api_delete_room(struct api_request *req);
void api_patch_pin(struct api_request *req);
void api_get_members(struct api_request *req);
void api_post_members(struct api_request *req);
void api_delete_member(struct api_request *req);
void api_patch_preferences(struct api_request *req);
void api_post_read(struct api_request *req);
void api_get_inbox(struct api_request *req);
void api_put_snooze(struct api_request *req);
void api_delete_snooze(struct api_request *req);
void api_post_follow_ups(struct api_request *req);
void api_patch_follow_up(struct api_request *req);
void api_delete_follow_up(struct api_request *req);
void api_get_notifications(struct api_request *req);
void api_post_notification_read(struct api_request *req);
void api_post_notifications_read(struct api_request *req);
void api_get_unread(struct api_request *req);
void api_get_draft(struct api_request *req);
void api_put_draft(struct api_request *req);
void api_post_messages(struct api_request *req);
void api_get_messages(struct api_request *req);
void api_post_mute(struct api_request *req);
void api_post_unmute(struct api_request *req);
void api_post_ban(struct api_request *req);
void api_post_unban(struct api_request *req);
void api_post_announcement(struct api_request *req);
void api_post_reports(struct api_request *req);
void api_get_reports(struct api_request *req);
void api_get_audit(struct api_request *req);
void api_get_blocks(struct api_request *req);
void api_post_blocks(struct api_request *req);
void api_delete_block(struct api_request *req);
void api_patch_message(struct api_request *req);
void api_delete_message(struct api_request *req);
void api_post_delivered(struct api_request *req);
void api_get_deliveries(struct api_request *req);
void api_post_reaction(struct api_request *req);
void api_delete_reaction(struct api_request *req);
void api_post_upload(struct api_request *req);
void api_get_attachment(struct api_request *req);
void api_get_search_messages(struct api_request *req);
void api_get_search_conversations(struct api_request *req);
void api_get_export_json(struct api_request *req);
void api_get_export_ndjson(struct api_request *req);
void api_get_export_csv(struct api_request *req);
void api_get_export_markdown(struct api_request *req);
void api_get_compliance_export(struct api_request *req);
void api_get_export_pdf(struct api_request *req);
