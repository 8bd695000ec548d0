/* addr.c - network addresses as text and back: see addr.h. */
#include "common/net/addr.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

static int addr_parse_port(struct slice text, uint16_t *ret_port)
{
    unsigned long port = 0;

    if (text.len == 0 || text.len > 5)
        return -EINVAL;
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return -EINVAL;
        port = port * 10 + (unsigned long)(text.data[i] - '0');
    }
    if (port > 65535)
        return -EINVAL;
    *ret_port = (uint16_t)port;
    return 0;
}

int addr_split(struct slice text, char ret_host[ADDR_HOST_MAX], uint16_t *ret_port)
{
    const char *colon = text.len ? memrchr(text.data, ':', text.len) : NULL;
    struct slice host;
    uint16_t port;
    int r;

    if (!colon)
        return -EINVAL;
    host = slice_of(text.data, (size_t)(colon - text.data));
    r = addr_parse_port(slice_of(colon + 1, text.len - host.len - 1), &port);
    if (r < 0)
        return r;
    if (host.len >= 2 && host.data[0] == '[' && host.data[host.len - 1] == ']')
        host = slice_of(host.data + 1, host.len - 2);
    else if (host.len && memchr(host.data, ':', host.len))
        return -EINVAL; /* "::1:80" could mean two things */
    if (host.len >= ADDR_HOST_MAX)
        return -EINVAL;
    for (size_t i = 0; i < host.len; i++) {
        if (host.data[i] <= ' ' || host.data[i] == 0x7f || strchr("[]/@", host.data[i]))
            return -EINVAL;
    }
    if (host.len)
        memcpy(ret_host, host.data, host.len);
    ret_host[host.len] = '\0';
    *ret_port = port;
    return 0;
}

int addr_from_host(const char *host, uint16_t port, struct addr *ret_addr)
{
    *ret_addr = (struct addr){0};
    if (!*host || strcmp(host, "*") == 0)
        host = "::";
    if (inet_pton(AF_INET, host, &ret_addr->in.sin_addr) == 1) {
        ret_addr->in.sin_family = AF_INET;
        ret_addr->in.sin_port = htons(port);
        ret_addr->len = sizeof(ret_addr->in);
        return 0;
    }
    if (inet_pton(AF_INET6, host, &ret_addr->in6.sin6_addr) == 1) {
        ret_addr->in6.sin6_family = AF_INET6;
        ret_addr->in6.sin6_port = htons(port);
        ret_addr->len = sizeof(ret_addr->in6);
        return 0;
    }
    return -EINVAL;
}

bool addr_is_loopback(const struct addr *addr)
{
    if (addr->sa.sa_family == AF_INET)
        return (ntohl(addr->in.sin_addr.s_addr) >> 24) == 127;
    if (addr->sa.sa_family != AF_INET6)
        return false;
    if (IN6_IS_ADDR_V4MAPPED(&addr->in6.sin6_addr))
        return addr->in6.sin6_addr.s6_addr[12] == 127;
    return IN6_IS_ADDR_LOOPBACK(&addr->in6.sin6_addr);
}

uint16_t addr_port(const struct addr *addr)
{
    return ntohs(addr->sa.sa_family == AF_INET6 ? addr->in6.sin6_port : addr->in.sin_port);
}

void addr_format_host(const struct addr *addr, char ret[INET6_ADDRSTRLEN])
{
    const void *raw = &addr->in.sin_addr;
    int family = addr->sa.sa_family;

    if (family == AF_INET6) {
        raw = &addr->in6.sin6_addr;
        if (IN6_IS_ADDR_V4MAPPED(&addr->in6.sin6_addr)) {
            raw = &addr->in6.sin6_addr.s6_addr[12];
            family = AF_INET;
        }
    }
    if (!inet_ntop(family, raw, ret, INET6_ADDRSTRLEN))
        memcpy(ret, "?", 2);
}
