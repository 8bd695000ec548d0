/*
 * api.h - the REST endpoints (docs/protocol-client.md): routes a request, lets its
 * caller in, checks the shape of what it wants, asks the shard that owns it and
 * passes the answer on. No state of rooms, no connections: requests come in and
 * are answered, whatever carried them.
 */
#pragma once

#include "common/base/macros.h"
#include "gateway/http/exchange.h"
#include "gateway/http/http1_parse.h"

struct admit;
struct api;
struct api_request;
struct calls;
struct gateway_metrics;

struct api_config {
    struct slice demo_project; /* whose chat page we serve; empty: none */
    struct slice operator_project;
    struct slice operator_key;    /* empty: nobody */
    struct slice allowed_origins; /* comma-separated, or "*" */
    const char *export_font;      /* file of the font of PDF exports; NULL, "": none */
    uint32_t rate_limit_scale;
    uint64_t upload_max_bytes; /* 0: FILE_BYTES */
};

struct api_hooks {
    /* Whether this gateway can serve: what /health says. */
    bool (*is_ready)(void *owner);
    size_t (*live_links)(void *owner);
    /* Takes a request for an event stream over; its caller has been let in. */
    void (*open_stream)(void *owner, struct api_request *req);
};

/* Everything in config is copied; the others are borrowed. */
int api_new(struct env *env, struct calls *calls, struct admit *admit,
            struct gateway_metrics *metrics, const struct api_config *config,
            const struct api_hooks *hooks, void *owner, struct api **ret_api) MUST_CHECK;
/* Requests under way are answered; their calls must have been dropped before. NULL does
 * nothing. */
void api_free(struct api *api);
DEFINE_AUTO(struct api, api_free)

/* http_events.body_limit of what is for api_handle(). */
uint64_t api_body_limit(const struct api *api, const struct http_exchange *ex);
/* Both take the exchange and answer it, now or later. */
void api_handle(struct api *api, struct http_exchange *ex);
void api_refuse(struct api *api, struct http_exchange *ex, const struct http_refusal *why);

/* The origin list of the whole gateway; a missing Origin (no browser) is allowed. */
bool api_allows_origin(const struct api *api, struct slice origin);

/* "Authorization: Bearer ..." or else ?token=, into out. False: there is none, or it is
 * malformed. */
bool api_request_token(const struct http_request *request, struct buf *out);
