/* mint.c - see mint.h. */
#include "gateway/auth/mint.h"

#include <errno.h>
#include <jwt.h>
#include <stdlib.h>

#include "common/base/limits.h"
#include "common/json/json_write.h"
#include "gateway/auth/roles.h"

static void jwt_free_p(jwt_t **jwt)
{
    jwt_free(*jwt); /* NULL does nothing */
}

static void write_claims(struct buf *out, const struct mint_params *params)
{
    struct json_writer w = json_writer(out);

    json_write_object(&w);
    json_field_str(&w, "sub", params->user);
    json_field_str(&w, "tid", params->project);
    json_field_array(&w, "roles");
    for (unsigned role = 1; role < 1u << ROLE_COUNT; role <<= 1) {
        if (params->roles & role)
            json_write_str(&w, slice_str(role_name(role)));
    }
    json_write_array_end(&w);
    if (params->anonymous)
        json_field_bool(&w, "anon", true);
    json_field_str_opt(&w, "name", params->name);
    json_field_i64(&w, "iat", params->now_s);
    json_field_i64(&w, "exp", params->now_s + params->ttl_s);
    json_write_object_end(&w);
    buf_put_char(out, '\0');
}

int mint_token(const struct mint_params *params, struct buf *out)
{
    __attribute__((cleanup(jwt_free_p))) jwt_t *jwt = NULL;
    AUTO_BUF claims = BUF_INIT;
    char *text;

    if (params->secret.len == 0)
        return -EINVAL;
    write_claims(&claims, params);
    if (buf_failed(&claims) || jwt_new(&jwt) != 0)
        return -ENOMEM;
    if (jwt_add_grants_json(jwt, claims.data) != 0 ||
        jwt_set_alg(jwt, JWT_ALG_HS256, (const unsigned char *)params->secret.data,
                    (int)params->secret.len) != 0)
        return -ENOMEM;
    text = jwt_encode_str(jwt);
    if (!text)
        return -ENOMEM;
    buf_put_str(out, text);
    free(text);
    return buf_failed(out) ? -ENOMEM : 0;
}
