/*
 * test_registry_hostile.c - a real Redis in whose keys others have written, that
 * refuses, or that is slow: no member dies or is put off the ring, and the ring is
 * in Redis again when Redis lets us.
 */
#include <stdlib.h>

#include "tests/integration/registry_nodes.h"
#include "tests/support/test.h"

#define SHARDS 3

static struct ring_identity before;

static void cluster_up(void)
{
    nodes_start(0, "shard-0", 10);
    nodes_start(1, "shard-1", 11);
    nodes_start(2, "shard-2", 12);
    nodes_start(3, "gateway-1", 0);
    NET_UNTIL(&net, nodes_agree(SHARDS, SHARDS));
    before = ring_identity(membership_ring(nodes[3].m));
}

static void cluster_down(void)
{
    for (int i = 0; i < NODES; i++) {
        CHECK_EQ(nodes[i].superseded, 0, "superseded");
        if (nodes[i].m)
            nodes_stop(i);
    }
}

static struct membership_metrics figures(int i)
{
    return membership_metrics(nodes[i].m);
}

static uint64_t sum_of_returns(void)
{
    uint64_t sum = 0;

    for (int i = 0; i < SHARDS; i++)
        sum += nodes[i].m ? figures(i).returns : 0;
    return sum;
}

/* Redis has our ring, and everybody the same one. */
static bool is_healed(void)
{
    char epoch[24];

    snprintf(epoch, sizeof(epoch), "%llu", (unsigned long long)before.epoch);
    return nodes_agree(SHARDS, SHARDS) &&
           redis_eval("local e, m = KEYS[1]..'ring:epoch', KEYS[1]..'ring:members'\n"
                      "if redis.call('TYPE', e).ok ~= 'string' or\n"
                      "   redis.call('GET', e) ~= ARGV[1] or\n"
                      "   redis.call('TYPE', m).ok ~= 'hash' then return 0 end\n"
                      "return redis.call('HLEN', m)",
                      epoch) == SHARDS;
}

/* ---- what others write into our keys ---- */

struct damage {
    const char *what, *script;
    bool is_garbled; /* the ring itself: it must be put back */
};

#define KEY(name) "local K = KEYS[1]..'" name "' "

/* clang-format off */
static const struct damage damages[] = {
    {"epoch gone", KEY("ring:epoch") "redis.call('DEL', K)", false},
    {"everything gone", "redis.call('FLUSHALL')", false},
    {"epoch is a list", KEY("ring:epoch") "redis.call('DEL', K) redis.call('RPUSH', K, 'x')", true},
    {"epoch is text", KEY("ring:epoch") "redis.call('SET', K, 'soon')", true},
    {"epoch is empty", KEY("ring:epoch") "redis.call('SET', K, '')", true},
    {"epoch is negative", KEY("ring:epoch") "redis.call('SET', K, '-5')", true},
    {"epoch is hexadecimal", KEY("ring:epoch") "redis.call('SET', K, '0x10')", true},
    {"epoch is a fraction", KEY("ring:epoch") "redis.call('SET', K, '1e300')", true},
    {"epoch is not a number", KEY("ring:epoch") "redis.call('SET', K, 'nan')", true},
    {"epoch at 2^53", KEY("ring:epoch") "redis.call('SET', K, '9007199254740992')", true},
    {"epoch at 2^64", KEY("ring:epoch") "redis.call('SET', K, '18446744073709551616')", true},
    {"epoch is huge", KEY("ring:epoch") "redis.call('SET', K, string.rep('9', 1000000))", true},
    {"epoch is no UTF-8", KEY("ring:epoch") "redis.call('SET', K, '\\255\\0\\254')", true},
    {"epoch goes back", KEY("ring:epoch") "redis.call('SET', K, '7')", false},
    {"epoch is zero", KEY("ring:epoch") "redis.call('SET', K, '0')", false},
    {"members are a string", KEY("ring:members") "redis.call('SET', K, 'x')", true},
    {"members are a set", KEY("ring:members") "redis.call('DEL', K) redis.call('SADD', K, 'x')", true},
    {"10,000 members", KEY("ring:members") "for i = 1, 10000 do redis.call('HSET', K, 'n'..i, '1 1 active h:1') end", true},
    {"257 members", KEY("ring:members") "for i = 1, 254 do redis.call('HSET', K, 'n'..i, '1 1 active h:1') end", true},
    {"too heavy", KEY("ring:members") "for i = 1, 80 do redis.call('HSET', K, 'n'..i, '1 16 active h:1') end", true},
    {"empty member", KEY("ring:members") "redis.call('HSET', K, 'a', '')", true},
    {"member of one word", KEY("ring:members") "redis.call('HSET', K, 'a', '1')", true},
    {"member without address", KEY("ring:members") "redis.call('HSET', K, 'a', '1 1 active')", true},
    {"weight 99", KEY("ring:members") "redis.call('HSET', K, 'a', '1 99 active h:1')", true},
    {"weight 0", KEY("ring:members") "redis.call('HSET', K, 'a', '1 0 active h:1')", true},
    {"negative weight", KEY("ring:members") "redis.call('HSET', K, 'a', '1 -1 active h:1')", true},
    {"negative incarnation", KEY("ring:members") "redis.call('HSET', K, 'a', '-1 1 active h:1')", true},
    {"incarnation over 64 bits", KEY("ring:members") "redis.call('HSET', K, 'a', '18446744073709551616 1 active h:1')", true},
    {"unknown state", KEY("ring:members") "redis.call('HSET', K, 'a', '1 1 lazy h:1')", true},
    {"id with a space", KEY("ring:members") "redis.call('HSET', K, 'a b', '1 1 active h:1')", true},
    {"empty id", KEY("ring:members") "redis.call('HSET', K, '', '1 1 active h:1')", true},
    {"id is no UTF-8", KEY("ring:members") "redis.call('HSET', K, 'a\\255\\0', '1 1 active h:1')", true},
    {"long id", KEY("ring:members") "redis.call('HSET', K, string.rep('a', 65), '1 1 active h:1')", true},
    {"huge id", KEY("ring:members") "redis.call('HSET', K, string.rep('a', 3000000), '1 1 active h:1')", true},
    {"address with control characters", KEY("ring:members") "redis.call('HSET', K, 'a', '1 1 active h:1\\n')", true},
    {"long address", KEY("ring:members") "redis.call('HSET', K, 'a', '1 1 active '..string.rep('h', 265))", true},
    {"huge address", KEY("ring:members") "redis.call('HSET', K, 'a', '1 1 active '..string.rep('h', 3000000))", true},
    {"our own fields are garbage", KEY("ring:members") "redis.call('HSET', K, 'shard-0', 'x')", true},
    {"leases are lists", "for i = 0, 2 do " KEY("lease:shard-'..i..'") "redis.call('DEL', K) redis.call('RPUSH', K, '1') end", false},
    {"leases of nobody", "for i = 0, 2 do " KEY("lease:shard-'..i..'") "redis.call('SET', K, string.rep('1', 100000), 'PX', 3000) end", false},
    {"leases without an end", "for i = 0, 2 do redis.call('PERSIST', KEYS[1]..'lease:shard-'..i) end", false},
    {"grace is a hash without an end", KEY("ring:grace") "redis.call('DEL', K) redis.call('HSET', K, 'a', 'b')", false},
    {"evictions are a string", KEY("ring:evictions") "redis.call('SET', K, 'x')", false},
    {"evictions of the future", KEY("ring:evictions") "redis.call('DEL', K) redis.call('ZADD', K, '+inf', 'x', '9e15', 'y', '-inf', 'z')", false},
    {"asked for ever", KEY("ring:asked") "redis.call('SET', K, '1')", false},
    {"asked is a list", KEY("ring:asked") "redis.call('DEL', K) redis.call('RPUSH', K, '1')", false},
    {"touched is a list", KEY("ring:touched") "redis.call('DEL', K) redis.call('RPUSH', K, '1')", false},
    {"holds are garbage", "for i = 0, 2 do redis.call('SET', KEYS[1]..'hold:shard-'..i, '1 1 99999999999999999999') end", false},
    {"noise on the channel", "for i = 1, 2000 do redis.call('PUBLISH', KEYS[1]..'ring', string.rep('\\255', i)) end", false},
};
/* clang-format on */

static struct membership_metrics sum_of_figures(void)
{
    struct membership_metrics sum = {0};

    for (int i = 0; i < NODES; i++) {
        sum.garbled += figures(i).garbled;
        sum.restores += figures(i).restores;
    }
    return sum;
}

static bool was_put_back(struct membership_metrics then)
{
    struct membership_metrics now = sum_of_figures();

    return now.garbled > then.garbled && now.restores > then.restores;
}

static void garbage_heals_and_puts_nobody_off(void **state)
{
    (void)state;
    cluster_up();
    for (size_t i = 0; i < ARRAY_LEN(damages); i++) {
        const struct damage *d = &damages[i];
        struct membership_metrics then = sum_of_figures();
        char script[512];

        snprintf(script, sizeof(script), "%s return 0", d->script);
        redis_eval(script, "");
        membership_refresh(nodes[3].m);
        for (uint64_t end = net_clock_ms() + NET_WAIT_MS;
             !is_healed() || (d->is_garbled && !was_put_back(then));) {
            if (net_clock_ms() > end)
                fail_msg("not healed: %s", d->what);
            net_turn(&net);
        }
        CHECK_EQ(sum_of_returns(), 0, d->what);
        CHECK(ring_identity_compare(ring_identity(membership_ring(nodes[3].m)), before) == 0,
              d->what);
    }
    cluster_down();
}

/* A dead shard goes all the same when everything around it is garbage. */
static void garbage_does_not_keep_the_dead(void **state)
{
    (void)state;
    cluster_up();
    nodes_stop(1);
    redis_eval("local P = KEYS[1] redis.call('SET', P..'lease:shard-1', '11')\n"
               "redis.call('SET', P..'ring:grace', '1')\n"
               "redis.call('DEL', P..'ring:evictions')\n"
               "for i = 1, 100 do redis.call('ZADD', P..'ring:evictions', '+inf', 'x'..i) end\n"
               "redis.call('SET', P..'hold:shard-1', '11 160000 9007199254740991')\n"
               "redis.call('SET', P..'suspect:shard-1:11', 'x') return 0",
               "");
    for (uint64_t end = net_clock_ms() + 3ull * LEASE_TTL_MS;
         ring_count(membership_ring(nodes[3].m)) > 2;) {
        assert_true(net_clock_ms() < end);
        net_turn(&net);
    }
    CHECK_EQ(sum_of_returns(), 0, "only the dead one");
    cluster_down();
}

/* Who knows no ring takes none from garbage, and founds one when nobody else does. */
static void newcomers_do_not_trust_garbage(void **state)
{
    (void)state;
    redis_eval("redis.call('SET', KEYS[1]..'ring:epoch', '1700000000000')\n"
               "redis.call('HSET', KEYS[1]..'ring:members', 'ghost', '1 1 active')\n"
               "redis.call('SET', KEYS[1]..'ring:asked', '1') return 0",
               "");
    nodes_start(3, "gateway-1", 0);
    NET_UNTIL(&net, figures(3).garbled > 0);
    CHECK_EQ(ring_count(membership_ring(nodes[3].m)), 0, "no ring");
    CHECK(!membership_is_registry_up(nodes[3].m), "counts as down");
    nodes_start(0, "shard-0", 10);
    NET_UNTIL(&net, nodes_agree(1, 1));
    cluster_down();
}

/* ---- a Redis that refuses ---- */

struct refusal {
    const char *what, *begin, *end;
};

/* What a server does while it is out of memory, a replica, without enough replicas, or has been
 * told to let nobody in. */
static const struct refusal refusals[] = {
    {"out of memory", "CONFIG SET maxmemory 1", "CONFIG SET maxmemory 0"},
    {"too few replicas", "CONFIG SET min-replicas-to-write 1",
     "CONFIG SET min-replicas-to-write 0"},
    {"no scripts allowed", "ACL SETUSER default -eval", "ACL SETUSER default +eval"},
    {"a replica", "REPLICAOF 127.0.0.1 1", "REPLICAOF NO ONE"},
};

static void refusing_redis_puts_nobody_off(void **state)
{
    (void)state;
    cluster_up();
    for (size_t i = 0; i < ARRAY_LEN(refusals); i++) {
        const struct refusal *t = &refusals[i];
        uint64_t refused = figures(3).refused, until;

        redis_do(t->begin);
        NET_UNTIL(&net, !membership_is_confirmed(nodes[0].m) &&
                            !membership_is_registry_up(nodes[3].m));
        CHECK(figures(3).refused > refused, t->what);
        CHECK_EQ(ring_count(membership_ring(nodes[3].m)), SHARDS, t->what);
        redis_do(t->end);
        /* All leases have run out: it is now that a gateway could take all shards for dead. */
        until = net_clock_ms() + LEASE_TTL_MS / 2;
        NET_UNTIL(&net, is_healed() && net_clock_ms() > until);
        CHECK_EQ(sum_of_returns(), 0, t->what);
        CHECK(ring_identity_compare(ring_identity(membership_ring(nodes[3].m)), before) == 0,
              t->what);
    }
    cluster_down();
}

/* Longer than a command may take, again and again. */
static void slow_redis_puts_nobody_off(void **state)
{
    (void)state;
    cluster_up();
    for (int i = 0; i < 2; i++) {
        uint64_t timeouts = figures(3).timeouts;

        redis_server_pause(&redis, 1);
        NET_UNTIL(&net, figures(3).timeouts > timeouts);
        redis_server_pause(&redis, 0);
        NET_UNTIL(&net, is_healed());
    }
    CHECK_EQ(sum_of_returns(), 0, "returns");
    CHECK(ring_identity_compare(ring_identity(membership_ring(nodes[3].m)), before) == 0,
          "ring");
    cluster_down();
}

/* What docs/operations.md says that a user of our own needs is enough: to join, to renew, to be
 * put back, to be evicted, to hear of it. */
static void documented_rights_are_enough(void **state)
{
    (void)state;
    redis_do(
        "ACL SETUSER default reset on nopass ~t:* &t:* "
        "+eval +set +get +del +hset +hget +hdel +hlen +hgetall +type +strlen +pttl +pexpire "
        "+sadd +scard +zadd +zcard +zremrangebyscore +time +publish +subscribe +ping +select");
    cluster_up();
    redis_eval("redis.call('DEL', KEYS[1]..'ring:epoch') return 0", "");
    NET_UNTIL(&net, is_healed());
    nodes_stop(1);
    NET_UNTIL(&net, ring_count(membership_ring(nodes[3].m)) == 2);
    for (int i = 0; i < NODES; i++)
        CHECK(!nodes[i].m || figures(i).refused == 0, "refused");
    cluster_down();
}

/* ---- a ring without room ---- */

static void full_ring_refuses_one_more(void **state)
{
    (void)state;
    cluster_up();
    redis_eval("local now = redis.call('TIME')[1] * 1000\n"
               "for i = 1, 253 do\n"
               "  redis.call('HSET', KEYS[1]..'ring:members', 'n'..i, '1 1 active h:1')\n"
               "  redis.call('SET', KEYS[1]..'lease:n'..i, '1', 'PX', 3000)\n"
               "end\n"
               "redis.call('SET', KEYS[1]..'ring:epoch', string.format('%.0f', now + 5000))\n"
               "return 0",
               "");
    NET_UNTIL(&net, ring_count(membership_ring(nodes[3].m)) == RING_MEMBERS_MAX);
    nodes_stop(3);
    nodes_start(3, "one-too-many", 77);
    NET_UNTIL(&net, ring_count(membership_ring(nodes[3].m)) > SHARDS);
    for (int i = 0; i < 50; i++)
        net_turn(&net);
    CHECK(!ring_find(membership_ring(nodes[0].m), SLICE_LIT("one-too-many")), "refused");
    CHECK(ring_count(membership_ring(nodes[0].m)) > SHARDS, "and the ring stands");
    CHECK_EQ(figures(0).garbled, 0, "garbled");
    cluster_down();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, nodes_setup, nodes_teardown)
        T(garbage_heals_and_puts_nobody_off), T(garbage_does_not_keep_the_dead),
        T(newcomers_do_not_trust_garbage),    T(refusing_redis_puts_nobody_off),
        T(slow_redis_puts_nobody_off),        T(full_ring_refuses_one_more),
        T(documented_rights_are_enough),
#undef T
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
