/* users.c - events for a user, and the end of connections: POST /users/{id}/events, DELETE
 * /users/{id}/connections, POST /rooms/{id}/terminate-connection (docs/protocol-client.md). */
#include <stdio.h>

#include "common/base/limits.h"
#include "gateway/api/request.h"

bool api_may_send_events(struct api_request *req, size_t n)
{
    const struct token *token = &req->admission.token;
    uint64_t key = hash_two(slice_str(token->project), slice_str(token->user));
    uint64_t left, retry_ms;

    if (rate_table_take(&req->api->event_limit, key, n, env_now_ms(req->api->env), &left,
                        &retry_ms))
        return true;
    api_reply_retry(req, ERROR_rate_limit_exceeded, retry_ms);
    return false;
}

static void on_answer(void *arg, const struct call_reply *answer)
{
    api_pass_on(arg, answer);
}

/* Asks the owner of the user; once, for nothing remembers that an event has been given. */
static void call_user(struct api_request *req, enum call_op op, struct slice params)
{
    const struct token *token = &req->admission.token;
    char object[sizeof("user//") + 2 * (size_t)ID_MAX];
    int len = snprintf(object, sizeof(object), "user/%s/%s", token->project, req->member);
    struct call *call; /* never cancelled: the exchange outlives its client */
    struct call_params call_params = {
        .op = op,
        .object = slice_of(object, (size_t)len),
        .project = slice_str(token->project),
        .user = slice_str(token->user),
        .roles = req->roles_text,
        .params = params,
        .trace = trace_slice(&req->ex->trace),
        .once = true,
    };

    if (req->client_key.len) {
        call_params.client_key = req->client_key;
        call_params.request = slice_of(req->request_hash, REQUEST_HASH_BYTES);
    }
    if (calls_start(req->api->calls, &call_params, on_answer, req, &call) != 0)
        api_reply_error(req, ERROR_overloaded, slice_of(NULL, 0));
}

void api_post_user_events(struct api_request *req)
{
    const json_t *rooms = json_object_get(req->body, "fanoutRooms");

    /* Into rooms it costs a question to every gateway. */
    if (api_may_send_events(
            req, json_is_array(rooms) || json_is_true(rooms) ? EVENT_BROADCAST_COST : 1))
        call_user(req, CALL_USER_EVENT, buf_slice(&req->ex->body));
}

void api_delete_connections(struct api_request *req)
{
    AUTO_BUF params = BUF_INIT;
    struct json_writer w = json_writer(&params);

    if (!api_may_send_events(req, EVENT_BROADCAST_COST))
        return;
    json_write_object(&w);
    json_field_str(&w, "userId", slice_str(req->member));
    json_write_object_end(&w);
    api_call_any(req, CALL_CONNECTIONS_CLOSE, buf_slice(&params));
}

void api_post_terminate(struct api_request *req)
{
    if (api_may_send_events(req, EVENT_BROADCAST_COST))
        api_call_room(req, CALL_CONNECTION_TERMINATE, slice_str(req->room),
                      buf_slice(&req->ex->body));
}
