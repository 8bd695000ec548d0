/* pages.c - GET /, GET /health, what old clients ask at their start, the chat page, and the
 * descriptions of the interface. */
#include "gateway/api/request.h"

void api_get_health(struct api_request *req)
{
    const struct api *api = req->api;
    bool ready = api->hooks->is_ready(api->owner);
    AUTO_BUF body = BUF_INIT;
    struct json_writer w = json_writer(&body);

    json_write_object(&w);
    json_field_bool(&w, "ok", ready);
    json_field_i64(&w, "ts", env_wall_us(api->env) / 1000);
    json_field_str(&w, "version", SLICE_LIT(FLUXY_VERSION));
    json_field_object(&w, "checks");
    json_field_bool(&w, "ready", ready);
    json_field_u64(&w, "shards", api->hooks->live_links(api->owner));
    json_write_object_end(&w);
    json_write_object_end(&w);
    api_reply_json(req, ready ? 200 : 503, buf_slice(&body));
}

/* What an old client asks at its start. Nothing is switched by it; the pauses between its
 * attempts to reconnect are those of its own defaults. */
void api_get_feature_flags(struct api_request *req)
{
    api_reply_json(req, 200,
                   SLICE_LIT("{\"flags\":{},\"flagship\":false,\"reconnectBackoff\":"
                             "{\"baseBackoffMs\":500,\"maxBackoffMs\":20000}}"));
}

void api_get_root(struct api_request *req)
{
    if (req->api->demo_project[0])
        api_reply_redirect(req, "/demo");
    else
        api_reply_json(req, 200,
                       SLICE_LIT("{\"service\":\"fluxychat\",\"version\":\"" FLUXY_VERSION
                                 "\",\"health\":\"/health\",\"openapi\":\"/"
                                 "openapi.json\",\"asyncapi\":\"/asyncapi.json\"}"));
}

void api_get_openapi(struct api_request *req)
{
    api_reply_document(req, &openapi_json);
}

void api_get_asyncapi(struct api_request *req)
{
    api_reply_document(req, &asyncapi_json);
}

void api_get_demo(struct api_request *req)
{
    api_reply_page(req, &demo_html, "text/html; charset=utf-8");
}

void api_get_demo_script(struct api_request *req)
{
    api_reply_page(req, &demo_js, "text/javascript; charset=utf-8");
}

void api_get_demo_style(struct api_request *req)
{
    api_reply_page(req, &demo_css, "text/css; charset=utf-8");
}
