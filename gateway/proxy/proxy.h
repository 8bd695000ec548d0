/*
 * proxy.h - what a proxy in front of us says about the client: the header of
 * the PROXY protocol (versions 1 and 2) and X-Forwarded-For. Pure. The caller
 * asks only for connections from proxies that it trusts; anybody can write
 * these bytes.
 */
#pragma once

#include "gateway/proxy/cidr.h"

/* A version 1 line has at most 107 bytes; version 2 may carry extra fields, which are skipped.
 */
#define PROXY_HEADER_MAX 1024

enum proxy_answer {
    PROXY_MORE, /* a header has begun and is unfinished */
    PROXY_NONE, /* the connection does not begin with one */
    PROXY_DONE, /* *ret_len bytes are the header */
    PROXY_BAD,  /* it begins like one and is malformed, or too long */
};

struct proxy_client {
    bool known; /* false: the proxy speaks for itself (health checks) or names no IP address */
    struct ip ip;
};

/* bytes: all that the connection has brought so far. */
enum proxy_answer proxy_parse(struct slice bytes, struct proxy_client *ret_client,
                              size_t *ret_len);

/*
 * The client by one X-Forwarded-For list (all its lines, joined by commas): from the right, the
 * first address that is not a trusted proxy. False when there is none or it is malformed.
 */
bool proxy_forwarded_for(struct slice list, const struct cidr_list *trusted,
                         struct ip *ret_client);
