/*
 * minting.c - see minting.h. Steps: limit, whose key, that project's secret, token.
 */
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "common/base/ident.h"
#include "common/base/secret.h"
#include "gateway/api/minting.h"
#include "gateway/auth/anonymous.h"
#include "gateway/auth/mint.h"
#include "gateway/http/uri.h"
#include "gateway/metrics.h"

#define TTL_MIN_S 60
#define TTL_MAX_S 86400
#define TTL_DEFAULT_S 3600
#define OPERATOR_PREFIX "Bearer op_"

/* api_request.state */
struct minting {
    enum mint_kind kind;
    unsigned may;             /* roles that may be handed out */
    char project[ID_MAX + 1]; /* outlives the admission that it comes from */
    struct anonymous anonymous;
};

/* False: answered. */
static bool begin(struct api_request *req, enum mint_kind kind, unsigned may)
{
    struct minting *m = calloc(1, sizeof(*m));

    req->errors_have_code = kind == MINT_ANONYMOUS;
    if (!m) {
        api_reply_error(req, ERROR_overloaded, slice_of(NULL, 0));
        return false;
    }
    m->kind = kind;
    m->may = may;
    req->state = m;
    req->free_state = free;
    return true;
}

/* ---- the token ---- */

/* Words that are no role are passed over; nobody is left without one. */
static unsigned read_roles(struct json_fields *f)
{
    const json_t *roles = json_get_array_opt(f, "roles", TOKEN_ROLES_MAX, ERROR_invalid_role);
    unsigned mask = 0;

    for (size_t i = 0; i < json_array_size(roles); i++) {
        const json_t *word = json_array_get(roles, i);

        if (!json_is_string(word))
            json_fields_fail(f, ERROR_invalid_role, "roles[%zu] must be a string", i);
        mask |= role_parse(json_slice(word));
    }
    return mask ? mask : ROLE_MEMBER;
}

static void write_claims(struct json_writer *w, const struct mint_params *params)
{
    json_field_object(w, "claims");
    json_field_str(w, "sub", params->user);
    json_field_str(w, "tid", params->project);
    json_field_array(w, "roles");
    for (unsigned role = 1; role < 1u << ROLE_COUNT; role <<= 1) {
        if (params->roles & role)
            json_write_str(w, slice_str(role_name(role)));
    }
    json_write_array_end(w);
    if (params->anonymous)
        json_field_bool(w, "anon", true);
    json_write_object_end(w);
}

static void write_user_channel(struct json_writer *w, const struct mint_params *params)
{
    char path[ID_MAX + 32];

    json_field_bool(w, "signin", true);
    json_field_str(w, "userId", params->user);
    json_field_str(w, "projectId", params->project);
    json_field_object(w, "userChannel");
    snprintf(path, sizeof(path), "/ws/user/%.*s", (int)params->user.len, params->user.data);
    json_field_str(w, "websocketPath", slice_str(path));
    snprintf(path, sizeof(path), "/users/%.*s/events", (int)params->user.len,
             params->user.data);
    json_field_str(w, "eventsPath", slice_str(path));
    json_write_object_end(w);
}

static void write_answer(struct buf *out, struct slice token, const struct minting *m,
                         const struct mint_params *params)
{
    struct json_writer w = json_writer(out);

    json_write_object(&w);
    json_field_str(&w, "token", token);
    json_field_i64(&w, "expiresIn", params->ttl_s);
    if (m->kind == MINT_ANONYMOUS) {
        json_field_str(&w, "userId", params->user);
        json_field_str(&w, "anonId", slice_str(m->anonymous.id));
    }
    write_claims(&w, params);
    if (m->kind == MINT_SIGNIN)
        write_user_channel(&w, params);
    json_write_object_end(&w);
}

static void mint_and_reply(struct api_request *req, struct mint_params *params)
{
    AUTO_BUF token = BUF_INIT;
    AUTO_BUF body = BUF_INIT;

    if (mint_token(params, &token) < 0) {
        api_reply_error(req, ERROR_overloaded, slice_of(NULL, 0));
        return;
    }
    write_answer(&body, buf_slice(&token), req->state, params);
    secret_wipe(token.data, token.cap);
    req->api->metrics->tokens_minted++;
    api_reply_json(req, 200, buf_slice(&body));
    if (body.data)
        secret_wipe(body.data, body.cap);
}

/* Who it is for. False: answered. */
static bool read_user(struct api_request *req, struct json_fields *f,
                      struct mint_params *params)
{
    struct minting *m = req->state;
    struct slice id;
    uint8_t random[ANONYMOUS_RANDOM];

    if (m->kind != MINT_ANONYMOUS) {
        params->user = json_get_id(f, "userId", ERROR_invalid_id);
        params->roles = read_roles(f);
        return api_fields_ok(req, f);
    }
    id = json_get_str_opt(f, "anonId", 0, CLIENT_ID_MAX, ERROR_invalid_id);
    params->name = json_get_str_opt(f, "displayName", 0, NAME_MAX_CHARS, ERROR_invalid_name);
    if (id.len && !client_message_id_is_valid(id))
        json_fields_fail(f, ERROR_invalid_id, "anonId must be visible ASCII characters");
    if (!api_fields_ok(req, f))
        return false;
    env_random(req->api->env, random, sizeof(random));
    anonymous_make(slice_str(m->project), id, random, &m->anonymous);
    params->user = slice_str(m->anonymous.user);
    params->roles = ROLE_GUEST;
    params->anonymous = true;
    return true;
}

static void on_project(void *arg, struct admission *admission)
{
    struct api_request *req = arg;
    struct minting *m = req->state;
    struct json_fields f = json_fields(req->body);
    struct mint_params params = {0};
    int64_t ttl_s = json_get_int_opt(&f, "ttlSeconds", TTL_DEFAULT_S, INT32_MIN, INT32_MAX,
                                     ERROR_bad_request);

    if (admission->error != ERROR_NONE) {
        /* The key exists and its project does not: to the caller the key is as good as none. */
        api_reply_error(req,
                        admission->error == ERROR_unauthorized ? ERROR_invalid_api_key
                                                               : admission->error,
                        slice_of(NULL, 0));
        return;
    }
    if (!read_user(req, &f, &params))
        return;
    if (params.roles & ~m->may) {
        api_reply_error(req, ERROR_forbidden,
                        SLICE_LIT("roles: more than the caller may hand out"));
        return;
    }
    params.project = slice_str(admission->project->id);
    params.secret = admission->project->keys[0].bytes;
    params.now_s = env_wall_us(req->api->env) / 1000000;
    params.ttl_s = ttl_s < TTL_MIN_S ? TTL_MIN_S : ttl_s > TTL_MAX_S ? TTL_MAX_S : ttl_s;
    mint_and_reply(req, &params);
}

static void find_project(struct api_request *req, const char *project)
{
    struct minting *m = req->state;

    snprintf(m->project, sizeof(m->project), "%s", project);
    if (admit_project(req->api->admit, &req->admission, slice_str(m->project), on_project,
                      req) != ADMIT_WAIT)
        on_project(req, &req->admission);
}

/* ---- whose key ---- */

/* Who tries keys that do not exist may do so only as often as one may mint. */
static void on_bad_key(struct api_request *req)
{
    uint64_t left, retry_ms;

    (void)rate_table_take(&req->api->bad_key_limit, hash_slice(slice_str(req->ex->address)), 1,
                          env_now_ms(req->api->env), &left,
                          &retry_ms); /* looked at when the next key comes */
    api_reply_error(req, ERROR_invalid_api_key, slice_of(NULL, 0));
}

static void on_key(void *arg, struct admission *admission)
{
    struct api_request *req = arg;
    struct minting *m = req->state;

    if (admission->error == ERROR_invalid_api_key) {
        on_bad_key(req);
    } else if (admission->error != ERROR_NONE) {
        api_reply_error(req, admission->error, slice_of(NULL, 0));
    } else {
        /* The operator's key may hand out everything; it is one of his own project, too. */
        if (strcmp(admission->key->project, req->api->operator_project) != 0)
            m->may = admission->key->roles;
        find_project(req, admission->key->project);
    }
}

/* False: answered with 429. */
static bool within_limits(struct api_request *req, struct slice key)
{
    struct api *api = req->api;
    struct slice address = slice_str(req->ex->address);
    uint64_t now_ms = env_now_ms(api->env), left, retry_ms;

    if (!rate_table_take(&api->bad_key_limit, hash_slice(address), 0, now_ms, &left,
                         &retry_ms) ||
        left == 0) {
        api_reply_retry(req, ERROR_rate_limit_exceeded,
                        60000 / api->bad_key_limit.rule.burst + 1);
        return false;
    }
    req->has_limit = true;
    if (rate_table_take(&api->mint_limit, hash_two(address, key), 1, now_ms, &req->limit_left,
                        &retry_ms))
        return true;
    api_reply_retry(req, ERROR_rate_limit_exceeded, retry_ms);
    return false;
}

static bool is_operator(const struct api_request *req)
{
    const char *key = req->api->operator_key;
    struct slice value;

    if (!key[0] || !http_request_field(&req->ex->request, "authorization", &value) ||
        value.len < sizeof(OPERATOR_PREFIX) ||
        strncasecmp(value.data, OPERATOR_PREFIX, sizeof(OPERATOR_PREFIX) - 1) != 0)
        return false;
    value = slice_of(value.data + 7, value.len - 7); /* behind "Bearer " */
    return slice_equal_ct(value, slice_str(key));
}

static void mint_as_operator(struct api_request *req)
{
    struct slice project = slice_str(req->api->operator_project);
    char name[ID_MAX + 1];

    if (http_request_field_count(&req->ex->request, "x-project-id") &&
        !http_request_field(&req->ex->request, "x-project-id", &project))
        project = slice_of(NULL, 0);
    if (!ident_copy(project, name)) {
        api_reply_error(req, ERROR_invalid_id, SLICE_LIT("X-Project-Id"));
        return;
    }
    find_project(req, name);
}

void mint_by_key(struct api_request *req, enum mint_kind kind)
{
    const struct http_request *request = &req->ex->request;
    struct slice key;

    if (!begin(req, kind, MINT_ANY_ROLE))
        return;
    if (is_operator(req)) {
        mint_as_operator(req);
        return;
    }
    if (http_request_field(request, "x-fluxy-api-key", &key))
        buf_put_slice(&req->credential, key);
    else if (uri_query_get(http_request_query(request), "apiKey", &req->credential) != 0)
        buf_clear(&req->credential);
    if (req->credential.len == 0) {
        req->api->metrics->auth_missing++;
        api_reply_error(req, ERROR_invalid_api_key, SLICE_LIT("X-Fluxy-Api-Key is missing"));
        return;
    }
    if (!within_limits(req, buf_slice(&req->credential)))
        return;
    if (admit_key(req->api->admit, &req->admission, buf_slice(&req->credential), on_key, req) !=
        ADMIT_WAIT)
        on_key(req, &req->admission);
}

void mint_for_project(struct api_request *req, enum mint_kind kind, struct slice asker,
                      const char *project, unsigned may)
{
    if (begin(req, kind, may) && within_limits(req, asker))
        find_project(req, project);
}
