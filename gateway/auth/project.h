/*
 * project.h - what a gateway must know of a tenant to let its users in, and of
 * an API key to mint for it: read from the answers of the project object and
 * of the key look-up (common/wire/calls.def).
 */
#pragma once

#include "common/base/limits.h"
#include "gateway/auth/token.h"

struct project {
    char id[ID_MAX + 1];
    uint64_t version;
    size_t n_keys;
    struct token_key keys[PROJECT_SECRETS_MAX]; /* the current one first; owned */
    size_t n_origins;
    char **origins; /* allowed Origin values; none: those of the gateway's own list */
};

struct api_key {
    char id[ID_MAX + 1];
    char project[ID_MAX + 1];
    unsigned roles; /* that it may hand out: scopes "mint:<role>"; "*", "mint:*" or none: all */
};

/* 0; -EBADMSG: not such an answer; -ENOMEM. */
int project_read(struct slice body, struct project **ret_project) MUST_CHECK;
void project_free(struct project *project); /* wipes the secrets; NULL does nothing */
DEFINE_AUTO(struct project, project_free)

int api_key_read(struct slice body, struct api_key **ret_key) MUST_CHECK;
void api_key_free(struct api_key *key);

/* True when the project has no list of its own, or the origin is on it. */
bool project_allows_origin(const struct project *project, struct slice origin);
