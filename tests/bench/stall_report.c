/* stall_report.c - figures of a stretch, and the totals. */
#include "tests/bench/stall_report.h"

#include <stdlib.h>

#include "tests/bench/out.h"
#include "tests/bench/tool.h"

static json_t *event(const char *kind)
{
    json_t *o = out_made(json_object());

    out_set(o, "event", json_string(kind));
    return o;
}

static void out_ms(json_t *o, const char *key, uint64_t ns)
{
    out_real(o, key, (double)ns / 1e6);
}

static json_t *histo_json(const struct histo *h)
{
    json_t *o = out_made(json_object());

    out_ms(o, "p50", histo_quantile(h, 0.5));
    out_ms(o, "p99", histo_quantile(h, 0.99));
    out_ms(o, "max", h->max_ns);
    return o;
}

/* Sorts @ns. */
static json_t *values_json(uint64_t *ns, uint32_t n)
{
    json_t *o = out_made(json_object());

    out_ms(o, "p50", waits_quantile(ns, n, 0.5));
    out_ms(o, "p99", waits_quantile(ns, n, 0.99));
    out_ms(o, "max", waits_quantile(ns, n, 1.0));
    return o;
}

/* So that figures of several stretches can be put together: [[ms, how many], ...]. */
static json_t *buckets_json(const struct histo *h)
{
    json_t *list = out_made(json_array());

    for (unsigned i = 0; i < HISTO_BUCKETS; i++) {
        json_t *pair;

        if (h->count[i] == 0)
            continue;
        pair = out_made(json_array());
        out_append(pair, json_real((double)(histo_middle(i) / 1000) / 1000));
        out_append(pair, json_integer((json_int_t)h->count[i]));
        out_append(list, pair);
    }
    return list;
}

static json_t *list_json(const uint64_t *ns, uint32_t n)
{
    json_t *list = out_made(json_array());

    for (uint32_t i = 0; i < n; i++)
        out_append(list, json_real((double)(ns[i] / 1000) / 1000));
    return list;
}

static void add_counts(json_t *o, const struct regulars_counts *now,
                       const struct regulars_counts *before)
{
    out_count(o, "closed", now->closed - before->closed);
    out_count(o, "changed", now->changed - before->changed);
    out_count(o, "attempts", now->attempts - before->attempts);
    out_count(o, "returned", now->returned - before->returned);
    out_count(o, "resets", now->resets - before->resets);
    out_count(o, "retryable", now->retryable - before->retryable);
    out_count(o, "refused", now->refused - before->refused);
    out_count(o, "repeated", now->repeated - before->repeated);
    out_count(o, "echoes", now->echoes - before->echoes);
    out_count(o, "stray", now->stray - before->stray);
    out_count(o, "goaway", now->goaway - before->goaway);
}

/* All but losses, which are known at the end only. */
static uint64_t violations(const struct check_totals *t)
{
    return t->duplicated + t->reordered + t->foreign + t->seq_gap + t->seq_back + t->disagreed +
           t->unnumbered;
}

void stall_report_ready(uint32_t connections, double seconds)
{
    json_t *o = event("ready");

    out_count(o, "connections", connections);
    out_real(o, "seconds", seconds);
    out_print(o);
}

void stall_report_begun(const char *name)
{
    json_t *o = event("begun");

    out_set(o, "name", json_string(name));
    out_print(o);
}

void stall_report_window(const struct stall_window *w, const struct waits *waits,
                         const struct regulars *regulars)
{
    json_t *o = event("window");
    struct waits_figures f;

    waits_figures_init(&f, waits, w->from, w->to, now_ns());
    out_set(o, "name", json_string(w->name));
    out_real(o, "seconds", (double)(w->to_ns - w->from_ns) / 1e9);
    out_count(o, "messages", f.n);
    out_count(o, "unsettled", f.unsettled);
    out_set(o, "waitMs", histo_json(&f.wait));
    out_set(o, "ackMs", histo_json(&f.ack));
    out_set(o, "rooms", list_json(f.room_ns, waits->rooms));
    out_set(o, "roomMs", values_json(f.room_ns, waits->rooms));
    out_set(o, "silenceMs", values_json(w->silence_ns, waits->rooms * waits->members));
    out_set(o, "waits", buckets_json(&f.wait));
    out_ms(o, "generatorLateMs", w->late_ns);
    add_counts(o, regulars_counts(regulars), &w->before);
    out_count(o, "violations",
              violations(regulars_checks(regulars)) - violations(&w->checks_before));
    out_count(o, "away", regulars_away(regulars));
    out_print(o);
    waits_figures_deinit(&f);
}

void stall_report_mark(const struct stall_mark *m, uint32_t rooms)
{
    uint64_t *known = must_calloc(rooms, sizeof(*known));
    json_t *o = event("mark");
    uint32_t n = 0;

    for (uint32_t i = 0; i < rooms; i++) {
        if (m->room_ns[i] != 0)
            known[n++] = m->room_ns[i];
    }
    out_set(o, "name", json_string(m->name));
    out_count(o, "roomsWithout", rooms - n);
    out_set(o, "ackMs", values_json(known, n)); /* sorts them */
    out_ms(o, "firstMs", n ? known[0] : 0);
    out_print(o);
    free(known);
}

bool stall_report_end(const struct waits *waits, const struct regulars *regulars)
{
    static const struct regulars_counts none;
    const struct regulars_counts *counts = regulars_counts(regulars);
    const struct check_totals *t = regulars_checks(regulars);
    uint64_t open = 0;
    json_t *o = event("end");
    bool ok;

    for (uint64_t k = 0; k < waits->n; k++)
        open += !waits_is_settled(waits, k);
    ok = check_is_clean(t) && open == 0 && counts->refused == 0 && counts->stray == 0 &&
         counts->resets == 0;
    out_set(o, "ok", json_boolean(ok));
    out_count(o, "messages", waits->n);
    out_count(o, "unsettled", open);
    out_count(o, "delivered", t->delivered);
    out_count(o, "lost", t->lost);
    out_count(o, "duplicated", t->duplicated);
    out_count(o, "reordered", t->reordered);
    out_count(o, "foreign", t->foreign);
    out_count(o, "seqGap", t->seq_gap);
    out_count(o, "seqBack", t->seq_back);
    out_count(o, "disagreed", t->disagreed);
    out_count(o, "unnumbered", t->unnumbered);
    add_counts(o, counts, &none);
    out_set(o, "firstWrong", json_sprintf("%s", regulars_first_wrong(regulars)));
    out_set(o, "firstError", json_sprintf("%s", regulars_first_error(regulars)));
    out_set(o, "firstLoss", json_sprintf("%s", regulars_first_loss(regulars)));
    out_print(o);
    return ok;
}
