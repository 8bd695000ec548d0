/*
 * cidr.h - IP addresses and lists of networks, for deciding whose word about
 * other people's addresses counts. Pure. An IPv4 address is kept as the IPv6
 * address that maps it (::ffff:a.b.c.d), so both kinds compare alike.
 */
#pragma once

#include "common/base/macros.h"
#include "common/base/slice.h"

#define IP_TEXT_MAX 46 /* the longest IPv6 text and NUL */

struct ip {
    uint8_t bytes[16];
};

int ip_parse(struct slice text,
             struct ip *ret_ip) MUST_CHECK; /* a literal without port; -EINVAL */
void ip_from_v4(const uint8_t bytes[4], struct ip *ret_ip);
void ip_format(const struct ip *ip, char ret[IP_TEXT_MAX]); /* a mapped IPv4 address as IPv4 */

struct cidr {
    struct ip network;
    uint8_t bits; /* of the 128 that count */
};

struct cidr_list {
    struct cidr *items; /* owned */
    size_t count;
};

/* "10.0.0.0/8, 2001:db8::/32, 192.0.2.7"; empty text: empty list. -EINVAL (*ret_bad: the
 * element), -ENOMEM. */
int cidr_list_parse(struct slice text, struct cidr_list *ret_list,
                    struct slice *ret_bad) MUST_CHECK;
void cidr_list_deinit(struct cidr_list *list);
bool cidr_list_has(const struct cidr_list *list, const struct ip *ip);
