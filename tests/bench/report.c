/* report.c - results by jansson, so that a server's error text cannot break the output. */
#include "tests/bench/report.h"

#include <jansson.h>
#include <stdio.h>

#include "tests/bench/crowd.h"
#include "tests/bench/out.h"
#include "tests/bench/tool.h"
#include "tests/bench/traffic.h"

static json_t *latency_json(const struct histo *h)
{
    json_t *o = out_made(json_object());

    out_count(o, "n", h->n);
    out_real(o, "p50", (double)histo_quantile(h, 0.5) / 1e3);
    out_real(o, "p99", (double)histo_quantile(h, 0.99) / 1e3);
    out_real(o, "p999", (double)histo_quantile(h, 0.999) / 1e3);
    out_real(o, "max", (double)h->max_ns / 1e3);
    return o;
}

static json_t *checks_json(const struct crowd *crowd, const struct traffic_result *r)
{
    json_t *o = out_made(json_object());

    out_count(o, "lost", r->checks.lost);
    out_count(o, "duplicated", r->checks.duplicated);
    out_count(o, "reordered", r->checks.reordered);
    out_count(o, "foreign", r->checks.foreign);
    out_count(o, "seqGap", r->checks.seq_gap);
    out_count(o, "seqBack", r->checks.seq_back);
    out_count(o, "disagreed", r->checks.disagreed);
    out_count(o, "unnumbered", r->checks.unnumbered);
    out_count(o, "acksMissing", r->acks.missing);
    out_count(o, "acksDisordered", r->acks.disordered);
    out_count(o, "acksDuplicate", r->acks.duplicate);
    out_count(o, "connectionsLost", crowd_lost(crowd));
    out_count(o, "errorFrames", crowd_errors(crowd));
    out_set(o, "firstError", json_sprintf("%s", crowd_first_error(crowd)));
    return o;
}

static json_t *head_json(const struct load_options *o, const struct crowd *crowd, bool ok)
{
    json_t *out = out_made(json_object());

    out_set(out, "mode", json_string(load_mode_name(o->mode)));
    out_set(out, "ok", json_boolean(ok));
    out_count(out, "rooms", o->rooms);
    out_count(out, "members", o->members);
    out_count(out, "senders", o->senders);
    out_count(out, "connections", crowd_size(crowd));
    out_real(out, "connectSeconds", crowd_gather_seconds(crowd));
    return out;
}

static double per(double total, uint64_t n)
{
    return n ? total / (double)n : 0;
}

static void add_cpu(json_t *out, const struct load_options *o, const struct traffic_window *w)
{
    json_t *each = out_made(json_object());
    int64_t sum_us = 0;
    char pid[16];

    for (uint32_t i = 0; i < o->n_pids; i++) {
        snprintf(pid, sizeof(pid), "%d", (int)o->pids[i]);
        out_real(each, pid, per((double)w->cpu_us[i], w->delivered));
        sum_us += w->cpu_us[i];
    }
    out_real(out, "serverCpuShare", (double)sum_us / 1e6 / w->seconds);
    out_real(out, "cpuUsPerDelivery", per((double)sum_us, w->delivered));
    out_set(out, "cpuUsPerDeliveryByPid", each);
    out_real(out, "cpuUsPerAck", per((double)sum_us, w->acked));
    out_real(out, "pgCpuUsPerAck", per((double)w->pg_cpu_us, w->acked));
    out_real(out, "pgCpuShare", (double)w->pg_cpu_us / 1e6 / w->seconds);
    out_real(out, "generatorCpuShare", (double)w->own_cpu_us / 1e6 / w->seconds);
}

bool report_traffic(const struct load_options *o, const struct crowd *crowd,
                    const struct traffic_result *r)
{
    const struct traffic_window *w = &r->window;
    bool ok = check_is_clean(&r->checks) && r->acks.missing == 0 && r->acks.disordered == 0 &&
              r->acks.duplicate == 0 && crowd_lost(crowd) == 0 && crowd_errors(crowd) == 0;
    json_t *out = head_json(o, crowd, ok);

    out_real(out, "seconds", w->seconds);
    out_count(out, "sent", r->sent);
    out_count(out, "delivered", r->checks.delivered);
    out_real(out, "sentPerSecond", (double)w->sent / w->seconds);
    out_real(out, "deliveredPerSecond", (double)w->delivered / w->seconds);
    out_real(out, "ackedPerSecond", (double)w->acked / w->seconds);
    out_set(out, "deliveryUs", latency_json(&r->delivery));
    out_set(out, "ackUs", latency_json(&r->ack));
    add_cpu(out, o, w);
    out_set(out, "checks", checks_json(crowd, r));
    out_print(out);
    return ok;
}

bool report_idle(const struct load_options *o, const struct crowd *crowd,
                 const struct idle_result *r)
{
    bool ok = crowd_lost(crowd) == 0 && crowd_errors(crowd) == 0;
    json_t *out = head_json(o, crowd, ok);
    json_t *processes = out_made(json_array());

    for (uint32_t i = 0; i < o->n_pids; i++) {
        json_t *p = out_made(json_object());
        double held = (double)(r->open_bytes[i] - r->before_bytes[i]);

        out_count(p, "pid", (uint64_t)o->pids[i]);
        out_real(p, "bytesPerConnection", per(held, crowd_size(crowd)));
        out_set(p, "beforeBytes", json_integer(r->before_bytes[i]));
        out_set(p, "openBytes", json_integer(r->open_bytes[i]));
        out_set(p, "afterBytes", json_integer(r->after_bytes[i]));
        out_real(p, "quietCpuShare", (double)r->cpu_us[i] / 1e6 / r->quiet_seconds);
        out_append(processes, p);
    }
    out_set(out, "processes", processes);
    out_set(out, "firstError", json_sprintf("%s", crowd_first_error(crowd)));
    out_print(out);
    return ok;
}
