/* api_key.c - see api_key.h. */
#include "gateway/auth/api_key.h"

#include <openssl/sha.h>

#include "common/base/codec.h"

#define API_KEY_PREFIX "fc_"
#define API_KEY_BYTES 16

bool api_key_is_valid(struct slice key)
{
    uint8_t bytes[API_KEY_BYTES];
    const size_t prefix = sizeof(API_KEY_PREFIX) - 1;

    return key.len == prefix + 2 * sizeof(bytes) &&
           memcmp(key.data, API_KEY_PREFIX, prefix) == 0 &&
           hex_decode(slice_of(key.data + prefix, key.len - prefix), bytes, sizeof(bytes)) == 0;
}

void api_key_hash(struct slice key, char ret[API_KEY_HASH_HEX + 1])
{
    uint8_t digest[SHA256_DIGEST_LENGTH];

    SHA256((const unsigned char *)key.data, key.len, digest);
    hex_encode(digest, sizeof(digest), ret);
}
