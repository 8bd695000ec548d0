/*
 * roles.h - the project roles of a token (docs/protocol-client.md) as bits, and as the
 * comma-separated text that travels on links. Pure.
 */
#pragma once

#include <stdbool.h>

#include "common/base/slice.h"

enum role {
    ROLE_OWNER = 1u << 0,
    ROLE_ADMIN = 1u << 1,
    ROLE_MODERATOR = 1u << 2, /* tokens spell it `mod` as well */
    ROLE_MEMBER = 1u << 3,
    ROLE_GUEST = 1u << 4,
    ROLE_BOT = 1u << 5,
};

#define ROLE_COUNT 6
#define ROLES_TEXT_MAX 64

/* 0 for a word that is no role. */
unsigned role_parse(struct slice word);
/* The word of one role. */
const char *role_name(unsigned role);
/* "owner,member"; returns the text in ret. */
struct slice roles_text(unsigned roles, char ret[ROLES_TEXT_MAX]);
