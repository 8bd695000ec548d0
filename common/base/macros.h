/*
 * macros.h - the only clever macros of the house: scoped cleanup, hand-over,
 * containers. Nothing else belongs here.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define MUST_CHECK __attribute__((warn_unused_result))
#define PRINTF_LIKE(fmt, args) __attribute__((format(printf, fmt, args)))
#define UNUSED __attribute__((unused))

/* Through uintptr_t, so that a const node gives its (mutable) owner without a cast-away
 * warning. */
#define container_of(ptr, type, member) ((type *)((uintptr_t)(ptr)-offsetof(type, member)))

#define MIN(a, b)                                                                              \
    ({                                                                                         \
        __typeof__(a) min_a_ = (a);                                                            \
        __typeof__(b) min_b_ = (b);                                                            \
        min_a_ < min_b_ ? min_a_ : min_b_;                                                     \
    })
#define MAX(a, b)                                                                              \
    ({                                                                                         \
        __typeof__(a) max_a_ = (a);                                                            \
        __typeof__(b) max_b_ = (b);                                                            \
        max_a_ > max_b_ ? max_a_ : max_b_;                                                     \
    })

/* A local that is released on every way out: AUTO(room_free) struct room *room = ...; */
#define AUTO(fn) __attribute__((cleanup(fn##_p)))
/* Makes fn usable with AUTO(); fn must accept NULL. */
#define DEFINE_AUTO(type, fn)                                                                  \
    static inline void fn##_p(type **p)                                                        \
    {                                                                                          \
        fn(*p);                                                                                \
    }
/* Hands the pointer over and disarms the AUTO() of the variable. */
#define TAKE(var)                                                                              \
    ({                                                                                         \
        __typeof__(var) take_ = (var);                                                         \
        (var) = NULL;                                                                          \
        take_;                                                                                 \
    })
