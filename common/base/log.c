/*
 * log.c - structured lines without blocking and without allocating; see log.h.
 *
 * A line is built in one static buffer. What a pipe takes only in part is kept
 * and goes out before the next line, so that a reader never sees half a line
 * followed by another one.
 */
#include "common/base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "common/base/broken.h"
#include "common/base/error.h"
#include "common/base/ident.h"
#include "common/base/limits.h"
#include "common/base/macros.h"
#include "common/base/utf8.h"

#define LINE_TAIL 64 /* kept free for the end: "cut":true, dropped, brace, newline */

static struct {
    enum log_level level;
    int fd;
    bool is_nonblocking; /* else poll() before each write */
    const char *node;
    uint64_t dropped, dropped_told;
    char rest[LOG_LINE_MAX]; /* of a line that was taken in part */
    size_t rest_len;
} state = {.level = LOG_LEVEL_INFO, .fd = STDERR_FILENO};

static const char *const level_names[] = {"debug", "info", "warn", "error", "off"};

void log_init(int fd, const char *node)
{
    char path[32];
    int own;

    state.node = node;
    state.fd = fd;
    state.is_nonblocking = false;
    state.rest_len = 0;
    /* A description of our own: O_NONBLOCK on the one we were given would also change the
     * parent's terminal. Not possible for sockets. */
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    own = open(path, O_WRONLY | O_APPEND | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
    if (own >= 0) {
        state.fd = own;
        state.is_nonblocking = true;
    }
}

void log_set_level(enum log_level level)
{
    state.level = level;
}

bool log_is_on(enum log_level level)
{
    return level >= state.level && state.level != LOG_LEVEL_OFF;
}

bool log_level_parse(const char *word, enum log_level *ret_level)
{
    for (size_t i = 0; i < ARRAY_LEN(level_names); i++) {
        if (strcmp(word, level_names[i]) == 0) {
            *ret_level = (enum log_level)i;
            return true;
        }
    }
    return false;
}

void log_start(const char *node, const char *level)
{
    enum log_level from = LOG_LEVEL_INFO;

    (void)log_level_parse(level, &from); /* another word leaves it at that */
    log_init(STDERR_FILENO, node);
    log_set_level(from);
    if (broken_name())
        log_error("BROKEN BUILD: a promise is broken on purpose, for tests only",
                  L_STR("break", broken_name()));
}

uint64_t log_dropped(void)
{
    return state.dropped;
}

/* ---- the line ---- */

struct line {
    char text[LOG_LINE_MAX];
    size_t len;
    bool cut; /* something did not fit */
};

/* Whole or not at all. */
static bool line_put(struct line *line, const char *s, size_t len)
{
    if (len > sizeof(line->text) - LINE_TAIL - line->len) {
        line->cut = true;
        return false;
    }
    memcpy(line->text + line->len, s, len);
    line->len += len;
    return true;
}

static void line_put_str(struct line *line, const char *s)
{
    line_put(line, s, strlen(s));
}

static void line_put_escaped(struct line *line, unsigned char c)
{
    char text[8];

    if (c == '"' || c == '\\') {
        text[0] = '\\';
        text[1] = (char)c;
        line_put(line, text, 2);
    } else if (c < 0x20 || c == 0x7f) {
        snprintf(text, sizeof(text), "\\u%04x", c);
        line_put(line, text, 6);
    } else {
        line_put(line, (const char *)&c, 1);
    }
}

/* Bytes that are no UTF-8 become U+FFFD, so that a line is always JSON. */
static void line_put_string(struct line *line, struct slice s)
{
    size_t at = 0;

    line_put(line, "\"", 1);
    while (at < s.len && !line->cut) {
        struct utf8_check check = {0};
        size_t n = 1;

        if ((unsigned char)s.data[at] < 0x80) {
            line_put_escaped(line, (unsigned char)s.data[at]);
            at++;
            continue;
        }
        while (utf8_feed(&check, slice_of(s.data + at + n - 1, 1)) &&
               !utf8_is_complete(&check) && at + n < s.len)
            n++;
        if (utf8_is_valid(slice_of(s.data + at, n))) {
            line_put(line, s.data + at, n);
            at += n;
        } else {
            line_put_str(line, "\xef\xbf\xbd");
            at++;
        }
    }
    /* There is always room for this quote: see LINE_TAIL. */
    line->text[line->len++] = '"';
}

static void line_put_key(struct line *line, const char *key)
{
    line_put(line, ",\"", 2);
    line_put_str(line, key);
    line_put(line, "\":", 2);
}

static void line_put_value(struct line *line, const struct log_field *field)
{
    char number[24];

    switch (field->type) {
    case LOG_FIELD_STR:
        line_put_string(line, field->s);
        break;
    case LOG_FIELD_U64:
        snprintf(number, sizeof(number), "%llu", (unsigned long long)field->u);
        line_put_str(line, number);
        break;
    case LOG_FIELD_I64:
        snprintf(number, sizeof(number), "%lld", (long long)field->i);
        line_put_str(line, number);
        break;
    case LOG_FIELD_BOOL:
        line_put_str(line, field->b ? "true" : "false");
        break;
    case LOG_FIELD_ERR:
        line_put_string(line, slice_str(error_name((int)field->i)));
        break;
    }
}

/* A field that does not fit is left out as a whole. */
static void line_put_field(struct line *line, const struct log_field *field)
{
    size_t start = line->len;

    if (line->cut)
        return;
    line_put_key(line, field->key);
    line_put_value(line, field);
    if (line->cut)
        line->len = start;
}

static void line_end(struct line *line)
{
    char tail[LINE_TAIL];
    int n;

    if (state.dropped > state.dropped_told)
        n = snprintf(tail, sizeof(tail), "%s,\"dropped\":%llu}\n",
                     line->cut ? ",\"cut\":true" : "",
                     (unsigned long long)(state.dropped - state.dropped_told));
    else
        n = snprintf(tail, sizeof(tail), "%s}\n", line->cut ? ",\"cut\":true" : "");
    memcpy(line->text + line->len, tail, (size_t)n);
    line->len += (size_t)n;
}

/* ---- writing ---- */

/* As much as the descriptor takes now. */
static size_t write_some(const char *data, size_t len)
{
    size_t done = 0;

    while (done < len) {
        struct pollfd pfd = {.fd = state.fd, .events = POLLOUT};
        ssize_t n;

        if (!state.is_nonblocking && poll(&pfd, 1, 0) != 1)
            break;
        n = write(state.fd, data + done, len - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        done += (size_t)n;
    }
    return done;
}

static bool flush_rest(void)
{
    size_t n = write_some(state.rest, state.rest_len);

    state.rest_len -= n;
    memmove(state.rest, state.rest + n, state.rest_len);
    return state.rest_len == 0;
}

static void line_send(const struct line *line)
{
    size_t n;

    if (!flush_rest()) {
        state.dropped++;
        return;
    }
    n = write_some(line->text, line->len);
    if (n == 0) {
        state.dropped++;
        return;
    }
    state.dropped_told = state.dropped; /* the line said so */
    state.rest_len = line->len - n;
    memcpy(state.rest, line->text + n, state.rest_len);
}

/* ---- the event ---- */

static uint64_t clock_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static int64_t wall_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000 / 1000 * 1000;
}

/* False: this site has said enough in this window. *ret_left_out: what its last window left
 * out. */
static bool site_may_log(struct log_site *site, uint32_t *ret_left_out)
{
    uint64_t now = clock_ms();

    *ret_left_out = 0;
    if (now - site->window_ms >= LOG_REPEAT_WINDOW_MS) {
        *ret_left_out = site->left_out;
        *site = (struct log_site){.window_ms = now};
    }
    if (site->lines >= LOG_REPEAT_MAX) {
        site->left_out++;
        return false;
    }
    site->lines++;
    return true;
}

void log_emit(struct log_site *site, enum log_level level, const char *file, const char *msg,
              const struct log_field *fields, size_t n_fields)
{
    static struct line line; /* one thread; too large for every caller's stack */
    struct slice component = slice_str(file);
    char ts[TIME_TEXT_MAX];
    uint32_t left_out;

    if (!site_may_log(site, &left_out))
        return;
    line.len = 0;
    line.cut = false;
    time_format(wall_us(), ts);
    line_put_str(&line, "{\"ts\":\"");
    line_put_str(&line, ts);
    line_put_str(&line, "\",\"level\":\"");
    line_put_str(&line, level_names[level]);
    line_put_str(&line, "\"");
    if (state.node)
        line_put_field(&line, &L_STR("node", state.node));
    if (component.len > 2 && component.data[component.len - 2] == '.')
        component.len -= 2;
    line_put_field(&line, &L_SLICE("component", component));
    line_put_field(&line, &L_STR("msg", msg));
    if (left_out > 0)
        line_put_field(&line, &L_U64("repeatsLeftOut", left_out));
    for (size_t i = 0; i < n_fields; i++)
        line_put_field(&line, &fields[i]);
    line_end(&line);
    line_send(&line);
}
