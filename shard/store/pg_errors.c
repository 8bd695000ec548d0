/* pg_errors.c - see pg_errors.h. */
#include "shard/store/pg_errors.h"

#include <ctype.h>

#include "common/base/macros.h"

/* The first that suits counts: whole codes stand before their class. */
static const struct {
    const char *prefix;
    enum pg_error error;
    enum store_result result;
} rules[] = {
    {"25006", PG_ERROR_READ_ONLY, STORE_UNAVAILABLE}, /* a standby by now, or switched */
    {"25", PG_ERROR_OTHER, STORE_UNAVAILABLE},
    {"53100", PG_ERROR_DISK_FULL, STORE_UNAVAILABLE},
    {"53300", PG_ERROR_CONNECTIONS, STORE_UNAVAILABLE},
    {"53", PG_ERROR_MEMORY, STORE_UNAVAILABLE},
    {"57014", PG_ERROR_CANCELED, STORE_UNAVAILABLE},
    {"57", PG_ERROR_SHUTDOWN, STORE_UNAVAILABLE},
    {"58", PG_ERROR_IO, STORE_UNAVAILABLE},
    {"55", PG_ERROR_LOCK, STORE_UNAVAILABLE},
    {"40003", PG_ERROR_CONNECTION, STORE_UNKNOWN}, /* nobody knows whether it committed */
    {"40", PG_ERROR_LOCK, STORE_UNAVAILABLE},      /* rolled back: deadlock, serialization */
    {"08", PG_ERROR_CONNECTION, STORE_UNKNOWN},    /* a pooler may have sent it on */
    {"26", PG_ERROR_SESSION, STORE_UNAVAILABLE},   /* the pooler has given us another session */
    {"0A000", PG_ERROR_SESSION, STORE_UNAVAILABLE}, /* a cached plan with other columns */
    {"28", PG_ERROR_ACCESS, STORE_FAILED},
    {"3D", PG_ERROR_ACCESS, STORE_FAILED},
    {"42501", PG_ERROR_ACCESS, STORE_FAILED},
    {"22", PG_ERROR_DATA, STORE_BAD_DATA}, /* data exception */
    {"23", PG_ERROR_DATA, STORE_BAD_DATA}, /* integrity constraint */
    {"54", PG_ERROR_DATA, STORE_BAD_DATA}, /* program limit: an index row too large */
    {"XX", PG_ERROR_DATA, STORE_BAD_DATA}, /* internal, corrupted: of one room, perhaps, which
                                              must not hold up the others */
};

enum pg_error pg_error_of(const char *sqlstate)
{
    for (size_t i = 0; i < ARRAY_LEN(rules); i++) {
        if (strncmp(sqlstate, rules[i].prefix, strlen(rules[i].prefix)) == 0)
            return rules[i].error;
    }
    return PG_ERROR_OTHER;
}

enum store_result pg_error_result(const char *sqlstate, bool *ret_is_duplicate)
{
    if (ret_is_duplicate)
        *ret_is_duplicate = strcmp(sqlstate, "23505") == 0;
    for (size_t i = 0; i < ARRAY_LEN(rules); i++) {
        if (strncmp(sqlstate, rules[i].prefix, strlen(rules[i].prefix)) == 0)
            return rules[i].result;
    }
    return STORE_FAILED;
}

bool pg_error_ends_session(const char *sqlstate)
{
    enum pg_error error = pg_error_of(sqlstate);

    return error == PG_ERROR_READ_ONLY || error == PG_ERROR_SESSION ||
           error == PG_ERROR_CONNECTION;
}

static const struct {
    const char *name, *advice;
} words[PG_ERRORS] = {
    [PG_ERROR_DATA] = {"data", ""},
    [PG_ERROR_READ_ONLY] = {"read_only",
                            "it is a standby or was made read-only: promote it, set "
                            "default_transaction_read_only off, or put the primary into "
                            "FLUXY_DATABASE_URL; writes are refused until then"},
    [PG_ERROR_DISK_FULL] = {"disk_full",
                            "the disk of PostgreSQL is full: make room; writes are refused "
                            "until then and go on by themselves"},
    [PG_ERROR_CONNECTIONS] = {"connections",
                              "PostgreSQL has no free connection: raise max_connections or "
                              "run fewer clients"},
    [PG_ERROR_MEMORY] = {"resources", "PostgreSQL is out of memory or another resource"},
    [PG_ERROR_SHUTDOWN] = {"shutdown", ""},
    [PG_ERROR_LOCK] = {"lock", "somebody holds locks for long: look into pg_locks and "
                               "pg_stat_activity"},
    [PG_ERROR_CANCELED] = {"canceled", "too slow for its statement timeout, or ended by hand"},
    [PG_ERROR_IO] = {"io", "PostgreSQL could not read or write a file: look at its log"},
    [PG_ERROR_CONNECTION] = {"connection", ""},
    [PG_ERROR_SESSION] = {"session",
                          "a pooler must be in session mode; after a change of the schema "
                          "this goes by itself"},
    [PG_ERROR_ACCESS] = {"access", "check the user, password, database and privileges of "
                                   "FLUXY_DATABASE_URL and pg_hba.conf"},
    [PG_ERROR_OTHER] = {"other", "the schema may not be that of this program"},
};

const char *pg_error_name(enum pg_error error)
{
    return words[error].name;
}

const char *pg_error_advice(enum pg_error error)
{
    return words[error].advice;
}

static bool is_sqlstate(const char *s)
{
    for (size_t i = 0; i < SQLSTATE_LEN; i++) {
        if (!isdigit((unsigned char)s[i]) && !(s[i] >= 'A' && s[i] <= 'Z'))
            return false;
    }
    return true;
}

/* "FATAL:  53300: sorry, too many clients already". */
void pg_error_find(const char *text, char ret_sqlstate[SQLSTATE_LEN + 1])
{
    static const char gap[] = ":  ";

    for (const char *at = strstr(text, gap); at; at = strstr(at + 1, gap)) {
        const char *code = at + sizeof(gap) - 1;

        if (strlen(code) > SQLSTATE_LEN && is_sqlstate(code) && code[SQLSTATE_LEN] == ':') {
            memcpy(ret_sqlstate, code, SQLSTATE_LEN);
            ret_sqlstate[SQLSTATE_LEN] = '\0';
            return;
        }
    }
    memcpy(ret_sqlstate, SQLSTATE_NONE, sizeof(SQLSTATE_NONE));
}
