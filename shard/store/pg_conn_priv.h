/* pg_conn_priv.h - what pg_conn.c and pg_connect.c share. */
#pragma once

#include <event2/util.h>

#include "shard/store/pg_conn.h"

/* pg_conn.c */
void pg_conn_drop(struct pg_conn *conn, const char *why); /* then again, after a pause */
int pg_conn_send_now(struct pg_conn *conn, struct pg_request *req);
void pg_conn_send_queued(struct pg_conn *conn);
void pg_conn_on_readable(evutil_socket_t fd, short what, void *arg);
void pg_conn_on_writable(evutil_socket_t fd, short what, void *arg);

/* pg_connect.c */
int pg_connect_init(struct pg_conn *conn) MUST_CHECK; /* starts the first attempt */
void pg_connect_later(struct pg_conn *conn);
void pg_conn_release(struct pg_conn *conn); /* socket, events, look-up, timer; no callbacks */
