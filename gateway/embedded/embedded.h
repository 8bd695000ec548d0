/* embedded.h - files that the build puts into the program (embed): the chat page and the
 * descriptions of the interface. */
#pragma once

#include <stddef.h>

struct embedded {
    const unsigned char *bytes;
    size_t len;
    const char *tag; /* a strong ETag, quotes included: another one for other bytes */
};

extern const struct embedded demo_html, demo_js, demo_css;
extern const struct embedded openapi_json, asyncapi_json;
