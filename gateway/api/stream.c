/* stream.c - GET /rooms/{id}/stream, as far as it is a request like others: what the caller
 * accepts. The stream itself is the edge's. */
#include "gateway/api/request.h"

/* "text/event-stream;q=0.5": the type without its parameters, and whether it is wanted at all.
 */
static bool is_wanted(struct slice element, struct slice *ret_type)
{
    const char *at = element.len ? memchr(element.data, ';', element.len) : NULL;
    size_t len = at ? (size_t)(at - element.data) : element.len;
    struct slice rest = slice_of(element.data + len, element.len - len);

    while (len > 0 && (element.data[len - 1] == ' ' || element.data[len - 1] == '\t'))
        len--;
    *ret_type = slice_of(element.data, len);
    /* RFC 9110 12.4.2: a weight of 0, in any number of digits, is a no. */
    for (size_t i = 0; i + 2 < rest.len; i++) {
        if ((rest.data[i] | 0x20) == 'q' && rest.data[i + 1] == '=') {
            size_t digit = i + 2;

            while (digit < rest.len && (rest.data[digit] == '0' || rest.data[digit] == '.'))
                digit++;
            return digit < rest.len && rest.data[digit] >= '1' && rest.data[digit] <= '9';
        }
    }
    return true;
}

static bool accepts_events(const struct http_request *request)
{
    static const char *const types[] = {"text/event-stream", "text/*", "*/*"};
    bool is_said = false;

    for (size_t i = 0; i < request->n_fields; i++) {
        struct slice list, element, type;

        if (!slice_eq_nocase(http_request_span(request, request->fields[i].name), "accept"))
            continue;
        is_said = true;
        list = http_request_span(request, request->fields[i].value);
        while (http_list_next(&list, &element)) {
            bool wanted = is_wanted(element, &type);

            for (size_t t = 0; t < ARRAY_LEN(types); t++) {
                if (wanted && slice_eq_nocase(type, types[t]))
                    return true;
            }
        }
    }
    return !is_said;
}

void api_get_stream(struct api_request *req)
{
    if (req->ex->request.method == HTTP_HEAD)
        api_reply_method_not_allowed(req, "GET, OPTIONS");
    else if (!accepts_events(&req->ex->request))
        api_reply_error(req, ERROR_not_acceptable,
                        SLICE_LIT("this is an event stream: text/event-stream"));
    else
        req->api->hooks->open_stream(req->api->owner, req);
}
