/* admin_priv.h - what the files of store_admin.h share. */
#pragma once

#include <libpq-fe.h>

#include "shard/store/store_admin.h"

DEFINE_AUTO(PGresult, PQclear)

struct store_admin {
    PGconn *conn;
    bool is_unsafe;
};

/* "what: why", in one line, without white space at its end. */
void admin_problem(struct buf *problem, const char *what, const char *why);
/* One statement with a deadline; without parameters it may be several. ret_result may be NULL.
 */
int admin_query(struct store_admin *admin, const char *what, const char *sql, int n_params,
                const char *const *values, const int *lengths, const int *formats,
                struct buf *problem, PGresult **ret_result) MUST_CHECK;
int admin_run(struct store_admin *admin, const char *what, const char *sql,
              struct buf *problem) MUST_CHECK;
/* Ends a transaction: COMMIT when r is 0, else ROLLBACK. Returns r, or why COMMIT failed. */
int admin_end(struct store_admin *admin, int r, struct buf *problem) MUST_CHECK;
