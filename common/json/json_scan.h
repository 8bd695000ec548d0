/*
 * json_scan.h - looks over one JSON object without building anything: checks
 * the syntax of all of it (RFC 8259, nesting at most JSON_DEPTH_MAX) and says
 * where the chosen members of the top level are. Allocates nothing. Pure.
 *
 * It takes every text that jansson takes, except that it does not look at
 * UTF-8 (the WebSocket layer has), at duplicate names other than those that
 * are looked for, or at the size of numbers.
 */
#pragma once

#include "common/base/limits.h"
#include "common/base/macros.h"
#include "common/base/slice.h"

enum json_kind {
    JSON_KIND_NONE, /* the member is absent */
    JSON_KIND_STRING,
    JSON_KIND_NUMBER,
    JSON_KIND_TRUE,
    JSON_KIND_FALSE,
    JSON_KIND_NULL,
    JSON_KIND_OBJECT,
    JSON_KIND_ARRAY,
};

/* A member to look for; value and kind are filled in. */
struct json_want {
    const char *name;
    enum json_kind kind;
    bool has_escapes; /* of a string */
    struct slice
        value; /* the text of the value inside the scanned text; a string without its quotes */
};

enum json_scan_answer {
    JSON_SCAN_SYNTAX = 1, /* not JSON, or something follows it */
    JSON_SCAN_NOT_OBJECT,
    JSON_SCAN_TOO_DEEP,
    JSON_SCAN_DUPLICATE, /* a wanted name appears twice */
};

/* 0, or an answer; then wants are not meaningful. */
int json_scan(struct slice text, struct json_want *wants, size_t n_wants) MUST_CHECK;

/* The characters of a scanned string with its escapes resolved: into ret (at most cap bytes),
 * or, without escapes, where they lie. False: longer than cap, or not a string. */
bool json_scan_string(const struct json_want *want, char *ret, size_t cap,
                      struct slice *ret_string);

/* What a gateway needs of a client frame. A member that is absent, not a string, or longer than
 * an id may be is empty. */
struct json_frame_head {
    struct slice type, client_message_id, frame_id, room_id;
    char store[4][CLIENT_ID_MAX]; /* strings whose escapes had to be resolved: do not copy the
                                     struct */
};
int json_scan_frame(struct slice text, struct json_frame_head *ret_head) MUST_CHECK;
