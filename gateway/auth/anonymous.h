/*
 * anonymous.h - user ids of people without an account. The browser chooses an
 * anonId at random and keeps it; whoever shows it again is the same user. What
 * others see is the user id, from which the anonId cannot be told, so that
 * nobody becomes somebody else by what he sees in a room. Nothing is stored.
 */
#pragma once

#include "common/base/limits.h"
#include "common/base/slice.h"

#define ANONYMOUS_RANDOM 16

struct anonymous {
    char id[CLIENT_ID_MAX + 1];         /* the anonId */
    char user[sizeof("anon_") + 2 * 8]; /* anon_ and 16 hex digits */
};

/* id: the one shown, 1 to CLIENT_ID_MAX bytes; empty: a new one is made of the random bytes. */
void anonymous_make(struct slice project, struct slice id,
                    const uint8_t random[ANONYMOUS_RANDOM], struct anonymous *ret);
