/* floor_ws.c - the server's side of RFC 6455, as far as the load generator goes. */
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

#include "tests/bench/floor.h"
#include "tests/bench/tool.h"

#define MAX_HEAD 8192

/* RFC 6455 1.3: base64(SHA-1(key + this)). */
static const char accept_guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

static void accept_key(const char *key, size_t len, char ret_text[64])
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    char joined[128];
    unsigned digest_len = 0;

    snprintf(joined, sizeof(joined), "%.*s%s", (int)len, key, accept_guid);
    if (EVP_Digest(joined, strlen(joined), digest, &digest_len, EVP_sha1(), NULL) != 1)
        die("SHA-1 failed");
    (void)EVP_EncodeBlock((unsigned char *)ret_text, digest, (int)digest_len);
}

size_t floor_upgrade(struct floor *f, struct floor_client *c, char *p, size_t len)
{
    char *end = memmem(p, len, "\r\n\r\n", 4), *key, *path_end;
    char accept[64], answer[256];
    size_t key_len;
    int n;

    if (!end)
        return len < MAX_HEAD ? 0 : SIZE_MAX;
    *end = '\0';
    key = strcasestr(p, "\r\nSec-WebSocket-Key:");
    path_end = strncmp(p, "GET ", 4) == 0 ? strchr(p + 4, ' ') : NULL;
    if (!key || !path_end)
        return SIZE_MAX;
    key += strlen("\r\nSec-WebSocket-Key:");
    key += strspn(key, " ");
    key_len = strcspn(key, " \r\n");
    if (key_len > 64)
        return SIZE_MAX;
    accept_key(key, key_len, accept);
    n = snprintf(answer, sizeof(answer),
                 "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                 "Connection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n",
                 accept);
    floor_send(f, c, answer, (size_t)n);
    *path_end = '\0';
    floor_join(f, c, p + 4);
    c->upgraded = true;
    return (size_t)(end + 4 - p);
}

size_t floor_frames(struct floor *f, struct floor_client *c, char *p, size_t len)
{
    size_t used = 0;

    while (len - used >= 6) {
        uint8_t *frame = (uint8_t *)p + used, *mask, *payload;
        size_t n = frame[1] & 0x7f, head = n == 126 ? 8 : 6;

        if (n == 127)
            return SIZE_MAX; /* the generator sends nothing that long */
        if (n == 126) {
            if (len - used < 8)
                break;
            n = (size_t)frame[2] << 8 | frame[3];
        }
        if (len - used < head + n)
            break;
        payload = frame + head;
        mask = payload - 4;
        for (size_t i = 0; i < n; i++)
            payload[i] ^= mask[i & 3];
        used += head + n;
        if ((frame[0] & 0x0f) == 8)
            return SIZE_MAX;
        if ((frame[0] & 0x0f) == 1)
            floor_broadcast(f, c->room, (const char *)payload, n);
    }
    return used;
}
