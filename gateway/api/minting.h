/*
 * minting.h - how tokens are made for others: whose key (or who) asks, how
 * often he may, which roles he may hand out, the project's secret, the token.
 * The endpoints of tokens.c begin it; it answers the request.
 */
#pragma once

#include "gateway/api/request.h"

enum mint_kind {
    MINT_USER,      /* body: userId, roles, ttlSeconds */
    MINT_SIGNIN,    /* the same; the answer says where the user's own channel is */
    MINT_ANONYMOUS, /* body: anonId, displayName, ttlSeconds */
};

#define MINT_ANY_ROLE ((1u << ROLE_COUNT) - 1)
/* What an office brings: not to be had from somebody who only has one himself. */
#define MINT_ELEVATED ((unsigned)ROLE_OWNER | ROLE_ADMIN | ROLE_MODERATOR)

/* Who comes with an API key (header or query), or, with Bearer op_..., the operator. */
void mint_by_key(struct api_request *req, enum mint_kind kind);
/* Somebody whose right has been checked, known to the rate limit as `asker`. may: the roles
 * that he may hand out; of others the request is refused. */
void mint_for_project(struct api_request *req, enum mint_kind kind, struct slice asker,
                      const char *project, unsigned may);
