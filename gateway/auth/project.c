/* project.c - see project.h. */
#include "gateway/auth/project.h"

#include <errno.h>
#include <stdlib.h>

#include "common/base/codec.h"
#include "common/base/ident.h"
#include "common/base/secret.h"
#include "common/json/json_read.h"

static bool copy_id(const json_t *object, const char *name, char ret[ID_MAX + 1])
{
    return ident_copy(json_slice(json_object_get(object, name)), ret);
}

static int read_secret(struct project *project, const json_t *json)
{
    struct slice text = json_slice(json_object_get(json, "key"));
    uint8_t bytes[BASE64_BYTES(SECRET_TEXT_MAX)];
    size_t len = 0;
    char *copy;
    int r = 0;

    if (text.len > SECRET_TEXT_MAX ||
        base64_decode(BASE64_STANDARD, text, bytes, sizeof(bytes), &len) < 0 || len == 0)
        return -EBADMSG;
    copy = malloc(len);
    if (copy) {
        memcpy(copy, bytes, len);
        project->keys[project->n_keys++] = (struct token_key){TOKEN_HS256, slice_of(copy, len)};
    } else {
        r = -ENOMEM;
    }
    secret_wipe(bytes, sizeof(bytes));
    return r;
}

static int read_secrets(struct project *project, const json_t *json)
{
    const json_t *secrets = json_object_get(json, "secrets");
    size_t n = json_array_size(secrets);

    if (n == 0)
        return -EBADMSG;
    for (size_t i = 0; i < n && i < PROJECT_SECRETS_MAX; i++) {
        int r = read_secret(project, json_array_get(secrets, i));

        if (r < 0)
            return r;
    }
    return 0;
}

static int read_origins(struct project *project, const json_t *json)
{
    const json_t *origins = json_object_get(json, "origins");
    size_t n = json_array_size(origins);

    if (n > PROJECT_ORIGINS_MAX)
        return -EBADMSG;
    if (n == 0)
        return 0;
    project->origins = calloc(n, sizeof(*project->origins));
    if (!project->origins)
        return -ENOMEM;
    for (size_t i = 0; i < n; i++) {
        struct slice origin = json_slice(json_array_get(origins, i));

        if (origin.len == 0)
            return -EBADMSG;
        project->origins[i] = slice_dup(origin);
        if (!project->origins[i])
            return -ENOMEM;
        project->n_origins++;
    }
    return 0;
}

static int read_project(struct project *project, const json_t *json)
{
    int r;

    if (!copy_id(json, "project", project->id))
        return -EBADMSG;
    project->version = (uint64_t)json_integer_value(json_object_get(json, "version"));
    r = read_secrets(project, json);
    return r == 0 ? read_origins(project, json) : r;
}

int project_read(struct slice body, struct project **ret_project)
{
    AUTO(json_free) json_t *json = NULL;
    struct project *project;
    int r = json_load_object(body, CONFIG_BODY_MAX, &json);

    if (r != 0)
        return r < 0 ? r : -EBADMSG;
    project = calloc(1, sizeof(*project));
    if (!project)
        return -ENOMEM;
    r = read_project(project, json);
    if (r < 0)
        project_free(project);
    else
        *ret_project = project;
    return r;
}

void project_free(struct project *project)
{
    if (!project)
        return;
    for (size_t i = 0; i < project->n_keys; i++) {
        char *bytes =
            (char *)(uintptr_t)project->keys[i].bytes.data; /* ours, from read_secret() */

        secret_wipe(bytes, project->keys[i].bytes.len);
        free(bytes);
    }
    for (size_t i = 0; i < project->n_origins; i++)
        free(project->origins[i]);
    free(project->origins);
    free(project);
}

/* A list that says nothing of minting allows all of it: scopes narrow a key. */
static unsigned read_scopes(const json_t *scopes)
{
    static const char prefix[] = "mint:";
    const unsigned all = (1u << ROLE_COUNT) - 1;
    unsigned roles = 0;
    bool narrows = false;

    for (size_t i = 0; i < json_array_size(scopes); i++) {
        struct slice scope = json_slice(json_array_get(scopes, i));

        if (slice_eq_str(scope, "*"))
            return all;
        if (scope.len < sizeof(prefix) - 1 ||
            memcmp(scope.data, prefix, sizeof(prefix) - 1) != 0)
            continue;
        scope = slice_of(scope.data + sizeof(prefix) - 1, scope.len - (sizeof(prefix) - 1));
        if (slice_eq_str(scope, "*"))
            return all;
        narrows = true;
        roles |= role_parse(scope);
    }
    return narrows ? roles : all;
}

int api_key_read(struct slice body, struct api_key **ret_key)
{
    AUTO(json_free) json_t *json = NULL;
    struct api_key *key;
    int r = json_load_object(body, CONFIG_BODY_MAX, &json);

    if (r != 0)
        return r < 0 ? r : -EBADMSG;
    key = calloc(1, sizeof(*key));
    if (!key)
        return -ENOMEM;
    if (!copy_id(json, "project", key->project) || !copy_id(json, "keyId", key->id)) {
        free(key);
        return -EBADMSG;
    }
    key->roles = read_scopes(json_object_get(json, "scopes"));
    *ret_key = key;
    return 0;
}

void api_key_free(struct api_key *key)
{
    free(key);
}

bool project_allows_origin(const struct project *project, struct slice origin)
{
    if (project->n_origins == 0)
        return true;
    for (size_t i = 0; i < project->n_origins; i++) {
        if (slice_eq_str(origin, project->origins[i]))
            return true;
    }
    return false;
}
