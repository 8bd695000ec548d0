/*
 * fuzz_proxy.c - PROXY headers and X-Forwarded-For: no answer claims more bytes
 * than there are, and what is complete does not change with what follows.
 */
#include <string.h>

#include "gateway/proxy/proxy.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct proxy_client client, again;
    struct cidr_list trusted = {0};
    struct ip ip;
    size_t len = 0, len_again = 0;

    if (proxy_parse(slice_of(data, size), &client, &len) == PROXY_DONE) {
        FUZZ_CHECK(len > 0 && len <= size && len <= PROXY_HEADER_MAX);
        FUZZ_CHECK(proxy_parse(slice_of(data, len), &again, &len_again) == PROXY_DONE);
        FUZZ_CHECK(len == len_again && client.known == again.known);
    }
    (void)proxy_forwarded_for(slice_of(data, size), &trusted, &ip);
    return 0;
}
