/* test_secrets.c - what is sealed opens again with the same key, in the same place, unchanged,
 * and not otherwise. */
#include "shard/store/secrets.h"

#include <errno.h>

#include "tests/support/test.h"

#define KEY_A "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
#define KEY_B "ffeeddccbbaa99887766554433221100ffeeddccbbaa99887766554433221100"
#define KEY_A_BASE64 "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="

static struct master_key key_of(const char *text)
{
    struct master_key key;

    assert_int_equal(master_key_parse(slice_str(text), &key), 0);
    return key;
}

static void test_key_files(void **state)
{
    static const struct {
        const char *name, *text;
        int want;
    } cases[] = {
        {"hex", KEY_A, 0},
        {"hex with a newline", KEY_A "\n", 0},
        {"hex with the newline of another system", KEY_A "\r\n", 0},
        {"base64", KEY_A_BASE64, 0},
        {"base64 with a newline", KEY_A_BASE64 "\n", 0},
        {"nothing", "", -EINVAL},
        {"a newline", "\n", -EINVAL},
        {"a digit too few", "00102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
         -EINVAL},
        {"a digit too many", KEY_A "0", -EINVAL},
        {"not hex", "g00102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
         -EINVAL},
        {"white space within",
         "000102030405060708090a0b0c0d0e0f 01112131415161718191a1b1c1d1e1f", -EINVAL},
        {"31 bytes in base64", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHg==", -EINVAL},
        {"two keys", KEY_A "\n" KEY_B, -EINVAL},
    };
    struct master_key want = key_of(KEY_A);

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct master_key key = {.kid = "untouched"};

        CHECK_EQ(master_key_parse(slice_str(cases[i].text), &key), cases[i].want,
                 cases[i].name);
        if (cases[i].want == 0)
            CHECK(memcmp(&key, &want, sizeof(key)) == 0, cases[i].name);
        else
            CHECK(strcmp(key.kid, "untouched") == 0, cases[i].name);
    }
}

static void test_kid_is_the_hash_of_the_key(void **state)
{
    struct master_key key = key_of(KEY_A);

    (void)state;
    /* SHA-256 of the bytes 00 .. 1f, by another program. */
    assert_string_equal(key.kid, "630dcd2966c43366");
    assert_int_equal(strlen(key.kid), MASTER_KID_LEN);
}

static void test_keyring_finds_by_kid(void **state)
{
    struct keyring ring = {.current = key_of(KEY_A), .previous = key_of(KEY_B)};
    struct master_key a = ring.current, b = ring.previous;
    static const struct keyring zero;

    (void)state;
    assert_ptr_equal(keyring_find(&ring, slice_str(a.kid)), &ring.current);
    assert_null(keyring_find(&ring, slice_str(b.kid))); /* not in use */
    ring.has_previous = true;
    assert_ptr_equal(keyring_find(&ring, slice_str(b.kid)), &ring.previous);
    assert_null(keyring_find(&ring, SLICE_LIT("")));
    assert_null(keyring_find(&ring, slice_of(a.kid, MASTER_KID_LEN - 1)));

    keyring_wipe(&ring);
    assert_memory_equal(&ring, &zero, sizeof(ring));
}

#define PLAIN_MAX 300
struct sealed {
    uint8_t bytes[PLAIN_MAX + SEAL_OVERHEAD];
    size_t len;
};

static const struct secret_place here = {{"acme", 4}, {"k1", 2}, {"jwt", 3}};

static struct sealed seal(const struct master_key *key, struct slice plain)
{
    struct sealed sealed = {.len = plain.len + SEAL_OVERHEAD};

    assert_int_equal(secret_seal(key, &here, plain, sealed.bytes), 0);
    return sealed;
}

static void test_round_trip(void **state)
{
    struct master_key key = key_of(KEY_A);
    uint8_t plain[PLAIN_MAX], opened[PLAIN_MAX + 1];

    (void)state;
    for (size_t i = 0; i < sizeof(plain); i++)
        plain[i] = (uint8_t)(i * 7);
    for (size_t len = 0; len <= sizeof(plain); len++) {
        struct sealed sealed = seal(&key, slice_of(plain, len));

        memset(opened, 0xa5, sizeof(opened));
        assert_int_equal(secret_open(&key, &here, slice_of(sealed.bytes, sealed.len), opened),
                         0);
        assert_memory_equal(opened, plain, len);
        assert_int_equal(opened[len], 0xa5); /* nothing behind */
    }
}

static void test_no_two_seals_are_alike(void **state)
{
    struct master_key key = key_of(KEY_A);
    struct slice plain = SLICE_LIT("the same secret, twice in the same place");
    struct sealed one = seal(&key, plain);
    struct sealed two = seal(&key, plain);

    (void)state;
    assert_memory_not_equal(one.bytes, two.bytes, 12); /* the nonce */
    assert_memory_not_equal(one.bytes + 12, two.bytes + 12, plain.len);
    assert_null(memmem(one.bytes, one.len, plain.data, 8));
}

static void test_other_key_or_place_does_not_open(void **state)
{
    static const struct {
        const char *name, *key, *project, *kid, *purpose;
        int want;
    } cases[] = {
        {"as sealed", KEY_A, "acme", "k1", "jwt", 0},
        {"another key", KEY_B, "acme", "k1", "jwt", -EBADMSG},
        {"another project", KEY_A, "acm", "k1", "jwt", -EBADMSG},
        {"another kid", KEY_A, "acme", "k2", "jwt", -EBADMSG},
        {"another purpose", KEY_A, "acme", "k1", "webhook", -EBADMSG},
        {"no project", KEY_A, "", "k1", "jwt", -EBADMSG},
        {"no kid", KEY_A, "acme", "", "jwt", -EBADMSG},
        {"no purpose", KEY_A, "acme", "k1", "", -EBADMSG},
        {"a border moved", KEY_A, "acmek", "1", "jwt", -EBADMSG},
        {"a border moved back", KEY_A, "acm", "ek1", "jwt", -EBADMSG},
        {"the other border moved", KEY_A, "acme", "k1j", "wt", -EBADMSG},
    };
    struct master_key key = key_of(KEY_A);
    struct sealed sealed = seal(&key, SLICE_LIT("secret"));
    static const uint8_t zero[6];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct master_key other = key_of(cases[i].key);
        const struct secret_place place = {slice_str(cases[i].project), slice_str(cases[i].kid),
                                           slice_str(cases[i].purpose)};
        uint8_t opened[6] = "before";

        CHECK_EQ(secret_open(&other, &place, slice_of(sealed.bytes, sealed.len), opened),
                 cases[i].want, cases[i].name);
        /* What was decrypted before the tag was checked must not stay behind. */
        CHECK(memcmp(opened, cases[i].want == 0 ? (const void *)"secret" : zero, 6) == 0,
              cases[i].name);
    }
}

static void test_flipped_bits_do_not_open(void **state)
{
    struct master_key key = key_of(KEY_A);
    struct sealed sealed = seal(&key, SLICE_LIT("secret"));

    (void)state;
    for (size_t bit = 0; bit < sealed.len * 8; bit++) {
        uint8_t opened[6];

        sealed.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        CHECK_EQ(secret_open(&key, &here, slice_of(sealed.bytes, sealed.len), opened), -EBADMSG,
                 "flipped");
        sealed.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
}

static void test_cut_and_lengthened_do_not_open(void **state)
{
    struct master_key key = key_of(KEY_A);
    struct sealed sealed = seal(&key, SLICE_LIT("secret"));
    uint8_t opened[PLAIN_MAX];

    (void)state;
    for (size_t len = 0; len < sealed.len; len++) {
        CHECK_EQ(secret_open(&key, &here, slice_of(sealed.bytes, len), opened), -EBADMSG,
                 "cut at its end");
        CHECK_EQ(
            secret_open(&key, &here, slice_of(sealed.bytes + sealed.len - len, len), opened),
            -EBADMSG, "cut at its beginning");
    }
    CHECK_EQ(secret_open(&key, &here, slice_of(sealed.bytes, sealed.len + 1), opened), -EBADMSG,
             "a byte too many");
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_key_files),
        cmocka_unit_test(test_kid_is_the_hash_of_the_key),
        cmocka_unit_test(test_keyring_finds_by_kid),
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_no_two_seals_are_alike),
        cmocka_unit_test(test_other_key_or_place_does_not_open),
        cmocka_unit_test(test_flipped_bits_do_not_open),
        cmocka_unit_test(test_cut_and_lengthened_do_not_open),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
