/*
 * secrets.h - secrets that must be used and so cannot be hashed: sealed with
 * AES-256-GCM under the master key before they go into the database. Their
 * place is authenticated with them, so that a row that was moved to another
 * tenant or put to another use does not open. Does not store anything.
 */
#pragma once

#include "common/base/macros.h"
#include "common/base/slice.h"

#define MASTER_KEY_LEN 32
#define MASTER_KID_LEN 16 /* characters */

struct master_key {
    uint8_t key[MASTER_KEY_LEN];
    char kid[MASTER_KID_LEN + 1]; /* names the key in each sealed row; says nothing about it */
};

/* The key that seals, and the one before it while rows are still sealed under that. */
struct keyring {
    struct master_key current;
    struct master_key previous;
    bool has_previous;
};

/* The content of a key file: 64 hex digits or 44 characters of base64 (32 bytes). -EINVAL. */
int master_key_parse(struct slice text, struct master_key *ret_key) MUST_CHECK;
void keyring_wipe(struct keyring *ring);
/* Which key of the ring has this kid; NULL: none. */
const struct master_key *keyring_find(const struct keyring *ring, struct slice kid);

/* Where a sealed secret belongs. Borrowed. */
struct secret_place {
    struct slice project, kid;
    struct slice purpose; /* SECRET_JWT, ... */
};
#define SECRET_JWT SLICE_LIT("jwt")

/* Nonce and tag that sealing adds. */
#define SEAL_OVERHEAD (12 + 16)

/* Writes plain.len + SEAL_OVERHEAD bytes: random nonce, ciphertext, tag. -EIO: the library
 * failed. */
int secret_seal(const struct master_key *key, const struct secret_place *place,
                struct slice plain, uint8_t *ret_sealed) MUST_CHECK;
/* Writes sealed.len - SEAL_OVERHEAD bytes. -EBADMSG: another key, another place, or changed;
 * ret_plain is then wiped. */
int secret_open(const struct master_key *key, const struct secret_place *place,
                struct slice sealed, uint8_t *ret_plain) MUST_CHECK;
