/*
 * idempotency.c - the header Idempotency-Key of a POST: one that is sent again
 * gets the answer of the first (docs/protocol-client.md). Keys and answers are
 * kept by shards (shard/api/idempotency.c); here only what is asked is made
 * into a hash, so that a key can be told from the same one with another wish.
 */
#include <openssl/evp.h>

#include "common/base/codec.h"
#include "common/base/ident.h"
#include "gateway/api/request.h"

static bool hash_parts(const struct slice *parts, size_t n, uint8_t ret[REQUEST_HASH_BYTES])
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool ok = ctx && EVP_DigestInit_ex(ctx, EVP_sha256(), NULL);

    for (size_t i = 0; ok && i < n; i++) {
        uint64_t len = parts[i].len; /* in front: no two lists of parts are the same bytes */

        ok = EVP_DigestUpdate(ctx, &len, sizeof(len)) &&
             EVP_DigestUpdate(ctx, parts[i].data, parts[i].len);
    }
    ok = ok && EVP_DigestFinal_ex(ctx, ret, NULL);
    EVP_MD_CTX_free(ctx);
    return ok;
}

bool api_take_client_key(struct api_request *req)
{
    const struct http_request *request = &req->ex->request;
    /* Without the query: a token in it may be a fresh one. */
    const struct slice parts[] = {slice_str(http_method_name(request->method)),
                                  http_request_path(request), buf_slice(&req->ex->body)};
    struct slice key;

    if (request->method != HTTP_POST || !http_request_field_count(request, "idempotency-key"))
        return true;
    if (!http_request_field(request, "idempotency-key", &key) ||
        !client_message_id_is_valid(key)) {
        api_reply_error(req, ERROR_bad_request,
                        SLICE_LIT("Idempotency-Key must be 1 to 128 visible ASCII characters"));
        return false;
    }
    if (!hash_parts(parts, ARRAY_LEN(parts), req->request_hash)) {
        api_reply_error(req, ERROR_overloaded, slice_of(NULL, 0));
        return false;
    }
    req->client_key = key;
    return true;
}

void api_random_for_key(struct api_request *req, uint8_t ret[16])
{
    const struct slice parts[] = {slice_str(req->admission.token.project),
                                  slice_str(req->admission.token.user), req->client_key,
                                  slice_of(req->request_hash, REQUEST_HASH_BYTES)};
    uint8_t hash[REQUEST_HASH_BYTES];

    if (req->client_key.len && hash_parts(parts, ARRAY_LEN(parts), hash))
        memcpy(ret, hash, 16);
    else
        env_random(req->api->env, ret, 16);
}

bool api_key_for_room(struct api_request *req, struct slice room,
                      char ret[2 * REQUEST_HASH_BYTES + 1])
{
    const struct slice parts[] = {req->client_key, room};
    uint8_t hash[REQUEST_HASH_BYTES];

    if (!hash_parts(parts, ARRAY_LEN(parts), hash))
        return false;
    hex_encode(hash, sizeof(hash), ret);
    return true;
}
