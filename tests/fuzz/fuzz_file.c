/*
 * fuzz_file.c - what is said of a file by who uploads or fetches it: its name
 * and type can be given to browsers again, a range lies within the file.
 */
#include "common/base/macros.h"
#include "common/base/utf8.h"
#include "gateway/api/file_meta.h"
#include "tests/fuzz/fuzz.h"

static void check_name(struct slice header)
{
    AUTO_BUF name = BUF_INIT;
    AUTO_BUF said = BUF_INIT;

    if (file_name_clean(header, &name) != 0) {
        FUZZ_CHECK(name.len == 0);
        return;
    }
    FUZZ_CHECK(name.len > 0 && utf8_is_valid(buf_slice(&name)));
    FUZZ_CHECK(utf8_code_points(buf_slice(&name)) <= FILE_NAME_MAX_CHARS);
    for (size_t i = 0; i < name.len; i++) {
        unsigned char c = (unsigned char)name.data[i];

        FUZZ_CHECK(c >= ' ' && c != 0x7f && c != '/' && c != '\\');
    }
    FUZZ_CHECK(!slice_eq_str(buf_slice(&name), ".") && !slice_eq_str(buf_slice(&name), ".."));
    file_disposition_write(&said, false, buf_slice(&name));
    for (size_t i = 0, quotes = 0; i < said.len; i++) {
        unsigned char c = (unsigned char)said.data[i];

        quotes += c == '"';
        FUZZ_CHECK(c >= ' ' && c < 0x7f && quotes <= 2);
    }
}

static void check_type(struct slice header)
{
    char type[FILE_TYPE_MAX + 1], again[FILE_TYPE_MAX + 1];

    if (file_type_clean(header, type) != 0)
        return;
    FUZZ_CHECK(file_type_clean(slice_str(type), again) == 0 && strcmp(type, again) == 0);
    FUZZ_CHECK(strchr(type, '/') && !strpbrk(type, " \t\r\n;,\""));
}

static void check_range(struct slice header, uint64_t size)
{
    uint64_t first, last;

    if (file_range_read(header, size, &first, &last) == 0)
        FUZZ_CHECK(first <= last && last < size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint64_t sizes[] = {0, 1, 100, FILE_CHUNK_BYTES, 1ull << 40};
    struct slice header = slice_of(data, size);

    check_name(header);
    check_type(header);
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++)
        check_range(header, sizes[i]);
    return 0;
}
