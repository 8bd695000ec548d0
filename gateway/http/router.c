/* router.c - see router.h. The tables are short; a linear walk compares first bytes and lengths
 * only. */
#include "gateway/http/router.h"

#include <stdio.h>

#include "gateway/http/uri.h"

static bool path_matches(const char *pattern, struct slice path, struct route_match *match)
{
    struct slice want = slice_str(pattern), want_segment, segment;

    match->n_parameters = 0;
    while (uri_path_next(&want, &want_segment)) {
        if (!uri_path_next(&path, &segment))
            return false;
        if (want_segment.len >= 2 && memcmp(want_segment.data, "{}", 2) == 0) {
            size_t suffix = want_segment.len - 2;

            if (segment.len <= suffix || match->n_parameters == ROUTE_PARAMETERS_MAX ||
                memcmp(segment.data + segment.len - suffix, want_segment.data + 2, suffix) != 0)
                return false;
            match->parameters[match->n_parameters++] =
                slice_of(segment.data, segment.len - suffix);
        } else if (!slice_eq(want_segment, segment)) {
            return false;
        }
    }
    return path.len == 0;
}

int router_find(const struct route_pattern *rows, size_t n_rows, size_t stride,
                enum http_method method, struct slice path, struct route_match *ret_match)
{
    enum http_method wanted = method == HTTP_HEAD ? HTTP_GET : method;
    struct route_match match = {0};
    unsigned allowed = 0;

    for (size_t i = 0; i < n_rows; i++) {
        const struct route_pattern *row =
            (const struct route_pattern *)(const void *)((const char *)rows + i * stride);

        if (!path_matches(row->path, path, &match))
            continue;
        if (row->method == wanted) {
            *ret_match = match;
            ret_match->index = i;
            return 0;
        }
        allowed |= 1u << row->method;
    }
    if (!allowed)
        return ROUTER_NO_PATH;
    if (allowed & (1u << HTTP_GET))
        allowed |= 1u << HTTP_HEAD;
    ret_match->allowed = allowed | (1u << HTTP_OPTIONS);
    return ROUTER_NO_METHOD;
}

void router_allow_text(unsigned allowed, char ret[64])
{
    size_t len = 0;

    ret[0] = '\0';
    for (unsigned i = 0; i < HTTP_METHOD_COUNT; i++) {
        if (allowed & (1u << i))
            len += (size_t)snprintf(ret + len, 64 - len, "%s%s", len ? ", " : "",
                                    http_method_name((enum http_method)i));
    }
}
