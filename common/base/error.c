/* error.c - names of failures for logs. The meaning of return values is in error.h. */
#include "common/base/error.h"

#include <string.h>

const char *error_name(int r)
{
    const char *name;

    if (r == 0)
        return "0";
    name = strerrorname_np(r < 0 ? -r : r);
    return name ? name : "E?";
}
