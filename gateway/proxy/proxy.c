/* proxy.c - haproxy's proxy-protocol.txt, sections 2.1 and 2.2. */
#include "gateway/proxy/proxy.h"

#define V1_LINE_MAX 107 /* with CRLF */
#define V2_FIXED 16

static const char v2_signature[12] = {'\r', '\n', '\r', '\n', '\0', '\r',
                                      '\n', 'Q',  'U',  'I',  'T',  '\n'};

static bool begins_like(struct slice bytes, const char *signature, size_t len)
{
    return memcmp(bytes.data, signature, bytes.len < len ? bytes.len : len) == 0;
}

/* ---- version 1: one line of text ---- */

static struct slice next_word(struct slice *rest)
{
    const char *blank = rest->len ? memchr(rest->data, ' ', rest->len) : NULL;
    struct slice word = slice_of(rest->data, blank ? (size_t)(blank - rest->data) : rest->len);
    size_t taken = word.len + (blank ? 1 : 0);

    *rest = slice_of(rest->data + taken, rest->len - taken);
    return word;
}

static bool is_port(struct slice word)
{
    unsigned v = 0;

    if (word.len == 0 || word.len > 5 || (word.len > 1 && word.data[0] == '0'))
        return false;
    for (size_t i = 0; i < word.len; i++) {
        if (word.data[i] < '0' || word.data[i] > '9')
            return false;
        v = v * 10 + (unsigned)(word.data[i] - '0');
    }
    return v <= 65535;
}

static bool v1_line(struct slice line, struct proxy_client *client)
{
    struct slice rest = slice_of(line.data + 6, line.len - 6); /* behind "PROXY " */
    struct slice family = next_word(&rest), source, destination, port;
    struct ip to;

    client->known = false;
    if (slice_eq_str(family, "UNKNOWN")) /* whatever follows is to be ignored */
        return true;
    if (!slice_eq_str(family, "TCP4") && !slice_eq_str(family, "TCP6"))
        return false;
    source = next_word(&rest);
    destination = next_word(&rest);
    port = next_word(&rest);
    if ((family.data[3] == '6') != (source.len && memchr(source.data, ':', source.len) != NULL))
        return false;
    if (ip_parse(source, &client->ip) < 0 || ip_parse(destination, &to) < 0 || !is_port(port) ||
        !is_port(rest))
        return false;
    client->known = true;
    return true;
}

static enum proxy_answer v1_parse(struct slice bytes, struct proxy_client *client,
                                  size_t *ret_len)
{
    size_t look = bytes.len < V1_LINE_MAX ? bytes.len : V1_LINE_MAX;
    const char *end = memchr(bytes.data, '\n', look);
    size_t len;

    if (!end)
        return bytes.len >= V1_LINE_MAX ? PROXY_BAD : PROXY_MORE;
    len = (size_t)(end - bytes.data) + 1;
    if (len < 8 || end[-1] != '\r' || !v1_line(slice_of(bytes.data, len - 2), client))
        return PROXY_BAD;
    *ret_len = len;
    return PROXY_DONE;
}

/* ---- version 2: binary ---- */

static enum proxy_answer v2_parse(struct slice bytes, struct proxy_client *client,
                                  size_t *ret_len)
{
    const uint8_t *p = (const uint8_t *)bytes.data;
    size_t len, need;

    if (bytes.len < V2_FIXED)
        return PROXY_MORE;
    len = (size_t)p[14] << 8 | p[15];
    if ((p[12] & 0xf0) != 0x20 || (p[12] & 0x0f) > 1 || len > PROXY_HEADER_MAX - V2_FIXED)
        return PROXY_BAD;
    /* Family (high half) and transport (low half) of the addresses that follow. */
    need = p[13] == 0x11 || p[13] == 0x12 ? 12 : p[13] == 0x21 || p[13] == 0x22 ? 36 : 0;
    if (len < need || p[13] >> 4 > 3 || (p[13] & 0x0f) > 2)
        return PROXY_BAD;
    if (bytes.len < V2_FIXED + len)
        return PROXY_MORE;
    client->known = (p[12] & 0x0f) == 1 && need > 0; /* command 0, LOCAL: the proxy itself */
    if (client->known && need == 12)
        ip_from_v4(p + V2_FIXED, &client->ip);
    else if (client->known)
        memcpy(client->ip.bytes, p + V2_FIXED, sizeof(client->ip.bytes));
    *ret_len = V2_FIXED + len;
    return PROXY_DONE;
}

enum proxy_answer proxy_parse(struct slice bytes, struct proxy_client *ret_client,
                              size_t *ret_len)
{
    if (bytes.len == 0)
        return PROXY_MORE;
    if (begins_like(bytes, "PROXY ", 6))
        return bytes.len < 6 ? PROXY_MORE : v1_parse(bytes, ret_client, ret_len);
    if (begins_like(bytes, v2_signature, sizeof(v2_signature)))
        return v2_parse(bytes, ret_client, ret_len);
    return PROXY_NONE;
}

/* ---- X-Forwarded-For ---- */

/* "192.0.2.1", "192.0.2.1:80", "2001:db8::1", "[2001:db8::1]", "[2001:db8::1]:80" */
static int parse_element(struct slice s, struct ip *ret_ip)
{
    const char *colon = s.len ? memchr(s.data, ':', s.len) : NULL;

    if (s.len && s.data[0] == '[') {
        const char *end = memchr(s.data, ']', s.len);

        return ip_parse(slice_of(s.data + 1, end ? (size_t)(end - s.data) - 1 : 0), ret_ip);
    }
    if (colon && !memchr(colon + 1, ':', s.len - (size_t)(colon + 1 - s.data)))
        s.len = (size_t)(colon - s.data);
    return ip_parse(s, ret_ip);
}

bool proxy_forwarded_for(struct slice list, const struct cidr_list *trusted,
                         struct ip *ret_client)
{
    while (list.len > 0) {
        const char *comma = memrchr(list.data, ',', list.len);
        size_t at = comma ? (size_t)(comma - list.data) + 1 : 0;
        struct slice element = slice_of(list.data + at, list.len - at);
        struct ip ip;

        list.len = comma ? at - 1 : 0;
        while (element.len && (element.data[0] == ' ' || element.data[0] == '\t'))
            element = slice_of(element.data + 1, element.len - 1);
        while (element.len &&
               (element.data[element.len - 1] == ' ' || element.data[element.len - 1] == '\t'))
            element.len--;
        if (parse_element(element, &ip) < 0)
            return false;
        if (!cidr_list_has(trusted, &ip)) {
            *ret_client = ip;
            return true;
        }
    }
    return false;
}
