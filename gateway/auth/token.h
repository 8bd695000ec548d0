/*
 * token.h - JSON Web Tokens of clients: what they claim, and whether it is
 * true. libjwt checks the signature; everything else is checked here, because
 * libjwt 1.10 takes the algorithm from the token, accepts `none`, and looks at
 * no times.
 *
 * The algorithm is a property of the key. A token whose header names another
 * one is refused before any signature is looked at.
 *
 * No I/O: keys and the time are arguments.
 */
#pragma once

#include "common/base/limits.h"
#include "common/base/macros.h"
#include "common/base/slice.h"
#include "gateway/auth/roles.h"

enum token_alg { TOKEN_HS256, TOKEN_HS384, TOKEN_HS512, TOKEN_RS256, TOKEN_ES256 };

struct token_key {
    enum token_alg alg;
    struct slice bytes; /* the shared secret, or a public key in PEM */
};

/* What the token says; true only once token_check() has answered 0. */
struct token {
    char project[ID_MAX + 1]; /* tid */
    char user[ID_MAX + 1];    /* sub */
    char room[ID_MAX + 1];    /* roomId: the only room it is good for; empty: all */
    char name[PRESENCE_NAME_MAX_CHARS * 4 +
              1];              /* of anonymous users, cut to what presence shows */
    char id[TOKEN_ID_MAX + 1]; /* jti; empty: it has none */
    unsigned roles;            /* enum role bits, at least one */
    bool anonymous;
    int64_t expires_s;
    int64_t not_before_s; /* 0: not said */
    int64_t issued_s;     /* 0: not said */
    struct slice text;    /* the token itself, borrowed */
    char alg[8];          /* as its header says; for comparison with the key only */
};

enum token_answer {
    TOKEN_MALFORMED = 1, /* not a token of ours at all */
    TOKEN_BAD_SIGNATURE, /* or of another algorithm than its key's */
    TOKEN_EXPIRED,
    TOKEN_NOT_YET, /* nbf or iat lies ahead */
};

/* Takes the token apart. 0, TOKEN_MALFORMED, -ENOMEM. */
int token_parse(struct slice text, struct token *ret_token) MUST_CHECK;
/* Signature by any of the keys, then times. 0, an answer, or -ENOMEM. */
int token_check(const struct token *token, const struct token_key *keys, size_t n_keys,
                int64_t now_s) MUST_CHECK;
