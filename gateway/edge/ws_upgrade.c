/* ws_upgrade.c - see ws_upgrade.h. */
#include "gateway/edge/ws_upgrade.h"

#include <openssl/sha.h>

#include "common/base/codec.h"

#define KEY_BYTES 16
#define GUID "258EAFA5-E914-47DA-95CA-C5AB0DC85B11" /* RFC 6455 section 1.3 */

static bool refuse(struct http_refusal *ret, unsigned status, const char *code,
                   const char *detail)
{
    *ret = (struct http_refusal){status, code, detail};
    return false;
}

/* key: 24 characters. SHA-1 is what the RFC says; it proves that we understood, and protects
 * nothing. */
static void accept_key(struct slice key, char ret[WS_ACCEPT_TEXT])
{
    char text[BASE64_LEN(KEY_BYTES) + sizeof(GUID)];
    uint8_t digest[SHA_DIGEST_LENGTH];

    memcpy(text, key.data, key.len);
    memcpy(text + key.len, GUID, sizeof(GUID));
    SHA1((const unsigned char *)text, key.len + sizeof(GUID) - 1, digest);
    base64_encode(BASE64_STANDARD, digest, sizeof(digest), ret);
}

bool ws_upgrade_check(const struct http_request *request, struct ws_upgrade *ret_upgrade,
                      struct http_refusal *ret_refusal)
{
    struct slice key, version;
    uint8_t bytes[KEY_BYTES];
    size_t len;

    if (request->method != HTTP_GET || request->minor < 1 ||
        !http_request_has_token(request, "upgrade", "websocket") ||
        !http_request_has_token(request, "connection", "upgrade"))
        return refuse(ret_refusal, 426, "upgrade_required",
                      "a WebSocket handshake is expected here");
    if (!http_request_field(request, "sec-websocket-version", &version) ||
        !slice_eq_str(version, "13"))
        return refuse(ret_refusal, 426, "upgrade_required", "Sec-WebSocket-Version must be 13");
    if (!http_request_field(request, "sec-websocket-key", &key) ||
        base64_decode(BASE64_STANDARD, key, bytes, sizeof(bytes), &len) < 0 || len != KEY_BYTES)
        return refuse(ret_refusal, 400, "bad_request", "malformed Sec-WebSocket-Key");
    if (request->chunked || request->content_length > 0)
        return refuse(ret_refusal, 400, "bad_request", "a WebSocket handshake has no body");
    accept_key(key, ret_upgrade->accept);
    ret_upgrade->subprotocol =
        http_request_has_token(request, "sec-websocket-protocol", WS_SUBPROTOCOL);
    return true;
}

size_t ws_upgrade_headers(const struct ws_upgrade *upgrade, struct http_header *ret)
{
    size_t n = 0;

    ret[n++] = (struct http_header){"Upgrade", SLICE_LIT("websocket")};
    ret[n++] = (struct http_header){"Connection", SLICE_LIT("Upgrade")};
    ret[n++] = (struct http_header){"Sec-WebSocket-Accept", slice_str(upgrade->accept)};
    if (upgrade->subprotocol)
        ret[n++] = (struct http_header){"Sec-WebSocket-Protocol", SLICE_LIT(WS_SUBPROTOCOL)};
    return n;
}
