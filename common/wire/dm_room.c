/* dm_room.c - see dm_room.h. */
#include "common/wire/dm_room.h"

#include <openssl/evp.h>
#include <openssl/sha.h>
#include <string.h>

#include "common/base/limits.h"
#include "common/base/macros.h"

static const char prefix[] = "dm_";
static const char digits[] = "0123456789abcdef";

struct slice dm_room_id(struct slice a, struct slice b, char ret[DM_ROOM_ID_LEN + 1])
{
    unsigned char hash[SHA256_DIGEST_LENGTH], text[2 * ID_MAX + 1];
    int order = memcmp(a.data, b.data, MIN(a.len, b.len));
    bool swap = order ? order > 0 : a.len > b.len;
    struct slice first = swap ? b : a, second = swap ? a : b;
    char *at = ret + sizeof(prefix) - 1;

    ret[0] = '\0';
    if (a.len > ID_MAX || b.len > ID_MAX)
        return slice_of(ret, 0);
    memcpy(text, first.data, first.len);
    text[first.len] = '/'; /* no character of an id: "a" + "bc" is not "ab" + "c" */
    memcpy(text + first.len + 1, second.data, second.len);
    if (EVP_Digest(text, first.len + 1 + second.len, hash, NULL, EVP_sha256(), NULL) != 1)
        return slice_of(ret, 0);
    memcpy(ret, prefix, sizeof(prefix) - 1);
    for (size_t i = 0; i < (DM_ROOM_ID_LEN - sizeof(prefix) + 1) / 2; i++) {
        *at++ = digits[hash[i] >> 4];
        *at++ = digits[hash[i] & 0x0f];
    }
    *at = '\0';
    return slice_of(ret, DM_ROOM_ID_LEN);
}

bool dm_room_id_is_reserved(struct slice id)
{
    if (id.len != DM_ROOM_ID_LEN || memcmp(id.data, prefix, sizeof(prefix) - 1) != 0)
        return false;
    for (size_t i = sizeof(prefix) - 1; i < id.len; i++) {
        if (!memchr(digits, id.data[i], sizeof(digits) - 1))
            return false;
    }
    return true;
}
