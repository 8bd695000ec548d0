/* fake_env.c - clock, randomness and network of a unit test; see fake_env.h. */
#include "tests/support/fake_env.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "common/base/limits.h"

#define PASSES_MAX 1000000 /* two ends that talk for ever: a bug of the test or of the code */
#define WALL_START_US INT64_C(1767225600000000) /* 2026-01-01T00:00:00Z */

struct out {
    struct list link;
    struct blob *blob;
    size_t at; /* bytes already delivered */
};

struct fake_stream {
    struct stream stream;
    struct fake_env *f;
    struct fake_stream *peer; /* NULL once it is gone, or never came */
    struct list link;
    struct list outs; /* struct out */
    size_t split;
    bool was_high;
    bool paused, held;
    bool closed;    /* no more events for this end */
    bool lingering; /* closed by the owner with flush: the peer gets EOF when the queue is empty
                     */
    bool open_pending; /* on_open is due */
    bool end_pending;  /* on_close(end) is due */
    enum stream_end end;
    struct later dead;
    bool fails_writes;
};

static struct fake_stream *fake_of(struct stream *s)
{
    return container_of(s, struct fake_stream, stream);
}

/* ---- clock and randomness ---- */

static struct fake_env *fake_env_of(struct env *env)
{
    return container_of(env, struct fake_env, env);
}

static uint64_t fake_mono_ms(struct env *env)
{
    return fake_env_of(env)->now_ms;
}

static uint64_t fake_mono_us(struct env *env)
{
    return fake_mono_ms(env) * 1000;
}

static int64_t fake_wall_us(struct env *env)
{
    return fake_env_of(env)->wall_us;
}

/* A counter through a mixing function of 64 bits (splitmix). */
static void fake_random(struct env *env, void *ret, size_t len)
{
    struct fake_env *f = fake_env_of(env);
    unsigned char *to = ret;

    for (size_t i = 0; i < len; i++) {
        uint64_t z = (f->random_state += UINT64_C(0x9e3779b97f4a7c15));

        z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
        z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
        to[i] = (unsigned char)(z >> 56);
    }
}

/* ---- streams ---- */

static void drop_outs(struct fake_stream *fs)
{
    while (!list_empty(&fs->outs)) {
        struct out *out = list_first(&fs->outs, struct out, link);

        list_del(&out->link);
        blob_unref(out->blob);
        free(out);
    }
    fs->stream.queued_bytes = 0;
}

static void fake_stream_free(struct fake_stream *fs)
{
    if (fs->peer)
        fs->peer->peer = NULL;
    drop_outs(fs);
    list_del(&fs->link);
    free(fs);
}

static void on_dead(struct later *later, void *arg)
{
    (void)later;
    fake_stream_free(arg);
}

static int fake_write(struct stream *s, struct blob *blob)
{
    struct fake_stream *fs = fake_of(s);
    struct out *out;

    assert(!fs->closed); /* the owner has forgotten a closed stream */
    if (fs->fails_writes)
        return -ENOMEM;
    out = calloc(1, sizeof(*out));
    if (!out)
        return -ENOMEM;
    out->blob = blob_ref(blob);
    list_add_tail(&fs->outs, &out->link);
    s->queued_bytes += blob->len;
    if (s->queued_bytes > fs->f->high_mark)
        fs->was_high = true;
    return 0;
}

void fake_stream_fail_writes(struct stream *s)
{
    fake_of(s)->fails_writes = true;
}

static void fake_pause(struct stream *s, bool paused)
{
    fake_of(s)->paused = paused;
}

static void end_soon(struct fake_stream *fs, enum stream_end end)
{
    if (!fs || fs->closed || fs->end_pending)
        return;
    fs->end_pending = true;
    fs->end = end;
}

static void fake_close(struct stream *s, bool flush)
{
    struct fake_stream *fs = fake_of(s);

    assert(!fs->closed); /* closed once, and not after on_close */
    fs->closed = true;
    if (flush && fs->peer && !list_empty(&fs->outs)) {
        fs->lingering = true;
        return;
    }
    drop_outs(fs);
    end_soon(fs->peer, STREAM_END_EOF);
    env_free_later(&fs->f->env, &fs->dead);
}

static const struct stream_ops fake_stream_ops = {
    .write = fake_write,
    .pause = fake_pause,
    .close = fake_close,
};

static struct fake_stream *fake_stream_new(struct fake_env *f)
{
    struct fake_stream *fs = calloc(1, sizeof(*fs));

    assert(fs);
    fs->stream.ops = &fake_stream_ops;
    fs->stream.high_bytes = (uint32_t)f->high_mark; /* for readers; the marks of f count */
    fs->stream.low_bytes = (uint32_t)f->low_mark;
    fs->f = f;
    list_init(&fs->outs);
    later_init(&fs->dead, on_dead, fs);
    list_add_tail(&f->streams, &fs->link);
    return fs;
}

static void join(struct fake_stream *a, struct fake_stream *b)
{
    a->peer = b;
    b->peer = a;
}

void fake_pair(struct fake_env *f, struct stream **ret_a, struct stream **ret_b)
{
    struct fake_stream *a = fake_stream_new(f);
    struct fake_stream *b = fake_stream_new(f);

    join(a, b);
    a->open_pending = b->open_pending = true;
    *ret_a = &a->stream;
    *ret_b = &b->stream;
}

void fake_listen(struct fake_env *f, struct fake_listener *l)
{
    list_add_tail(&f->listeners, &l->link);
}

void fake_unlisten(struct fake_listener *l)
{
    list_del(&l->link);
}

static struct fake_listener *find_listener(struct fake_env *f, const char *address)
{
    struct fake_listener *l;

    list_for_each(l, &f->listeners, link) if (strcmp(l->address, address) == 0) return l;
    return NULL;
}

static int fake_connect(struct env *env, const char *address,
                        const struct stream_events *events, void *owner,
                        struct stream **ret_stream)
{
    struct fake_env *f = fake_env_of(env);
    struct fake_listener *l = find_listener(f, address);
    struct fake_stream *fs = fake_stream_new(f);

    stream_set_events(&fs->stream, events, owner);
    *ret_stream = &fs->stream;
    if (!l) {
        end_soon(fs, STREAM_END_REFUSED);
    } else if (!l->stalled) {
        struct fake_stream *accepted = fake_stream_new(f);

        join(fs, accepted);
        fs->open_pending = true;
        l->on_accept(l->arg, &accepted->stream);
    }
    return 0;
}

void fake_stream_hold(struct stream *s, bool held)
{
    fake_of(s)->held = held;
}

void fake_stream_split(struct stream *s, size_t n)
{
    fake_of(s)->split = n;
}

void fake_stream_break(struct stream *s, enum stream_end end)
{
    struct fake_stream *fs = fake_of(s);

    drop_outs(fs);
    if (fs->peer)
        drop_outs(fs->peer);
    end_soon(fs->peer, end);
    end_soon(fs, end);
}

bool fake_stream_is_paused(struct stream *s)
{
    return fake_of(s)->paused;
}

/* ---- turns ---- */

/* The first queued blob, or the first `split` bytes of it, to the peer. */
static bool deliver_one(struct fake_stream *fs)
{
    struct fake_stream *peer = fs->peer;
    AUTO(blob_unref) struct blob *blob = NULL;
    struct out *out;
    struct slice bytes;

    if (list_empty(&fs->outs) || fs->held || fs->open_pending || fs->end_pending)
        return false;
    if (!peer || peer->closed) {
        drop_outs(fs);
        return true;
    }
    if (peer->paused || peer->open_pending)
        return false;
    out = list_first(&fs->outs, struct out, link);
    blob = blob_ref(out->blob);
    bytes = slice_of(blob->data + out->at, blob->len - out->at);
    if (fs->split && bytes.len > fs->split)
        bytes.len = fs->split;
    out->at += bytes.len;
    fs->stream.queued_bytes -= bytes.len;
    if (out->at == blob->len) {
        list_del(&out->link);
        blob_unref(out->blob);
        free(out);
    }
    if (bytes.len > 0 && peer->stream.events)
        peer->stream.events->on_bytes(peer->stream.owner, bytes);
    return true;
}

static bool after_delivery(struct fake_stream *fs)
{
    if (fs->lingering && list_empty(&fs->outs)) {
        fs->lingering = false;
        end_soon(fs->peer, STREAM_END_EOF);
        env_free_later(&fs->f->env, &fs->dead);
        return true;
    }
    if (fs->was_high && fs->stream.queued_bytes <= fs->f->low_mark) {
        fs->was_high = false;
        if (!fs->closed && fs->stream.events && fs->stream.events->on_drained)
            fs->stream.events->on_drained(fs->stream.owner);
        return true;
    }
    return false;
}

static bool stream_step(struct fake_stream *fs)
{
    if (fs->open_pending) {
        fs->open_pending = false;
        if (!fs->closed && fs->stream.events && fs->stream.events->on_open)
            fs->stream.events->on_open(fs->stream.owner);
        return true;
    }
    if (fs->end_pending && !fs->closed) {
        fs->end_pending = false;
        fs->closed = true;
        drop_outs(fs);
        end_soon(fs->peer, STREAM_END_RESET);
        env_free_later(&fs->f->env, &fs->dead);
        if (fs->stream.events && fs->stream.events->on_close)
            fs->stream.events->on_close(fs->stream.owner, fs->end);
        return true;
    }
    bool delivered = deliver_one(fs);

    return after_delivery(fs) || delivered;
}

static bool turn(struct fake_env *f)
{
    struct fake_stream *fs;
    bool worked = false;

    list_for_each(fs, &f->streams,
                  link) /* only env_end_turn() frees; new ones come at the tail */
        worked |= stream_step(fs);
    worked |= timers_run(&f->env.timers, f->now_ms, TIMERS_PER_TURN) > 0;
    worked |= env_has_later(&f->env);
    env_end_turn(&f->env);
    return worked;
}

void fake_env_run(struct fake_env *f)
{
    for (int pass = 0; turn(f); pass++)
        assert(pass < PASSES_MAX);
}

void fake_env_advance(struct fake_env *f, uint64_t ms)
{
    uint64_t until = f->now_ms + ms;

    fake_env_run(f);
    while (f->now_ms < until) {
        uint64_t next = MIN(MAX(timers_next(&f->env.timers), f->now_ms + 1), until);

        f->wall_us += (int64_t)(next - f->now_ms) * 1000;
        f->now_ms = next;
        fake_env_run(f);
    }
}

static const struct env_ops fake_env_ops = {
    .mono_ms = fake_mono_ms,
    .mono_us = fake_mono_us,
    .wall_us = fake_wall_us,
    .random = fake_random,
    .connect = fake_connect,
};

void fake_env_init(struct fake_env *f, uint64_t seed)
{
    *f = (struct fake_env){
        .now_ms = 1000,
        .wall_us = WALL_START_US,
        .random_state = seed,
        .high_mark = SOCKET_QUEUE_SOFT,
        .low_mark = SOCKET_QUEUE_LOW,
    };
    env_init(&f->env, &fake_env_ops);
    list_init(&f->streams);
    list_init(&f->listeners);
}

void fake_env_deinit(struct fake_env *f)
{
    env_deinit(&f->env);
    while (!list_empty(&f->streams))
        fake_stream_free(list_first(&f->streams, struct fake_stream, link));
}

/* ---- sink ---- */

static void sink_on_open(void *owner)
{
    struct fake_sink *sink = owner;

    sink->opened = true;
}

static void sink_on_bytes(void *owner, struct slice bytes)
{
    struct fake_sink *sink = owner;

    buf_put_slice(&sink->in, bytes);
    assert(!buf_failed(&sink->in));
}

static void sink_on_drained(void *owner)
{
    struct fake_sink *sink = owner;

    sink->drained = true;
}

static void sink_on_close(void *owner, enum stream_end end)
{
    struct fake_sink *sink = owner;

    sink->stream = NULL;
    sink->closed = true;
    sink->end = end;
}

static const struct stream_events sink_events = {
    .on_open = sink_on_open,
    .on_bytes = sink_on_bytes,
    .on_drained = sink_on_drained,
    .on_close = sink_on_close,
};

void fake_sink_init(struct fake_sink *sink, struct stream *stream)
{
    *sink = (struct fake_sink){.stream = stream};
    stream_set_events(stream, &sink_events, sink);
}

void fake_sink_deinit(struct fake_sink *sink)
{
    buf_deinit(&sink->in);
}

void fake_sink_send(struct fake_sink *sink, struct slice bytes)
{
    int r = stream_write_bytes(sink->stream, bytes);

    assert(r == 0);
}
