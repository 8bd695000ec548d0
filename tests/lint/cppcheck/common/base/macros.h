/*
 * macros.h as cppcheck gets to see it: the same macros without statement
 * expressions, which its parser gives up on. Only tests/lint/run uses it.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define MUST_CHECK
#define PRINTF_LIKE(fmt, args)
#define UNUSED
#define container_of(ptr, type, member) ((type *)((uintptr_t)(ptr)-offsetof(type, member)))
#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))
#define AUTO(fn) __attribute__((cleanup(fn##_p)))
#define DEFINE_AUTO(type, fn) void fn##_p(type **p);
#define TAKE(var) (var)

/* Of jansson.h, which cppcheck does not find. */
#define json_array_foreach(a, i, v)                                                            \
    for (i = 0; i < json_array_size(a) && (v = json_array_get(a, i)); i++)
#define json_object_foreach(o, k, v)                                                           \
    for (k = json_object_iter_key(json_object_iter(o)); k && (v = json_object_get(o, k));      \
         k = NULL)
