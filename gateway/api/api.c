/* api.c - the routing table, and what happens to a request before its endpoint sees it. */
#include "gateway/api/api.h"

#include <errno.h>
#include <stdlib.h>
#include <strings.h>

#include "common/base/ident.h"
#include "common/base/log.h"
#include "common/base/secret.h"
#include "gateway/api/request.h"
#include "gateway/http/uri.h"
#include "gateway/metrics.h"

/* What a route asks for before its endpoint is called. */
enum {
    NEEDS_TOKEN = 1u << 0,
    NEEDS_BODY = 1u << 1,   /* a JSON object */
    HAS_ROOM = 1u << 2,     /* the first parameter is a room that the token must be good for */
    HAS_MEMBER = 1u << 3,   /* the second is a user */
    HAS_USER = 1u << 5,     /* the first parameter is a user */
    HAS_MESSAGE = 1u << 6,  /* the first parameter is the id of a message */
    STREAMS_BODY = 1u << 7, /* takes the body in parts */
    HAS_KEY =
        1u << 8, /* the first parameter is an id that is no room; it stands in req->room */
    ANY_ROOM = 1u << 9,  /* a token for one room is not good for it */
    ONLY_DEMO = 1u << 4, /* not there unless a demo project is set */
};

struct route {
    struct route_pattern pattern; /* first: router_find() */
    unsigned needs;
    void (*handle)(struct api_request *req);
};

static const struct route routes[] = {
    {{HTTP_GET, "/"}, 0, api_get_root},
    {{HTTP_GET, "/health"}, 0, api_get_health},
    {{HTTP_GET, "/client/feature-flags"}, 0, api_get_feature_flags},
    {{HTTP_GET, "/openapi.json"}, 0, api_get_openapi},
    {{HTTP_GET, "/asyncapi.json"}, 0, api_get_asyncapi},
    {{HTTP_POST, "/auth/token"}, NEEDS_BODY, api_post_auth_token},
    {{HTTP_POST, "/auth/signin"}, NEEDS_BODY, api_post_auth_signin},
    {{HTTP_POST, "/auth/channel"}, NEEDS_TOKEN | NEEDS_BODY, api_post_auth_channel},
    {{HTTP_POST, "/tokens/anonymous"}, NEEDS_BODY, api_post_tokens_anonymous},
    {{HTTP_POST, "/admin/member-token"}, NEEDS_TOKEN | NEEDS_BODY, api_post_admin_member_token},
    {{HTTP_POST, "/events"}, NEEDS_TOKEN | NEEDS_BODY, api_post_events},
    {{HTTP_POST, "/users/{}/events"},
     NEEDS_TOKEN | HAS_USER | ANY_ROOM | NEEDS_BODY,
     api_post_user_events},
    {{HTTP_DELETE, "/users/{}/connections"},
     NEEDS_TOKEN | HAS_USER | ANY_ROOM,
     api_delete_connections},
    {{HTTP_POST, "/rooms/{}/terminate-connection"},
     NEEDS_TOKEN | HAS_ROOM | NEEDS_BODY,
     api_post_terminate},
    {{HTTP_GET, "/rooms"}, NEEDS_TOKEN, api_get_rooms},
    {{HTTP_POST, "/rooms"}, NEEDS_TOKEN | NEEDS_BODY, api_post_rooms},
    {{HTTP_POST, "/rooms/dm"}, NEEDS_TOKEN | NEEDS_BODY, api_post_rooms_dm},
    {{HTTP_POST, "/chat/open-dm"}, NEEDS_TOKEN | NEEDS_BODY, api_post_open_dm},
    {{HTTP_GET, "/rooms/{}"}, NEEDS_TOKEN | HAS_ROOM, api_get_room},
    {{HTTP_GET, "/rooms/{}/stream"}, NEEDS_TOKEN | HAS_ROOM, api_get_stream},
    {{HTTP_GET, "/rooms/{}/live"}, NEEDS_TOKEN | HAS_ROOM, api_get_live},
    {{HTTP_PATCH, "/rooms/{}"}, NEEDS_TOKEN | HAS_ROOM | NEEDS_BODY, api_patch_room},
    {{HTTP_DELETE, "/rooms/{}"}, NEEDS_TOKEN | HAS_ROOM, api_delete_room},
    {{HTTP_GET, "/rooms/{}/members"}, NEEDS_TOKEN | HAS_ROOM, api_get_members},
    {{HTTP_POST, "/rooms/{}/members"}, NEEDS_TOKEN | HAS_ROOM | NEEDS_BODY, api_post_members},
    {{HTTP_DELETE, "/rooms/{}/members/{}"},
     NEEDS_TOKEN | HAS_ROOM | HAS_MEMBER,
     api_delete_member},
    {{HTTP_PATCH, "/rooms/{}/members/me/preferences"},
     NEEDS_TOKEN | HAS_ROOM | NEEDS_BODY,
     api_patch_preferences},
    {{HTTP_PATCH, "/rooms/{}/pin"}, NEEDS_TOKEN | HAS_ROOM | NEEDS_BODY, api_patch_pin},
    {{HTTP_POST, "/rooms/{}/read"}, NEEDS_TOKEN | HAS_ROOM | NEEDS_BODY, api_post_read},
    {{HTTP_GET, "/inbox"}, NEEDS_TOKEN, api_get_inbox},
    {{HTTP_PUT, "/inbox/rooms/{}/snooze"}, NEEDS_TOKEN | HAS_ROOM | NEEDS_BODY, api_put_snooze},
    {{HTTP_DELETE, "/inbox/rooms/{}/snooze"}, NEEDS_TOKEN | HAS_ROOM, api_delete_snooze},
    {{HTTP_POST, "/inbox/follow-ups"}, NEEDS_TOKEN | NEEDS_BODY, api_post_follow_ups},
    {{HTTP_PATCH, "/inbox/follow-ups/{}"},
     NEEDS_TOKEN | HAS_KEY | NEEDS_BODY,
     api_patch_follow_up},
    {{HTTP_DELETE, "/inbox/follow-ups/{}"}, NEEDS_TOKEN | HAS_KEY, api_delete_follow_up},
    {{HTTP_GET, "/notifications"}, NEEDS_TOKEN, api_get_notifications},
    {{HTTP_POST, "/notifications/read-all"},
     NEEDS_TOKEN | ANY_ROOM,
     api_post_notifications_read},
    {{HTTP_POST, "/notifications/{}/read"},
     NEEDS_TOKEN | HAS_MESSAGE,
     api_post_notification_read},
    {{HTTP_GET, "/rooms/{}/unread"}, NEEDS_TOKEN | HAS_ROOM, api_get_unread},
    {{HTTP_GET, "/rooms/{}/draft"}, NEEDS_TOKEN | HAS_ROOM, api_get_draft},
    {{HTTP_PUT, "/rooms/{}/draft"}, NEEDS_TOKEN | HAS_ROOM | NEEDS_BODY, api_put_draft},
    {{HTTP_POST, "/messages"}, NEEDS_TOKEN | NEEDS_BODY, api_post_messages},
    {{HTTP_PATCH, "/messages/{}"}, NEEDS_TOKEN | HAS_MESSAGE | NEEDS_BODY, api_patch_message},
    {{HTTP_DELETE, "/messages/{}"}, NEEDS_TOKEN | HAS_MESSAGE, api_delete_message},
    {{HTTP_POST, "/messages/{}/reactions"},
     NEEDS_TOKEN | HAS_MESSAGE | NEEDS_BODY,
     api_post_reaction},
    {{HTTP_DELETE, "/messages/{}/reactions"},
     NEEDS_TOKEN | HAS_MESSAGE | NEEDS_BODY,
     api_delete_reaction},
    {{HTTP_POST, "/messages/{}/delivered"}, NEEDS_TOKEN | HAS_MESSAGE, api_post_delivered},
    {{HTTP_GET, "/messages/{}/deliveries"}, NEEDS_TOKEN | HAS_MESSAGE, api_get_deliveries},
    {{HTTP_GET, "/api/messages"}, NEEDS_TOKEN, api_get_messages},
    {{HTTP_POST, "/admin/mute"}, NEEDS_TOKEN | NEEDS_BODY, api_post_mute},
    {{HTTP_POST, "/admin/unmute"}, NEEDS_TOKEN | NEEDS_BODY, api_post_unmute},
    {{HTTP_POST, "/admin/ban"}, NEEDS_TOKEN | NEEDS_BODY, api_post_ban},
    {{HTTP_POST, "/admin/unban"}, NEEDS_TOKEN | NEEDS_BODY, api_post_unban},
    {{HTTP_POST, "/admin/announcement"}, NEEDS_TOKEN | NEEDS_BODY, api_post_announcement},
    {{HTTP_POST, "/reports"}, NEEDS_TOKEN | NEEDS_BODY, api_post_reports},
    {{HTTP_GET, "/admin/reports"}, NEEDS_TOKEN, api_get_reports},
    {{HTTP_GET, "/admin/audit/events"}, NEEDS_TOKEN, api_get_audit},
    {{HTTP_GET, "/export/messages.json"}, NEEDS_TOKEN, api_get_export_json},
    {{HTTP_GET, "/export/messages.ndjson"}, NEEDS_TOKEN, api_get_export_ndjson},
    {{HTTP_GET, "/export/messages.csv"}, NEEDS_TOKEN, api_get_export_csv},
    {{HTTP_GET, "/export/rooms/{}.pdf"}, NEEDS_TOKEN | HAS_ROOM, api_get_export_pdf},
    {{HTTP_GET, "/export/rooms/{}.markdown"}, NEEDS_TOKEN | HAS_ROOM, api_get_export_markdown},
    {{HTTP_GET, "/rooms/{}/compliance-export"},
     NEEDS_TOKEN | HAS_ROOM,
     api_get_compliance_export},
    {{HTTP_GET, "/search/messages"}, NEEDS_TOKEN, api_get_search_messages},
    {{HTTP_GET, "/search/conversations"}, NEEDS_TOKEN, api_get_search_conversations},
    {{HTTP_GET, "/blocks"}, NEEDS_TOKEN, api_get_blocks},
    {{HTTP_POST, "/blocks"}, NEEDS_TOKEN | NEEDS_BODY, api_post_blocks},
    {{HTTP_DELETE, "/blocks/{}"}, NEEDS_TOKEN | HAS_USER, api_delete_block},
    {{HTTP_POST, "/upload"}, NEEDS_TOKEN | STREAMS_BODY, api_post_upload},
    {{HTTP_GET, "/attachments/{}"}, NEEDS_TOKEN | HAS_KEY, api_get_attachment},
    {{HTTP_GET, "/demo"}, ONLY_DEMO, api_get_demo},
    {{HTTP_GET, "/demo/demo.js"}, ONLY_DEMO, api_get_demo_script},
    {{HTTP_GET, "/demo/demo.css"}, ONLY_DEMO, api_get_demo_style},
    {{HTTP_POST, "/demo/session"}, ONLY_DEMO | NEEDS_BODY, api_post_demo_session},
};

/* ---- the caller ---- */

bool api_request_token(const struct http_request *request, struct buf *out)
{
    struct slice value;

    if (http_request_field_count(request, "authorization")) {
        static const char scheme[] = "Bearer ";

        if (!http_request_field(request, "authorization", &value) ||
            value.len < sizeof(scheme) ||
            strncasecmp(value.data, scheme, sizeof(scheme) - 1) != 0)
            return false;
        buf_put(out, value.data + sizeof(scheme) - 1, value.len - (sizeof(scheme) - 1));
        return !buf_failed(out);
    }
    return uri_query_get(http_request_query(request), "token", out) == 0 && out->len > 0;
}

bool api_allows_origin(const struct api *api, struct slice origin)
{
    struct slice list = slice_str(api->allowed_origins), allowed;

    if (api->any_origin || origin.len == 0)
        return true;
    while (http_list_next(&list, &allowed)) {
        if (slice_eq(allowed, origin))
            return true;
    }
    return false;
}

bool api_may_use_room(struct api_request *req, struct slice room)
{
    const char *pinned = req->admission.token.room;

    if (!pinned[0] || slice_eq_str(room, pinned))
        return true;
    api_reply_error(req, ERROR_forbidden, SLICE_LIT("the token is good for another room only"));
    return false;
}

bool api_fields_ok(struct api_request *req, const struct json_fields *fields)
{
    if (!json_fields_failed(fields))
        return true;
    api_reply_error(req, fields->error, slice_str(fields->detail));
    return false;
}

/* ---- what a request goes through ---- */

static bool load_body(struct api_request *req)
{
    struct slice type;
    int r;

    /* Old clients send none, and curl -d says that it is a form; what is in it must be JSON. */
    if (http_request_field(&req->ex->request, "content-type", &type)) {
        const char *end = type.len ? memchr(type.data, ';', type.len) : NULL;

        while (end && end > type.data && end[-1] == ' ')
            end--;
        if (end)
            type.len = (size_t)(end - type.data);
        if (!slice_eq_nocase(type, "application/json") &&
            !slice_eq_nocase(type, "text/plain") &&
            !slice_eq_nocase(type, "application/x-www-form-urlencoded")) {
            api_reply_error(req, ERROR_unsupported_media_type, slice_of(NULL, 0));
            return false;
        }
    }
    r = json_load_object(buf_slice(&req->ex->body), HTTP_BODY_MAX, &req->body);
    if (r == 0)
        return true;
    api_reply_error(req,
                    r < 0                      ? ERROR_overloaded
                    : r == JSON_LOAD_TOO_LARGE ? ERROR_payload_too_large
                                               : ERROR_invalid_json,
                    slice_of(NULL, 0));
    return false;
}

static bool take_id(struct api_request *req, struct slice raw, char ret[ID_MAX + 1])
{
    AUTO_BUF id = BUF_INIT;

    if (uri_decode(raw, false, &id) == 0 && ident_copy(buf_slice(&id), ret))
        return true;
    api_reply_error(req, ERROR_invalid_id, slice_of(NULL, 0));
    return false;
}

/* What is no number is not the id of any message. */
static bool take_message(struct api_request *req, struct slice raw)
{
    int64_t id = 0;

    for (size_t i = 0; i < raw.len && id >= 0; i++) {
        bool is_digit = raw.data[i] >= '0' && raw.data[i] <= '9';

        id = is_digit && id <= MESSAGE_ID_MAX / 10 ? id * 10 + (raw.data[i] - '0') : -1;
    }
    req->message = id;
    if (id >= 1 && id <= MESSAGE_ID_MAX)
        return true;
    api_reply_error(req, ERROR_message_not_found, slice_of(NULL, 0));
    return false;
}

/* Everything that can be said without knowing the caller. */
static bool take_parameters(struct api_request *req, const struct route *route,
                            const struct route_match *match)
{
    if ((route->needs & (HAS_ROOM | HAS_KEY)) && !take_id(req, match->parameters[0], req->room))
        return false;
    if ((route->needs & HAS_USER) && !take_id(req, match->parameters[0], req->member))
        return false;
    if ((route->needs & HAS_MESSAGE) && !take_message(req, match->parameters[0]))
        return false;
    return !(route->needs & HAS_MEMBER) || take_id(req, match->parameters[1], req->member);
}

static const struct route *request_route(struct api_request *req, struct route_match *match)
{
    const struct http_request *request = &req->ex->request;
    int r = router_find(&routes[0].pattern, ARRAY_LEN(routes), sizeof(routes[0]),
                        request->method, http_request_path(request), match);

    return r == 0 ? &routes[match->index] : NULL;
}

static void on_admitted(void *arg, struct admission *admission)
{
    struct api_request *req = arg;
    struct route_match match;
    const struct route *route = request_route(req, &match);

    if (admission->error != ERROR_NONE) {
        api_reply_error(req, admission->error, slice_of(NULL, 0));
        return;
    }
    http_exchange_of_tenant(req->ex, hash_slice(slice_str(admission->token.project)));
    req->roles_text = roles_text(admission->token.roles, req->roles);
    if ((route->needs & HAS_ROOM) && !api_may_use_room(req, slice_str(req->room)))
        return;
    if ((route->needs & ANY_ROOM) && !api_may_use_room(req, slice_of(NULL, 0)))
        return;
    if ((route->needs & NEEDS_BODY) && !load_body(req))
        return;
    if (api_take_client_key(req))
        route->handle(req);
}

static void run_route(struct api_request *req, const struct route *route,
                      const struct route_match *match)
{
    if ((route->needs & ONLY_DEMO) && !req->api->demo_project[0]) {
        api_reply_error(req, ERROR_not_found, slice_of(NULL, 0));
        return;
    }
    if (!take_parameters(req, route, match))
        return;
    if (!(route->needs & NEEDS_TOKEN)) {
        if (!(route->needs & NEEDS_BODY) || load_body(req))
            route->handle(req);
        return;
    }
    if (!api_request_token(&req->ex->request, &req->credential)) {
        req->api->metrics->auth_missing++;
        api_reply_error(req, ERROR_unauthorized, slice_of(NULL, 0));
        return;
    }
    if (admit_token(req->api->admit, &req->admission, buf_slice(&req->credential), on_admitted,
                    req) != ADMIT_WAIT)
        on_admitted(req, &req->admission);
}

static struct api_request *request_new(struct api *api, struct http_exchange *ex)
{
    static const struct http_response no_memory = {.status = 503, .close = true};
    struct api_request *req = calloc(1, sizeof(*req));

    if (!req) {
        http_exchange_reply(ex, &no_memory);
        return NULL;
    }
    req->api = api;
    req->ex = ex;
    list_add_tail(&api->requests, &req->link);
    return req;
}

/* OPTIONS: what the path can do; for a path that we do not have, what there is at all. */
static void answer_options(struct api_request *req)
{
    struct route_match match = {0};
    char allow[64];

    if (router_find(&routes[0].pattern, ARRAY_LEN(routes), sizeof(routes[0]), HTTP_OPTIONS,
                    http_request_path(&req->ex->request), &match) != ROUTER_NO_METHOD)
        match.allowed = (1u << HTTP_METHOD_COUNT) - 1;
    router_allow_text(match.allowed, allow);
    api_reply_options(req, allow);
}

uint64_t api_body_limit(const struct api *api, const struct http_exchange *ex)
{
    struct route_match match;

    if (router_find(&routes[0].pattern, ARRAY_LEN(routes), sizeof(routes[0]),
                    ex->request.method, http_request_path(&ex->request), &match) != 0)
        return 0;
    return routes[match.index].needs & STREAMS_BODY ? api->upload_max_bytes : 0;
}

void api_handle(struct api *api, struct http_exchange *ex)
{
    struct api_request *req = request_new(api, ex);
    struct route_match match;
    char allow[64];

    if (!req)
        return;
    if (ex->request.method == HTTP_OPTIONS) {
        answer_options(req);
        return;
    }
    switch (router_find(&routes[0].pattern, ARRAY_LEN(routes), sizeof(routes[0]),
                        ex->request.method, http_request_path(&ex->request), &match)) {
    case 0:
        run_route(req, &routes[match.index], &match);
        return;
    case ROUTER_NO_METHOD:
        router_allow_text(match.allowed, allow);
        api_reply_method_not_allowed(req, allow);
        return;
    default:
        api_reply_error(req, ERROR_not_found, slice_of(NULL, 0));
        return;
    }
}

void api_refuse(struct api *api, struct http_exchange *ex, const struct http_refusal *why)
{
    struct api_request *req = request_new(api, ex);
    enum error_code code = error_code_parse(slice_str(why->code));

    api->metrics->http_refused++;
    if (req)
        api_reply_error(req, code == ERROR_NONE ? ERROR_bad_request : code,
                        slice_str(why->detail));
}

/* ---- life ---- */

/* Everything but PDF exports works without. */
static void open_font(struct api *api, const char *path)
{
    int r = path && path[0] ? font_open(path, &api->export_font) : 0;

    if (r < 0)
        log_warn("no font: PDF exports are refused", L_STR("file", path), L_ERR(r));
}

int api_new(struct env *env, struct calls *calls, struct admit *admit,
            struct gateway_metrics *metrics, const struct api_config *config,
            const struct api_hooks *hooks, void *owner, struct api **ret_api)
{
    AUTO(api_free) struct api *api = calloc(1, sizeof(*api));
    uint64_t per_minute = (uint64_t)TOKENS_PER_MINUTE * MAX(config->rate_limit_scale, 1u);

    if (!api)
        return -ENOMEM;
    list_init(&api->requests);
    rate_table_init(&api->mint_limit, ratelim_rule(per_minute, 60000), RATE_TABLE_MAX);
    rate_table_init(
        &api->event_limit,
        ratelim_rule((uint64_t)EVENTS_PER_MINUTE * MAX(config->rate_limit_scale, 1u), 60000),
        RATE_TABLE_MAX);
    rate_table_init(&api->bad_key_limit, ratelim_rule(per_minute, 60000), RATE_TABLE_MAX);
    rate_table_init(
        &api->upload_limit,
        ratelim_rule((uint64_t)UPLOADS_PER_MINUTE * MAX(config->rate_limit_scale, 1u), 60000),
        RATE_TABLE_MAX);
    api->upload_max_bytes = config->upload_max_bytes ? config->upload_max_bytes : FILE_BYTES;
    api->env = env;
    api->calls = calls;
    api->admit = admit;
    api->metrics = metrics;
    api->hooks = hooks;
    api->owner = owner;
    api->any_origin = slice_eq_str(config->allowed_origins, "*");
    api->demo_project = slice_dup(config->demo_project);
    api->operator_project = slice_dup(config->operator_project);
    api->operator_key = slice_dup(config->operator_key);
    api->allowed_origins = slice_dup(config->allowed_origins);
    if (!api->demo_project || !api->operator_project || !api->operator_key ||
        !api->allowed_origins)
        return -ENOMEM;
    open_font(api, config->export_font);
    *ret_api = TAKE(api);
    return 0;
}

void api_free(struct api *api)
{
    if (!api)
        return;
    while (!list_empty(&api->requests)) {
        struct api_request *req = list_first(&api->requests, struct api_request, link);

        admission_cancel(&req->admission);
        if (req->streams)
            api_reply_abort(req);
        else
            api_reply_error(req, ERROR_unavailable, slice_of(NULL, 0));
    }
    rate_table_deinit(&api->mint_limit);
    rate_table_deinit(&api->bad_key_limit);
    rate_table_deinit(&api->upload_limit);
    rate_table_deinit(&api->event_limit);
    font_close(api->export_font);
    if (api->operator_key)
        secret_wipe(api->operator_key, strlen(api->operator_key));
    free(api->operator_key);
    free(api->operator_project);
    free(api->demo_project);
    free(api->allowed_origins);
    free(api);
}
