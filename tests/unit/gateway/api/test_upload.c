/* test_upload.c - uploads and downloads against a scripted shard: how much is held, who is made
 * to wait, what is asked for and in which order, and who leaves in between. */
#include "tests/support/test.h"

#include <stdlib.h>

#include "common/base/limits.h"
#include "tests/unit/gateway/edge/world.h"

static struct world w;

static int teardown(void **state)
{
    (void)state;
    world_close(&w);
    return 0;
}

static const char *auth(void)
{
    static char field[2300];

    snprintf(field, sizeof(field), "Authorization: Bearer %s\r\n",
             world_token(&w, "ada", "\"member\"", ""));
    return field;
}

/* The head of an upload, on a connection of its own. */
static void begin_upload(const char *fields, size_t length)
{
    AUTO_BUF head = BUF_INIT;

    world_connect(&w, "192.0.2.1", false);
    buf_printf(&head, "POST /upload HTTP/1.1\r\nHost: a\r\n%s%sContent-Length: %zu\r\n\r\n",
               auth(), fields, length);
    buf_put_char(&head, '\0');
    world_send(&w, head.data);
    if (w.c.metrics.calls_PROJECT_CONFIG == 0)
        world_answer_project(&w);
}

static void send_bytes(size_t n)
{
    static char block[65536];

    memset(block, 'x', sizeof(block));
    while (n > 0) {
        size_t part = MIN(n, sizeof(block));

        fake_sink_send(&w.client, slice_of(block, part));
        n -= part;
    }
    fake_env_run(&w.c.env);
}

/* The oldest call, which must be this one; answered. */
static void answer(enum call_op op, unsigned status, const char *body, size_t want_data)
{
    const struct msg *msg = fake_shard_expect(w.shard, MSG_CALL);
    struct msg reply = {.type = MSG_REPLY};

    assert_int_equal(msg->CALL.op, op);
    assert_int_equal(msg->CALL.data.len, want_data);
    reply.REPLY.call = msg->CALL.call;
    reply.REPLY.status = status;
    reply.REPLY.body = slice_str(body);
    fake_shard_send(w.shard, &reply);
    fake_env_run(&w.c.env);
}

static void an_upload_is_cut_into_pieces_and_waits_for_the_store(void **state)
{
    const size_t size = 3 * (size_t)FILE_CHUNK_BYTES + 1000;

    (void)state;
    world_open(&w, NULL);
    begin_upload("Content-Type: image/png\r\nX-File-Name: a%20b.png\r\n", size);
    answer(CALL_FILE_CREATE, 200, "{}", 0);
    send_bytes(size);
    /* One piece is on its way; the next is here; the rest waits in the client. */
    assert_int_equal(fake_shard_count(w.shard), 1);
    assert_true(w.client.stream->queued_bytes > 0);
    answer(CALL_FILE_PUT, 200, "{}", FILE_CHUNK_BYTES);
    assert_int_equal(fake_shard_count(w.shard), 1);
    answer(CALL_FILE_PUT, 200, "{}", FILE_CHUNK_BYTES);
    answer(CALL_FILE_PUT, 200, "{}", FILE_CHUNK_BYTES);
    answer(CALL_FILE_PUT, 200, "{}", 1000);
    assert_int_equal(world_status(&w), 0);
    {
        const struct msg *msg = fake_shard_expect(w.shard, MSG_CALL);
        char want[32];

        assert_int_equal(msg->CALL.op, CALL_FILE_FINISH);
        snprintf(want, sizeof(want), "\"size\":%zu", size);
        assert_non_null(
            memmem(msg->CALL.params.data, msg->CALL.params.len, want, strlen(want)));
        assert_non_null(
            memmem(msg->CALL.params.data, msg->CALL.params.len, "\"pieces\":4", 10));
        fake_shard_send(w.shard, &(struct msg){.type = MSG_REPLY,
                                               .REPLY = {.call = msg->CALL.call,
                                                         .status = 200,
                                                         .body = SLICE_LIT("{}")}});
        fake_env_run(&w.c.env);
    }
    assert_int_equal(world_status(&w), 200);
    assert_true(world_has(&w, "{\"success\":true,\"file\":{\"key\":\""));
    assert_true(world_has(&w, "\"name\":\"a b.png\",\"contentType\":\"image/png\""));
    assert_int_equal(w.c.metrics.uploads_active, 0);
    assert_int_equal(w.c.metrics.uploads_done, 1);
}

static void nothing_is_read_before_the_caller_may(void **state)
{
    (void)state;
    world_open(&w, NULL);
    begin_upload("X-Room-Id: r\r\nExpect: 100-continue\r\n", 1000);
    assert_false(world_has(&w, "100 Continue"));
    answer(CALL_ROOM_GET, 403, "{\"error\":\"forbidden\"}", 0);
    assert_int_equal(world_status(&w), 403);
    assert_int_equal(fake_shard_count(w.shard), 0); /* no file was begun */
    begin_upload("X-Room-Id: r\r\nExpect: 100-continue\r\n", 1000);
    answer(CALL_ROOM_GET, 200, "{}", 0);
    assert_false(world_has(&w, "100 Continue"));
    answer(CALL_FILE_CREATE, 200, "{}", 0);
    assert_true(world_has(&w, "100 Continue"));
}

static void a_store_that_fails_ends_the_upload(void **state)
{
    (void)state;
    world_open(&w, NULL);
    begin_upload("", 2 * (size_t)FILE_CHUNK_BYTES);
    answer(CALL_FILE_CREATE, 200, "{}", 0);
    send_bytes(FILE_CHUNK_BYTES);
    answer(CALL_FILE_PUT, 503, "{\"error\":\"unavailable\"}", FILE_CHUNK_BYTES);
    assert_int_equal(world_status(&w), 503);
    answer(CALL_FILE_REMOVE, 200, "{}", 0); /* what was stored goes */
    assert_int_equal(w.c.metrics.uploads_failed, 1);
}

static void a_client_that_leaves_takes_its_pieces_along(void **state)
{
    (void)state;
    world_open(&w, NULL);
    begin_upload("", 2 * (size_t)FILE_CHUNK_BYTES);
    answer(CALL_FILE_CREATE, 200, "{}", 0);
    send_bytes(FILE_CHUNK_BYTES);
    stream_close(w.client.stream, false);
    w.client.stream = NULL;
    fake_env_run(&w.c.env);
    assert_int_equal(w.c.metrics.uploads_active, 1); /* a piece is on its way */
    answer(CALL_FILE_PUT, 200, "{}", FILE_CHUNK_BYTES);
    answer(CALL_FILE_REMOVE, 200, "{}", 0);
    assert_int_equal(w.c.metrics.uploads_active, 0);
}

static void uploads_are_limited_by_user(void **state)
{
    (void)state;
    world_open(&w, NULL);
    for (int i = 0; i < UPLOADS_PER_MINUTE; i++) {
        begin_upload("Content-Type: multipart/form-data\r\n", 1);
        assert_int_equal(world_status(&w), 415);
    }
    begin_upload("Content-Type: image/png\r\n", 1);
    assert_int_equal(world_status(&w), 429);
    assert_true(world_has(&w, "Retry-After: "));
    assert_int_equal(fake_shard_count(w.shard), 0);
}

static void a_shutdown_in_an_upload_is_clean(void **state)
{
    (void)state;
    world_open(&w, NULL);
    begin_upload("", 2 * (size_t)FILE_CHUNK_BYTES);
    answer(CALL_FILE_CREATE, 200, "{}", 0);
    send_bytes(FILE_CHUNK_BYTES + 5); /* the teardown ends it in the middle */
}

/* ---- downloads ---- */

static const char stat[] = "{\"key\":\"k\",\"userId\":\"ada\",\"name\":\"n\",\"contentType\":"
                           "\"image/png\",\"size\":600000}";

static void begin_download(void)
{
    world_request(&w, "GET", "/attachments/k", auth(), NULL);
    if (w.c.metrics.calls_PROJECT_CONFIG == 0)
        world_answer_project(&w);
    answer(CALL_FILE_STAT, 200, stat, 0);
}

static void give_piece(size_t len)
{
    const struct msg *msg = fake_shard_expect(w.shard, MSG_CALL);
    struct msg reply = {.type = MSG_REPLY};
    char *data = calloc(1, len + 1);

    assert_non_null(data);
    assert_int_equal(msg->CALL.op, CALL_FILE_GET);
    reply.REPLY.call = msg->CALL.call;
    reply.REPLY.status = 200;
    reply.REPLY.body = SLICE_LIT("{}");
    reply.REPLY.data = slice_of(data, len);
    fake_shard_send(w.shard, &reply);
    fake_env_run(&w.c.env);
    free(data);
}

static void a_download_asks_for_a_piece_when_the_client_has_room(void **state)
{
    (void)state;
    world_open(&w, NULL);
    begin_download();
    assert_true(world_has(&w, "Content-Length: 600000\r\n"));
    assert_int_equal(fake_shard_count(w.shard), 1);
    give_piece(FILE_CHUNK_BYTES);
    give_piece(FILE_CHUNK_BYTES);
    give_piece(600000 - 2 * (size_t)FILE_CHUNK_BYTES);
    assert_int_equal(fake_shard_count(w.shard), 0);
    assert_true(w.client.in.len > 600000);
    assert_false(w.client.closed);
    assert_int_equal(w.c.metrics.download_bytes, 600000);
}

static void a_download_that_cannot_go_on_is_cut(void **state)
{
    (void)state;
    world_open(&w, NULL);
    begin_download();
    give_piece(FILE_CHUNK_BYTES);
    give_piece(10); /* shorter than it must be */
    assert_true(w.client.closed);
    assert_true(w.client.in.len < 600000);
}

static void a_shutdown_in_a_download_is_clean(void **state)
{
    (void)state;
    world_open(&w, NULL);
    begin_download();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(an_upload_is_cut_into_pieces_and_waits_for_the_store,
                                  teardown),
        cmocka_unit_test_teardown(nothing_is_read_before_the_caller_may, teardown),
        cmocka_unit_test_teardown(a_store_that_fails_ends_the_upload, teardown),
        cmocka_unit_test_teardown(a_client_that_leaves_takes_its_pieces_along, teardown),
        cmocka_unit_test_teardown(uploads_are_limited_by_user, teardown),
        cmocka_unit_test_teardown(a_shutdown_in_an_upload_is_clean, teardown),
        cmocka_unit_test_teardown(a_download_asks_for_a_piece_when_the_client_has_room,
                                  teardown),
        cmocka_unit_test_teardown(a_download_that_cannot_go_on_is_cut, teardown),
        cmocka_unit_test_teardown(a_shutdown_in_a_download_is_clean, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
