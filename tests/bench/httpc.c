/* httpc.c - write a request, read to the end of its answer. */
#include "tests/bench/httpc.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define ANSWER_TIMEOUT_S 10

static void connect_again(struct httpc *h)
{
    struct timeval limit = {.tv_sec = ANSWER_TIMEOUT_S};

    h->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (h->fd < 0 || setsockopt(h->fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) < 0)
        die("socket: %s", strerror(errno));
    if (connect(h->fd, (const struct sockaddr *)&h->addr, sizeof(h->addr)) < 0)
        die("cannot connect to port %u: %s", ntohs(h->addr.sin_port), strerror(errno));
}

void httpc_open(struct httpc *h, const struct sockaddr_in *addr)
{
    *h = (struct httpc){.addr = *addr};
    connect_again(h);
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

/* The value of a header field of the answer, or NULL; @blank is where the head ends. */
static const char *find_field(const struct httpc *h, const char *line, const char *blank)
{
    const char *found = strcasestr(h->in.p, line);

    return found && found < blank ? found + strlen(line) : NULL;
}

int httpc_post(struct httpc *h, const char *path, const char *header, const char *body,
               const char **ret_body)
{
    const char *blank, *field;
    size_t head_len, want;
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
    head_len = (size_t)(blank + 4 - h->in.p);
    if (sscanf(h->in.p, "HTTP/1.1 %d", &status) != 1)
        die("%s: the answer is not HTTP/1.1", path);
    field = find_field(h, "\r\nContent-Length:", blank);
    if (!field)
        die("%s: the answer has no Content-Length", path);
    want = head_len + strtoul(field, NULL, 10);
    field = find_field(h, "\r\nConnection:", blank);
    bool closes = field && strncasecmp(field + strspn(field, " "), "close", 5) == 0;
    while (h->in.len < want)
        read_more(h, path);
    if (closes) {
        close(h->fd);
        connect_again(h);
    }
    *ret_body = h->in.p + head_len;
    return status;
}
