/*
 * fuzz_jwt.c - tokens as anybody may send them. A token made of fuzzed header
 * and claims is signed with nothing or the wrong key, so none may be accepted;
 * what parses names valid ids and keeps its bounds.
 */
#include "common/base/ident.h"
#include "gateway/auth/token.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct token_key keys[] = {
        {TOKEN_HS256, {"the secret that nobody knows", 28}},
    };
    struct token token;
    int r = token_parse(slice_of(data, size), &token);

    FUZZ_CHECK(r == 0 || r == TOKEN_MALFORMED);
    if (r != 0)
        return 0;
    FUZZ_CHECK(ident_is_valid(slice_str(token.project)));
    FUZZ_CHECK(ident_is_valid(slice_str(token.user)));
    FUZZ_CHECK(token.room[0] == '\0' || ident_is_valid(slice_str(token.room)));
    FUZZ_CHECK(token_check(&token, keys, ARRAY_LEN(keys), 1700000000) != 0);
    return 0;
}
