/*
 * admit.h - decides who somebody is: takes a token or an API key, finds out
 * what the cluster knows of its project, and checks. REST and sockets come in
 * by the same door.
 */
#pragma once

#include "common/base/env.h"
#include "common/base/trace.h"
#include "common/json/errors.h"
#include "gateway/auth/lookup.h"
#include "gateway/auth/project.h"

struct calls;
struct gateway_metrics;
struct admit;

/* env, calls and metrics are borrowed and outlive it. allow_anonymous: good tokens of anonymous
 * users are accepted (else error anonymous_not_allowed). */
int admit_new(struct env *env, struct calls *calls, struct gateway_metrics *metrics,
              bool allow_anonymous, struct admit **ret_admit) MUST_CHECK;
void admit_free(struct admit *admit); /* NULL does nothing; who still waits is told nothing */
bool admit_allows_anonymous(const struct admit *admit);
DEFINE_AUTO(struct admit, admit_free)

struct admission;
typedef void (*admission_fn)(void *arg, struct admission *admission);

/* One who knocks; embedded in its request. The text that it came with must live until fn is
 * called. */
struct admission {
    struct token token; /* for admit_token(): who it is, when error is ERROR_NONE */
    enum error_code error;
    /* Borrowed, only valid in fn (or right after a starter that did not say ADMIT_WAIT). */
    const struct project *project;
    const struct api_key *key;
    /* private */
    struct admit *admit;
    struct lookup_wait wait;
    admission_fn fn;
    void *arg;
};

enum admit_answer { ADMIT_WAIT = 1 };

/* 0: decided (see error); ADMIT_WAIT: fn is called later, once. */
int admit_token(struct admit *admit, struct admission *admission, struct slice token,
                admission_fn fn, void *arg) MUST_CHECK;
/* The project of that id (error unauthorized when there is none); for those who hold no token.
 */
int admit_project(struct admit *admit, struct admission *admission, struct slice project,
                  admission_fn fn, void *arg) MUST_CHECK;
/* The API key itself; error invalid_api_key when it is unknown. */
int admit_key(struct admit *admit, struct admission *admission, struct slice api_key,
              admission_fn fn, void *arg) MUST_CHECK;
/* Does not wait any more; a zeroed admission never did. */
void admission_cancel(struct admission *admission);
