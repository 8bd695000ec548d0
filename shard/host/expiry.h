/*
 * expiry.h - messages whose time is over go, also while their room sleeps: once
 * a second the store is asked which are due, their rooms are woken, and each
 * message is buried by the room like any other change, with a number of its own.
 */
#pragma once

#include "common/base/macros.h"

struct expiry;
struct host;

int expiry_new(struct host *host, struct expiry **ret_expiry) MUST_CHECK;
/* What is under way ends without having been done; the next sweep of whoever owns the room then
 * finds it again. NULL does nothing. */
void expiry_free(struct expiry *expiry);
/* Once a second. Nothing while the last question is open. */
void expiry_sweep(struct expiry *expiry);
