/* request.c - methods and field look-up. */
#include "gateway/http/request.h"

#include <strings.h>

static const char *const method_names[HTTP_METHOD_COUNT] = {
    [HTTP_GET] = "GET",         [HTTP_HEAD] = "HEAD",   [HTTP_POST] = "POST",
    [HTTP_PUT] = "PUT",         [HTTP_PATCH] = "PATCH", [HTTP_DELETE] = "DELETE",
    [HTTP_OPTIONS] = "OPTIONS",
};

const char *http_method_name(enum http_method method)
{
    return method_names[method];
}

bool http_method_parse(struct slice name, enum http_method *ret_method)
{
    for (unsigned i = 0; i < HTTP_METHOD_COUNT; i++) {
        if (slice_eq_str(name, method_names[i])) {
            *ret_method = (enum http_method)i;
            return true;
        }
    }
    return false;
}

void http_request_deinit(struct http_request *request)
{
    buf_deinit(&request->text);
}

bool slice_eq_nocase(struct slice a, const char *b)
{
    return a.len == strlen(b) && strncasecmp(a.data, b, a.len) == 0;
}

bool http_list_next(struct slice *list, struct slice *ret_element)
{
    if (list->len == 0)
        return false;
    const char *comma = memchr(list->data, ',', list->len);
    struct slice element =
        slice_of(list->data, comma ? (size_t)(comma - list->data) : list->len);
    size_t taken = element.len + (comma ? 1 : 0);

    *list = slice_of(list->data + taken, list->len - taken);
    while (element.len && (element.data[0] == ' ' || element.data[0] == '\t'))
        element = slice_of(element.data + 1, element.len - 1);
    while (element.len &&
           (element.data[element.len - 1] == ' ' || element.data[element.len - 1] == '\t'))
        element.len--;
    *ret_element = element;
    return true;
}

size_t http_request_field_count(const struct http_request *request, const char *name)
{
    size_t count = 0;

    for (size_t i = 0; i < request->n_fields; i++)
        count += slice_eq_nocase(http_request_span(request, request->fields[i].name), name);
    return count;
}

bool http_request_field(const struct http_request *request, const char *name,
                        struct slice *ret_value)
{
    if (http_request_field_count(request, name) != 1)
        return false;
    for (size_t i = 0; i < request->n_fields; i++) {
        if (slice_eq_nocase(http_request_span(request, request->fields[i].name), name))
            *ret_value = http_request_span(request, request->fields[i].value);
    }
    return true;
}

bool http_request_has_token(const struct http_request *request, const char *name,
                            const char *word)
{
    for (size_t i = 0; i < request->n_fields; i++) {
        struct slice list, element;

        if (!slice_eq_nocase(http_request_span(request, request->fields[i].name), name))
            continue;
        list = http_request_span(request, request->fields[i].value);
        while (http_list_next(&list, &element)) {
            if (slice_eq_nocase(element, word))
                return true;
        }
    }
    return false;
}
