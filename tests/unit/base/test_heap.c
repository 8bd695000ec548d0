/* test_heap.c - what a burst has left behind goes back to the system. */
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/heap.h"
#include "common/base/limits.h"
#include "tests/support/test.h"

#define N 4096
#define BLOCK 2048

/* Bytes of this process that are in memory and not of a file. */
static size_t resident(void)
{
    char line[256];
    size_t kib = 0;
    FILE *f = fopen("/proc/self/status", "r");

    assert_non_null(f);
    while (fgets(line, sizeof(line), f)) {
        if (sscanf(line, "RssAnon: %zu", &kib) == 1)
            break;
    }
    (void)fclose(f);
    assert_true(kib > 0);
    return kib * 1024;
}

static bool is_sanitized(void)
{
    return mallinfo2().arena == 0; /* the sanitizers bring an allocator of their own */
}

static void a_burst_leaves_nothing_behind(void **state)
{
    static char *blocks[N];
    uint64_t last_ms = 0;
    size_t before, full, after;

    (void)state;
    heap_configure();
    if (is_sanitized())
        skip();
    before = resident();
    for (size_t i = 0; i < N; i++) {
        blocks[i] = malloc(BLOCK);
        assert_non_null(blocks[i]);
        memset(blocks[i], 1, BLOCK);
    }
    full = resident();
    assert_true(full >= before + N * BLOCK * 9 / 10);
    for (size_t i = 0; i < N; i++) { /* one in 16 lives, and holds what is around it */
        if (i % 16 != 15)
            free(blocks[i]);
    }
    heap_tidy(HEAP_TIDY_MS - 1, &last_ms);
    assert_true(resident() > full - full / 10);
    heap_tidy(HEAP_TIDY_MS, &last_ms);
    after = resident();
    assert_true(after < before + (full - before) / 3);
    assert_int_equal(last_ms, HEAP_TIDY_MS);
    for (size_t i = 15; i < N; i += 16)
        free(blocks[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_burst_leaves_nothing_behind),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
