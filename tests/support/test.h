/*
 * test.h - what every unit test includes: cmocka with the headers that it
 * wants before it, and checks for table-driven tests that name the row.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/macros.h"
#include "common/base/slice.h"

#define CHECK(cond, name)                                                                      \
    do {                                                                                       \
        if (!(cond)) {                                                                         \
            fail_msg("%s: %s", (name), #cond);                                                 \
            abort(); /* fail_msg() does not return, which the analyzer does not know */        \
        }                                                                                      \
    } while (0)

#define CHECK_EQ(got, want, name)                                                              \
    do {                                                                                       \
        long long check_got_ = (long long)(got), check_want_ = (long long)(want);              \
        if (check_got_ != check_want_)                                                         \
            fail_msg("%s: %s is %lld, want %lld", (name), #got, check_got_, check_want_);      \
    } while (0)

/* got: struct slice; want: NUL-terminated string */
#define CHECK_SLICE(got, want, name)                                                           \
    do {                                                                                       \
        struct slice check_slice_ = (got);                                                     \
        if (!slice_eq_str(check_slice_, (want)))                                               \
            fail_msg("%s: %s is \"%.*s\", want \"%s\"", (name), #got, (int)check_slice_.len,   \
                     check_slice_.len ? check_slice_.data : "", (want));                       \
    } while (0)
