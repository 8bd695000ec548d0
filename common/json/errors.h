/*
 * errors.h - the error words of the wire contract, made from errors.def, and
 * the JSON body that carries one in a REST answer (docs/errors.md).
 */
#pragma once

#include "common/base/buf.h"

enum error_code {
    ERROR_NONE = 0,
#define ERR(code, status, retryable, title) ERROR_##code,
#include "common/json/errors.def"
#undef ERR
    ERROR_CODE_COUNT
};

struct error_info {
    const char *code;  /* the stable word */
    const char *title; /* one English sentence without a full stop */
    unsigned status;   /* HTTP */
    bool retryable;    /* the same request may succeed later */
};

/* ERROR_NONE and numbers out of range give the entry of internal_error. */
const struct error_info *error_info(enum error_code code);
/* ERROR_NONE when the word is not in the table. */
enum error_code error_code_parse(struct slice word);

/* What an `error` frame says in `message`: the texts of the original service, which old clients
 * compare or show; programs read `code`. detail may be empty. The answer lies in text, or is
 * for ever. */
#define ERROR_TEXT_MAX 256
struct slice error_frame_text(char text[ERROR_TEXT_MAX], enum error_code code,
                              struct slice detail, uint64_t retry_after_ms);

/*
 * Appends {"error","type","title","status","detail","traceId"}. detail says which field is
 * wrong and how; empty: the title again. An empty traceId is left out (the gateway adds it to
 * bodies that a shard has built, with error_body_add_trace).
 */
void error_body_write(struct buf *out, enum error_code code, struct slice detail,
                      struct slice trace_id);
/* Appends the JSON object `body` with the member traceId before its closing brace; a body that
 * is not an object is copied as it is. */
void error_body_add_trace(struct buf *out, struct slice body, struct slice trace_id);
