/* tool.c - giving up and growing. */
#include "tests/bench/tool.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void die(const char *fmt, ...)
{
    va_list ap;

    fprintf(stderr, "%s: ", program_invocation_short_name);
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fputc('\n', stderr);
    exit(2);
}

void *must_calloc(size_t n, size_t size)
{
    void *p = calloc(n ? n : 1, size ? size : 1);

    if (!p)
        die("out of memory");
    return p;
}

void *must_realloc(void *p, size_t size)
{
    void *q = realloc(p, size ? size : 1);

    if (!q)
        die("out of memory");
    return q;
}

static void text_reserve(struct text *t, size_t more)
{
    if (t->cap - t->len > more)
        return;
    t->cap = (t->len + more + 1) * 2;
    t->p = must_realloc(t->p, t->cap);
}

void text_add(struct text *t, const char *p, size_t len)
{
    text_reserve(t, len);
    memcpy(t->p + t->len, p, len);
    t->len += len;
    t->p[t->len] = '\0';
}

void text_addf(struct text *t, const char *fmt, ...)
{
    va_list ap;
    int n;

    va_start(ap, fmt);
    n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    if (n < 0)
        die("vsnprintf failed");
    text_reserve(t, (size_t)n);
    va_start(ap, fmt);
    (void)vsnprintf(t->p + t->len, (size_t)n + 1, fmt, ap); /* the size is known to fit */
    va_end(ap);
    t->len += (size_t)n;
}

double tool_number(const char *what, const char *s, double min, double max)
{
    char *end;
    double v = strtod(s, &end);

    if (end == s || *end || !(v >= min && v <= max))
        die("%s: '%s' is not a number from %.15g to %.15g", what, s, min, max);
    return v;
}
