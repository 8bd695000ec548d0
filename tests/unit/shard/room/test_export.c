/* test_export.c - entries as they stand in exports; cells that spreadsheets would run. */
#include "tests/support/test.h"

#include "shard/room/export.h"

#define ANN SLICE_LIT("ann")

static struct entry *make(struct entry from)
{
    struct entry *e;

    from.seq = from.seq ? from.seq : 3;
    from.updated_seq = from.seq;
    from.version = 1;
    from.kind = from.kind ? from.kind : ENTRY_MESSAGE;
    e = entry_new(&from);
    assert_non_null(e);
    return e;
}

static void check(enum export_format format, struct entry from, bool is_first, const char *want)
{
    AUTO(entry_unref) struct entry *e = make(from);
    AUTO_BUF out = BUF_INIT;

    export_write(&out, format, SLICE_LIT("r"), e, ANN, is_first);
    if (!slice_eq_str(buf_slice(&out), want))
        fail_msg("got\n%.*s\nwant\n%s", (int)out.len, out.data, want);
}

static void cells_are_quoted_and_no_formulas(void **state)
{
    static const struct {
        const char *text, *cell;
    } rows[] = {
        {"plain", "plain"},
        {"", ""},
        {"a,b", "\"a,b\""},
        {"say \"hi\"", "\"say \"\"hi\"\"\""},
        {"two\nlines", "\"two\nlines\""},
        {"two\r\nlines", "\"two\r\nlines\""},
        {" space ", "\" space \""},
        {"=1+1", "'=1+1"},
        {"+1", "'+1"},
        {"-1", "'-1"},
        {"@x", "'@x"},
        {"\tx", "'\tx"},
        {"\rx", "\"'\rx\""},
        {"=HYPERLINK(\"a\",\"b\")", "\"'=HYPERLINK(\"\"a\"\",\"\"b\"\")\""},
        {"1=1", "1=1"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        AUTO_BUF out = BUF_INIT;

        export_write_cell(&out, slice_str(rows[i].text));
        if (!slice_eq_str(buf_slice(&out), rows[i].cell))
            fail_msg("%s: %.*s", rows[i].text, (int)out.len, out.data);
    }
}

static void csv_rows(void **state)
{
    (void)state;
    check(EXPORT_CSV,
          (struct entry){.id = 7,
                         .created_us = 1000000,
                         .user = SLICE_LIT("-bob"),
                         .content = SLICE_LIT("hi, @ann"),
                         .parent_id = 5,
                         .extra =
                             SLICE_LIT("{\"mentions\":[\"ann\",\"cid\"],\"attachments\":[]}")},
          true, "7,1970-01-01T00:00:01.000Z,r,'-bob,\"hi, @ann\",5,ann;cid\r\n");
    check(
        EXPORT_CSV,
        (struct entry){.id = 8, .created_us = 1000001, .user = ANN, .content = SLICE_LIT("x")},
        false, "8,1970-01-01T00:00:01.000001Z,r,ann,x,,\r\n");
}

static void markdown_has_no_markup_of_others(void **state)
{
    (void)state;
    check(EXPORT_MARKDOWN,
          (struct entry){.id = 7,
                         .created_us = 1000000,
                         .edited_us = 2000000,
                         .user = SLICE_LIT("a_b"),
                         .content = SLICE_LIT("# <b>x</b>\r\n[l](u)"),
                         .parent_id = 5},
          true,
          "\n**a\\_b** \xc2\xb7 1970-01-01T00:00:01.000Z \xc2\xb7 \\#7 \xc2\xb7 reply to \\#5 "
          "\xc2\xb7 edited\n\n> \\# \\<b\\>x\\</b\\>\\\n> \\[l\\]\\(u\\)\n");
}

static void json_rows_stand_between_commas(void **state)
{
    AUTO(entry_unref)
    struct entry *e = make((struct entry){.id = 7, .user = ANN, .content = SLICE_LIT("x")});
    AUTO_BUF out = BUF_INIT;

    (void)state;
    export_write(&out, EXPORT_JSON, SLICE_LIT("r"), e, ANN, true);
    assert_memory_equal(out.data, "\n{\"id\":7,", 9);
    buf_clear(&out);
    export_write(&out, EXPORT_JSON, SLICE_LIT("r"), e, ANN, false);
    assert_memory_equal(out.data, ",\n{\"id\":7,", 10);
    buf_clear(&out);
    export_write(&out, EXPORT_NDJSON, SLICE_LIT("r"), e, ANN, false);
    assert_memory_equal(out.data, "{\"id\":7,", 8);
    assert_int_equal(out.data[out.len - 1], '\n');
}

static void compliance_tells_kinds_and_tombstones(void **state)
{
    AUTO(entry_unref)
    struct entry *e = make(
        (struct entry){.id = 7, .user = ANN, .deleted_us = 5000000, .flags = ENTRY_EXPIRED});
    AUTO_BUF out = BUF_INIT;

    (void)state;
    check(EXPORT_COMPLIANCE,
          (struct entry){.kind = ENTRY_MODERATION,
                         .id = 9,
                         .created_us = 1000000,
                         .user = SLICE_LIT("bob"),
                         .extra = SLICE_LIT("{\"action\":\"mute\",\"by\":\"ann\"}")},
          true,
          "\n{\"entryKind\":\"moderation\",\"seq\":3,\"updatedSeq\":3,"
          "\"createdAt\":\"1970-01-01T00:00:01.000Z\",\"userId\":\"bob\",\"action\":\"mute\","
          "\"by\":\"ann\"}");
    export_write(&out, EXPORT_COMPLIANCE, SLICE_LIT("r"), e, ANN, true);
    buf_put_char(&out, 0);
    assert_non_null(strstr(out.data, "\"entryKind\":\"message\""));
    assert_non_null(strstr(out.data, "\"deletedAt\":\"1970-01-01T00:00:05.000Z\""));
    assert_non_null(strstr(out.data, "\"deleted\":true,\"expired\":true"));
}

static void names_of_formats(void **state)
{
    (void)state;
    assert_int_equal(export_format_parse(SLICE_LIT("csv")), EXPORT_CSV);
    assert_int_equal(export_format_parse(SLICE_LIT("pdf")), EXPORT_NONE);
    assert_int_equal(export_format_parse(SLICE_LIT("")), EXPORT_NONE);
    assert_true(export_is_live_only(EXPORT_NDJSON));
    assert_false(export_is_live_only(EXPORT_COMPLIANCE));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cells_are_quoted_and_no_formulas),
        cmocka_unit_test(csv_rows),
        cmocka_unit_test(markdown_has_no_markup_of_others),
        cmocka_unit_test(json_rows_stand_between_commas),
        cmocka_unit_test(compliance_tells_kinds_and_tombstones),
        cmocka_unit_test(names_of_formats),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
