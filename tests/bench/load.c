/*
 * load.c - the load generator: one thread, one epoll, as many WebSocket clients as are asked
 * for, speaking to FluxyChat or to the floor server. `load --help` lists the options.
 *
 *   load.c  ->  crowd.c (connections)  ->  net.c (sockets, frames)
 *           ->  traffic.c (messages)   ->  check.c (promises), histo.c, proc.c
 *           ->  report.c (JSON)
 */
#include <poll.h>
#include <stdlib.h>

#include "tests/bench/crowd.h"
#include "tests/bench/proc.h"
#include "tests/bench/report.h"
#include "tests/bench/tool.h"
#include "tests/bench/traffic.h"

#define LOOK_MS 100 /* at the memory of the servers */

static uint64_t seconds_ns(double s)
{
    return (uint64_t)(s * 1e9);
}

static bool run_traffic(const struct load_options *o)
{
    struct traffic *traffic = traffic_new(o);
    struct crowd *crowd = crowd_new(o, traffic_on_frame, traffic);
    bool ok;

    crowd_prepare(crowd);
    crowd_gather(crowd);
    crowd_settle(crowd, seconds_ns(o->settle_s));
    ok = report_traffic(o, crowd, traffic_run(traffic, crowd));
    crowd_free(crowd);
    traffic_free(traffic);
    return ok;
}

static void ignore_frame(void *owner, uint32_t conn, const struct scan *scan, uint64_t at_ns)
{
    (void)owner;
    (void)conn;
    (void)scan;
    (void)at_ns;
}

static void sample_pss(const struct load_options *o, int64_t *ret_bytes)
{
    for (uint32_t i = 0; i < o->n_pids; i++) {
        ret_bytes[i] = proc_pss_bytes(o->pids[i]);
        if (ret_bytes[i] < 0)
            die("memory of process %d cannot be read", (int)o->pids[i]);
    }
}

/* Until no process has given memory back for --settle seconds; ten times as long at the most.
 */
static void await_memory(const struct load_options *o, int64_t *ret_bytes)
{
    uint64_t start = now_ns(), still_since = start, settle = seconds_ns(o->settle_s);

    sample_pss(o, ret_bytes);
    while (now_ns() - still_since < settle && now_ns() - start < 10 * settle) {
        int64_t now_bytes[LOAD_MAX_PIDS];

        (void)poll(NULL, 0, LOOK_MS); /* interrupted: looks sooner */
        sample_pss(o, now_bytes);
        for (uint32_t i = 0; i < o->n_pids; i++) {
            if (now_bytes[i] < ret_bytes[i])
                still_since = now_ns();
            ret_bytes[i] = now_bytes[i];
        }
    }
}

static void sample_cpu(const struct load_options *o, int64_t *cpu_us, int sign)
{
    for (uint32_t i = 0; i < o->n_pids; i++)
        cpu_us[i] += sign * proc_cpu_us(o->pids[i]);
}

static bool run_idle(const struct load_options *o)
{
    struct crowd *crowd = crowd_new(o, ignore_frame, NULL);
    struct idle_result r = {0};
    uint64_t start;
    bool ok;

    crowd_prepare(crowd);
    sample_pss(o, r.before_bytes);
    crowd_gather(crowd);
    crowd_settle(crowd, seconds_ns(o->settle_s));

    start = now_ns();
    sample_cpu(o, r.cpu_us, -1);
    crowd_settle(crowd, seconds_ns(o->seconds));
    sample_cpu(o, r.cpu_us, 1);
    r.quiet_seconds = (double)(now_ns() - start) / 1e9;
    sample_pss(o, r.open_bytes);

    crowd_disperse(crowd);
    await_memory(o, r.after_bytes);
    ok = report_idle(o, crowd, &r);
    crowd_free(crowd);
    return ok;
}

int main(int argc, char **argv)
{
    struct load_options o;

    load_options_parse(&o, argc, argv);
    return (o.mode == LOAD_IDLE ? run_idle(&o) : run_traffic(&o)) ? 0 : 1;
}
