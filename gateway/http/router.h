/*
 * router.h - finds the row of a routing table for a method and a path. Pure.
 * A pattern is a path in which a segment "{}" takes any non-empty segment, and "{}.x" one that
 * ends in ".x" (the parameter is what stands before it).
 */
#pragma once

#include "gateway/http/request.h"

#define ROUTE_PARAMETERS_MAX 3

struct route_pattern {
    enum http_method method;
    const char *path;
};

struct route_match {
    size_t index; /* of the row */
    size_t n_parameters;
    struct slice parameters[ROUTE_PARAMETERS_MAX]; /* still encoded, into the path */
    unsigned allowed; /* bit per http_method that the path knows, for Allow */
};

enum router_answer { ROUTER_NO_PATH = 1, ROUTER_NO_METHOD };

/* rows: the first pattern; stride: bytes from one row to the next, so that tables can carry
 * more than the pattern. HEAD is answered by a GET row, OPTIONS by every path. 0, or a
 * router_answer (allowed is set for NO_METHOD). */
int router_find(const struct route_pattern *rows, size_t n_rows, size_t stride,
                enum http_method method, struct slice path,
                struct route_match *ret_match) MUST_CHECK;

/* "GET, HEAD, OPTIONS" for the bits; ret must hold 64 bytes. */
void router_allow_text(unsigned allowed, char ret[64]);
