/*
 * traffic.c - senders, the pump that drives them, and the measured window.
 *
 * Connection i sits in room i % rooms; the first `senders` connections of a room send. Sender
 * s is slot s / rooms of room s % rooms, which makes it connection s.
 */
#include "tests/bench/traffic.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/bench/crowd.h"
#include "tests/bench/proc.h"
#include "tests/bench/tool.h"

#define IDLE_WAIT_NS (NS_PER_SEC / 50)

struct sender {
    uint32_t sent;
    uint32_t acked;
    uint32_t done;    /* closed loop: all below are done with */
    uint32_t *left;   /* owned; closed loop: deliveries still to come, by number % inflight */
    uint64_t *due_of; /* owned; by number, because an ack does not carry the time */
    uint32_t cap_due;
    struct check_order order;
};

struct traffic {
    const struct load_options *o; /* borrowed; outlives us */
    struct crowd *crowd;          /* borrowed; during traffic_run() */
    struct sender *senders;       /* owned; n_senders */
    uint32_t n_senders;
    struct check_member *members; /* owned; n_members */
    uint32_t n_members;
    bool measuring;
    bool progress; /* a closed-loop sender may go on */
    uint64_t from_ns, to_ns;
    uint64_t open_start_ns, open_next;
    uint64_t outstanding; /* deliveries and acks still to come */
    struct text frame;
    struct traffic_result result;
};

struct traffic *traffic_new(const struct load_options *o)
{
    struct traffic *t = must_calloc(1, sizeof(*t));

    t->o = o;
    t->n_senders = o->rooms * o->senders;
    t->n_members = o->rooms * o->members;
    t->senders = must_calloc(t->n_senders, sizeof(*t->senders));
    t->members = must_calloc(t->n_members, sizeof(*t->members));
    for (uint32_t i = 0; i < t->n_members; i++)
        check_member_init(&t->members[i], o->senders);
    for (uint32_t i = 0; i < t->n_senders; i++)
        t->senders[i].left = must_calloc(o->inflight, sizeof(uint32_t));
    t->to_ns = UINT64_MAX;
    return t;
}

void traffic_free(struct traffic *t)
{
    if (!t)
        return;
    for (uint32_t i = 0; i < t->n_members; i++)
        check_member_deinit(&t->members[i]);
    for (uint32_t i = 0; i < t->n_senders; i++) {
        check_order_deinit(&t->senders[i].order);
        free(t->senders[i].left);
        free(t->senders[i].due_of);
    }
    free(t->members);
    free(t->senders);
    free(t->frame.p);
    free(t);
}

/* Sending. */

static void add_content(struct traffic *t, uint32_t sender, uint32_t n, uint64_t due_ns)
{
    size_t start = t->frame.len;
    char fill[64];

    text_addf(&t->frame, "%c%c%u:%u:%llu%c%c", SCAN_MARK, SCAN_MARK, sender, n,
              (unsigned long long)due_ns, SCAN_MARK, SCAN_MARK);
    memset(fill, 'x', sizeof(fill));
    while (t->frame.len - start < t->o->size) {
        size_t more = t->o->size - (t->frame.len - start);

        text_add(&t->frame, fill, more < sizeof(fill) ? more : sizeof(fill));
    }
}

static void keep_due(struct sender *s, uint32_t n, uint64_t due_ns)
{
    if (n >= s->cap_due) {
        s->cap_due = n + n / 2 + 256;
        s->due_of = must_realloc(s->due_of, s->cap_due * sizeof(*s->due_of));
    }
    s->due_of[n] = due_ns;
}

static void send_message(struct traffic *t, uint32_t index, uint64_t due_ns)
{
    struct sender *s = &t->senders[index];
    uint32_t n = s->sent++;

    keep_due(s, n, due_ns);
    text_clear(&t->frame);
    if (t->o->floor) {
        add_content(t, index, n, due_ns);
    } else {
        text_addf(&t->frame,
                  "{\"type\":\"message\",\"clientMessageId\":\"%u-%u\",\"content\":\"", index,
                  n);
        add_content(t, index, n, due_ns);
        text_add(&t->frame, "\"}", 2);
    }
    s->left[n % t->o->inflight] = t->o->members;
    t->outstanding += t->o->members + 1u;
    t->result.sent++;
    if (t->measuring)
        t->result.window.sent++;
    crowd_send(t->crowd, index, t->frame.p, t->frame.len);
}

/* Open loop: sends all that is due by @now; when the next one is. */
static uint64_t pump_open(struct traffic *t, uint64_t now)
{
    for (;;) {
        uint64_t due = t->open_start_ns + (uint64_t)((double)t->open_next * 1e9 / t->o->rate);

        if (due > now)
            return due - now;
        send_message(t, (uint32_t)(t->open_next % t->n_senders), due);
        t->open_next++;
    }
}

static void pump_closed(struct traffic *t, uint64_t now)
{
    if (!t->progress)
        return;
    t->progress = false;
    for (uint32_t i = 0; i < t->n_senders; i++) {
        while (t->senders[i].sent - t->senders[i].done < t->o->inflight)
            send_message(t, i, now);
    }
}

/* Receiving. */

static void done_for_all(struct traffic *t, struct sender *s)
{
    uint32_t inflight = t->o->inflight;

    while (s->done < s->sent && s->left[s->done % inflight] == 0) {
        s->done++;
        t->progress = true;
    }
}

static bool is_timed(const struct traffic *t, uint64_t due_ns)
{
    return t->from_ns != 0 && due_ns >= t->from_ns && due_ns < t->to_ns;
}

static uint64_t since(uint64_t due_ns, uint64_t at_ns)
{
    return at_ns > due_ns ? at_ns - due_ns : 0;
}

static void on_acked(struct traffic *t, uint32_t index, uint32_t n, uint64_t at_ns)
{
    struct sender *s = &t->senders[index];

    if (n != s->acked || n >= s->sent) {
        t->result.acks.disordered++;
        return;
    }
    s->acked++;
    t->outstanding--;
    if (t->measuring)
        t->result.window.acked++;
    if (is_timed(t, s->due_of[n]))
        histo_add(&t->result.ack, since(s->due_of[n], at_ns));
    if (t->o->mode == LOAD_DURABLE) {
        s->done = s->acked;
        t->progress = true;
    }
}

static void on_message(struct traffic *t, uint32_t conn, const struct scan *scan,
                       uint64_t at_ns)
{
    uint32_t room = conn % t->o->rooms, slot = scan->sender / t->o->rooms;
    struct check_totals *checks = &t->result.checks;
    struct sender *s;

    if (!scan->has_mark || scan->sender >= t->n_senders || scan->sender % t->o->rooms != room) {
        checks->foreign++;
        return;
    }
    s = &t->senders[scan->sender];
    if (check_message(checks, &t->members[conn], slot, scan->n, s->sent) != CHECK_NEW)
        return;
    t->outstanding--;
    if (scan->has_seq)
        check_same_seq(checks, &s->order, scan->n, scan->seq);
    else if (!t->o->floor)
        checks->unnumbered++;
    if (t->measuring)
        t->result.window.delivered++;
    if (is_timed(t, scan->due_ns))
        histo_add(&t->result.delivery, since(scan->due_ns, at_ns));
    if (t->o->mode == LOAD_CLOSED && --s->left[scan->n % t->o->inflight] == 0)
        done_for_all(t, s);
    if (t->o->floor && conn == scan->sender)
        on_acked(t, conn, scan->n, at_ns);
}

void traffic_on_frame(void *owner, uint32_t conn, const struct scan *scan, uint64_t at_ns)
{
    struct traffic *t = owner;

    if (scan->kind == SCAN_ACK) {
        if (!scan->has_mark || scan->sender != conn || conn >= t->n_senders) {
            t->result.acks.disordered++;
            return;
        }
        if (scan->duplicate)
            t->result.acks.duplicate++;
        on_acked(t, conn, scan->n, at_ns);
        return;
    }
    if (scan->has_seq)
        check_seq(&t->result.checks, &t->members[conn], scan->seq);
    if (scan->to_seq > scan->seq) /* a run of numbers that are not shown */
        t->members[conn].last_seq = scan->to_seq;
    if (scan->kind == SCAN_MESSAGE)
        on_message(t, conn, scan, at_ns);
}

/* The run. */

static int64_t known(int64_t cpu_us, pid_t pid)
{
    if (cpu_us < 0)
        die("process %d cannot be read in /proc: has the server died?", (int)pid);
    return cpu_us;
}

/* Called with -1 at the start of the window and 1 at its end, so that the difference stays. */
static void sample_cpu(const struct traffic *t, struct traffic_window *w, int sign)
{
    struct timespec own;

    for (uint32_t i = 0; i < t->o->n_pids; i++)
        w->cpu_us[i] += sign * known(proc_cpu_us(t->o->pids[i]), t->o->pids[i]);
    if (t->o->pg_pid)
        w->pg_cpu_us += sign * known(proc_tree_cpu_us(t->o->pg_pid), t->o->pg_pid);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &own);
    w->own_cpu_us += sign * ((int64_t)own.tv_sec * 1000000 + own.tv_nsec / 1000);
}

static void run_until(struct traffic *t, uint64_t end_ns)
{
    uint64_t now;

    while ((now = now_ns()) < end_ns) {
        uint64_t wait = IDLE_WAIT_NS;

        if (t->o->mode == LOAD_OPEN) {
            uint64_t due = pump_open(t, now);

            wait = due < wait ? due : wait;
        } else {
            pump_closed(t, now);
        }
        crowd_turn(t->crowd, end_ns - now < wait ? end_ns - now : wait);
    }
}

static uint64_t seconds_ns(double s)
{
    return (uint64_t)(s * 1e9);
}

static void count_missing(struct traffic *t)
{
    for (uint32_t conn = 0; conn < t->n_members; conn++) {
        for (uint32_t slot = 0; slot < t->o->senders; slot++) {
            uint32_t sender = slot * t->o->rooms + conn % t->o->rooms;

            t->result.checks.lost +=
                check_missing(&t->members[conn], slot, t->senders[sender].sent);
        }
    }
    for (uint32_t i = 0; i < t->n_senders; i++)
        t->result.acks.missing += t->senders[i].sent - t->senders[i].acked;
}

const struct traffic_result *traffic_run(struct traffic *t, struct crowd *crowd)
{
    struct traffic_window *w = &t->result.window;
    uint64_t start = now_ns(), drain_end;

    t->crowd = crowd;
    t->progress = true;
    t->open_start_ns = start;
    run_until(t, start + seconds_ns(t->o->warmup_s));

    t->from_ns = now_ns();
    t->measuring = true;
    sample_cpu(t, w, -1);
    run_until(t, t->from_ns + seconds_ns(t->o->seconds));
    t->to_ns = now_ns();
    sample_cpu(t, w, 1);
    t->measuring = false;
    w->seconds = (double)(t->to_ns - t->from_ns) / 1e9;

    drain_end = t->to_ns + seconds_ns(t->o->drain_s);
    while (t->outstanding > 0 && now_ns() < drain_end)
        crowd_turn(crowd, IDLE_WAIT_NS);
    count_missing(t);
    return &t->result;
}
