/* test_log.c - one event, one line of JSON; repeats cut; a full pipe costs lines, never time.
 */
#include "common/base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "common/base/buf.h"
#include "common/base/limits.h"
#include "tests/support/test.h"

static int pipe_fds[2];
static char text[1 << 17];

/* What has been logged since the last call, as a string. */
static const char *read_log(void)
{
    size_t len = 0;
    ssize_t n;

    while ((n = read(pipe_fds[0], text + len, sizeof(text) - 1 - len)) > 0)
        len += (size_t)n;
    text[len] = '\0';
    return text;
}

static int setup(void **state)
{
    (void)state;
    if (pipe2(pipe_fds, O_CLOEXEC) < 0 || fcntl(pipe_fds[0], F_SETFL, O_NONBLOCK) < 0)
        return -1;
    log_set_level(LOG_LEVEL_INFO);
    log_init(pipe_fds[1], "gateway-1");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    close(pipe_fds[0]);
    close(pipe_fds[1]);
    return 0;
}

static void line_has_all_fields(void **state)
{
    const char *line;

    (void)state;
    log_warn("link down", L_STR("shard", "s1"), L_U64("incarnation", UINT64_MAX),
             L_I64("delta", -3), L_BOOL("retry", true), L_ERR(-ECONNREFUSED),
             L_STR("none", NULL));
    line = read_log();
    assert_memory_equal(line, "{\"ts\":\"20", 9);
    assert_string_equal(
        strstr(line, "Z\",") + 3,
        "\"level\":\"warn\",\"node\":\"gateway-1\",\"component\":\"test_log\",\"msg\":\"link "
        "down\","
        "\"shard\":\"s1\",\"incarnation\":18446744073709551615,\"delta\":-3,\"retry\":true,"
        "\"error\":\"ECONNREFUSED\",\"none\":\"\"}\n");
}

static void values_cannot_break_the_line(void **state)
{
    (void)state;
    log_info("odd",
             L_SLICE("v", SLICE_LIT("a\n\"b\\\0\x7f\xc3\xa9\xff\xe2\x82 \xed\xa0\x80.")));
    assert_non_null(strstr(
        read_log(),
        "\"v\":\"a\\u000a\\\"b\\\\\\u0000\\u007f\xc3\xa9\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd "
        "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd.\"}\n"));
}

static void what_does_not_fit_is_left_out(void **state)
{
    static char large[LOG_LINE_MAX];
    const char *line;

    (void)state;
    memset(large, 'x', sizeof(large));
    log_info("large", L_STR("first", "kept"), L_SLICE("second", slice_of(large, sizeof(large))),
             L_STR("third", "gone"));
    line = read_log();
    assert_non_null(strstr(line, "\"first\":\"kept\",\"cut\":true}\n"));
    assert_null(strstr(line, "second"));
    for (size_t n = LOG_LINE_MAX - 400; n < LOG_LINE_MAX;
         n++) { /* every way to just (not) fit */
        struct log_site site = {0};
        struct log_field field = L_SLICE("v", slice_of(large, n));

        log_emit(&site, LOG_LEVEL_INFO, "f.c", "edge", &field, 1);
        line = read_log();
        assert_true(strlen(line) < LOG_LINE_MAX);
        assert_string_equal(line + strlen(line) - 2, "}\n");
    }
}

static void levels(void **state)
{
    enum log_level level;

    (void)state;
    log_debug("hidden");
    assert_string_equal(read_log(), "");
    log_set_level(LOG_LEVEL_DEBUG);
    log_debug("shown");
    assert_non_null(strstr(read_log(), "\"level\":\"debug\""));
    log_set_level(LOG_LEVEL_OFF);
    log_error("hidden");
    assert_string_equal(read_log(), "");
    assert_true(log_level_parse("warn", &level));
    assert_int_equal(level, LOG_LEVEL_WARN);
    assert_false(log_level_parse("loud", &level));
}

static size_t count_lines(const char *s)
{
    size_t n = 0;

    for (; *s; s++)
        n += *s == '\n';
    return n;
}

static void repeats_are_cut_and_counted(void **state)
{
    struct log_site site = {0};

    (void)state;
    for (int i = 0; i < LOG_REPEAT_MAX + 7; i++)
        log_emit(&site, LOG_LEVEL_INFO, "f.c", "again", NULL, 0);
    assert_int_equal(count_lines(read_log()), LOG_REPEAT_MAX);
    site.window_ms -= LOG_REPEAT_WINDOW_MS; /* as if the window had passed */
    log_emit(&site, LOG_LEVEL_INFO, "f.c", "again", NULL, 0);
    assert_non_null(strstr(read_log(), "\"repeatsLeftOut\":7}\n"));
    log_emit(&site, LOG_LEVEL_INFO, "f.c", "again", NULL, 0);
    assert_null(strstr(read_log(), "repeatsLeftOut"));
}

static void full_pipe_drops_whole_lines(void **state)
{
    static char filler[3000];
    uint64_t dropped = log_dropped();
    size_t written = 0, lines;

    (void)state;
    memset(filler, 'y', sizeof(filler));
    while (log_dropped() < dropped + 3) {
        struct log_site site = {0};
        struct log_field field = L_SLICE("v", slice_of(filler, sizeof(filler)));

        log_emit(&site, LOG_LEVEL_INFO, "f.c", "fill", &field, 1);
        written++;
        assert_true(written < 1000);
    }
    lines = count_lines(read_log());
    log_info("after");
    lines += count_lines(read_log());
    assert_int_equal(lines,
                     written - 3 + 1); /* a line cut by the full pipe was finished first */
    assert_non_null(strstr(text, "\"msg\":\"after\",\"dropped\":3}\n"));
    log_info("then");
    assert_null(strstr(read_log(), "dropped"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(line_has_all_fields, setup, teardown),
        cmocka_unit_test_setup_teardown(values_cannot_break_the_line, setup, teardown),
        cmocka_unit_test_setup_teardown(what_does_not_fit_is_left_out, setup, teardown),
        cmocka_unit_test_setup_teardown(levels, setup, teardown),
        cmocka_unit_test_setup_teardown(repeats_are_cut_and_counted, setup, teardown),
        cmocka_unit_test_setup_teardown(full_pipe_drops_whole_lines, setup, teardown),
    };

    return cmocka_run_group_tests_name("log", tests, NULL, NULL);
}
