/*
 * fuzz_query.c - addresses: path and query of a socket, parameters of a
 * request. What comes out is within bounds, and secrets are in no log.
 */
#include <string.h>

#include "common/base/ident.h"
#include "common/base/utf8.h"
#include "common/json/json_read.h"
#include "gateway/edge/socket_query.h"
#include "gateway/http/uri.h"
#include "tests/fuzz/fuzz.h"

static void check_socket(struct slice path, struct slice query)
{
    struct socket_query q;

    if (socket_query_read(path, query, &q)) {
        FUZZ_CHECK(q.many_rooms || ident_is_valid(slice_str(q.room)) ||
                   ident_is_valid(slice_str(q.user)));
        FUZZ_CHECK(q.user[0] || (q.replay_limit >= 1 && q.replay_limit <= SNAPSHOT_MAX));
        FUZZ_CHECK(q.bad_cursor || q.last_seq <= SEQ_MAX);
    }
    socket_query_deinit(&q);
}

static void check_presence_info(struct slice text)
{
    AUTO_BUF out = BUF_INIT;
    AUTO(json_free) json_t *json = NULL;

    presence_info_clean(text, slice_str("Ann"), &out);
    FUZZ_CHECK(json_load_object(buf_slice(&out), out.len, &json) == 0);
    FUZZ_CHECK(json_is_string(json_object_get(json, "name")) && json_object_size(json) <= 3);
}

/* "token" and "apiKey" are told by name; what follows them is not to be found. */
static void check_scrubbed(struct slice query)
{
    AUTO_BUF out = BUF_INIT;
    AUTO_BUF value = BUF_INIT;

    uri_query_scrub(query, &out);
    if (uri_query_get(query, "token", &value) == 0) {
        AUTO_BUF left = BUF_INIT;

        FUZZ_CHECK(uri_query_get(buf_slice(&out), "token", &left) == 0);
        FUZZ_CHECK(slice_eq_str(buf_slice(&left), "***"));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *mark = size ? memchr(data, '?', size) : NULL;
    struct slice path = slice_of(data, mark ? (size_t)(mark - data) : size);
    struct slice query = mark ? slice_of(mark + 1, size - path.len - 1) : slice_of(NULL, 0),
                 segment;
    AUTO_BUF out = BUF_INIT;
    int r = uri_decode(query, true, &out);

    FUZZ_CHECK(r == 0 ? utf8_is_valid(buf_slice(&out)) : out.len == 0);
    check_socket(path, query);
    check_scrubbed(query);
    if (utf8_is_valid(query))
        check_presence_info(query);
    for (size_t left = path.len; uri_path_next(&path, &segment); left = path.len)
        FUZZ_CHECK(path.len + segment.len + 1 == left);
    return 0;
}
