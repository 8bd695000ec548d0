/* httpc.c - write a request, read to the end of its answer. */
#include "tests/bench/httpc.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define ANSWER_TIMEOUT_S 10

void httpc_open(struct httpc *h, const struct sockaddr_in *addr)
{
    struct timeval limit = {.tv_sec = ANSWER_TIMEOUT_S};

    *h = (struct httpc){.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    if (h->fd < 0 || setsockopt(h->fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) < 0)
        die("socket: %s", strerror(errno));
    if (connect(h->fd, (const struct sockaddr *)addr, sizeof(*addr)) < 0)
        die("cannot connect to port %u: %s", ntohs(addr->sin_port), strerror(errno));
}

void httpc_close(struct httpc *h)
{
    close(h->fd);
    free(h->in.p);
    free(h->out.p);
    *h = (struct httpc){.fd = -1};
}

static void send_all(int fd, const char *p, size_t len)
{
    while (len) {
        ssize_t n = send(fd, p, len, MSG_NOSIGNAL);

        if (n < 0)
            die("sending a request: %s", strerror(errno));
        p += n;
        len -= (size_t)n;
    }
}

static void read_more(struct httpc *h, const char *path)
{
    char buf[16384];
    ssize_t n = recv(h->fd, buf, sizeof(buf), 0);

    if (n <= 0)
        die("%s: no whole answer: %s", path, n == 0 ? "connection closed" : strerror(errno));
    text_add(&h->in, buf, (size_t)n);
}

int httpc_post(struct httpc *h, const char *path, const char *header, const char *body,
               const char **ret_body)
{
    const char *blank, *length;
    size_t want;
    int status;

    text_clear(&h->in);
    text_clear(&h->out);
    text_addf(&h->out,
              "POST %s HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
              "Content-Length: %zu\r\n%s\r\n%s",
              path, strlen(body), header, body);
    send_all(h->fd, h->out.p, h->out.len);
    do
        read_more(h, path);
    while (!(blank = memmem(h->in.p, h->in.len, "\r\n\r\n", 4)));
    if (sscanf(h->in.p, "HTTP/1.1 %d", &status) != 1)
        die("%s: the answer is not HTTP/1.1", path);
    length = strcasestr(h->in.p, "\r\nContent-Length:");
    if (!length || length > blank)
        die("%s: the answer has no Content-Length", path);
    want = (size_t)(blank + 4 - h->in.p) + strtoul(length + 17, NULL, 10);
    while (h->in.len < want)
        read_more(h, path);
    *ret_body = memmem(h->in.p, h->in.len, "\r\n\r\n", 4);
    *ret_body += 4;
    return status;
}
