/*
 * stall.c - how long clients wait while somebody does things to the cluster: messages at a
 * fixed rate over many rooms, and figures for each stretch of time that is asked for.
 *
 * It prints a line of JSON when everybody is in, then takes commands on stdin, one a line:
 *
 *   window NAME   a stretch begins; a line says so, and what is done to the cluster before it
 *                 came is not counted
 *   end           it ends; its figures are printed when all messages that were due in it have
 *                 been acknowledged and have reached everybody, or after --settle seconds
 *   mark NAME     prints how long after this moment each room had its next acknowledgement
 *   quit          stop sending, wait for what is on its way, print the totals
 *
 * The commands behind an `end` or a `quit` are taken when it is done; the end of stdin is a
 * `quit`. The status is 1 when a promise was broken: lost, doubled, out of order.
 *
 *   stall.c -> regulars.c (clients) -> net.c, check.c
 *           -> waits.c (times), stall_report.c (JSON)
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/bench/regulars.h"
#include "tests/bench/stall_report.h"
#include "tests/bench/tool.h"
#include "tests/bench/waits.h"

#define MARK_LIMIT_NS (60 * NS_PER_SEC)
#define NAME_MAX_LEN 64

struct stall {
    struct regulars_options options;
    double rate, settle_s;
    struct regulars *regulars;
    struct waits waits;
    uint64_t start_ns;
    uint64_t late_ns; /* of this window: how late the generator itself was at most */
    bool quitting;

    /* The stretch. It ends at number @to; UINT64_MAX: not yet. */
    struct stall_window window;
    bool in_window;
    uint64_t settle_by_ns;

    struct stall_mark mark;
    uint32_t mark_left; /* rooms without an acknowledgement since; 0: no mark */

    char input[1024];
    size_t input_len;
    bool input_ended;
};

static uint64_t seconds_ns(double s)
{
    return (uint64_t)(s * 1e9);
}

/* ---- messages ---- */

static uint64_t number_of(const struct stall *s, uint32_t sender, uint32_t n)
{
    return (uint64_t)n * s->options.rooms * s->options.members + sender;
}

static void on_acked(void *owner, uint32_t sender, uint32_t n, uint64_t at_ns)
{
    struct stall *s = owner;
    uint32_t room = sender % s->options.rooms;

    waits_acked(&s->waits, number_of(s, sender, n), at_ns);
    if (s->mark_left > 0 && at_ns > s->mark.from_ns && s->mark.room_ns[room] == 0) {
        s->mark.room_ns[room] = at_ns - s->mark.from_ns;
        s->mark_left--;
        if (s->mark_left == 0)
            stall_report_mark(&s->mark, s->options.rooms);
    }
}

static void on_seen(void *owner, uint32_t sender, uint32_t n, uint64_t at_ns)
{
    struct stall *s = owner;

    waits_seen(&s->waits, number_of(s, sender, n), at_ns);
}

/* Sends all that is due; how long until the next one is. */
static uint64_t pump(struct stall *s, uint64_t now)
{
    uint32_t clients = s->options.rooms * s->options.members;

    while (!s->quitting) {
        uint64_t due = s->start_ns + (uint64_t)((double)s->waits.n * 1e9 / s->rate);
        uint64_t k;

        if (due > now)
            return due - now;
        if (now - due > s->late_ns)
            s->late_ns = now - due;
        k = waits_due(&s->waits, due);
        regulars_send(s->regulars, (uint32_t)(k % clients), (uint32_t)(k / clients), due);
    }
    return UINT64_MAX;
}

/* ---- windows and marks ---- */

static void begin_window(struct stall *s, const char *name)
{
    if (s->in_window)
        die("window %s: %s has not been ended", name, s->window.name);
    snprintf(s->window.name, sizeof(s->window.name), "%s", name);
    s->window.from = s->waits.n;
    s->window.to = UINT64_MAX;
    s->window.from_ns = now_ns();
    s->window.before = *regulars_counts(s->regulars);
    s->window.checks_before = *regulars_checks(s->regulars);
    s->late_ns = 0;
    regulars_take_silences(s->regulars, s->window.silence_ns);
    s->in_window = true;
    stall_report_begun(s->window.name);
}

static void end_window(struct stall *s)
{
    if (!s->in_window)
        die("end: there is no window");
    s->window.to = s->waits.n;
    s->window.to_ns = now_ns();
    s->window.late_ns = s->late_ns;
    s->settle_by_ns = now_ns() + seconds_ns(s->settle_s);
}

static bool is_ending(const struct stall *s)
{
    return s->in_window && s->window.to != UINT64_MAX;
}

static void begin_mark(struct stall *s, const char *name)
{
    snprintf(s->mark.name, sizeof(s->mark.name), "%s", name);
    memset(s->mark.room_ns, 0, s->options.rooms * sizeof(*s->mark.room_ns));
    s->mark.from_ns = now_ns();
    s->mark_left = s->options.rooms;
}

static void look_at_limits(struct stall *s, uint64_t now)
{
    struct stall_window *w = &s->window;

    if (s->mark_left > 0 && now - s->mark.from_ns > MARK_LIMIT_NS) {
        stall_report_mark(&s->mark, s->options.rooms);
        s->mark_left = 0;
    }
    if (!is_ending(s))
        return;
    w->settled =
        waits_first_open(&s->waits, w->settled > w->from ? w->settled : w->from, w->to);
    if (w->settled < w->to && now < s->settle_by_ns)
        return;
    regulars_take_silences(s->regulars, w->silence_ns);
    stall_report_window(w, &s->waits, s->regulars);
    s->in_window = false;
}

/* ---- commands ---- */

static void run_command(struct stall *s, char *line)
{
    char *name = strchr(line, ' ');

    if (name)
        *name++ = '\0';
    if (strcmp(line, "window") == 0 && name && *name)
        begin_window(s, name);
    else if (strcmp(line, "mark") == 0 && name && *name)
        begin_mark(s, name);
    else if (strcmp(line, "end") == 0 && !name)
        end_window(s);
    else if (strcmp(line, "quit") == 0 && !name)
        s->quitting = true;
    else
        die("'%s' is no command: window NAME, end, mark NAME or quit", line);
}

static void read_input(struct stall *s)
{
    ssize_t n = read(STDIN_FILENO, s->input + s->input_len, sizeof(s->input) - s->input_len);

    if (n > 0)
        s->input_len += (size_t)n;
    else if (n == 0)
        s->input_ended = true;
    else if (errno != EAGAIN && errno != EINTR)
        die("commands cannot be read: %s", strerror(errno));
}

static void take_commands(struct stall *s)
{
    if (!s->input_ended && s->input_len < sizeof(s->input))
        read_input(s);
    while (!is_ending(s) && !s->quitting) {
        char *end = memchr(s->input, '\n', s->input_len);
        size_t used;

        if (!end) {
            if (s->input_len == sizeof(s->input))
                die("a command of more than %zu bytes", sizeof(s->input));
            s->quitting = s->input_ended;
            return;
        }
        *end = '\0';
        used = (size_t)(end + 1 - s->input);
        run_command(s, s->input);
        s->input_len -= used;
        memmove(s->input, s->input + used, s->input_len);
    }
}

/* ---- the run ---- */

static void run(struct stall *s)
{
    uint64_t end;

    s->start_ns = now_ns();
    while (!s->quitting || is_ending(s)) {
        uint64_t now = now_ns();

        regulars_turn(s->regulars, pump(s, now));
        take_commands(s);
        look_at_limits(s, now_ns());
    }
    end = now_ns() + seconds_ns(s->settle_s);
    while (waits_first_open(&s->waits, 0, s->waits.n) < s->waits.n && now_ns() < end)
        regulars_turn(s->regulars, NS_PER_SEC / 100);
    regulars_count_missing(s->regulars);
}

static const char help[] =
    "usage: stall --url http://127.0.0.1:PORT [--url ...] --api-key KEY [options]\n"
    "  --rooms N      (100)\n"
    "  --members N    clients in each, all of which send (10)\n"
    "  --rate N       messages a second, all rooms together (500)\n"
    "  --size N       bytes of content (64)\n"
    "  --opening N    connections being opened at one time at first (64)\n"
    "  --settle S     seconds that messages of a window are waited for at its end (30)\n"
    "  --prefix TEXT  begins the name of each room and user (stall)\n"
    "commands on stdin, one a line: window NAME, end, mark NAME, quit\n";

static void parse_one(struct stall *s, const char *name, const char *value)
{
    struct regulars_options *o = &s->options;

    if (strcmp(name, "--url") == 0) {
        if (o->n_targets == REGULARS_TARGETS)
            die("--url: more than %d", REGULARS_TARGETS);
        setup_address(value, &o->target[o->n_targets++]);
    } else if (strcmp(name, "--api-key") == 0) {
        o->api_key = value;
    } else if (strcmp(name, "--prefix") == 0) {
        o->prefix = value;
    } else if (strcmp(name, "--rooms") == 0) {
        o->rooms = (uint32_t)tool_number(name, value, 1, 10000);
    } else if (strcmp(name, "--members") == 0) {
        o->members = (uint32_t)tool_number(name, value, 1, 1000);
    } else if (strcmp(name, "--size") == 0) {
        o->size = (uint32_t)tool_number(name, value, 1, 4000);
    } else if (strcmp(name, "--opening") == 0) {
        o->opening = (uint32_t)tool_number(name, value, 1, 10000);
    } else if (strcmp(name, "--rate") == 0) {
        s->rate = tool_number(name, value, 1, 100000);
    } else if (strcmp(name, "--settle") == 0) {
        s->settle_s = tool_number(name, value, 0, 3600);
    } else {
        die("%s is not known\n%s", name, help);
    }
}

static void parse(struct stall *s, int argc, char **argv)
{
    s->options = (struct regulars_options){
        .prefix = "stall", .rooms = 100, .members = 10, .size = 64, .opening = 64};
    s->rate = 500;
    s->settle_s = 30;
    for (int i = 1; i < argc; i += 2) {
        if (strcmp(argv[i], "--help") == 0) {
            fputs(help, stdout);
            exit(0);
        }
        if (i + 1 >= argc)
            die("%s: no value, or not known\n%s", argv[i], help);
        parse_one(s, argv[i], argv[i + 1]);
    }
    if (s->options.n_targets == 0 || !s->options.api_key)
        die("--url and --api-key are needed\n%s", help);
}

int main(int argc, char **argv)
{
    static const struct regulars_events events = {on_acked, on_seen};
    struct stall s = {0};
    uint64_t start;
    bool ok;

    parse(&s, argc, argv);
    if (fcntl(STDIN_FILENO, F_SETFL, fcntl(STDIN_FILENO, F_GETFL) | O_NONBLOCK) < 0)
        die("stdin: %s", strerror(errno));
    waits_init(&s.waits, s.options.rooms, s.options.members);
    s.mark.room_ns = must_calloc(s.options.rooms, sizeof(*s.mark.room_ns));
    s.window.silence_ns =
        must_calloc(s.options.rooms * s.options.members, sizeof(*s.window.silence_ns));
    s.regulars = regulars_new(&s.options, &events, &s);
    start = now_ns();
    regulars_gather(s.regulars);
    stall_report_ready(s.options.rooms * s.options.members, (double)(now_ns() - start) / 1e9);
    run(&s);
    ok = stall_report_end(&s.waits, s.regulars);
    regulars_free(s.regulars);
    waits_deinit(&s.waits);
    free(s.mark.room_ns);
    free(s.window.silence_ns);
    return ok ? 0 : 1;
}
