/*
 * codec.h - bytes as text: hex, base64 and base64url (RFC 4648). Pure. Decoding
 * is strict: whole groups, no white space, no bits left over, so that one
 * value has one text.
 */
#pragma once

#include "common/base/macros.h"
#include "common/base/slice.h"

/* The value of a digit of either case, or -1. */
int hex_digit(char c);
/* Writes 2 * len lower-case digits and a NUL. */
void hex_encode(const void *data, size_t len, char *ret);
/* Exactly len bytes from 2 * len digits of either case. -EINVAL. */
int hex_decode(struct slice text, uint8_t *ret, size_t len) MUST_CHECK;

/* Characters of the encoding of n bytes, with padding, without NUL. */
#define BASE64_LEN(n) (((n) + 2) / 3 * 4)
/* Most bytes that a text of n characters can hold. */
#define BASE64_BYTES(n) ((n) / 4 * 3 + 3)

enum base64_kind {
    BASE64_STANDARD, /* + and /, padded */
    BASE64_URL,      /* - and _, not padded */
};

/* Writes at most BASE64_LEN(len) characters and a NUL; returns how many characters. */
size_t base64_encode(enum base64_kind kind, const void *data, size_t len, char *ret);
/* At most cap bytes. -EINVAL: not such a text; -E2BIG: longer than cap. */
int base64_decode(enum base64_kind kind, struct slice text, uint8_t *ret, size_t cap,
                  size_t *ret_len) MUST_CHECK;
