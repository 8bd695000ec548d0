/* fake_shard.c - scripted shards; see fake_shard.h. */
#include "tests/support/test.h"

#include <stdlib.h>

#include "tests/unit/gateway/fake_shard.h"

static struct fake_letter *current; /* what fake_shard_expect() returned last */

/* ---- one shard ---- */

void fake_shard_send(struct fake_shard *s, const struct msg *msg)
{
    AUTO_BUF out = BUF_INIT;

    assert_non_null(s->stream);
    msg_encode(&out, msg);
    assert_int_equal(stream_write_bytes(s->stream, buf_slice(&out)), 0);
}

static void keep(struct fake_shard *s, struct slice message)
{
    struct fake_letter *letter = malloc(sizeof(*letter) + message.len);

    assert_non_null(letter);
    memcpy(letter->bytes, message.data, message.len);
    letter->len = message.len;
    assert_int_equal(msg_decode(slice_of(letter->bytes, letter->len), &letter->msg), 0);
    list_add_tail(&s->inbox, &letter->link);
}

static void greet(struct fake_shard *s, const struct msg *msg)
{
    AUTO_BUF out = BUF_INIT;
    int r = handshake_feed(&s->handshake, msg, &out);

    if (out.len > 0)
        assert_int_equal(stream_write_bytes(s->stream, buf_slice(&out)), 0);
    if (r < 0) {
        stream_close(s->stream, true);
        s->stream = NULL;
    }
}

static int shard_on_message(void *owner, struct slice message)
{
    struct fake_shard *s = owner;
    struct msg msg;

    assert_int_equal(msg_decode(message, &msg), 0);
    if (s->handshake.state != HANDSHAKE_UP) {
        if (!s->is_deaf)
            greet(s, &msg);
        return s->stream ? 0 : -1;
    }
    if (msg.type == MSG_PING) {
        struct msg pong = {.type = MSG_PONG};

        s->pings++;
        pong.PONG.sent_ms = msg.PING.sent_ms;
        pong.PONG.ring_epoch = s->ring.epoch;
        pong.PONG.ring_hash = s->ring.hash;
        if (!s->is_mute)
            fake_shard_send(s, &pong);
    } else if (msg.type != MSG_PONG) {
        keep(s, message);
    }
    return 0;
}

static void shard_on_bytes(void *owner, struct slice bytes)
{
    struct fake_shard *s = owner;
    int r = frame_reader_feed(&s->reader, bytes, shard_on_message, s);

    assert_true(r == 0 || !s->stream);
}

static void shard_on_close(void *owner, enum stream_end end)
{
    struct fake_shard *s = owner;

    (void)end;
    s->stream = NULL;
}

static void shard_on_nothing(void *owner)
{
    (void)owner;
}

static const struct stream_events shard_stream_events = {
    .on_open = shard_on_nothing,
    .on_bytes = shard_on_bytes,
    .on_drained = shard_on_nothing,
    .on_close = shard_on_close,
};

static void shard_on_accept(void *arg, struct stream *stream)
{
    struct fake_shard *s = arg;
    AUTO_BUF none = BUF_INIT;
    uint8_t nonce[HANDSHAKE_NONCE_LEN];

    if (s->stream)
        stream_close(s->stream, false);
    s->stream = stream;
    s->connects++;
    stream_set_events(stream, &shard_stream_events, s);
    frame_reader_deinit(&s->reader);
    frame_reader_init(&s->reader);
    env_random(&s->f->env, nonce, sizeof(nonce));
    handshake_start(&s->handshake, &s->config, nonce, &none);
}

const struct msg *fake_shard_expect(struct fake_shard *s, enum msg_type type)
{
    if (list_empty(&s->inbox))
        fail_msg("%s: no message, want %s", s->id, msg_type_name(type));
    free(current);
    current = list_first(&s->inbox, struct fake_letter, link);
    list_del(&current->link);
    if (current->msg.type != type)
        fail_msg("%s: %s, want %s", s->id, msg_type_name(current->msg.type),
                 msg_type_name(type));
    return &current->msg;
}

void fake_shard_expect_nothing(struct fake_shard *s)
{
    if (!list_empty(&s->inbox))
        fail_msg("%s: unexpected %s", s->id,
                 msg_type_name(list_first(&s->inbox, struct fake_letter, link)->msg.type));
}

size_t fake_shard_count(const struct fake_shard *s)
{
    size_t n = 0;

    for (const struct list *at = s->inbox.next; at != &s->inbox; at = at->next)
        n++;
    return n;
}

void fake_shard_clear(struct fake_shard *s)
{
    while (!list_empty(&s->inbox)) {
        struct fake_letter *letter = list_first(&s->inbox, struct fake_letter, link);

        list_del(&letter->link);
        free(letter);
    }
}

void fake_shard_break(struct fake_shard *s)
{
    assert_non_null(s->stream);
    fake_stream_break(s->stream, STREAM_END_RESET);
}

static void shard_init(struct fake_cluster *c, size_t i, const char *secret)
{
    struct fake_shard *s = &c->shards[i];

    *s = (struct fake_shard){.f = &c->env};
    snprintf(s->id, sizeof(s->id), "shard-%zu", i);
    snprintf(s->address, sizeof(s->address), "shard-%zu:1", i);
    s->config = (struct handshake_config){true, 100 + i, slice_str(s->id), slice_str(secret)};
    frame_reader_init(&s->reader);
    list_init(&s->inbox);
    s->listener.address = s->address;
    s->listener.on_accept = shard_on_accept;
    s->listener.arg = s;
    fake_listen(&c->env, &s->listener);
}

/* ---- the cluster ---- */

static void on_evidence(void *owner, struct slice node_id, enum link_evidence evidence)
{
    struct fake_cluster *c = owner;

    (void)node_id;
    c->refused += evidence == LINK_REFUSED;
    c->resets += evidence == LINK_RESET;
    c->timeouts += evidence == LINK_TIMEOUT;
}

static void on_ring(void *owner, uint64_t epoch, struct slice members)
{
    struct fake_cluster *c = owner;
    AUTO(ring_unref) struct ring *ring = NULL;

    assert_int_equal(ring_decode(epoch, members, &ring), 0);
    c->rings++;
    c->learnt_epoch = epoch;
}

static void on_stale(void *owner)
{
    struct fake_cluster *c = owner;

    c->stale++;
}

static void on_link(void *owner, struct slice node_id, bool was_up, const char *why)
{
    struct fake_cluster *c = owner;

    (void)node_id;
    (void)was_up;
    snprintf(c->why, sizeof(c->why), "%s", why ? why : "up");
}

static const struct link_pool_hooks hooks = {on_evidence, on_ring, on_stale, on_link};

static struct ring *make_ring(struct fake_cluster *c, unsigned mask, unsigned draining)
{
    struct ring_member members[FAKE_SHARDS_MAX];
    struct ring *ring;
    size_t n = 0;

    for (size_t i = 0; i < c->n; i++) {
        if (mask & (1u << i))
            members[n++] = (struct ring_member){.id = slice_str(c->shards[i].id),
                                                .address = slice_str(c->shards[i].address),
                                                .incarnation = 100 + i,
                                                .weight = 1,
                                                .draining = draining & (1u << i)};
    }
    assert_int_equal(ring_new(c->epoch, members, n, &ring), 0);
    return ring;
}

void fake_cluster_set_ring(struct fake_cluster *c, unsigned mask)
{
    fake_cluster_drain(c, mask, 0);
}

void fake_cluster_drain(struct fake_cluster *c, unsigned mask, unsigned draining)
{
    AUTO(ring_unref) struct ring *ring = NULL;

    c->epoch++;
    ring = make_ring(c, mask, draining);
    for (size_t i = 0; i < c->n; i++)
        c->shards[i].ring = ring_identity(ring);
    assert_int_equal(link_pool_set_ring(c->pool, ring), 0);
}

struct fake_shard *fake_cluster_owner(struct fake_cluster *c, unsigned mask, const char *object)
{
    AUTO(ring_unref) struct ring *ring = make_ring(c, mask, 0);
    const struct ring_member *owner = ring_owner(ring, slice_str(object));

    for (size_t i = 0; i < c->n; i++)
        if (slice_eq_str(owner->id, c->shards[i].id))
            return &c->shards[i];
    fail_msg("no owner of %s", object);
    return NULL;
}

unsigned fake_cluster_bit(const struct fake_cluster *c, const struct fake_shard *s)
{
    return 1u << (s - c->shards);
}

void fake_cluster_init(struct fake_cluster *c, size_t n, const char *secret)
{
    struct link_pool_config config = {
        .node_id = SLICE_LIT("gateway-1"), .incarnation = 7, .secret = slice_str(secret)};

    *c = (struct fake_cluster){.n = n};
    fake_env_init(&c->env, 1);
    gateway_metrics_init(&c->metrics);
    for (size_t i = 0; i < n; i++)
        shard_init(c, i, secret);
    assert_int_equal(link_pool_new(&c->env.env, &c->metrics, &config, &hooks, c, &c->pool), 0);
    fake_cluster_set_ring(c, (1u << n) - 1);
}

void fake_cluster_deinit(struct fake_cluster *c)
{
    link_pool_free(c->pool);
    fake_env_run(&c->env);
    for (size_t i = 0; i < c->n; i++) {
        fake_shard_clear(&c->shards[i]);
        frame_reader_deinit(&c->shards[i].reader);
        fake_unlisten(&c->shards[i].listener);
    }
    free(current);
    current = NULL;
    fake_env_deinit(&c->env);
}
