/* test_accept.c - connections on real sockets: plain, behind a proxy, with TLS. */
#include "tests/support/test.h"

#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "common/base/limits.h"
#include "common/net/addr.h"
#include "common/net/tls.h"
#include "gateway/edge/accept.h"
#include "tests/unit/gateway/edge/offline.h"

#define WAIT_MS 5000
#define V1 "PROXY TCP4 198.51.100.9 127.0.0.1 1 2\r\n"
/* A key that cannot be one: answered at once, with what is left to this address. */
#define ASK                                                                                    \
    "POST /auth/token HTTP/1.1\r\nHost: a\r\nX-Fluxy-Api-Key: none\r\nContent-Length: "        \
    "2\r\n\r\n{}"

struct client {
    struct stream *stream; /* NULL once closed from below */
    struct buf in;
    bool opened, closed;
};

static struct offline o;
static struct accept *door;
static struct cidr_list trusted;
static struct tls_ctx *server_tls, *client_tls;
static char dir[] = "/tmp/fluxy-accept-XXXXXX";

/* ---- clients ---- */

static void on_open(void *owner)
{
    ((struct client *)owner)->opened = true;
}

static void on_bytes(void *owner, struct slice bytes)
{
    buf_put_slice(&((struct client *)owner)->in, bytes);
}

static void on_drained(void *owner)
{
    (void)owner;
}

static void on_close(void *owner, enum stream_end end)
{
    struct client *c = owner;

    (void)end;
    c->closed = true;
    c->stream = NULL;
}

static const struct stream_events client_events = {on_open, on_bytes, on_drained, on_close};

static bool client_has(const struct client *c, const char *text)
{
    return c->in.len && memmem(c->in.data, c->in.len, text, strlen(text));
}

/* Runs the loop until the client has the text, or is closed. */
static void wait_for(struct client *c, const char *text)
{
    uint64_t end_ms = env_now_ms(loop_env(o.loop)) + WAIT_MS;

    while (!c->closed && (text ? !client_has(c, text) : !c->opened)) {
        struct timespec pause = {.tv_nsec = 1000000};

        if (env_now_ms(loop_env(o.loop)) > end_ms)
            fail_msg("waited in vain for %s", text ? text : "the connection");
        assert_int_equal(loop_turn(o.loop, false), 0);
        (void)nanosleep(&pause, NULL);
    }
}

static void wait_closed(struct client *c)
{
    wait_for(c, "\001");
    assert_true(c->closed);
}

static void client_open(struct client *c)
{
    struct env *env = loop_env(o.loop);
    char address[64];

    snprintf(address, sizeof(address), "127.0.0.1:%u", (unsigned)addr_port(accept_addr(door)));
    *c = (struct client){0};
    assert_int_equal(env->ops->connect(env, address, &client_events, c, &c->stream), 0);
    wait_for(c, NULL);
}

static void client_send(struct client *c, const void *bytes, size_t len)
{
    assert_non_null(c->stream);
    assert_int_equal(stream_write_bytes(c->stream, slice_of(bytes, len)), 0);
}

static void client_end(struct client *c)
{
    if (c->stream)
        stream_close(c->stream, false);
    buf_deinit(&c->in);
}

/* ---- the door ---- */

static void open_door(const char *networks, struct tls_ctx *tls)
{
    struct accept_parts parts = {.trusted_proxies = &trusted, .tls = tls};
    struct slice bad;

    assert_int_equal(cidr_list_parse(slice_str(networks), &trusted, &bad), 0);
    offline_open(&o, &trusted);
    parts.loop = o.loop;
    parts.wheel = &o.wheel;
    parts.front = o.front;
    assert_int_equal(accept_new(&parts, "127.0.0.1:0", false, 100, &door), 0);
}

static int teardown(void **state)
{
    (void)state;
    accept_free(door);
    offline_close(&o);
    cidr_list_deinit(&trusted);
    tls_ctx_free(server_tls);
    tls_ctx_free(client_tls);
    server_tls = client_tls = NULL;
    return 0;
}

/* The answer to ASK behind these bytes; what is left of the address's allowance. */
static void expect_left(const void *header, size_t len, unsigned left)
{
    struct client c;
    char want[32];

    client_open(&c);
    if (len)
        client_send(&c, header, len);
    client_send(&c, ASK, sizeof(ASK) - 1);
    snprintf(want, sizeof(want), "RateLimit: \"token\";r=%u\r\n", left);
    wait_for(&c, "invalid_api_key");
    if (!client_has(&c, want))
        fail_msg("want %s, got %.*s", want, (int)c.in.len, c.in.len ? c.in.data : "");
    client_end(&c);
}

static void a_plain_connection_is_served(void **state)
{
    (void)state;
    open_door("", NULL);
    expect_left("", 0, 29);
    expect_left("", 0, 28);
}

static void a_trusted_proxy_names_the_client(void **state)
{
    static const char v2[] =
        "\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c\xc6\x33\x64\x07\x7f\x00\x00\x01\x00\x01\x00\x02";
    static const char local[] = "\r\n\r\n\0\r\nQUIT\n\x20\x00\x00\x00";

    (void)state;
    open_door("127.0.0.0/8", NULL);
    expect_left(V1, sizeof(V1) - 1, 29);
    expect_left(V1, sizeof(V1) - 1, 28);
    expect_left(v2, sizeof(v2) - 1, 29);       /* another client */
    expect_left(local, sizeof(local) - 1, 29); /* the proxy itself */
    expect_left("", 0, 28);                    /* without a header it speaks for itself too */
}

static void a_header_in_pieces_is_waited_for(void **state)
{
    struct client c;

    (void)state;
    open_door("127.0.0.1", NULL);
    client_open(&c);
    for (size_t i = 0; i < sizeof(V1) - 1; i++) {
        client_send(&c, &V1[i], 1);
        assert_int_equal(loop_turn(o.loop, false), 0);
    }
    client_send(&c, ASK, sizeof(ASK) - 1);
    wait_for(&c, "invalid_api_key");
    client_end(&c);
}

static void a_header_of_anybody_else_is_not_believed(void **state)
{
    struct client c;

    (void)state;
    open_door("10.0.0.0/8", NULL);
    client_open(&c);
    client_send(&c, V1, sizeof(V1) - 1);
    wait_for(&c, "HTTP/1.1 400 "); /* as HTTP it is nonsense */
    client_end(&c);
}

static void a_malformed_header_ends_the_connection(void **state)
{
    struct client c;

    (void)state;
    open_door("127.0.0.1", NULL);
    client_open(&c);
    client_send(&c, "PROXY TCP4 nonsense\r\n", 21);
    wait_closed(&c);
    assert_int_equal(c.in.len, 0);
    client_end(&c);
}

/* ---- TLS ---- */

static void make_certificate(void)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *cert = X509_new();
    X509V3_CTX ctx;
    X509_EXTENSION *names;
    char path[64];
    FILE *out;

    assert_non_null(mkdtemp(dir));
    X509_set_version(cert, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(cert), 1);
    X509_gmtime_adj(X509_getm_notBefore(cert), -3600);
    X509_gmtime_adj(X509_getm_notAfter(cert), 3600);
    X509_set_pubkey(cert, key);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(cert), "CN", MBSTRING_ASC,
                               (const unsigned char *)"gw", -1, -1, 0);
    X509_set_issuer_name(cert, X509_get_subject_name(cert));
    X509V3_set_ctx_nodb(&ctx);
    X509V3_set_ctx(&ctx, cert, cert, NULL, NULL, 0);
    names = X509V3_EXT_conf_nid(NULL, &ctx, NID_subject_alt_name, "IP:127.0.0.1");
    X509_add_ext(cert, names, -1);
    X509_EXTENSION_free(names);
    assert_true(X509_sign(cert, key, EVP_sha256()) > 0);
    snprintf(path, sizeof(path), "%s/cert.pem", dir);
    out = fopen(path, "w");
    assert_int_equal(PEM_write_X509(out, cert), 1);
    assert_int_equal(fclose(out), 0);
    snprintf(path, sizeof(path), "%s/key.pem", dir);
    out = fopen(path, "w");
    assert_int_equal(PEM_write_PrivateKey(out, key, NULL, NULL, 0, NULL, NULL), 1);
    assert_int_equal(fclose(out), 0);
    X509_free(cert);
    EVP_PKEY_free(key);
}

static void make_contexts(void)
{
    char cert[64], key[64], error[TLS_ERROR_TEXT];
    struct tls_config server = {.cert_file = cert, .key_file = key, .alpn = "http/1.1"};
    struct tls_config client = {.ca_file = cert, .alpn = "http/1.1"};

    make_certificate();
    snprintf(cert, sizeof(cert), "%s/cert.pem", dir);
    snprintf(key, sizeof(key), "%s/key.pem", dir);
    assert_int_equal(tls_ctx_new_server(&server, error, &server_tls), 0);
    assert_int_equal(tls_ctx_new_client(&client, error, &client_tls), 0);
    (void)unlink(cert);
    (void)unlink(key);
    (void)rmdir(dir);
    memcpy(dir + sizeof(dir) - 7, "XXXXXX", 6);
}

static void tls_is_spoken_where_it_is_asked_for(void **state)
{
    struct client c;

    (void)state;
    make_contexts();
    open_door("", server_tls);
    client_open(&c); /* plain */
    client_send(&c, ASK, sizeof(ASK) - 1);
    wait_closed(&c);
    assert_false(client_has(&c, "HTTP/1.1"));
    client_end(&c);
    loop_set_link_tls(o.loop, client_tls);
    expect_left("", 0, 29);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(a_plain_connection_is_served, teardown),
        cmocka_unit_test_teardown(a_trusted_proxy_names_the_client, teardown),
        cmocka_unit_test_teardown(a_header_in_pieces_is_waited_for, teardown),
        cmocka_unit_test_teardown(a_header_of_anybody_else_is_not_believed, teardown),
        cmocka_unit_test_teardown(a_malformed_header_ends_the_connection, teardown),
        cmocka_unit_test_teardown(tls_is_spoken_where_it_is_asked_for, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
