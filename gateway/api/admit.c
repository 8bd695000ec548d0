/* admit.c - see admit.h. Two caches (projects, keys) over CALL PROJECT_CONFIG and CALL
 * KEY_LOOKUP. */
#include "gateway/api/admit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/buf.h"
#include "common/base/log.h"
#include "gateway/auth/api_key.h"
#include "gateway/link/calls.h"
#include "gateway/metrics.h"

struct admit {
    struct env *env;
    struct calls *calls;
    struct gateway_metrics *metrics;
    struct lookup *projects, *keys;
    struct list questions; /* struct question */
    bool allow_anonymous;
};

/* One question under way; the call's argument. */
struct question {
    struct list link;
    struct admit *admit;
    struct lookup *lookup;
    struct lookup_entry *entry;
};

/* ---- asking ---- */

static void question_answer(struct question *q, enum lookup_result result, void *value)
{
    list_del(&q->link);
    lookup_answer(q->lookup, q->entry, result, value, env_now_ms(q->admit->env));
    free(q);
}

static void on_project(void *arg, const struct call_reply *reply)
{
    struct question *q = arg;
    struct project *project = NULL;
    int r;

    if (!reply->error && reply->status == 404) {
        question_answer(q, LOOKUP_MISSING, NULL);
        return;
    }
    r = !reply->error && reply->status == 200 ? project_read(reply->body, &project) : -EAGAIN;
    if (r == -EBADMSG)
        log_error("project configuration cannot be read");
    question_answer(q, r == 0 ? LOOKUP_FOUND : LOOKUP_FAILED, project);
}

static void on_key(void *arg, const struct call_reply *reply)
{
    struct question *q = arg;
    struct api_key *key = NULL;
    int r;

    if (!reply->error && (reply->status == 401 || reply->status == 404)) {
        question_answer(q, LOOKUP_MISSING, NULL);
        return;
    }
    r = !reply->error && reply->status == 200 ? api_key_read(reply->body, &key) : -EAGAIN;
    if (r == -EBADMSG)
        log_error("key look-up cannot be read");
    question_answer(q, r == 0 ? LOOKUP_FOUND : LOOKUP_FAILED, key);
}

static int ask(struct admit *admit, struct lookup *lookup, struct lookup_entry *entry,
               const struct call_params *params, call_done_fn fn)
{
    struct question *q = malloc(sizeof(*q));
    struct call *call; /* never cancelled: the answer serves whoever asks next */
    int r;

    if (!q)
        return -ENOMEM;
    *q = (struct question){.admit = admit, .lookup = lookup, .entry = entry};
    r = calls_start(admit->calls, params, fn, q, &call);
    if (r == 0) {
        list_add_tail(&admit->questions, &q->link);
        return 0;
    }
    free(q);
    return r < 0 ? r : -EAGAIN;
}

static int ask_project(void *owner, struct slice name, struct lookup_entry *entry)
{
    struct admit *admit = owner;
    char object[sizeof("project/") + ID_MAX];
    int len = snprintf(object, sizeof(object), "project/%.*s", (int)name.len, name.data);
    struct call_params params = {
        .op = CALL_PROJECT_CONFIG,
        .object = slice_of(object, (size_t)len),
        .project = name,
        .params = SLICE_LIT("{}"),
    };

    return ask(admit, admit->projects, entry, &params, on_project);
}

static int ask_key(void *owner, struct slice name, struct lookup_entry *entry)
{
    struct admit *admit = owner;
    char json[API_KEY_HASH_HEX + 32];
    int len = snprintf(json, sizeof(json), "{\"keyHash\":\"%.*s\"}", (int)name.len, name.data);
    struct call_params params = {.op = CALL_KEY_LOOKUP, .params = slice_of(json, (size_t)len)};

    return ask(admit, admit->keys, entry, &params, on_key);
}

static void free_project(void *value)
{
    project_free(value);
}

static void free_key(void *value)
{
    api_key_free(value);
}

static const struct lookup_ops project_ops = {ask_project, free_project};
static const struct lookup_ops key_ops = {ask_key, free_key};

int admit_new(struct env *env, struct calls *calls, struct gateway_metrics *metrics,
              bool allow_anonymous, struct admit **ret_admit)
{
    static const struct lookup_config config = {
        .max_found = LOOKUP_FOUND_MAX,
        .max_missing = LOOKUP_MISSING_MAX,
        .max_asking = LOOKUP_ASKING_MAX,
        .found_ms = LOOKUP_FOUND_MS,
        .missing_ms = LOOKUP_MISSING_MS,
    };
    AUTO(admit_free) struct admit *admit = calloc(1, sizeof(*admit));
    int r;

    if (!admit)
        return -ENOMEM;
    list_init(&admit->questions);
    admit->env = env;
    admit->calls = calls;
    admit->metrics = metrics;
    admit->allow_anonymous = allow_anonymous;
    r = lookup_new(&config, &project_ops, admit, &admit->projects);
    if (r == 0)
        r = lookup_new(&config, &key_ops, admit, &admit->keys);
    if (r < 0)
        return r;
    *ret_admit = TAKE(admit);
    return 0;
}

void admit_free(struct admit *admit)
{
    if (!admit)
        return;
    while (!list_empty(&admit->questions)) { /* their calls have been dropped */
        struct question *q = list_first(&admit->questions, struct question, link);

        list_del(&q->link);
        free(q);
    }
    lookup_free(admit->projects);
    lookup_free(admit->keys);
    free(admit);
}

/* ---- deciding ---- */

bool admit_allows_anonymous(const struct admit *admit)
{
    return admit->allow_anonymous;
}

static void judge_token(struct admission *a, const struct project *project)
{
    struct gateway_metrics *m = a->admit->metrics;
    int64_t now_s = env_wall_us(a->admit->env) / 1000000;

    switch (token_check(&a->token, project->keys, project->n_keys, now_s)) {
    case 0:
        a->project = project;
        a->error = a->token.anonymous && !a->admit->allow_anonymous
                       ? ERROR_anonymous_not_allowed
                       : ERROR_NONE;
        return;
    case TOKEN_EXPIRED:
        m->auth_expired++;
        a->error = ERROR_token_expired;
        return;
    case -ENOMEM:
        a->error = ERROR_overloaded;
        return;
    default:
        m->auth_invalid++;
        a->error = ERROR_invalid_token;
        return;
    }
}

/* The cache has answered, now or later: the error of those who ask for what is not there is
 * `missing`. */
static void take_result(struct admission *a, enum lookup_result result, enum error_code missing)
{
    if (result == LOOKUP_MISSING) {
        a->admit->metrics->auth_invalid++;
        a->error = missing;
    } else if (result == LOOKUP_FAILED) {
        a->admit->metrics->auth_unavailable++;
        a->error = ERROR_unavailable;
    } else {
        a->error = ERROR_NONE;
    }
}

/* What lookup_find() said. ADMIT_WAIT, or 0 with *ret_result. */
static int find(struct admission *a, struct lookup *lookup, struct slice name, void **ret_value,
                enum lookup_result *ret_result)
{
    switch (lookup_find(lookup, name, env_now_ms(a->admit->env), &a->wait, ret_value)) {
    case LOOKUP_HAS:
        *ret_result = LOOKUP_FOUND;
        return 0;
    case LOOKUP_HAS_NOT:
        *ret_result = LOOKUP_MISSING;
        return 0;
    case LOOKUP_WAIT:
        return ADMIT_WAIT;
    default:
        *ret_result = LOOKUP_FAILED;
        return 0;
    }
}

static void admission_begin(struct admit *admit, struct admission *a, admission_fn fn,
                            void *arg, void (*on_result)(void *, enum lookup_result, void *))
{
    *a = (struct admission){.admit = admit, .fn = fn, .arg = arg};
    lookup_wait_init(&a->wait, on_result, a);
}

static void on_token_project(void *arg, enum lookup_result result, void *value)
{
    struct admission *a = arg;

    take_result(a, result, ERROR_invalid_token);
    if (a->error == ERROR_NONE)
        judge_token(a, value);
    a->fn(a->arg, a);
}

int admit_token(struct admit *admit, struct admission *a, struct slice token, admission_fn fn,
                void *arg)
{
    enum lookup_result result;
    void *value = NULL;
    int r;

    admission_begin(admit, a, fn, arg, on_token_project);
    r = token_parse(token, &a->token);
    if (r != 0) {
        admit->metrics->auth_invalid++;
        a->error = r < 0 ? ERROR_overloaded : ERROR_invalid_token;
        return 0;
    }
    if (find(a, admit->projects, slice_str(a->token.project), &value, &result) == ADMIT_WAIT)
        return ADMIT_WAIT;
    take_result(a, result, ERROR_invalid_token);
    if (a->error == ERROR_NONE)
        judge_token(a, value);
    return 0;
}

static void on_plain_project(void *arg, enum lookup_result result, void *value)
{
    struct admission *a = arg;

    take_result(a, result, ERROR_unauthorized);
    a->project = value;
    a->fn(a->arg, a);
}

int admit_project(struct admit *admit, struct admission *a, struct slice project,
                  admission_fn fn, void *arg)
{
    enum lookup_result result;
    void *value = NULL;

    admission_begin(admit, a, fn, arg, on_plain_project);
    if (find(a, admit->projects, project, &value, &result) == ADMIT_WAIT)
        return ADMIT_WAIT;
    take_result(a, result, ERROR_unauthorized);
    a->project = value;
    return 0;
}

static void on_plain_key(void *arg, enum lookup_result result, void *value)
{
    struct admission *a = arg;

    take_result(a, result, ERROR_invalid_api_key);
    a->key = value;
    a->fn(a->arg, a);
}

int admit_key(struct admit *admit, struct admission *a, struct slice api_key, admission_fn fn,
              void *arg)
{
    char hash[API_KEY_HASH_HEX + 1];
    enum lookup_result result;
    void *value = NULL;

    admission_begin(admit, a, fn, arg, on_plain_key);
    if (!api_key_is_valid(api_key)) {
        admit->metrics->auth_invalid++;
        a->error = ERROR_invalid_api_key;
        return 0;
    }
    api_key_hash(api_key, hash);
    if (find(a, admit->keys, slice_str(hash), &value, &result) == ADMIT_WAIT)
        return ADMIT_WAIT;
    take_result(a, result, ERROR_invalid_api_key);
    a->key = value;
    return 0;
}

void admission_cancel(struct admission *a)
{
    if (a->admit)
        lookup_wait_cancel(&a->wait);
}
