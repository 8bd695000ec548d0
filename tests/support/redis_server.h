/*
 * redis_server.h - a private redis-server for integration tests: on a free
 * port of loopback, without persistence, gone when the test program ends.
 */
#pragma once

#include <sys/types.h>

struct redis_server {
    int port;
    char url[96];
    char password[32]; /* empty: none */
    pid_t pid;         /* 0: stopped */
};

/* Fails the test when it cannot be started. */
void redis_server_start(struct redis_server *server, const char *password);
/* kill -9; the next start on the same port finds nothing of what was stored. */
void redis_server_kill(struct redis_server *server);
void redis_server_restart(struct redis_server *server);           /* same port, empty */
void redis_server_pause(struct redis_server *server, int paused); /* SIGSTOP, SIGCONT */
