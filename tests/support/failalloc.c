/* failalloc.c - allocation functions that fail on demand, put in place by the linker's --wrap.
 */
#include "tests/support/failalloc.h"

#include <errno.h>

#include "tests/support/test.h"

#define RUNS_MAX 100000 /* code under test that never gets through */

static size_t countdown; /* 0: none fails; 1: the next one does */
static int has_failed;
static long live; /* blocks allocated and not freed */

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t size);
void *__real_reallocarray(void *p, size_t n, size_t size);
char *__real_strdup(const char *s);
void __real_free(void *p);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t size);
void *__wrap_reallocarray(void *p, size_t n, size_t size);
char *__wrap_strdup(const char *s);
void __wrap_free(void *p);

static int must_fail(void)
{
    if (countdown == 0 || --countdown > 0)
        return 0;
    has_failed = 1;
    errno = ENOMEM;
    return 1;
}

static void *count(void *p)
{
    if (p)
        live++;
    return p;
}

void *__wrap_malloc(size_t size)
{
    return must_fail() ? NULL : count(__real_malloc(size));
}

void *__wrap_calloc(size_t n, size_t size)
{
    return must_fail() ? NULL : count(__real_calloc(n, size));
}

void *__wrap_realloc(void *p, size_t size)
{
    if (must_fail())
        return NULL;
    return p ? __real_realloc(p, size) : count(__real_malloc(size));
}

void *__wrap_reallocarray(void *p, size_t n, size_t size)
{
    if (must_fail())
        return NULL;
    return p ? __real_reallocarray(p, n, size) : count(__real_reallocarray(NULL, n, size));
}

char *__wrap_strdup(const char *s)
{
    return must_fail() ? NULL : count(__real_strdup(s));
}

void __wrap_free(void *p)
{
    if (p)
        live--;
    __real_free(p);
}

int failalloc_has_failed(void)
{
    return has_failed;
}

size_t failalloc_run(failalloc_fn fn, void *arg)
{
    for (size_t n = 1; n < RUNS_MAX; n++) {
        long before = live;

        countdown = n;
        has_failed = 0;
        fn(arg);
        countdown = 0;
        if (live != before)
            fail_msg("failing allocation %zu leaks %ld blocks", n, live - before);
        if (!has_failed)
            return n;
    }
    fail_msg("still failing after %d runs", RUNS_MAX);
    return 0;
}
