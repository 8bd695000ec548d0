/*
 * handshake.h - how the two ends of a link get to know each other: HELLO, and
 * AUTH when there is a shared secret. Pure: messages in, bytes out; both the
 * gateway's link and the shard's peer drive it.
 *
 *   gateway                         shard
 *     HELLO  ------------------------>
 *            <------------------------ HELLO
 *     AUTH   ------------------------>        only with a secret
 *            <------------------------ AUTH   only after the gateway's was right
 *
 * A MAC covers a label for the role, the version, both nonces, both incarnations
 * and both names, so it can be neither replayed nor sent back as the other's.
 */
#pragma once

#include "common/base/buf.h"
#include "common/wire/msg.h"

#define HANDSHAKE_NONCE_LEN 32
#define HANDSHAKE_MAC_LEN 32
#define HANDSHAKE_NODE_MAX 128 /* bytes of a node id */

/* Borrowed for the life of the handshake. */
struct handshake_config {
    bool is_shard;
    uint64_t incarnation; /* ours */
    struct slice node_id; /* ours */
    struct slice secret;  /* empty: none, the transport answers for the peer. Both ends must
                             agree on having one */
};

enum handshake_state { HANDSHAKE_HELLO, HANDSHAKE_AUTH, HANDSHAKE_UP, HANDSHAKE_FAILED };

struct handshake {
    const struct handshake_config *config;
    enum handshake_state state;
    const char *why; /* what was wrong, for the log, when FAILED */
    uint8_t nonce[HANDSHAKE_NONCE_LEN];
    uint8_t peer_nonce[HANDSHAKE_NONCE_LEN];
    /* Known from the peer's HELLO on. */
    uint32_t peer_version;
    uint64_t peer_incarnation;
    char peer_node[HANDSHAKE_NODE_MAX + 1];
};

/* Answers of handshake_feed(). */
enum handshake_answer { HANDSHAKE_DONE = 1 };

/* nonce: fresh random bytes. Appends the gateway's HELLO to out; the shard waits for it. */
void handshake_start(struct handshake *h, const struct handshake_config *config,
                     const uint8_t nonce[HANDSHAKE_NONCE_LEN], struct buf *out);
/* One message of the peer; appends what is to be sent. 0: more to come; HANDSHAKE_DONE: the
 * link is up; -EPROTO: out of turn or malformed; -EPROTONOSUPPORT: version; -EACCES: wrong or
 * missing proof. After <0: close. */
int handshake_feed(struct handshake *h, const struct msg *msg, struct buf *out) MUST_CHECK;
