/*
 * out.h - results as JSON on stdout, one object a line. By jansson, so that a server's text
 * cannot break the output; without memory the program ends.
 */
#pragma once

#include <jansson.h>
#include <stdint.h>

/* @value, or the end of the program when it could not be made. */
json_t *out_made(json_t *value);

/* Takes @value. */
void out_set(json_t *object, const char *key, json_t *value);
void out_append(json_t *array, json_t *value);

void out_count(json_t *object, const char *key, uint64_t n);

/* Three digits after the point say all that a benchmark knows. */
void out_real(json_t *object, const char *key, double v);

/* Prints @o on a line of its own at once, and frees it. */
void out_print(json_t *o);
