/* secret.h - handling bytes that others must not learn: compare without a timing trace, wipe
 * for good. */
#pragma once

#include "common/base/slice.h"

/* Takes as long for a mismatch in the first byte as for none. The lengths may show. */
bool mem_equal_ct(const void *a, const void *b, size_t len);
bool slice_equal_ct(struct slice a, struct slice b);
/* Overwrites in a way that the compiler does not take out. */
void secret_wipe(void *data, size_t len);
