/* report.c - results by jansson, so that a server's error text cannot break the output. */
#include "tests/bench/report.h"

#include <jansson.h>
#include <stdio.h>

#include "tests/bench/crowd.h"
#include "tests/bench/tool.h"
#include "tests/bench/traffic.h"

static json_t *packed(json_t *value)
{
    if (!value)
        die("out of memory");
    return value;
}

static void set(json_t *object, const char *key, json_t *value)
{
    if (json_object_set_new(object, key, packed(value)) < 0)
        die("out of memory");
}

static void set_count(json_t *object, const char *key, uint64_t n)
{
    set(object, key, json_integer((json_int_t)n));
}

/* Three digits after the point say all that a benchmark knows. */
static void set_real(json_t *object, const char *key, double v)
{
    set(object, key, json_real((double)(long long)(v * 1000 + 0.5) / 1000));
}

static json_t *latency_json(const struct histo *h)
{
    json_t *o = packed(json_object());

    set_count(o, "n", h->n);
    set_real(o, "p50", (double)histo_quantile(h, 0.5) / 1e3);
    set_real(o, "p99", (double)histo_quantile(h, 0.99) / 1e3);
    set_real(o, "p999", (double)histo_quantile(h, 0.999) / 1e3);
    set_real(o, "max", (double)h->max_ns / 1e3);
    return o;
}

static json_t *checks_json(const struct crowd *crowd, const struct traffic_result *r)
{
    json_t *o = packed(json_object());

    set_count(o, "lost", r->checks.lost);
    set_count(o, "duplicated", r->checks.duplicated);
    set_count(o, "reordered", r->checks.reordered);
    set_count(o, "foreign", r->checks.foreign);
    set_count(o, "seqGap", r->checks.seq_gap);
    set_count(o, "seqBack", r->checks.seq_back);
    set_count(o, "disagreed", r->checks.disagreed);
    set_count(o, "unnumbered", r->checks.unnumbered);
    set_count(o, "acksMissing", r->acks.missing);
    set_count(o, "acksDisordered", r->acks.disordered);
    set_count(o, "acksDuplicate", r->acks.duplicate);
    set_count(o, "connectionsLost", crowd_lost(crowd));
    set_count(o, "errorFrames", crowd_errors(crowd));
    set(o, "firstError", json_sprintf("%s", crowd_first_error(crowd)));
    return o;
}

static void print(json_t *o)
{
    if (json_dumpf(o, stdout, JSON_COMPACT | JSON_REAL_PRECISION(12)) < 0 || puts("") == EOF)
        die("cannot write the result");
    json_decref(o);
}

static json_t *head_json(const struct load_options *o, const struct crowd *crowd, bool ok)
{
    json_t *out = packed(json_object());

    set(out, "mode", json_string(load_mode_name(o->mode)));
    set(out, "ok", json_boolean(ok));
    set_count(out, "rooms", o->rooms);
    set_count(out, "members", o->members);
    set_count(out, "senders", o->senders);
    set_count(out, "connections", crowd_size(crowd));
    set_real(out, "connectSeconds", crowd_gather_seconds(crowd));
    return out;
}

static double per(double total, uint64_t n)
{
    return n ? total / (double)n : 0;
}

static void add_cpu(json_t *out, const struct load_options *o, const struct traffic_window *w)
{
    json_t *each = packed(json_object());
    int64_t sum_us = 0;
    char pid[16];

    for (uint32_t i = 0; i < o->n_pids; i++) {
        snprintf(pid, sizeof(pid), "%d", (int)o->pids[i]);
        set_real(each, pid, per((double)w->cpu_us[i], w->delivered));
        sum_us += w->cpu_us[i];
    }
    set_real(out, "serverCpuShare", (double)sum_us / 1e6 / w->seconds);
    set_real(out, "cpuUsPerDelivery", per((double)sum_us, w->delivered));
    set(out, "cpuUsPerDeliveryByPid", each);
    set_real(out, "cpuUsPerAck", per((double)sum_us, w->acked));
    set_real(out, "pgCpuUsPerAck", per((double)w->pg_cpu_us, w->acked));
    set_real(out, "pgCpuShare", (double)w->pg_cpu_us / 1e6 / w->seconds);
    set_real(out, "generatorCpuShare", (double)w->own_cpu_us / 1e6 / w->seconds);
}

bool report_traffic(const struct load_options *o, const struct crowd *crowd,
                    const struct traffic_result *r)
{
    const struct traffic_window *w = &r->window;
    bool ok = check_is_clean(&r->checks) && r->acks.missing == 0 && r->acks.disordered == 0 &&
              r->acks.duplicate == 0 && crowd_lost(crowd) == 0 && crowd_errors(crowd) == 0;
    json_t *out = head_json(o, crowd, ok);

    set_real(out, "seconds", w->seconds);
    set_count(out, "sent", r->sent);
    set_count(out, "delivered", r->checks.delivered);
    set_real(out, "sentPerSecond", (double)w->sent / w->seconds);
    set_real(out, "deliveredPerSecond", (double)w->delivered / w->seconds);
    set_real(out, "ackedPerSecond", (double)w->acked / w->seconds);
    set(out, "deliveryUs", latency_json(&r->delivery));
    set(out, "ackUs", latency_json(&r->ack));
    add_cpu(out, o, w);
    set(out, "checks", checks_json(crowd, r));
    print(out);
    return ok;
}

bool report_idle(const struct load_options *o, const struct crowd *crowd,
                 const struct idle_result *r)
{
    bool ok = crowd_lost(crowd) == 0 && crowd_errors(crowd) == 0;
    json_t *out = head_json(o, crowd, ok);
    json_t *processes = packed(json_array());

    for (uint32_t i = 0; i < o->n_pids; i++) {
        json_t *p = packed(json_object());
        double held = (double)(r->open_bytes[i] - r->before_bytes[i]);

        set_count(p, "pid", (uint64_t)o->pids[i]);
        set_real(p, "bytesPerConnection", per(held, crowd_size(crowd)));
        set(p, "beforeBytes", json_integer(r->before_bytes[i]));
        set(p, "openBytes", json_integer(r->open_bytes[i]));
        set(p, "afterBytes", json_integer(r->after_bytes[i]));
        set_real(p, "quietCpuShare", (double)r->cpu_us[i] / 1e6 / r->quiet_seconds);
        if (json_array_append_new(processes, p) < 0)
            die("out of memory");
    }
    set(out, "processes", processes);
    set(out, "firstError", json_sprintf("%s", crowd_first_error(crowd)));
    print(out);
    return ok;
}
