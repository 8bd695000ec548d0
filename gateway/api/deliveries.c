/* deliveries.c - to whom a message has come (docs/protocol-client.md). */
#include "common/base/limits.h"
#include "gateway/api/params.h"

void api_post_delivered(struct api_request *req)
{
    struct json_writer w = json_writer(&req->next_params);

    json_write_object(&w);
    json_field_i64(&w, "messageId", req->message);
    json_write_object_end(&w);
    api_call_message(req, CALL_MESSAGE_DELIVERED);
}

void api_get_deliveries(struct api_request *req)
{
    struct json_writer w = json_writer(&req->next_params);

    json_write_object(&w);
    json_field_i64(&w, "messageId", req->message);
    if (!api_param_number(req, &w, "limit", 1, MEMBERS_PAGE, ERROR_invalid_limit) ||
        !api_param_text(req, &w, "cursor", ID_MAX))
        return;
    json_write_object_end(&w);
    api_call_message(req, CALL_DELIVERIES_LIST);
}
