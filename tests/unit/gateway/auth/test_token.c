/* test_token.c - which tokens are believed; minted ones are. */
#include "tests/support/test.h"

#include <errno.h>
#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <stdlib.h>

#include "common/base/buf.h"
#include "common/base/codec.h"
#include "gateway/auth/api_key.h"
#include "gateway/auth/mint.h"
#include "gateway/auth/token.h"

#define NOW 1700000000
#define SECRET "a secret of the project"
#define HS "{\"alg\":\"HS256\",\"typ\":\"JWT\"}"
#define CLAIMS                                                                                 \
    "\"sub\":\"ada\",\"tid\":\"demo\",\"roles\":[\"member\"],\"iat\":1699999990,\"exp\":"      \
    "1700000100"

static const struct token_key secret_key = {TOKEN_HS256, {SECRET, sizeof(SECRET) - 1}};

static void put_base64(struct buf *out, struct slice bytes)
{
    char text[4096];
    size_t n = base64_encode(BASE64_URL, bytes.data, bytes.len, text);

    buf_put(out, text, n);
}

static void put_hmac(struct buf *out, const EVP_MD *md, struct slice key)
{
    unsigned char mac[EVP_MAX_MD_SIZE];
    unsigned len = 0;

    HMAC(md, key.data, (int)key.len, (const unsigned char *)out->data, out->len, mac, &len);
    buf_put_char(out, '.');
    put_base64(out, slice_of(mac, len));
}

static void put_token(struct buf *out, const char *header, const char *payload,
                      const EVP_MD *md, struct slice key)
{
    put_base64(out, slice_str(header));
    buf_put_char(out, '.');
    put_base64(out, slice_str(payload));
    put_hmac(out, md, key);
}

static int judge_at(struct slice text, const struct token_key *keys, size_t n_keys,
                    int64_t now_s)
{
    struct token token;
    int r = token_parse(text, &token);

    return r == 0 ? token_check(&token, keys, n_keys, now_s) : r;
}

static const struct {
    const char *name, *header, *payload;
    int want;
} cases[] = {
    {"good", HS, "{" CLAIMS "}", 0},
    {"alg none", "{\"alg\":\"none\"}", "{" CLAIMS "}", TOKEN_BAD_SIGNATURE},
    {"alg None", "{\"alg\":\"None\"}", "{" CLAIMS "}", TOKEN_BAD_SIGNATURE},
    {"alg in lower case", "{\"alg\":\"hs256\"}", "{" CLAIMS "}", TOKEN_BAD_SIGNATURE},
    {"another alg", "{\"alg\":\"HS512\"}", "{" CLAIMS "}", TOKEN_BAD_SIGNATURE},
    {"an alg of another kind", "{\"alg\":\"RS256\"}", "{" CLAIMS "}", TOKEN_BAD_SIGNATURE},
    {"no alg", "{\"typ\":\"JWT\"}", "{" CLAIMS "}", TOKEN_MALFORMED},
    {"alg twice", "{\"alg\":\"none\",\"alg\":\"HS256\"}", "{" CLAIMS "}", TOKEN_MALFORMED},
    {"alg is a number", "{\"alg\":256}", "{" CLAIMS "}", TOKEN_MALFORMED},
    {"crit", "{\"alg\":\"HS256\",\"crit\":[\"exp\"]}", "{" CLAIMS "}", TOKEN_MALFORMED},
    {"header is an array", "[\"HS256\"]", "{" CLAIMS "}", TOKEN_MALFORMED},
    {"expired", HS, "{\"sub\":\"ada\",\"tid\":\"demo\",\"exp\":1699999999}", TOKEN_EXPIRED},
    {"expires now", HS, "{\"sub\":\"ada\",\"tid\":\"demo\",\"exp\":1700000000}", TOKEN_EXPIRED},
    {"a second left", HS, "{\"sub\":\"ada\",\"tid\":\"demo\",\"exp\":1700000001}", 0},
    {"no exp", HS, "{\"sub\":\"ada\",\"tid\":\"demo\"}", TOKEN_MALFORMED},
    {"exp is text", HS, "{\"sub\":\"ada\",\"tid\":\"demo\",\"exp\":\"1700000100\"}",
     TOKEN_MALFORMED},
    {"exp is null", HS, "{\"sub\":\"ada\",\"tid\":\"demo\",\"exp\":null}", TOKEN_MALFORMED},
    {"exp beyond all times", HS, "{\"sub\":\"ada\",\"tid\":\"demo\",\"exp\":1e300}",
     TOKEN_MALFORMED},
    {"negative exp", HS, "{\"sub\":\"ada\",\"tid\":\"demo\",\"exp\":-1}", TOKEN_MALFORMED},
    {"exp with a fraction", HS, "{\"sub\":\"ada\",\"tid\":\"demo\",\"exp\":1700000100.5}", 0},
    {"not yet", HS, "{\"nbf\":1700000061," CLAIMS "}", TOKEN_NOT_YET},
    {"nbf within the skew", HS, "{\"nbf\":1700000060," CLAIMS "}", 0},
    {"issued in the future", HS,
     "{\"sub\":\"ada\",\"tid\":\"demo\",\"iat\":1700000061,\"exp\":1700000100}", TOKEN_NOT_YET},
    {"nbf is text", HS, "{\"nbf\":\"x\"," CLAIMS "}", TOKEN_MALFORMED},
    {"exp twice", HS, "{\"exp\":1," CLAIMS "}", TOKEN_MALFORMED},
    {"no sub", HS, "{\"tid\":\"demo\",\"exp\":1700000100}", TOKEN_MALFORMED},
    {"sub is a number", HS, "{\"sub\":1,\"tid\":\"demo\",\"exp\":1700000100}", TOKEN_MALFORMED},
    {"sub is no id", HS, "{\"sub\":\"a b\",\"tid\":\"demo\",\"exp\":1700000100}",
     TOKEN_MALFORMED},
    {"sub is empty", HS, "{\"sub\":\"\",\"tid\":\"demo\",\"exp\":1700000100}", TOKEN_MALFORMED},
    {"sub with a NUL", HS, "{\"sub\":\"a\\u0000\",\"tid\":\"demo\",\"exp\":1700000100}",
     TOKEN_MALFORMED},
    {"no tid", HS, "{\"sub\":\"ada\",\"exp\":1700000100}", TOKEN_MALFORMED},
    {"tid is no id", HS, "{\"sub\":\"ada\",\"tid\":\"../x\",\"exp\":1700000100}",
     TOKEN_MALFORMED},
    {"roles are text", HS,
     "{\"sub\":\"ada\",\"tid\":\"demo\",\"roles\":\"owner\",\"exp\":1700000100}",
     TOKEN_MALFORMED},
    {"a role is a number", HS,
     "{\"sub\":\"ada\",\"tid\":\"demo\",\"roles\":[1],\"exp\":1700000100}", TOKEN_MALFORMED},
    {"roomId is no id", HS, "{\"roomId\":\"a/b\"," CLAIMS "}", TOKEN_MALFORMED},
    {"jti is null", HS, "{\"jti\":null," CLAIMS "}", 0},
    {"jti is a number", HS, "{\"jti\":1," CLAIMS "}", TOKEN_MALFORMED},
    {"payload is no JSON", HS, "hello", TOKEN_MALFORMED},
    {"payload is an array", HS, "[]", TOKEN_MALFORMED},
    {"something behind the payload", HS, "{" CLAIMS "} ,", TOKEN_MALFORMED},
};

static void claims_and_headers_are_checked(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO_BUF text = BUF_INIT;

        put_token(&text, cases[i].header, cases[i].payload, EVP_sha256(), secret_key.bytes);
        CHECK_EQ(judge_at(buf_slice(&text), &secret_key, 1, NOW), cases[i].want, cases[i].name);
    }
}

/* A token that could not be remembered could not be revoked. */
static void an_id_is_kept_up_to_its_limit(void **state)
{
    char id[TOKEN_ID_MAX + 2], payload[512];
    struct token token;

    (void)state;
    memset(id, 'i', sizeof(id) - 1);
    for (size_t len = TOKEN_ID_MAX; len <= TOKEN_ID_MAX + 1; len++) {
        AUTO_BUF text = BUF_INIT;

        id[len] = '\0';
        snprintf(payload, sizeof(payload), "{\"jti\":\"%s\"," CLAIMS "}", id);
        put_token(&text, HS, payload, EVP_sha256(), secret_key.bytes);
        CHECK_EQ(token_parse(buf_slice(&text), &token),
                 len <= TOKEN_ID_MAX ? 0 : TOKEN_MALFORMED, "length");
        if (len <= TOKEN_ID_MAX)
            assert_string_equal(token.id, id);
        id[len] = 'i';
    }
}

static void only_its_own_secret_signs(void **state)
{
    static const struct token_key other = {TOKEN_HS256, {"another", 7}};
    static const struct token_key none = {TOKEN_HS256, {"", 0}};
    static const struct token_key longer = {TOKEN_HS512, {SECRET, sizeof(SECRET) - 1}};
    const struct token_key rotated[] = {other, secret_key};
    AUTO_BUF text = BUF_INIT;
    AUTO_BUF text512 = BUF_INIT;

    (void)state;
    put_token(&text, HS, "{" CLAIMS "}", EVP_sha256(), secret_key.bytes);
    assert_int_equal(judge_at(buf_slice(&text), &other, 1, NOW), TOKEN_BAD_SIGNATURE);
    assert_int_equal(judge_at(buf_slice(&text), &none, 1, NOW), TOKEN_BAD_SIGNATURE);
    assert_int_equal(judge_at(buf_slice(&text), NULL, 0, NOW), TOKEN_BAD_SIGNATURE);
    assert_int_equal(judge_at(buf_slice(&text), rotated, 2, NOW), 0); /* a previous secret */
    /* The same secret, but the key says HS512. */
    assert_int_equal(judge_at(buf_slice(&text), &longer, 1, NOW), TOKEN_BAD_SIGNATURE);
    put_token(&text512, "{\"alg\":\"HS512\"}", "{" CLAIMS "}", EVP_sha512(), secret_key.bytes);
    assert_int_equal(judge_at(buf_slice(&text512), &longer, 1, NOW), 0);
    assert_int_equal(judge_at(buf_slice(&text512), &secret_key, 1, NOW), TOKEN_BAD_SIGNATURE);
}

static void the_form_is_strict(void **state)
{
    static const char *const malformed[] = {
        "", ".", "..", "...", "a.b", "a.b.c", "a.b.c.d", "e30.e30.", "e30..e30", ".e30.e30"};
    AUTO_BUF text = BUF_INIT;
    AUTO_BUF changed = BUF_INIT;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(malformed); i++)
        CHECK_EQ(judge_at(slice_str(malformed[i]), &secret_key, 1, NOW), TOKEN_MALFORMED,
                 malformed[i]);
    put_token(&text, HS, "{" CLAIMS "}", EVP_sha256(), secret_key.bytes);
    for (size_t i = 0; i < text.len; i++) { /* no byte of it can be another */
        char kept = text.data[i];

        text.data[i] = kept == 'A' ? 'B' : 'A';
        CHECK(judge_at(buf_slice(&text), &secret_key, 1, NOW) > 0, "a changed byte");
        text.data[i] = kept;
    }
    for (size_t len = 0; len < text.len; len++)
        CHECK(judge_at(slice_of(text.data, len), &secret_key, 1, NOW) > 0, "cut short");
    buf_put_slice(&changed, buf_slice(&text));
    buf_put_str(&changed, "=");
    assert_true(judge_at(buf_slice(&changed), &secret_key, 1, NOW) > 0); /* padding */
    buf_clear(&changed);
    buf_put_slice(&changed, buf_slice(&text));
    buf_put_str(&changed, ".e30");
    assert_int_equal(judge_at(buf_slice(&changed), &secret_key, 1, NOW), TOKEN_MALFORMED);
    while (changed.len <= TOKEN_MAX)
        buf_put_char(&changed, 'A');
    assert_int_equal(judge_at(buf_slice(&changed), &secret_key, 1, NOW), TOKEN_MALFORMED);
}

/* A pair of RSA keys made here, the public one as PEM. */
static struct slice make_rsa(EVP_PKEY **ret_key, struct buf *pem)
{
    BIO *bio = BIO_new(BIO_s_mem());
    char *text = NULL;
    long len;

    *ret_key = EVP_RSA_gen(2048);
    assert_non_null(*ret_key);
    assert_int_equal(PEM_write_bio_PUBKEY(bio, *ret_key), 1);
    len = BIO_get_mem_data(bio, &text);
    buf_put(pem, text, (size_t)len);
    BIO_free(bio);
    return buf_slice(pem);
}

static void put_rsa_token(struct buf *out, const char *payload, EVP_PKEY *key)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    unsigned char signature[512];
    size_t len = sizeof(signature);

    put_base64(out, SLICE_LIT("{\"alg\":\"RS256\"}"));
    buf_put_char(out, '.');
    put_base64(out, slice_str(payload));
    assert_int_equal(EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, key), 1);
    assert_int_equal(
        EVP_DigestSign(ctx, signature, &len, (const unsigned char *)out->data, out->len), 1);
    EVP_MD_CTX_free(ctx);
    buf_put_char(out, '.');
    put_base64(out, slice_of(signature, len));
}

static void a_public_key_is_no_shared_secret(void **state)
{
    AUTO_BUF pem = BUF_INIT;
    AUTO_BUF honest = BUF_INIT;
    AUTO_BUF forged = BUF_INIT;
    EVP_PKEY *rsa;
    struct token_key key = {TOKEN_RS256, make_rsa(&rsa, &pem)};

    (void)state;
    put_rsa_token(&honest, "{" CLAIMS "}", rsa);
    assert_int_equal(judge_at(buf_slice(&honest), &key, 1, NOW), 0);
    assert_int_equal(judge_at(buf_slice(&honest), &secret_key, 1, NOW), TOKEN_BAD_SIGNATURE);
    /* Everybody has the public key: a token "signed" with it as an HMAC secret must not pass.
     */
    put_token(&forged, HS, "{" CLAIMS "}", EVP_sha256(), key.bytes);
    assert_int_equal(judge_at(buf_slice(&forged), &key, 1, NOW), TOKEN_BAD_SIGNATURE);
    EVP_PKEY_free(rsa);
}

static void claims_are_read(void **state)
{
    AUTO_BUF text = BUF_INIT;
    struct token token;
    char roles[ROLES_TEXT_MAX];

    (void)state;
    put_token(&text, HS,
              "{\"sub\":\"ada\",\"tid\":\"demo\",\"roomId\":\"lobby\",\"anon\":true,\"name\":"
              "\"Ada L\\u00e9\",\"nbf\":5,"
              "\"roles\":[\"mod\",\"bot\",\"king\",\"owner\"],\"exp\":1700000100}",
              EVP_sha256(), secret_key.bytes);
    assert_int_equal(token_parse(buf_slice(&text), &token), 0);
    assert_string_equal(token.user, "ada");
    assert_string_equal(token.project, "demo");
    assert_string_equal(token.room, "lobby");
    assert_string_equal(token.name, "Ada L\xc3\xa9");
    assert_true(token.anonymous);
    assert_int_equal(token.expires_s, 1700000100);
    assert_int_equal(token.not_before_s, 5);
    CHECK_SLICE(roles_text(token.roles, roles), "owner,moderator,bot", "roles");
    buf_clear(&text);
    put_token(&text, HS,
              "{\"sub\":\"ada\",\"tid\":\"demo\",\"roles\":[\"king\"],\"exp\":1700000100}",
              EVP_sha256(), secret_key.bytes);
    assert_int_equal(token_parse(buf_slice(&text), &token), 0);
    CHECK_SLICE(roles_text(token.roles, roles), "member", "nobody is without a role");
    assert_string_equal(token.room, "");
}

static void minted_tokens_are_believed(void **state)
{
    struct mint_params params = {.project = SLICE_LIT("demo"),
                                 .user = SLICE_LIT("ada"),
                                 .roles = ROLE_ADMIN | ROLE_MEMBER,
                                 .secret = secret_key.bytes,
                                 .now_s = NOW,
                                 .ttl_s = 60};
    AUTO_BUF text = BUF_INIT;
    struct token token;

    (void)state;
    assert_int_equal(mint_token(&params, &text), 0);
    assert_int_equal(judge_at(buf_slice(&text), &secret_key, 1, NOW), 0);
    assert_int_equal(judge_at(buf_slice(&text), &secret_key, 1, NOW + 59), 0);
    assert_int_equal(judge_at(buf_slice(&text), &secret_key, 1, NOW + 60), TOKEN_EXPIRED);
    assert_int_equal(token_parse(buf_slice(&text), &token), 0);
    assert_int_equal(token.roles, ROLE_ADMIN | ROLE_MEMBER);
    assert_int_equal(token.issued_s, NOW);
    params.secret = slice_of(NULL, 0);
    assert_int_equal(mint_token(&params, &text), -EINVAL);
}

static void api_keys_have_one_form(void **state)
{
    char hash[API_KEY_HASH_HEX + 1];

    (void)state;
    assert_true(api_key_is_valid(SLICE_LIT("fc_0123456789abcdef0123456789abcdef")));
    assert_false(api_key_is_valid(SLICE_LIT("fc_0123456789abcdef0123456789abcde")));
    assert_false(api_key_is_valid(SLICE_LIT("fc_0123456789abcdef0123456789abcdefa")));
    assert_false(api_key_is_valid(SLICE_LIT("fc_0123456789abcdef0123456789abcdeg")));
    assert_false(api_key_is_valid(SLICE_LIT("xx_0123456789abcdef0123456789abcdef")));
    assert_false(api_key_is_valid(SLICE_LIT("")));
    api_key_hash(SLICE_LIT("abc"), hash);
    assert_string_equal(hash,
                        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(claims_and_headers_are_checked),
        cmocka_unit_test(an_id_is_kept_up_to_its_limit),
        cmocka_unit_test(only_its_own_secret_signs),
        cmocka_unit_test(the_form_is_strict),
        cmocka_unit_test(a_public_key_is_no_shared_secret),
        cmocka_unit_test(claims_are_read),
        cmocka_unit_test(minted_tokens_are_believed),
        cmocka_unit_test(api_keys_have_one_form),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
