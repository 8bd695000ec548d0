/*
 * load.c - the load generator: one thread, one epoll, as many WebSocket clients as are asked
 * for, speaking to FluxyChat or to the floor server. `load --help` lists the options.
 *
 *   load.c  ->  crowd.c (connections)  ->  net.c (sockets, frames)
 *           ->  traffic.c (messages)   ->  check.c (promises), histo.c, proc.c
 *           ->  report.c (JSON)
 */
#include <stdlib.h>
#include <unistd.h>

#include "tests/bench/crowd.h"
#include "tests/bench/proc.h"
#include "tests/bench/report.h"
#include "tests/bench/tool.h"
#include "tests/bench/traffic.h"

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
    (void)usleep((useconds_t)(o->settle_s * 1e6)); /* interrupted is as good */
    sample_pss(o, r.after_bytes);
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
