/* anonymous.c - see anonymous.h. The user id is the beginning of a SHA-256 over a label, the
 * project and the anonId, each ended by a NUL (none contains one). */
#include "gateway/auth/anonymous.h"

#include <openssl/sha.h>
#include <stdio.h>

#include "common/base/codec.h"

#define LABEL "fluxychat anonymous user"

void anonymous_make(struct slice project, struct slice id,
                    const uint8_t random[ANONYMOUS_RANDOM], struct anonymous *ret)
{
    char text[sizeof(LABEL) + ID_MAX + CLIENT_ID_MAX + 3];
    uint8_t digest[SHA256_DIGEST_LENGTH];
    char hex[2 * ANONYMOUS_RANDOM + 1];
    int len;

    hex_encode(random, ANONYMOUS_RANDOM, hex);
    if (id.len == 0)
        id = slice_str(hex);
    snprintf(ret->id, sizeof(ret->id), "%.*s", (int)id.len, id.data);
    len = snprintf(text, sizeof(text), "%s%c%.*s%c%s", LABEL, 0, (int)project.len, project.data,
                   0, ret->id);
    SHA256((const unsigned char *)text, (size_t)len, digest);
    hex_encode(digest, 8, hex);
    snprintf(ret->user, sizeof(ret->user), "anon_%.16s", hex);
}
