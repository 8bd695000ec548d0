/*
 * secrets.c - see secrets.h. Sealed: 12 bytes random nonce, ciphertext, 16
 * bytes tag. Authenticated with it: the lengths and bytes of the place's names.
 */
#include "shard/store/secrets.h"

#include <errno.h>
#include <limits.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

#include "common/base/codec.h"
#include "common/base/secret.h"

enum { NONCE_LEN = 12, TAG_LEN = 16 };

int master_key_parse(struct slice text, struct master_key *ret_key)
{
    uint8_t key[MASTER_KEY_LEN], hash[EVP_MAX_MD_SIZE];
    size_t len = 0;
    int r = -EINVAL;

    while (text.len > 0 && strchr(" \t\r\n", text.data[text.len - 1]))
        text.len--;
    if (text.len == (size_t)2 * MASTER_KEY_LEN)
        r = hex_decode(text, key, sizeof(key));
    else if (base64_decode(BASE64_STANDARD, text, key, sizeof(key), &len) == 0 &&
             len == sizeof(key))
        r = 0;
    if (r == 0 && !EVP_Digest(key, sizeof(key), hash, NULL, EVP_sha256(), NULL))
        r = -EIO;
    if (r == 0) {
        memcpy(ret_key->key, key, sizeof(key));
        hex_encode(hash, MASTER_KID_LEN / 2, ret_key->kid);
    }
    secret_wipe(key, sizeof(key));
    return r;
}

void keyring_wipe(struct keyring *ring)
{
    secret_wipe(ring, sizeof(*ring));
}

const struct master_key *keyring_find(const struct keyring *ring, struct slice kid)
{
    if (slice_eq_str(kid, ring->current.kid))
        return &ring->current;
    if (ring->has_previous && slice_eq_str(kid, ring->previous.kid))
        return &ring->previous;
    return NULL;
}

/* Each name with its length before it, so that no two places give the same bytes. */
static bool add_name(EVP_CIPHER_CTX *ctx, struct slice name)
{
    uint8_t len[4] = {(uint8_t)(name.len >> 24), (uint8_t)(name.len >> 16),
                      (uint8_t)(name.len >> 8), (uint8_t)name.len};
    int n;

    return EVP_CipherUpdate(ctx, NULL, &n, len, sizeof(len)) &&
           (name.len == 0 ||
            EVP_CipherUpdate(ctx, NULL, &n, (const uint8_t *)name.data, (int)name.len));
}

static bool start(EVP_CIPHER_CTX *ctx, const struct master_key *key,
                  const struct secret_place *place, const uint8_t *nonce, bool seal)
{
    return EVP_CipherInit_ex(ctx, EVP_aes_256_gcm(), NULL, key->key, nonce, seal) &&
           add_name(ctx, place->project) && add_name(ctx, place->kid) &&
           add_name(ctx, place->purpose);
}

int secret_seal(const struct master_key *key, const struct secret_place *place,
                struct slice plain, uint8_t *ret_sealed)
{
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    uint8_t *text = ret_sealed + NONCE_LEN;
    int n = 0, r = -EIO;

    if (!ctx)
        return -ENOMEM;
    if (plain.len <= INT_MAX && RAND_bytes(ret_sealed, NONCE_LEN) == 1 &&
        start(ctx, key, place, ret_sealed, true) &&
        EVP_CipherUpdate(ctx, text, &n, (const uint8_t *)plain.data, (int)plain.len) &&
        EVP_CipherFinal_ex(ctx, text + n, &n) &&
        EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_GET_TAG, TAG_LEN, text + plain.len))
        r = 0;
    EVP_CIPHER_CTX_free(ctx);
    return r;
}

int secret_open(const struct master_key *key, const struct secret_place *place,
                struct slice sealed, uint8_t *ret_plain)
{
    const uint8_t *nonce = (const uint8_t *)sealed.data, *text = nonce + NONCE_LEN;
    EVP_CIPHER_CTX *ctx;
    uint8_t tag[TAG_LEN];
    size_t len;
    int n = 0, r = -EBADMSG;

    if (sealed.len < SEAL_OVERHEAD || sealed.len > INT_MAX)
        return -EBADMSG;
    len = sealed.len - SEAL_OVERHEAD;
    memcpy(tag, text + len, sizeof(tag));
    ctx = EVP_CIPHER_CTX_new();
    if (!ctx)
        return -ENOMEM;
    if (start(ctx, key, place, nonce, false) &&
        EVP_CipherUpdate(ctx, ret_plain, &n, text, (int)len) &&
        EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_SET_TAG, TAG_LEN, tag) &&
        EVP_CipherFinal_ex(ctx, ret_plain + n, &n))
        r = 0;
    else
        secret_wipe(ret_plain, len); /* what was decrypted before the tag was checked */
    EVP_CIPHER_CTX_free(ctx);
    return r;
}
