/*
 * setup.h - what a benchmark needs before its clients can enter: tokens and rooms, over HTTP.
 *
 * It blocks, and it die()s when the server refuses: nothing is measured yet.
 */
#pragma once

#include <netinet/in.h>

#include "tests/bench/httpc.h"

/* A token for @user with one role, good for a day. The caller frees it. */
char *setup_mint(struct httpc *h, const char *api_key, const char *user, const char *role);

/* Makes the public room @id in the name of whoever @token belongs to. */
void setup_room(struct httpc *h, const char *token, const char *id);

/* Reads "http://1.2.3.4:8080". die()s naming the option --url when it is nothing like that. */
void setup_address(const char *url, struct sockaddr_in *ret);

/* Raises the limit of open files to what is allowed, and die()s when that is below @n and a
 * few. */
void setup_open_files(unsigned n);
