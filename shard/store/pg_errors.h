/*
 * pg_errors.h - what an error of PostgreSQL means for us, by its SQLSTATE: for
 * whoever asked, for the connection, and for the operator. Pure.
 */
#pragma once

#include "shard/store/store.h"

/* For metrics, and for what the log says. */
enum pg_error {
    PG_ERROR_DATA,        /* of what was asked: a value, a key, a limit */
    PG_ERROR_READ_ONLY,   /* a standby, or the server was told so */
    PG_ERROR_DISK_FULL,   /* no space for tables or for the log */
    PG_ERROR_CONNECTIONS, /* all slots are taken */
    PG_ERROR_MEMORY,      /* and other resources */
    PG_ERROR_SHUTDOWN,    /* is stopped, starts, or ended us */
    PG_ERROR_LOCK,        /* lock timeout, deadlock, serialization */
    PG_ERROR_CANCELED,    /* statement timeout, or by hand */
    PG_ERROR_IO,          /* the machine below it */
    PG_ERROR_CONNECTION,  /* the way to it, or a pooler in between */
    PG_ERROR_SESSION,     /* our prepared statements no longer suit it */
    PG_ERROR_ACCESS,      /* password, role, privilege, database */
    PG_ERROR_OTHER, /* a statement that it does not understand; a bug, or another schema */
    PG_ERRORS
};

#define SQLSTATE_LEN 5
#define SQLSTATE_NONE "08000" /* the connection, without the server's word */

enum pg_error pg_error_of(const char *sqlstate);
/* Label of a metric. */
const char *pg_error_name(enum pg_error error);
/* What the operator can do; "" when nothing, or when it goes by itself. */
const char *pg_error_advice(enum pg_error error);
/* How a request ends that was refused so. *ret_is_duplicate may be NULL. */
enum store_result pg_error_result(const char *sqlstate, bool *ret_is_duplicate);
/* A connection that has got it is of no more use: another host, or a fresh session, is. */
bool pg_error_ends_session(const char *sqlstate);
/* The SQLSTATE in a text of libpq (PQERRORS_VERBOSE), or SQLSTATE_NONE. */
void pg_error_find(const char *text, char ret_sqlstate[SQLSTATE_LEN + 1]);
