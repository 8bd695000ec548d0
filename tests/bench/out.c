/* out.c - jansson with every failure fatal. */
#include "tests/bench/out.h"

#include <stdio.h>

#include "tests/bench/tool.h"

json_t *out_made(json_t *value)
{
    if (!value)
        die("out of memory");
    return value;
}

void out_set(json_t *object, const char *key, json_t *value)
{
    if (json_object_set_new(object, key, out_made(value)) < 0)
        die("out of memory");
}

void out_append(json_t *array, json_t *value)
{
    if (json_array_append_new(array, out_made(value)) < 0)
        die("out of memory");
}

void out_count(json_t *object, const char *key, uint64_t n)
{
    out_set(object, key, json_integer((json_int_t)n));
}

void out_real(json_t *object, const char *key, double v)
{
    out_set(object, key, json_real((double)(long long)(v * 1000 + 0.5) / 1000));
}

void out_print(json_t *o)
{
    if (json_dumpf(o, stdout, JSON_COMPACT | JSON_REAL_PRECISION(12)) < 0 || puts("") == EOF ||
        fflush(stdout) == EOF)
        die("cannot write the result");
    json_decref(o);
}
