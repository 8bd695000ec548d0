/*
 * api.h - calls of gateways (REST requests and look-ups): finds the object,
 * runs the handler of the operation, replies exactly once. Operations and
 * their parameters: common/wire/calls.def; bodies: docs/protocol-client.md.
 */
#pragma once

#include "common/base/macros.h"

struct api;
struct gate;
struct host;
struct msg_CALL;

/* The host is borrowed and outlives the api. */
int api_new(struct host *host, struct api **ret_api) MUST_CHECK;
/* Drops what is under way without an answer; before the host and the committer go. NULL does
 * nothing. */
void api_free(struct api *api);
DEFINE_AUTO(struct api, api_free)

void api_on_call(struct api *api, struct gate *gate, const struct msg_CALL *msg);
