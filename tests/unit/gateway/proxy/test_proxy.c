/* test_proxy.c - PROXY headers, X-Forwarded-For, networks. */
#include "tests/support/test.h"

#include <errno.h>

#include "gateway/proxy/proxy.h"

#define W(s) (s), sizeof(s) - 1
#define SIG "\r\n\r\n\0\r\nQUIT\n"

static const struct {
    const char *name, *wire;
    size_t len;
    enum proxy_answer want;
    const char *client; /* NULL: not known */
    size_t header;      /* bytes of the header when DONE */
} cases[] = {
    {"v1 tcp4", W("PROXY TCP4 192.0.2.1 198.51.100.1 5555 443\r\nGET /"), PROXY_DONE,
     "192.0.2.1", 44},
    {"v1 tcp6", W("PROXY TCP6 2001:db8::1 2001:db8::2 1 65535\r\n"), PROXY_DONE, "2001:db8::1",
     44},
    {"v1 unknown", W("PROXY UNKNOWN\r\nx"), PROXY_DONE, NULL, 15},
    {"v1 unknown with more", W("PROXY UNKNOWN a b c d\r\n"), PROXY_DONE, NULL, 23},
    {"v1 family lies", W("PROXY TCP4 2001:db8::1 2001:db8::2 1 2\r\n"), PROXY_BAD, NULL, 0},
    {"v1 no ports", W("PROXY TCP4 192.0.2.1 198.51.100.1\r\n"), PROXY_BAD, NULL, 0},
    {"v1 bad address", W("PROXY TCP4 192.0.2.256 198.51.100.1 1 2\r\n"), PROXY_BAD, NULL, 0},
    {"v1 bad port", W("PROXY TCP4 192.0.2.1 198.51.100.1 1 65536\r\n"), PROXY_BAD, NULL, 0},
    {"v1 port with a zero", W("PROXY TCP4 192.0.2.1 198.51.100.1 01 2\r\n"), PROXY_BAD, NULL,
     0},
    {"v1 something behind", W("PROXY TCP4 192.0.2.1 198.51.100.1 1 2 3\r\n"), PROXY_BAD, NULL,
     0},
    {"v1 two blanks", W("PROXY TCP4  192.0.2.1 198.51.100.1 1 2\r\n"), PROXY_BAD, NULL, 0},
    {"v1 LF only", W("PROXY TCP4 192.0.2.1 198.51.100.1 1 2\n"), PROXY_BAD, NULL, 0},
    {"v1 unknown family", W("PROXY UDP4 192.0.2.1 198.51.100.1 1 2\r\n"), PROXY_BAD, NULL, 0},
    {"v1 too long",
     W("PROXY UNKNOWN "
       "012345678901234567890123456789012345678901234567890123456789012345678901234567890123"
       "456789012345678901234567890\r\n"),
     PROXY_BAD, NULL, 0},
    {"v2 tcp4", W(SIG "\x21\x11\x00\x0c\xc0\x00\x02\x01\xc6\x33\x64\x01\x00\x01\x00\x02GET"),
     PROXY_DONE, "192.0.2.1", 28},
    {"v2 tcp6",
     W(SIG "\x21\x21\x00\x24\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01\x20\x01\x0d\xb8\0\0\0\0"
           "\0\0\0\0\0\0\0\x02"
           "\x00\x01\x00\x02"),
     PROXY_DONE, "2001:db8::1", 52},
    {"v2 with extra fields",
     W(SIG "\x21\x11\x00\x0f\xc0\x00\x02\x01\xc6\x33\x64\x01\x00\x01\x00\x02\x04\x00\x00"),
     PROXY_DONE, "192.0.2.1", 31},
    {"v2 local", W(SIG "\x20\x00\x00\x00"), PROXY_DONE, NULL, 16},
    {"v2 local with addresses",
     W(SIG "\x20\x11\x00\x0c\xc0\x00\x02\x01\xc6\x33\x64\x01\x00\x01\x00\x02"), PROXY_DONE,
     NULL, 28},
    {"v2 unix socket", W(SIG "\x21\x31\x00\x00"), PROXY_DONE, NULL, 16},
    {"v2 unspecified", W(SIG "\x21\x00\x00\x00"), PROXY_DONE, NULL, 16},
    {"v2 version 1", W(SIG "\x11\x11\x00\x00"), PROXY_BAD, NULL, 0},
    {"v2 unknown command", W(SIG "\x22\x11\x00\x0c"), PROXY_BAD, NULL, 0},
    {"v2 unknown family", W(SIG "\x21\x41\x00\x0c"), PROXY_BAD, NULL, 0},
    {"v2 too short for its family", W(SIG "\x21\x11\x00\x0b"), PROXY_BAD, NULL, 0},
    {"v2 too long", W(SIG "\x21\x11\xff\xff"), PROXY_BAD, NULL, 0},
    {"an HTTP request", W("GET / HTTP/1.1\r\n"), PROXY_NONE, NULL, 0},
    {"a POST", W("POST"), PROXY_NONE, NULL, 0},
    {"a TLS hello", W("\x16\x03\x01"), PROXY_NONE, NULL, 0},
};

static void headers_are_read(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct proxy_client client = {0};
        size_t len = 0;
        char text[IP_TEXT_MAX];

        CHECK_EQ(proxy_parse(slice_of(cases[i].wire, cases[i].len), &client, &len),
                 cases[i].want, cases[i].name);
        if (cases[i].want != PROXY_DONE)
            continue;
        CHECK_EQ(len, cases[i].header, cases[i].name);
        CHECK_EQ(client.known, cases[i].client != NULL, cases[i].name);
        if (client.known) {
            ip_format(&client.ip, text);
            assert_string_equal(text, cases[i].client);
        }
        /* However few bytes have come, the answer is not another one. */
        for (size_t n = 1; n < cases[i].header; n++)
            CHECK_EQ(proxy_parse(slice_of(cases[i].wire, n), &client, &len), PROXY_MORE,
                     cases[i].name);
    }
}

static const struct {
    const char *list, *want; /* NULL: nobody */
} forwarded[] = {
    {"203.0.113.9", "203.0.113.9"},
    {"203.0.113.9, 10.1.2.3", "203.0.113.9"},
    {"1.1.1.1, 203.0.113.9, 10.1.2.3, 10.0.0.1",
     "203.0.113.9"}, /* the left is whatever the client wrote */
    {"203.0.113.9:1234", "203.0.113.9"},
    {"[2001:db8::9]:443 ", "2001:db8::9"},
    {"2001:db8::9", "2001:db8::9"},
    {"::ffff:203.0.113.9", "203.0.113.9"},
    {"10.1.2.3", NULL},
    {"", NULL},
    {"unknown", NULL},
    {"203.0.113.9, garbage", NULL},
    {"203.0.113.9,", NULL},
    {"[2001:db8::9", NULL},
};

static void forwarded_for_is_read_from_the_right(void **state)
{
    struct cidr_list trusted;
    struct slice bad;

    (void)state;
    assert_int_equal(cidr_list_parse(SLICE_LIT("10.0.0.0/8"), &trusted, &bad), 0);
    for (size_t i = 0; i < ARRAY_LEN(forwarded); i++) {
        char text[IP_TEXT_MAX] = "";
        struct ip ip;
        bool found = proxy_forwarded_for(slice_str(forwarded[i].list), &trusted, &ip);

        CHECK_EQ(found, forwarded[i].want != NULL, forwarded[i].list);
        if (found) {
            ip_format(&ip, text);
            assert_string_equal(text, forwarded[i].want);
        }
    }
    cidr_list_deinit(&trusted);
}

static const struct {
    const char *list, *ip;
    int has; /* -1: the list is malformed */
} networks[] = {
    {"10.0.0.0/8", "10.255.0.1", 1},
    {"10.0.0.0/8", "11.0.0.1", 0},
    {"192.0.2.7", "192.0.2.7", 1},
    {"192.0.2.7", "192.0.2.8", 0},
    {"192.0.2.0/25", "192.0.2.127", 1},
    {"192.0.2.0/25", "192.0.2.128", 0},
    {"0.0.0.0/0", "8.8.8.8", 1},
    {"0.0.0.0/0", "2001:db8::1", 0},
    {"::/0", "8.8.8.8", 1},
    {"2001:db8::/33", "2001:db8:7fff::1", 1},
    {"2001:db8::/33", "2001:db8:8000::1", 0},
    {" 10.0.0.0/8 , ::1 ", "::1", 1},
    {"", "10.0.0.1", 0},
    {"10.0.0.0/33", "", -1},
    {"10.0.0.0/", "", -1},
    {"10.0.0.0/a", "", -1},
    {"10.0.0", "", -1},
    {"host", "", -1},
    {"10.0.0.1,,10.0.0.2", "", -1},
    {"::1/129", "", -1},
    {"10.0.0.0/0008", "", -1},
};

static void networks_hold_their_addresses(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(networks); i++) {
        struct cidr_list list;
        struct slice bad;
        struct ip ip;
        int r = cidr_list_parse(slice_str(networks[i].list), &list, &bad);

        CHECK_EQ(r, networks[i].has < 0 ? -EINVAL : 0, networks[i].list);
        if (r < 0)
            continue;
        assert_int_equal(ip_parse(slice_str(networks[i].ip), &ip), 0);
        CHECK_EQ(cidr_list_has(&list, &ip), networks[i].has, networks[i].list);
        cidr_list_deinit(&list);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(headers_are_read),
        cmocka_unit_test(forwarded_for_is_read_from_the_right),
        cmocka_unit_test(networks_hold_their_addresses),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
