/* test_admin.c - the admin port, asked over real sockets. */
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/limits.h"
#include "common/net/admin.h"
#include "tests/support/test.h"
#include "tests/unit/net/net_fixture.h"

static struct net_fixture f;
static struct admin *admin;
static bool ready;

static bool is_ready(void *owner, struct buf *reasons)
{
    (void)owner;
    if (!ready)
        buf_put_str(reasons, "no ring\nno database\n");
    return ready;
}

static void write_metrics(void *owner, struct buf *out)
{
    (void)owner;
    buf_put_str(out, "fluxy_test 1\n");
}

static void write_status(void *owner, struct buf *out)
{
    (void)owner;
    buf_put_str(out, "{\"a\":1}");
}

static const struct admin_hooks hooks = {.is_ready = is_ready, .write_metrics = write_metrics};
static const struct admin_page pages[] = {{"/status", write_status}};

static int setup(void **state)
{
    (void)state;
    net_setup(&f, 0);
    ready = true;
    assert_int_equal(
        admin_new(f.loop, "127.0.0.1:0", &hooks, pages, ARRAY_LEN(pages), NULL, &admin), 0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    admin_free(admin);
    net_teardown(&f);
    return 0;
}

static int dial(void)
{
    struct addr to;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_int_equal(addr_from_host("127.0.0.1", admin_port(admin), &to), 0);
    assert_int_equal(connect(fd, &to.sa, to.len), 0);
    return fd;
}

/* Reads until the server closes. */
static void finish(int fd, struct buf *ret)
{
    for (uint64_t end = net_clock_ms() + NET_WAIT_MS; net_clock_ms() < end;) {
        char *at = buf_reserve(ret, 4096);
        ssize_t n = recv(fd, at, 4095, MSG_DONTWAIT);

        if (n > 0) {
            ret->len += (size_t)n;
        } else if (n == 0 || errno != EAGAIN) {
            *buf_reserve(ret, 1) = '\0';
            close(fd);
            return;
        } else {
            net_turn(&f);
        }
    }
    fail_msg("the server does not end the connection");
}

static void ask(const char *request, struct buf *ret)
{
    int fd = dial();

    assert_int_equal(send(fd, request, strlen(request), 0), (ssize_t)strlen(request));
    finish(fd, ret);
}

static const struct {
    const char *name;
    const char *request;
    bool ready;
    const char *status, *has, *has_not;
} cases[] = {
    {"health", "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", true, "200", "ok", NULL},
    {"ready", "GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n", true, "200", "ready", NULL},
    {"not ready", "GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n", false, "503", "no database", NULL},
    {"metrics", "GET /metrics HTTP/1.0\r\n\r\n", true, "200", "fluxy_test 1", NULL},
    {"query is ignored", "GET /metrics?x=1 HTTP/1.0\r\n\r\n", true, "200", "fluxy_test 1",
     NULL},
    {"page", "GET /status HTTP/1.1\r\nHost: x\r\n\r\n", true, "200", "{\"a\":1}", NULL},
    {"head has no body", "HEAD /status HTTP/1.1\r\nHost: x\r\n\r\n", true, "200", "json", "{"},
    {"unknown path", "GET /other HTTP/1.1\r\nHost: x\r\n\r\n", true, "404", "not found", NULL},
    {"post", "POST /status HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", true, "405",
     "GET", "{"},
};

static void pages_answer(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO_BUF got = BUF_INIT;
        const char *text;

        ready = cases[i].ready;
        ask(cases[i].request, &got);
        text = got.data ? got.data : "";
        CHECK(strncmp(text, "HTTP/1.1 ", 9) == 0, cases[i].name);
        CHECK(strncmp(text + 9, cases[i].status, 3) == 0, cases[i].name);
        CHECK(strstr(text, cases[i].has), cases[i].name);
        CHECK(!cases[i].has_not || !strstr(text, cases[i].has_not), cases[i].name);
    }
}

static void too_many_connections_are_closed(void **state)
{
    int fds[ADMIN_CONNECTIONS_MAX];
    AUTO_BUF got = BUF_INIT;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(fds); i++)
        fds[i] = dial();
    for (int i = 0; i < 5; i++)
        net_turn(&f);
    finish(dial(), &got);
    assert_int_equal(got.len, 0);
    for (size_t i = 0; i < ARRAY_LEN(fds); i++)
        close(fds[i]);
    for (int i = 0; i < 5; i++)
        net_turn(&f);
    ask("GET /healthz HTTP/1.0\r\n\r\n", &got);
    assert_non_null(strstr(got.data, "200"));
}

static void oversized_head_is_refused(void **state)
{
    AUTO_BUF request = BUF_INIT;
    AUTO_BUF got = BUF_INIT;

    (void)state;
    buf_put_str(&request, "GET /healthz HTTP/1.1\r\nHost: x\r\nA: ");
    for (size_t i = 0; i < HTTP_HEAD_MAX; i++)
        buf_put_char(&request, 'x');
    buf_put_str(&request, "\r\n\r\n");
    *buf_reserve(&request, 1) = '\0';
    ask(request.data, &got);
    assert_null(got.len ? strstr(got.data, "200 OK") : NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(pages_answer, setup, teardown),
        cmocka_unit_test_setup_teardown(too_many_connections_are_closed, setup, teardown),
        cmocka_unit_test_setup_teardown(oversized_head_is_refused, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
