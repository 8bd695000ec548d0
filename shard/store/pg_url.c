/* pg_url.c - see pg_url.h. */
#include "shard/store/pg_url.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libpq-fe.h>
#include <stdlib.h>
#include <string.h>

/* Entries of a list with commas. */
static size_t count(const char *list)
{
    size_t n = 1;

    for (const char *at = list; *at; at++)
        n += *at == ',';
    return n;
}

/* The i-th entry, NULL when it is empty or there is no list. A list of one serves all. -ENOMEM.
 */
static int entry_of(const char *list, size_t i, char **ret)
{
    const char *end;

    *ret = NULL;
    if (!list)
        return 0;
    for (i = count(list) == 1 ? 0 : i; i > 0; i--)
        list = strchr(list, ',') + 1;
    end = strchrnul(list, ',');
    if (end == list)
        return 0;
    *ret = strndup(list, (size_t)(end - list));
    return *ret ? 0 : -ENOMEM;
}

static int add_hosts(struct pg_url *url, const char *hosts, const char *addresses,
                     const char *ports)
{
    size_t n = addresses ? count(addresses) : hosts ? count(hosts) : 1;

    if ((hosts && count(hosts) != n) || (ports && count(ports) != n && count(ports) != 1))
        return -EINVAL;
    url->hosts = calloc(n, sizeof(*url->hosts));
    if (!url->hosts)
        return -ENOMEM;
    url->n_hosts = n;
    for (size_t i = 0; i < n; i++) {
        struct pg_host *host = &url->hosts[i];

        if (entry_of(hosts, i, &host->host) < 0 || entry_of(addresses, i, &host->address) < 0 ||
            entry_of(ports, i, &host->port) < 0)
            return -ENOMEM;
    }
    return 0;
}

static int add_option(struct pg_url *url, const PQconninfoOption *option)
{
    char *key = strdup(option->keyword), *value = strdup(option->val);

    if (!key || !value) {
        free(key);
        free(value);
        return -ENOMEM;
    }
    url->keys[url->n_options] = key;
    url->values[url->n_options++] = value;
    return 0;
}

static int take(struct pg_url *url, const PQconninfoOption *options)
{
    const char *hosts = NULL, *addresses = NULL, *ports = NULL;
    size_t n = 0;
    int r;

    while (options[n].keyword)
        n++;
    url->keys = calloc(n + 1, sizeof(*url->keys));
    url->values = calloc(n + 1, sizeof(*url->values));
    if (!url->keys || !url->values)
        return -ENOMEM;
    for (const PQconninfoOption *o = options; o->keyword; o++) {
        if (!o->val)
            continue;
        if (strcmp(o->keyword, "host") == 0)
            hosts = o->val;
        else if (strcmp(o->keyword, "hostaddr") == 0)
            addresses = o->val;
        else if (strcmp(o->keyword, "port") == 0)
            ports = o->val;
        else if ((r = add_option(url, o)) < 0)
            return r;
    }
    return add_hosts(url, hosts, addresses, ports);
}

int pg_url_parse(const char *text, struct pg_url *ret_url)
{
    PQconninfoOption *options = PQconninfoParse(text, NULL);
    struct pg_url url = {0};
    int r;

    if (!options)
        return -EINVAL;
    r = take(&url, options);
    PQconninfoFree(options);
    if (r < 0)
        pg_url_deinit(&url);
    else
        *ret_url = url;
    return r;
}

void pg_url_deinit(struct pg_url *url)
{
    for (size_t i = 0; i < url->n_hosts; i++) {
        free(url->hosts[i].host);
        free(url->hosts[i].address);
        free(url->hosts[i].port);
    }
    free(url->hosts);
    for (size_t i = 0; i < url->n_options; i++) {
        free(url->keys[i]);
        free(url->values[i]);
    }
    free(url->keys);
    free(url->values);
    *url = (struct pg_url){0};
}

bool pg_host_needs_resolving(const struct pg_host *host)
{
    unsigned char address[sizeof(struct in6_addr)];

    return host->host && host->host[0] != '/' && host->host[0] != '@' && !host->address &&
           inet_pton(AF_INET, host->host, address) != 1 &&
           inet_pton(AF_INET6, host->host, address) != 1;
}
