/* token.c - RFC 7515 and 7519, as far as our tokens go, and no further. */
#include "gateway/auth/token.h"

#include <errno.h>
#include <jwt.h>
#include <math.h>
#include <stdlib.h>

#include "common/base/codec.h"
#include "common/base/ident.h"
#include "common/base/secret.h"
#include "common/base/utf8.h"
#include "common/json/json_read.h"

static const struct {
    const char *name;
    jwt_alg_t jwt;
} algs[] = {
    [TOKEN_HS256] = {"HS256", JWT_ALG_HS256}, [TOKEN_HS384] = {"HS384", JWT_ALG_HS384},
    [TOKEN_HS512] = {"HS512", JWT_ALG_HS512}, [TOKEN_RS256] = {"RS256", JWT_ALG_RS256},
    [TOKEN_ES256] = {"ES256", JWT_ALG_ES256},
};

/* ---- taking apart ---- */

/* Exactly three non-empty parts. */
static bool split_parts(struct slice text, struct slice parts[3])
{
    for (size_t i = 0; i < 3; i++) {
        const char *dot = text.len ? memchr(text.data, '.', text.len) : NULL;

        if ((i < 2) != (dot != NULL))
            return false;
        parts[i] = slice_of(text.data, dot ? (size_t)(dot - text.data) : text.len);
        if (parts[i].len == 0)
            return false;
        if (dot)
            text = slice_of(dot + 1, text.len - parts[i].len - 1);
    }
    return true;
}

static int decode_object(struct slice part, json_t **ret_json)
{
    uint8_t bytes[BASE64_BYTES(TOKEN_MAX)];
    size_t len;
    int r;

    if (base64_decode(BASE64_URL, part, bytes, sizeof(bytes), &len) < 0)
        return TOKEN_MALFORMED;
    r = json_load_object(slice_of(bytes, len), sizeof(bytes), ret_json);
    return r > 0 ? TOKEN_MALFORMED : r;
}

/* "typ" may say JWT; "crit" names extensions that must be understood, and we understand none.
 */
static int read_header(struct token *token, const json_t *header)
{
    struct slice alg = json_slice(json_object_get(header, "alg"));

    if (alg.len == 0 || alg.len >= sizeof(token->alg) || json_object_get(header, "crit"))
        return TOKEN_MALFORMED;
    memcpy(token->alg, alg.data, alg.len);
    return 0;
}

/* A NumericDate. absent_ok: a claim that is not there stays 0. */
static bool read_time(const json_t *claims, const char *name, bool absent_ok, int64_t *ret_s)
{
    const json_t *json = json_object_get(claims, name);
    double v;

    if (!json)
        return absent_ok;
    v = json_number_value(json);
    if (!json_is_number(json) || !isfinite(v) || v < 0 ||
        v > 253402300799.0) /* the year 9999 */
        return false;
    *ret_s = (int64_t)v;
    return true;
}

static bool read_id(const json_t *claims, const char *name, bool absent_ok,
                    char ret[ID_MAX + 1])
{
    const json_t *json = json_object_get(claims, name);

    return !json || json_is_null(json) ? absent_ok : ident_copy(json_slice(json), ret);
}

/* jti (RFC 7519, section 4.1.7). One that could not be kept could not be revoked, so it is no
 * token of ours. */
static bool read_jti(const json_t *claims, char ret[TOKEN_ID_MAX + 1])
{
    const json_t *json = json_object_get(claims, "jti");
    struct slice id = json_slice(json);

    if (!json || json_is_null(json))
        return true;
    if (!json_is_string(json) || id.len > TOKEN_ID_MAX)
        return false;
    if (id.len > 0)
        memcpy(ret, id.data, id.len);
    return true;
}

/* Words that we do not know are passed over; somebody without any role is a member. */
static bool read_roles(const json_t *claims, unsigned *ret_roles)
{
    const json_t *roles = json_object_get(claims, "roles");
    unsigned mask = 0;

    if (roles && !json_is_array(roles))
        return false;
    if (json_array_size(roles) > TOKEN_ROLES_MAX)
        return false;
    for (size_t i = 0; i < json_array_size(roles); i++) {
        const json_t *role = json_array_get(roles, i);

        if (!json_is_string(role))
            return false;
        mask |= role_parse(json_slice(role));
    }
    *ret_roles = mask ? mask : ROLE_MEMBER;
    return true;
}

static int read_claims(struct token *token, const json_t *claims)
{
    struct slice name = json_slice(json_object_get(claims, "name"));

    if (!read_id(claims, "sub", false, token->user) ||
        !read_id(claims, "tid", false, token->project) ||
        !read_id(claims, "roomId", true, token->room) || !read_jti(claims, token->id) ||
        !read_time(claims, "exp", false, &token->expires_s) ||
        !read_time(claims, "nbf", true, &token->not_before_s) ||
        !read_time(claims, "iat", true, &token->issued_s) || !read_roles(claims, &token->roles))
        return TOKEN_MALFORMED;
    token->anonymous = json_is_true(json_object_get(claims, "anon"));
    name = utf8_cut(name, sizeof(token->name) - 1);
    if (name.len)
        memcpy(token->name, name.data, name.len);
    return 0;
}

int token_parse(struct slice text, struct token *ret_token)
{
    AUTO(json_free) json_t *header = NULL;
    AUTO(json_free) json_t *claims = NULL;
    struct slice parts[3];
    int r;

    *ret_token = (struct token){.text = text};
    if (text.len > TOKEN_MAX || !split_parts(text, parts))
        return TOKEN_MALFORMED;
    r = decode_object(parts[0], &header);
    if (r == 0)
        r = read_header(ret_token, header);
    if (r == 0)
        r = decode_object(parts[1], &claims);
    return r == 0 ? read_claims(ret_token, claims) : r;
}

/* ---- checking ---- */

static int check_signature(const char *text, const struct token_key *key)
{
    jwt_t *jwt = NULL;
    int r = jwt_decode(&jwt, text, (const unsigned char *)key->bytes.data, (int)key->bytes.len);

    if (r == 0 && jwt_get_alg(jwt) != algs[key->alg].jwt)
        r = EINVAL;
    jwt_free(jwt);
    if (r == ENOMEM)
        return -ENOMEM;
    return r == 0 ? 0 : TOKEN_BAD_SIGNATURE;
}

int token_check(const struct token *token, const struct token_key *keys, size_t n_keys,
                int64_t now_s)
{
    char text[TOKEN_MAX + 1]; /* libjwt wants a string */
    int r = TOKEN_BAD_SIGNATURE;

    if (token->text.len > TOKEN_MAX)
        return TOKEN_MALFORMED;
    memcpy(text, token->text.data, token->text.len);
    text[token->text.len] = '\0';
    for (size_t i = 0; i < n_keys && r == TOKEN_BAD_SIGNATURE; i++) {
        /* An empty key would make libjwt skip the signature. */
        if (keys[i].bytes.len == 0 || strcmp(token->alg, algs[keys[i].alg].name) != 0)
            continue;
        r = check_signature(text, &keys[i]);
    }
    secret_wipe(text, sizeof(text));
    if (r != 0)
        return r;
    if (token->expires_s <= now_s)
        return TOKEN_EXPIRED;
    if (token->not_before_s > now_s + TOKEN_CLOCK_SKEW_S ||
        token->issued_s > now_s + TOKEN_CLOCK_SKEW_S)
        return TOKEN_NOT_YET;
    return 0;
}
