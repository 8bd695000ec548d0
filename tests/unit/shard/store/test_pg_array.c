/* test_pg_array.c - binary arrays, byte by byte as array_send() of PostgreSQL writes them. */
#include "shard/store/pg_array.h"
#include "tests/support/test.h"

static void check_bytes(struct pg_array *a, const char *want, size_t len, const char *name)
{
    struct slice got = pg_array_finish(a);

    CHECK_EQ(got.len, len, name);
    if (memcmp(got.data, want, len) != 0)
        fail_msg("%s: other bytes", name);
}

static void arrays_have_the_servers_form(void **state)
{
    static const char empty[] = "\0\0\0\0\0\0\0\0\0\0\0\x14";
    static const char ints[] =
        "\0\0\0\1\0\0\0\0\0\0\0\x14\0\0\0\2\0\0\0\1"
        "\0\0\0\x08\0\0\0\0\0\0\1\2\0\0\0\x08\xff\xff\xff\xff\xff\xff\xff\xff";
    static const char nulls[] = "\0\0\0\1\0\0\0\1\0\0\0\x14\0\0\0\1\0\0\0\1\xff\xff\xff\xff";
    static const char texts[] = "\0\0\0\1\0\0\0\0\0\0\0\x19\0\0\0\2\0\0\0\1\0\0\0\2hi\0\0\0\0";
    static const char small[] = "\0\0\0\1\0\0\0\0\0\0\0\x15\0\0\0\1\0\0\0\1\0\0\0\2\xff\xfe";
    static const char fours[] = "\0\0\0\1\0\0\0\0\0\0\0\x17\0\0\0\1\0\0\0\1\0\0\0\4\1\2\3\4";
    static const char bools[] =
        "\0\0\0\1\0\0\0\0\0\0\0\x10\0\0\0\2\0\0\0\1\0\0\0\1\1\0\0\0\1\0";
    static const char times[] =
        "\0\0\0\1\0\0\0\0\0\0\4\xa0\0\0\0\1\0\0\0\1\0\0\0\x08\0\0\0\0\0\0\0\5";
    struct pg_array a;

    (void)state;
    pg_array_init(&a, PG_INT8);
    check_bytes(&a, empty, sizeof(empty) - 1, "empty");
    pg_array_put_int8(&a, 0x102);
    pg_array_put_int8(&a, -1);
    check_bytes(&a, ints, sizeof(ints) - 1, "bigint");
    pg_array_clear(&a);
    pg_array_put_null(&a);
    check_bytes(&a, nulls, sizeof(nulls) - 1, "null");
    pg_array_clear(&a); /* forgets that there was a null */
    pg_array_put_int8(&a, 0x102);
    pg_array_put_int8(&a, -1);
    check_bytes(&a, ints, sizeof(ints) - 1, "cleared");
    check_bytes(&a, ints, sizeof(ints) - 1, "finished twice");
    pg_array_deinit(&a);

    pg_array_init(&a, PG_TEXT);
    pg_array_put_bytes(&a, "hi", 2);
    pg_array_put_bytes(&a, NULL, 0);
    check_bytes(&a, texts, sizeof(texts) - 1, "text");
    pg_array_deinit(&a);

    pg_array_init(&a, PG_INT2);
    pg_array_put_int2(&a, -2);
    check_bytes(&a, small, sizeof(small) - 1, "smallint");
    pg_array_deinit(&a);

    pg_array_init(&a, PG_INT4);
    pg_array_put_int4(&a, 0x01020304);
    check_bytes(&a, fours, sizeof(fours) - 1, "integer");
    pg_array_deinit(&a);

    pg_array_init(&a, PG_BOOL);
    pg_array_put_bool(&a, true);
    pg_array_put_bool(&a, false);
    check_bytes(&a, bools, sizeof(bools) - 1, "boolean");
    pg_array_deinit(&a);

    pg_array_init(&a, PG_TIMESTAMPTZ);
    pg_array_put_time(&a, PG_EPOCH_US + 5);
    check_bytes(&a, times, sizeof(times) - 1, "timestamptz");
    pg_array_deinit(&a);
}

static void scalars_are_big_endian(void **state)
{
    uint8_t bytes[8];

    (void)state;
    pg_write_be16(bytes, 0x0102);
    assert_int_equal(bytes[0], 1);
    assert_int_equal(pg_read_be16(bytes), 0x0102);
    pg_write_be32(bytes, 0x01020304);
    assert_int_equal(bytes[3], 4);
    assert_int_equal(pg_read_be32(bytes), 0x01020304);
    pg_write_be64(bytes, UINT64_C(0x0102030405060708));
    assert_int_equal(bytes[7], 8);
    assert_true(pg_read_be64(bytes) == UINT64_C(0x0102030405060708));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(arrays_have_the_servers_form),
        cmocka_unit_test(scalars_are_big_endian),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
