/* test_pg_errors.c - every class of SQLSTATE that a shard can meet, and what it means. */
#include "shard/store/pg_errors.h"

#include "tests/support/test.h"

static const struct {
    const char *sqlstate, *name;
    enum store_result result;
    bool is_duplicate, ends_session, is_advised;
} rows[] = {
    {"25006", "read_only", STORE_UNAVAILABLE, false, true, true},
    {"25P02", "other", STORE_UNAVAILABLE, false, false, true},
    {"53100", "disk_full", STORE_UNAVAILABLE, false, false, true},
    {"53200", "resources", STORE_UNAVAILABLE, false, false, true},
    {"53300", "connections", STORE_UNAVAILABLE, false, false, true},
    {"53400", "resources", STORE_UNAVAILABLE, false, false, true},
    {"57014", "canceled", STORE_UNAVAILABLE, false, false, true},
    {"57P01", "shutdown", STORE_UNAVAILABLE, false, false, false},
    {"57P02", "shutdown", STORE_UNAVAILABLE, false, false, false},
    {"57P03", "shutdown", STORE_UNAVAILABLE, false, false, false},
    {"58030", "io", STORE_UNAVAILABLE, false, false, true},
    {"58P01", "io", STORE_UNAVAILABLE, false, false, true},
    {"55P03", "lock", STORE_UNAVAILABLE, false, false, true},
    {"40001", "lock", STORE_UNAVAILABLE, false, false, true},
    {"40P01", "lock", STORE_UNAVAILABLE, false, false, true},
    {"40003", "connection", STORE_UNKNOWN, false, true, false},
    {"08006", "connection", STORE_UNKNOWN, false, true, false},
    {"08P01", "connection", STORE_UNKNOWN, false, true, false},
    {"26000", "session", STORE_UNAVAILABLE, false, true, true},
    {"0A000", "session", STORE_UNAVAILABLE, false, true, true},
    {"28P01", "access", STORE_FAILED, false, false, true},
    {"3D000", "access", STORE_FAILED, false, false, true},
    {"42501", "access", STORE_FAILED, false, false, true},
    {"42P01", "other", STORE_FAILED, false, false, true},
    {"42703", "other", STORE_FAILED, false, false, true},
    {"22021", "data", STORE_BAD_DATA, false, false, false},
    {"23505", "data", STORE_BAD_DATA, true, false, false},
    {"23502", "data", STORE_BAD_DATA, false, false, false},
    {"54000", "data", STORE_BAD_DATA, false, false, false},
    {"XX001", "data", STORE_BAD_DATA, false, false, false},
    {"ZZZZZ", "other", STORE_FAILED, false, false, true},
};

static void each_means_one_thing(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const char *at = rows[i].sqlstate;
        enum pg_error error = pg_error_of(at);
        bool is_duplicate = !rows[i].is_duplicate;

        CHECK(strcmp(pg_error_name(error), rows[i].name) == 0, at);
        CHECK(pg_error_result(at, &is_duplicate) == rows[i].result, at);
        CHECK(is_duplicate == rows[i].is_duplicate, at);
        CHECK(pg_error_ends_session(at) == rows[i].ends_session, at);
        CHECK((*pg_error_advice(error) != '\0') == rows[i].is_advised, at);
    }
}

/* Only data is looked for by halves: what would fail for all must not be blamed on one. */
static void only_data_is_blamed_on_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        CHECK((pg_error_result(rows[i].sqlstate, NULL) == STORE_BAD_DATA) ==
                  (pg_error_of(rows[i].sqlstate) == PG_ERROR_DATA),
              rows[i].sqlstate);
}

static void codes_are_found_in_texts_of_libpq(void **state)
{
    static const struct {
        const char *text, *want;
    } texts[] = {
        {"connection to server at \"127.0.0.1\", port 5432 failed: FATAL:  53300: sorry, too "
         "many clients already\nLOCATION:  InitProcess, proc.c:349\n",
         "53300"},
        {"FATAL:  57P03: the database system is starting up", "57P03"},
        {"FEHLER:  28P01: Passwort", "28P01"},
        {"connection to server at \"127.0.0.1\", port 1 failed: Connection refused", "08000"},
        {"a:  b:  57P01: c", "57P01"},
        {"a:  5730", "08000"},
        {"a:  57P01", "08000"},
        {"a:  57p01: b", "08000"},
        {":  ", "08000"},
        {"", "08000"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        char sqlstate[SQLSTATE_LEN + 1];

        pg_error_find(texts[i].text, sqlstate);
        CHECK(strcmp(sqlstate, texts[i].want) == 0, texts[i].text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_means_one_thing),
        cmocka_unit_test(only_data_is_blamed_on_rows),
        cmocka_unit_test(codes_are_found_in_texts_of_libpq),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
