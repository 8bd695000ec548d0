/*
 * handshake.c - HELLO and AUTH of both ends of a link. See handshake.h.
 */
#include "common/wire/handshake.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string.h>

/* Versions one apart live side by side, so that a cluster can be upgraded node by node. */
#define VERSION_SPREAD 1

static const char gateway_label[] = "fluxy link gateway";
static const char shard_label[] = "fluxy link shard";

static int fail(struct handshake *h, int r, const char *why)
{
    h->state = HANDSHAKE_FAILED;
    h->why = why;
    return r;
}

static bool needs_proof(const struct handshake *h)
{
    return h->config->secret.len > 0;
}

/* What one MAC covers: see the header. The label says whose proof it is. */
static void put_transcript(const struct handshake *h, bool of_shard, struct buf *out)
{
    bool ours_is_shard = h->config->is_shard;
    const uint8_t *gateway_nonce = ours_is_shard ? h->peer_nonce : h->nonce;
    const uint8_t *shard_nonce = ours_is_shard ? h->nonce : h->peer_nonce;
    uint64_t incarnations[2] = {ours_is_shard ? h->peer_incarnation : h->config->incarnation,
                                ours_is_shard ? h->config->incarnation : h->peer_incarnation};
    struct slice peer = slice_str(h->peer_node);
    struct slice gateway_node = ours_is_shard ? peer : h->config->node_id;
    struct slice shard_node = ours_is_shard ? h->config->node_id : peer;
    uint32_t gateway_version = ours_is_shard ? h->peer_version : LINK_VERSION;
    uint32_t shard_version = ours_is_shard ? LINK_VERSION : h->peer_version;

    if (of_shard)
        buf_put(out, shard_label, sizeof(shard_label));
    else
        buf_put(out, gateway_label, sizeof(gateway_label));
    buf_put(out, gateway_nonce, HANDSHAKE_NONCE_LEN);
    buf_put(out, shard_nonce, HANDSHAKE_NONCE_LEN);
    /* Every part has a fixed length or ends in NUL, so no two transcripts run together. */
    buf_printf(out, "%u.%u.%016llx.%016llx", gateway_version, shard_version,
               (unsigned long long)incarnations[0], (unsigned long long)incarnations[1]);
    buf_put_char(out, '\0');
    buf_put_slice(out, gateway_node);
    buf_put_char(out, '\0');
    buf_put_slice(out, shard_node);
    buf_put_char(out, '\0');
}

static int make_mac(const struct handshake *h, bool of_shard,
                    uint8_t ret_mac[HANDSHAKE_MAC_LEN])
{
    AUTO_BUF text = BUF_INIT;
    unsigned len = 0;

    if (h->config->secret.len > INT32_MAX)
        return -EINVAL;
    put_transcript(h, of_shard, &text);
    if (buf_failed(&text))
        return -ENOMEM;
    if (!HMAC(EVP_sha256(), h->config->secret.data, (int)h->config->secret.len,
              (const unsigned char *)text.data, text.len, ret_mac, &len) ||
        len != HANDSHAKE_MAC_LEN)
        return -ENOMEM;
    return 0;
}

static void put_hello(const struct handshake *h, struct buf *out)
{
    struct msg msg = {.type = MSG_HELLO};

    msg.HELLO.version = LINK_VERSION;
    msg.HELLO.is_shard = h->config->is_shard;
    msg.HELLO.incarnation = h->config->incarnation;
    msg.HELLO.node_id = h->config->node_id;
    msg.HELLO.nonce = slice_of(h->nonce, sizeof(h->nonce));
    msg_encode(out, &msg);
}

static int put_auth(struct handshake *h, struct buf *out)
{
    uint8_t mac[HANDSHAKE_MAC_LEN];
    struct msg msg = {.type = MSG_AUTH};
    int r;

    r = make_mac(h, h->config->is_shard, mac);
    if (r < 0)
        return fail(h, r, "cannot compute the proof");
    msg.AUTH.mac = slice_of(mac, sizeof(mac));
    msg_encode(out, &msg);
    return 0;
}

void handshake_start(struct handshake *h, const struct handshake_config *config,
                     const uint8_t nonce[HANDSHAKE_NONCE_LEN], struct buf *out)
{
    *h = (struct handshake){.config = config, .state = HANDSHAKE_HELLO};
    memcpy(h->nonce, nonce, HANDSHAKE_NONCE_LEN);
    if (!config->is_shard)
        put_hello(h, out);
}

/* Keeps what the peer says of itself. Nothing of it is believed before the proof. */
static int take_hello(struct handshake *h, const struct msg_HELLO *hello)
{
    if (hello->version + VERSION_SPREAD < LINK_VERSION ||
        hello->version > LINK_VERSION + VERSION_SPREAD)
        return fail(h, -EPROTONOSUPPORT, "the link version of the peer is too far from ours");
    if (hello->is_shard == h->config->is_shard)
        return fail(h, -EPROTO, "the peer has the same role as we");
    if (hello->nonce.len != HANDSHAKE_NONCE_LEN)
        return fail(h, -EPROTO, "the nonce of the peer has a wrong length");
    if (memcmp(hello->nonce.data, h->nonce, HANDSHAKE_NONCE_LEN) == 0)
        return fail(h, -EPROTO, "the peer sent our own nonce back");
    if (hello->node_id.len == 0 || hello->node_id.len > HANDSHAKE_NODE_MAX ||
        memchr(hello->node_id.data, '\0', hello->node_id.len))
        return fail(h, -EPROTO, "the node id of the peer is malformed");

    h->peer_version = hello->version;
    h->peer_incarnation = hello->incarnation;
    memcpy(h->peer_nonce, hello->nonce.data, HANDSHAKE_NONCE_LEN);
    memcpy(h->peer_node, hello->node_id.data, hello->node_id.len);
    h->peer_node[hello->node_id.len] = '\0';
    return 0;
}

static int on_hello(struct handshake *h, const struct msg_HELLO *hello, struct buf *out)
{
    int r;

    r = take_hello(h, hello);
    if (r < 0)
        return r;
    if (h->config->is_shard)
        put_hello(h, out);
    if (!needs_proof(h)) {
        h->state = HANDSHAKE_UP;
        return HANDSHAKE_DONE;
    }
    if (!h->config->is_shard) {
        r = put_auth(h, out);
        if (r < 0)
            return r;
    }
    h->state = HANDSHAKE_AUTH;
    return 0;
}

static int on_auth(struct handshake *h, const struct msg_AUTH *auth, struct buf *out)
{
    uint8_t want[HANDSHAKE_MAC_LEN];
    int r;

    r = make_mac(h, !h->config->is_shard, want);
    if (r < 0)
        return fail(h, r, "cannot compute the proof");
    if (auth->mac.len != sizeof(want) || CRYPTO_memcmp(auth->mac.data, want, sizeof(want)) != 0)
        return fail(h, -EACCES, "the peer does not know the shared secret");
    if (h->config->is_shard) {
        r = put_auth(h, out);
        if (r < 0)
            return r;
    }
    h->state = HANDSHAKE_UP;
    return HANDSHAKE_DONE;
}

int handshake_feed(struct handshake *h, const struct msg *msg, struct buf *out)
{
    int r;

    if (h->state == HANDSHAKE_HELLO && msg->type == MSG_HELLO)
        r = on_hello(h, &msg->HELLO, out);
    else if (h->state == HANDSHAKE_AUTH && msg->type == MSG_AUTH)
        r = on_auth(h, &msg->AUTH, out);
    else if (h->state == HANDSHAKE_AUTH)
        r = fail(h, -EACCES, "the peer sent no proof of the shared secret");
    else
        r = fail(h, -EPROTO, "unexpected message in the handshake");
    if (r >= 0 && buf_failed(out))
        return fail(h, -ENOMEM, "out of memory");
    return r;
}
