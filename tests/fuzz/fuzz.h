/*
 * fuzz.h - what the fuzz targets share: the entry point that libFuzzer calls,
 * and a check that stays on.
 */
#pragma once

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define FUZZ_CHECK(condition)                                                                  \
    do {                                                                                       \
        if (!(condition)) {                                                                    \
            fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #condition);     \
            abort();                                                                           \
        }                                                                                      \
    } while (0)

/* Two runs over the same bytes must come to the same. */
#define FUZZ_SAME(a, b)                                                                        \
    do {                                                                                       \
        if (!slice_eq(buf_slice(&(a)), buf_slice(&(b)))) {                                     \
            fprintf(stderr, "%s:%d: whole:  %.*s\n", __FILE__, __LINE__, (int)(a).len,         \
                    (a).data);                                                                 \
            fprintf(stderr, "%s:%d: pieces: %.*s\n", __FILE__, __LINE__, (int)(b).len,         \
                    (b).data);                                                                 \
            abort();                                                                           \
        }                                                                                      \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
