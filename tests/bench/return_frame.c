/* return_frame.c - the little that `return` reads in frames, and its handshake. */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "tests/bench/return.h"

#define MARK "~~"

bool frame_is(const char *p, size_t len, const char *type)
{
    static const char begin[] = "{\"type\":\"";
    size_t n = sizeof(begin) - 1, m = strlen(type);

    return len > n + m && memcmp(p, begin, n) == 0 && memcmp(p + n, type, m) == 0 &&
           p[n + m] == '"';
}

uint64_t frame_number(const char *p, size_t len, const char *key)
{
    const char *at = memmem(p, len, key, strlen(key));

    return at ? strtoull(at + strlen(key), NULL, 10) : 0; /* frames end in a brace */
}

bool marks_next(struct marks *m, uint64_t *ret_n, uint64_t *ret_due_ns)
{
    const char *at = m->end > m->at ? memmem(m->at, (size_t)(m->end - m->at), MARK, 2) : NULL;
    char *rest;

    if (!at)
        return false;
    (void)strtoull(at + 2, &rest, 10); /* the room */
    if (*rest != ':')
        die("a mark that nobody made: %.40s", at);
    *ret_n = strtoull(rest + 1, &rest, 10);
    *ret_due_ns = *rest == ':' ? strtoull(rest + 1, &rest, 10) : 0;
    if (strncmp(rest, MARK, 2) != 0)
        die("a mark that nobody made: %.40s", at);
    m->at = rest + 2;
    return true;
}

void socket_request(struct text *request, const struct return_options *o,
                    const struct sockaddr_in *addr, uint32_t room, const char *token,
                    bool has_cursor, uint64_t last_seq)
{
    text_clear(request);
    if (o->floor.sin_port)
        text_addf(request, "GET /%s-r%u HTTP/1.1\r\n", o->prefix, room);
    else if (has_cursor)
        text_addf(request, "GET /ws/room/%s-r%u?v=1&lastSeq=%llu&token=%s HTTP/1.1\r\n",
                  o->prefix, room, (unsigned long long)last_seq, token);
    else
        text_addf(request, "GET /ws/room/%s-r%u?v=1&replay=off&token=%s HTTP/1.1\r\n",
                  o->prefix, room, token);
    text_addf(request,
              "Host: 127.0.0.1:%u\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
              "Sec-WebSocket-Key: Zmx1eHktbG9hZC1nZW4uMQ==\r\n"
              "Sec-WebSocket-Version: 13\r\n\r\n",
              ntohs(addr->sin_port));
}
