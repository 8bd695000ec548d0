/* cidr.c - see cidr.h. */
#include "gateway/proxy/cidr.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>

static const uint8_t mapped_prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

void ip_from_v4(const uint8_t bytes[4], struct ip *ret_ip)
{
    memcpy(ret_ip->bytes, mapped_prefix, sizeof(mapped_prefix));
    memcpy(ret_ip->bytes + 12, bytes, 4);
}

int ip_parse(struct slice text, struct ip *ret_ip)
{
    char copy[IP_TEXT_MAX];
    uint8_t v4[4];
    struct ip ip;

    if (text.len == 0 || text.len >= sizeof(copy) || memchr(text.data, '\0', text.len))
        return -EINVAL;
    memcpy(copy, text.data, text.len);
    copy[text.len] = '\0';
    if (inet_pton(AF_INET, copy, v4) == 1)
        ip_from_v4(v4, &ip);
    else if (inet_pton(AF_INET6, copy, ip.bytes) != 1)
        return -EINVAL;
    *ret_ip = ip;
    return 0;
}

void ip_format(const struct ip *ip, char ret[IP_TEXT_MAX])
{
    bool v4 = memcmp(ip->bytes, mapped_prefix, sizeof(mapped_prefix)) == 0;

    if (!inet_ntop(v4 ? AF_INET : AF_INET6, v4 ? ip->bytes + 12 : ip->bytes, ret, IP_TEXT_MAX))
        ret[0] = '\0';
}

static int cidr_parse(struct slice text, struct cidr *ret_cidr)
{
    const char *slash = memchr(text.data, '/', text.len);
    struct slice host = slice_of(text.data, slash ? (size_t)(slash - text.data) : text.len);
    bool v4 = !memchr(text.data, ':', text.len);
    unsigned width = v4 ? 32 : 128, bits = width;

    if (slash) {
        bits = 0;
        if (host.len + 1 == text.len || text.len - host.len > 4)
            return -EINVAL;
        for (const char *p = slash + 1; p < text.data + text.len; p++) {
            if (*p < '0' || *p > '9')
                return -EINVAL;
            bits = bits * 10 + (unsigned)(*p - '0');
        }
        if (bits > width)
            return -EINVAL;
    }
    ret_cidr->bits = (uint8_t)(v4 ? bits + 96 : bits);
    return ip_parse(host, &ret_cidr->network);
}

int cidr_list_parse(struct slice text, struct cidr_list *ret_list, struct slice *ret_bad)
{
    struct cidr_list list = {0};

    while (text.len > 0) {
        const char *comma = memchr(text.data, ',', text.len);
        struct slice item = slice_of(text.data, comma ? (size_t)(comma - text.data) : text.len);
        struct cidr cidr, *grown;

        text = slice_of(text.data + item.len + (comma ? 1 : 0),
                        text.len - item.len - (comma ? 1 : 0));
        while (item.len && item.data[0] == ' ')
            item = slice_of(item.data + 1, item.len - 1);
        while (item.len && item.data[item.len - 1] == ' ')
            item.len--;
        if (item.len == 0 || cidr_parse(item, &cidr) < 0) {
            *ret_bad = item;
            cidr_list_deinit(&list);
            return -EINVAL;
        }
        grown = reallocarray(list.items, list.count + 1, sizeof(*grown));
        if (!grown) {
            cidr_list_deinit(&list);
            return -ENOMEM;
        }
        list.items = grown;
        list.items[list.count++] = cidr;
    }
    *ret_list = list;
    return 0;
}

void cidr_list_deinit(struct cidr_list *list)
{
    free(list->items);
    *list = (struct cidr_list){0};
}

static bool cidr_has(const struct cidr *cidr, const struct ip *ip)
{
    size_t whole = cidr->bits / 8;
    unsigned rest = cidr->bits % 8;

    if (memcmp(cidr->network.bytes, ip->bytes, whole) != 0)
        return false;
    return rest == 0 || ((cidr->network.bytes[whole] ^ ip->bytes[whole]) >> (8 - rest)) == 0;
}

bool cidr_list_has(const struct cidr_list *list, const struct ip *ip)
{
    for (size_t i = 0; i < list->count; i++) {
        if (cidr_has(&list->items[i], ip))
            return true;
    }
    return false;
}
