/* setup.c - blocking calls of the REST interface, and limits of the process. */
#include "tests/bench/setup.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "tests/bench/tool.h"

#define OTHER_FILES 16 /* the terminal, the epoll, the connection of the set-up */

char *setup_mint(struct httpc *h, const char *api_key, const char *user, const char *role)
{
    char header[256], body[256];
    const char *answer, *token;
    char *copy;
    int status;

    snprintf(header, sizeof(header), "X-Fluxy-Api-Key: %s\r\n", api_key);
    snprintf(body, sizeof(body), "{\"userId\":\"%s\",\"roles\":[\"%s\"],\"ttlSeconds\":86400}",
             user, role);
    status = httpc_post(h, "/auth/token", header, body, &answer);
    token = strstr(answer, "\"token\":");
    if (status != 200 || !token || !(token = strchr(token + 8, '"')))
        die("POST /auth/token for %s: %d %.200s", user, status, answer);
    copy = strndup(token + 1, strcspn(token + 1, "\""));
    if (!copy)
        die("out of memory");
    return copy;
}

void setup_room(struct httpc *h, const char *token, const char *id)
{
    struct text header = {0};
    const char *answer;
    char body[256];
    int status;

    text_addf(&header, "Authorization: Bearer %s\r\n", token);
    snprintf(body, sizeof(body), "{\"id\":\"%s\",\"name\":\"bench\",\"type\":\"public\"}", id);
    status = httpc_post(h, "/rooms", header.p, body, &answer);
    if (status != 200)
        die("POST /rooms: %d %.200s", status, answer);
    free(header.p);
}

void setup_address(const char *url, struct sockaddr_in *ret)
{
    static const char scheme[] = "http://";
    char host[64];
    unsigned port;

    if (strncmp(url, scheme, sizeof(scheme) - 1) != 0 ||
        sscanf(url + sizeof(scheme) - 1, "%63[0-9.]:%u", host, &port) != 2 || port == 0 ||
        port > 65535)
        die("--url: '%s' is not http://ADDRESS:PORT", url);
    *ret = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    if (inet_pton(AF_INET, host, &ret->sin_addr) != 1)
        die("--url: '%s' is no address", host);
}

void setup_open_files(unsigned n)
{
    struct rlimit files;

    if (getrlimit(RLIMIT_NOFILE, &files) < 0)
        return;
    files.rlim_cur = files.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &files); /* checked by what follows */
    if (files.rlim_max < n + OTHER_FILES)
        die("%u connections need more open files than the limit of %llu", n,
            (unsigned long long)files.rlim_max);
}
