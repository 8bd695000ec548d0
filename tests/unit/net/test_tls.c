/* test_tls.c - TLS streams on loopback, with certificates made for the test. */
#include "common/net/tls.h"

#include <errno.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/limits.h"
#include "tests/support/test.h"
#include "tests/unit/net/net_fixture.h"

static struct net_fixture f;
static struct tls_ctx *server_ctx, *client_ctx;
static char dir[] = "/tmp/fluxy-tls-XXXXXX";

/* ---- certificates ---- */

struct identity {
    X509 *cert;
    EVP_PKEY *key;
};

static const char *path_of(const char *name)
{
    static char paths[16][64];
    static unsigned next;
    char *path = paths[next++ % 16];

    snprintf(path, sizeof(paths[0]), "%s/%s", dir, name);
    return path;
}

static void add_extension(X509 *cert, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX ctx;
    X509_EXTENSION *ext;

    X509V3_set_ctx_nodb(&ctx);
    X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
    ext = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    assert_non_null(ext);
    X509_add_ext(cert, ext, -1);
    X509_EXTENSION_free(ext);
}

/* issuer NULL: a self-signed authority. */
static struct identity make_identity(const char *name, const struct identity *issuer,
                                     const char *alt)
{
    static long serial = 1;
    struct identity id = {X509_new(), EVP_EC_gen("P-256")};
    X509 *by = issuer ? issuer->cert : id.cert;

    X509_set_version(id.cert, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(id.cert), serial++);
    X509_gmtime_adj(X509_getm_notBefore(id.cert), -3600);
    X509_gmtime_adj(X509_getm_notAfter(id.cert), 3600);
    X509_set_pubkey(id.cert, id.key);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(id.cert), "CN", MBSTRING_ASC,
                               (const unsigned char *)name, -1, -1, 0);
    X509_set_issuer_name(id.cert, X509_get_subject_name(by));
    add_extension(id.cert, by, NID_basic_constraints, issuer ? "CA:FALSE" : "critical,CA:TRUE");
    if (alt)
        add_extension(id.cert, by, NID_subject_alt_name, alt);
    assert_true(X509_sign(id.cert, issuer ? issuer->key : id.key, EVP_sha256()) > 0);
    return id;
}

static void write_identity(const struct identity *id, const char *name)
{
    char file[32];
    FILE *out;

    snprintf(file, sizeof(file), "%s.crt", name);
    out = fopen(path_of(file), "w");
    assert_non_null(out);
    PEM_write_X509(out, id->cert);
    fclose(out);
    snprintf(file, sizeof(file), "%s.key", name);
    out = fopen(path_of(file), "w");
    assert_non_null(out);
    PEM_write_PrivateKey(out, id->key, NULL, NULL, 0, NULL, NULL);
    fclose(out);
}

static void free_identity(struct identity *id)
{
    X509_free(id->cert);
    EVP_PKEY_free(id->key);
}

static int make_files(void **state)
{
    struct identity ca, other_ca, id;

    (void)state;
    assert_non_null(mkdtemp(dir));
    ca = make_identity("test authority", NULL, NULL);
    other_ca = make_identity("another authority", NULL, NULL);
    write_identity(&ca, "ca");
    write_identity(&other_ca, "other-ca");
    id = make_identity("server", &ca, "DNS:localhost,IP:127.0.0.1");
    write_identity(&id, "server");
    free_identity(&id);
    id = make_identity("server two", &ca, "DNS:localhost,IP:127.0.0.1");
    write_identity(&id, "server2");
    free_identity(&id);
    id = make_identity("wrong name", &ca, "DNS:example.org");
    write_identity(&id, "wrong");
    free_identity(&id);
    id = make_identity("gateway-1", &ca, NULL);
    write_identity(&id, "client");
    free_identity(&id);
    id = make_identity("intruder", &other_ca, NULL);
    write_identity(&id, "intruder");
    free_identity(&id);
    free_identity(&ca);
    free_identity(&other_ca);
    return 0;
}

static int remove_files(void **state)
{
    static const char *const names[] = {"ca",    "other-ca", "server",  "server2",
                                        "wrong", "client",   "intruder"};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        char file[32];

        snprintf(file, sizeof(file), "%s.crt", names[i]);
        unlink(path_of(file));
        snprintf(file, sizeof(file), "%s.key", names[i]);
        unlink(path_of(file));
    }
    unlink(path_of("live.crt"));
    unlink(path_of("live.key"));
    return rmdir(dir);
}

static void copy_file(const char *from, const char *to)
{
    char text[8192];
    FILE *in = fopen(path_of(from), "r"), *out = fopen(path_of(to), "w");
    size_t n;

    assert_non_null(in);
    assert_non_null(out);
    n = fread(text, 1, sizeof(text), in);
    fwrite(text, 1, n, out);
    fclose(in);
    fclose(out);
}

/* ---- contexts ---- */

static void use_server(const char *name, const char *ca)
{
    char error[TLS_ERROR_TEXT], cert[32], key[32];
    struct tls_config config = {.alpn = "h2,http/1.1"};

    snprintf(cert, sizeof(cert), "%s.crt", name);
    snprintf(key, sizeof(key), "%s.key", name);
    config.cert_file = path_of(cert);
    config.key_file = path_of(key);
    config.ca_file = ca ? path_of(ca) : NULL;
    tls_ctx_free(server_ctx);
    if (tls_ctx_new_server(&config, error, &server_ctx) < 0)
        fail_msg("%s", error);
    f.server_tls = server_ctx;
}

static void use_client(const char *name, const char *ca, const char *alpn)
{
    char error[TLS_ERROR_TEXT], cert[32], key[32];
    struct tls_config config = {.ca_file = path_of(ca), .alpn = alpn};

    if (name) {
        snprintf(cert, sizeof(cert), "%s.crt", name);
        snprintf(key, sizeof(key), "%s.key", name);
        config.cert_file = path_of(cert);
        config.key_file = path_of(key);
    }
    tls_ctx_free(client_ctx);
    if (tls_ctx_new_client(&config, error, &client_ctx) < 0)
        fail_msg("%s", error);
    loop_set_link_tls(f.loop, client_ctx);
}

static int setup(void **state)
{
    (void)state;
    net_setup(&f, 0);
    use_server("server", NULL);
    use_client(NULL, "ca.crt", "http/1.1");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    net_teardown(&f);
    tls_ctx_free(TAKE(server_ctx));
    tls_ctx_free(TAKE(client_ctx));
    return 0;
}

/* ---- tests ---- */

static void bytes_pass_both_ways(void **state)
{
    struct peer client = {0};

    (void)state;
    net_connect(&f, &client, f.address);
    peer_send(&client, "early");
    NET_UNTIL(&f, client.opened == 1 && f.servers[0].opened == 1);
    assert_true(stream_tcp_is_tls(client.stream));
    CHECK_SLICE(stream_tcp_alpn(f.servers[0].stream), "http/1.1", "alpn");
    CHECK_SLICE(stream_tcp_alpn(client.stream), "http/1.1", "alpn");
    for (int i = 0; i < 200; i++)
        peer_send(&f.servers[0], "0123456789");
    NET_UNTIL(&f, client.in.len == 2000 && f.servers[0].in.len == 5);
    peer_deinit(&client);
    NET_UNTIL(&f, f.servers[0].closed);
    assert_int_equal(f.servers[0].end, STREAM_END_EOF); /* close_notify came */
}

static void large_transfers_and_slow_readers(void **state)
{
    enum { TOTAL = 20000000 };
    struct peer client = {0};

    (void)state;
    net_connect(&f, &client, f.address);
    NET_UNTIL(&f, client.opened && f.servers[0].opened);
    stream_pause(client.stream, true);
    for (int i = 0; i < 20; i++)
        peer_send_zeros(&f.servers[0], TOTAL / 40);
    for (int i = 0; i < 5000; i++)
        peer_send_zeros(&f.servers[0], TOTAL / 10000);
    for (int i = 0; i < 10; i++)
        net_turn(&f);
    assert_true(f.servers[0].stream->queued_bytes > STREAM_QUEUE_HIGH);
    assert_int_equal(client.in.len, 0);
    stream_pause(client.stream, false);
    peer_send_zeros(&client, 3000000); /* the other way at the same time */
    NET_UNTIL(&f, client.in.len == TOTAL && f.servers[0].in.len == 3000000);
    assert_int_equal(f.servers[0].drained, 1);
    assert_int_equal(f.servers[0].stream->queued_bytes, 0);
    peer_deinit(&client);
}

static void close_with_flush_delivers_everything(void **state)
{
    struct peer client = {0};

    (void)state;
    net_connect(&f, &client, f.address);
    NET_UNTIL(&f, client.opened && f.servers[0].opened);
    peer_send_zeros(&f.servers[0], 5000000);
    stream_close(TAKE(f.servers[0].stream), true);
    NET_UNTIL(&f, client.closed);
    assert_int_equal(client.end, STREAM_END_EOF);
    assert_int_equal(client.in.len, 5000000);
    NET_UNTIL(&f, loop_accepted_count(f.loop) == 0);
    peer_deinit(&client);
}

static void pause_between_records_loses_nothing(void **state)
{
    struct peer client = {0};

    (void)state;
    net_connect(&f, &client, f.address);
    NET_UNTIL(&f, client.opened && f.servers[0].opened);
    for (int i = 0; i < 20; i++) {
        stream_pause(client.stream, true);
        peer_send_zeros(&f.servers[0], 40000);
        for (int turn = 0; turn < 2; turn++)
            net_turn(&f);
        stream_pause(client.stream, false);
        net_turn(&f);
    }
    NET_UNTIL(&f, client.in.len == 800000);
    peer_deinit(&client);
}

static void plain_bytes_are_not_tls(void **state)
{
    int fd = net_raw_connect(&f);

    (void)state;
    assert_int_equal(send(fd, "GET / HTTP/1.1\r\n\r\n", 18, 0), 18);
    NET_UNTIL(&f, f.servers[0].closed);
    assert_int_equal(f.servers[0].end, STREAM_END_TLS);
    assert_int_equal(f.servers[0].opened, 0);
    close(fd);
}

static void peer_that_leaves_in_the_handshake(void **state)
{
    int fd = net_raw_connect(&f);

    (void)state;
    NET_UNTIL(&f, f.accepted == 1);
    assert_int_equal(send(fd, "\x16\x03\x01\x02", 4, 0), 4);
    for (int i = 0; i < 3; i++)
        net_turn(&f);
    assert_int_equal(f.servers[0].closed, 0);
    close(fd);
    NET_UNTIL(&f, f.servers[0].closed);
    assert_int_not_equal(f.servers[0].end, STREAM_END_EOF);
}

static void tests_of_names_and_issuers(void **state)
{
    static const struct {
        const char *name, *server, *client_ca;
        bool good;
    } cases[] = {
        {"right issuer and name", "server", "ca.crt", true},
        {"another issuer", "server", "other-ca.crt", false},
        {"another name", "wrong", "ca.crt", false},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct peer client = {0};

        teardown(state);
        setup(state);
        use_server(cases[i].server, NULL);
        use_client(NULL, cases[i].client_ca, NULL);
        net_connect(&f, &client, f.address);
        NET_UNTIL(&f, client.opened || client.closed);
        CHECK_EQ(client.opened, cases[i].good, cases[i].name);
        CHECK(cases[i].good || client.end == STREAM_END_TLS, cases[i].name);
        peer_deinit(&client);
    }
}

static void mutual_tls_wants_a_certificate_of_ours(void **state)
{
    static const struct {
        const char *client;
        bool good;
    } cases[] = {{"client", true}, {NULL, false}, {"intruder", false}};

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct peer client = {0};
        const char *name = cases[i].client ? cases[i].client : "none";
        char peer_name[64];

        teardown(state);
        setup(state);
        use_server("server", "ca.crt");
        use_client(cases[i].client, "ca.crt", NULL);
        net_connect(&f, &client, f.address);
        NET_UNTIL(&f, f.servers[0].opened || f.servers[0].closed);
        CHECK_EQ(f.servers[0].opened, cases[i].good, name);
        if (cases[i].good) {
            assert_true(
                stream_tcp_peer_name(f.servers[0].stream, peer_name, sizeof(peer_name)));
            assert_string_equal(peer_name, "gateway-1");
        }
        peer_deinit(&client);
    }
}

static void client_without_common_protocol_is_refused(void **state)
{
    struct peer client = {0};

    (void)state;
    use_client(NULL, "ca.crt", "gopher");
    net_connect(&f, &client, f.address);
    NET_UNTIL(&f, client.closed && f.servers[0].closed);
    assert_int_equal(client.opened + f.servers[0].opened, 0);
}

static void client_without_alpn_is_served(void **state)
{
    struct peer client = {0};

    (void)state;
    use_client(NULL, "ca.crt", NULL);
    net_connect(&f, &client, f.address);
    NET_UNTIL(&f, client.opened && f.servers[0].opened);
    assert_int_equal(stream_tcp_alpn(f.servers[0].stream).len, 0);
    peer_deinit(&client);
}

static void get_server_name(struct peer *client, char ret[64])
{
    assert_true(stream_tcp_peer_name(client->stream, ret, 64));
}

static void reload_swaps_certificates_for_new_connections(void **state)
{
    struct peer old = {0}, fresh = {0}, after = {0};
    char error[TLS_ERROR_TEXT], name[64];
    FILE *broken;

    (void)state;
    copy_file("server.crt", "live.crt");
    copy_file("server.key", "live.key");
    use_server("live", NULL);
    net_connect(&f, &old, f.address);
    NET_UNTIL(&f, old.opened);
    get_server_name(&old, name);
    assert_string_equal(name, "server");

    copy_file("server2.crt", "live.crt"); /* the key does not fit yet: a rotation half done */
    assert_int_equal(tls_ctx_reload(server_ctx, error), -EINVAL);
    assert_non_null(strstr(error, "live.key"));
    copy_file("server2.key", "live.key");
    assert_int_equal(tls_ctx_reload(server_ctx, error), 0);
    net_connect(&f, &fresh, f.address);
    NET_UNTIL(&f, fresh.opened);
    get_server_name(&fresh, name);
    assert_string_equal(name, "server two");

    broken = fopen(path_of("live.crt"), "w");
    fputs("not a certificate", broken);
    fclose(broken);
    assert_int_equal(tls_ctx_reload(server_ctx, error), -EINVAL);
    net_connect(&f, &after, f.address);
    NET_UNTIL(&f, after.opened); /* the old ones still serve */

    peer_send(&old, "still here");
    NET_UNTIL(&f, f.servers[0].in.len == 10);
    peer_deinit(&old);
    peer_deinit(&fresh);
    peer_deinit(&after);
}

static void bad_files_are_named(void **state)
{
    struct {
        const char *cert, *key, *ca, *alpn, *says;
    } cases[] = {
        {path_of("none.crt"), path_of("server.key"), NULL, NULL, "none.crt"},
        {path_of("server.crt"), path_of("none.key"), NULL, NULL, "none.key"},
        {path_of("server.crt"), path_of("client.key"), NULL, NULL, "client.key"},
        {path_of("server.crt"), path_of("server.key"), "/nowhere/ca.crt", NULL,
         "/nowhere/ca.crt"},
        {path_of("server.crt"), NULL, NULL, NULL, "belong together"},
        {NULL, NULL, NULL, NULL, "belong together"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct tls_config config = {cases[i].cert, cases[i].key, cases[i].ca, cases[i].alpn};
        char error[TLS_ERROR_TEXT];
        struct tls_ctx *ctx;

        CHECK_EQ(tls_ctx_new_server(&config, error, &ctx), -EINVAL, cases[i].says);
        CHECK(strstr(error, cases[i].says), cases[i].says);
    }
}

/* What a PROXY header leaves behind: the first bytes of the handshake were read already. */

static size_t split_at;

static void upgrade_on_bytes(struct peer *peer, struct slice bytes)
{
    (void)bytes;
    if (stream_tcp_is_tls(peer->stream) || peer->in.len < split_at)
        return;
    assert_int_equal(stream_tcp_start_tls(peer->stream, server_ctx, buf_slice(&peer->in)), 0);
    buf_clear(&peer->in);
    peer->on_bytes = NULL;
}

static void handshake_goes_on_from_bytes_already_read(void **state)
{
    static const size_t splits[] = {1, 5, 100};

    (void)state;
    f.server_tls = NULL; /* accepted as plain */
    for (size_t i = 0; i < ARRAY_LEN(splits); i++) {
        struct peer client = {0};
        struct peer *server = &f.servers[i];

        split_at = splits[i];
        server->on_bytes = upgrade_on_bytes;
        net_connect(&f, &client, f.address);
        NET_UNTIL(&f, client.opened && server->opened);
        peer_send(&client, "hello");
        peer_send(server, "you");
        NET_UNTIL(&f, server->in.len == 5 && client.in.len == 3);
        peer_deinit(&client);
    }
}

static void old_protocols_and_renegotiation_are_off(void **state)
{
    SSL_CTX *old = SSL_CTX_new(TLS_client_method());
    SSL *ssl = SSL_new(old);
    int fd = net_raw_connect(&f), flag = 1;

    (void)state;
    SSL_CTX_set_security_level(old, 0);
    SSL_set_security_level(ssl, 0);
    SSL_set_min_proto_version(ssl, TLS1_VERSION);
    SSL_set_max_proto_version(ssl, TLS1_1_VERSION);
    SSL_set_fd(ssl, fd);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &flag, sizeof(flag)), 0);
    SSL_set_connect_state(ssl);
    {
        struct timeval wait = {.tv_usec = 1000};

        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
    }
    for (int i = 0; i < 100 && !f.servers[0].closed; i++) {
        (void)SSL_do_handshake(ssl);
        net_turn(&f);
    }
    assert_int_equal(f.servers[0].closed, 1);
    assert_int_equal(f.servers[0].end, STREAM_END_TLS);
    SSL_free(ssl);
    SSL_CTX_free(old);
    close(fd);
}

static void many_handshakes_at_once_all_finish(void **state)
{
    struct peer clients[NET_PEERS] = {0};
    size_t opened = 0;

    (void)state;
    for (size_t i = 0; i < NET_PEERS; i++)
        net_connect(&f, &clients[i], f.address);
    NET_UNTIL(&f, ({
        opened = 0;
        for (size_t i = 0; i < NET_PEERS; i++)
            opened += (size_t)(clients[i].opened + f.servers[i].opened);
        opened == 2 * NET_PEERS;
    }));
    for (size_t i = 0; i < NET_PEERS; i++)
        peer_deinit(&clients[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        T(bytes_pass_both_ways),
        T(large_transfers_and_slow_readers),
        T(close_with_flush_delivers_everything),
        T(pause_between_records_loses_nothing),
        T(plain_bytes_are_not_tls),
        T(peer_that_leaves_in_the_handshake),
        T(tests_of_names_and_issuers),
        T(mutual_tls_wants_a_certificate_of_ours),
        T(client_without_common_protocol_is_refused),
        T(client_without_alpn_is_served),
        T(reload_swaps_certificates_for_new_connections),
        T(bad_files_are_named),
        T(handshake_goes_on_from_bytes_already_read),
        T(old_protocols_and_renegotiation_are_off),
        T(many_handshakes_at_once_all_finish),
#undef T
    };

    return cmocka_run_group_tests(tests, make_files, remove_files);
}
