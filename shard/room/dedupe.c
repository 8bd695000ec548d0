/* dedupe.c - see dedupe.h. */
#include "shard/room/dedupe.h"

#include <assert.h>
#include <openssl/evp.h>
#include <unistd.h>

#include "common/base/broken.h"

void dedupe_key(enum dedupe_kind kind, struct slice author, struct slice key,
                uint8_t ret[DEDUPE_LEN])
{
    /* Looked up and allocated once: fetching an algorithm by name costs more than hashing. */
    static const EVP_MD *sha256;
    static EVP_MD_CTX *ctx;
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned char separator =
        (unsigned char)kind; /* no control character is part of an author */
    int ok;

    if (!sha256)
        sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
    if (!ctx)
        ctx = EVP_MD_CTX_new();
    ok = sha256 && ctx && EVP_DigestInit_ex(ctx, sha256, NULL) &&
         EVP_DigestUpdate(ctx, author.data, author.len) &&
         EVP_DigestUpdate(ctx, &separator, 1) && EVP_DigestUpdate(ctx, key.data, key.len) &&
         EVP_DigestFinal_ex(ctx, digest, NULL);
    if (IS_BROKEN(BREAK_DEDUPE)) { /* another key each time */
        static uint64_t n;
        uint64_t other[2] = {++n, (uint64_t)getpid()};

        memcpy(digest, other, sizeof(other));
    }
    assert(
        ok); /* only without memory for a context of some hundred bytes, at the first message */
    memcpy(ret, digest, DEDUPE_LEN);
}
