/* secret.c - constant-time comparison and wiping; see secret.h. */
#include "common/base/secret.h"

bool mem_equal_ct(const void *a, const void *b, size_t len)
{
    const volatile unsigned char *x = a;
    const volatile unsigned char *y = b;
    unsigned char differ = 0;

    for (size_t i = 0; i < len; i++)
        differ = (unsigned char)(differ | (x[i] ^ y[i]));
    return differ == 0;
}

bool slice_equal_ct(struct slice a, struct slice b)
{
    return a.len == b.len && mem_equal_ct(a.data, b.data, a.len);
}

void secret_wipe(void *data, size_t len)
{
    if (len > 0)
        explicit_bzero(data, len);
}
