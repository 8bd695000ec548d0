/*
 * fuzz_json.c - the scanner that gateways use against jansson: what jansson
 * takes as an object the scanner takes too, and both see the same strings.
 */
#include <jansson.h>

#include "common/base/utf8.h"
#include "common/json/json_scan.h"
#include "tests/fuzz/fuzz.h"

static void compare(const json_t *root, const char *name, struct slice scanned)
{
    const json_t *value = json_object_get(root, name);

    if (scanned.len == 0 || !json_is_string(value))
        return;
    FUZZ_CHECK(
        slice_eq(scanned, slice_of(json_string_value(value), json_string_length(value))));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice text = slice_of(data, size);
    struct json_frame_head head;
    int answer = json_scan_frame(text, &head);
    json_t *root = json_loadb(text.data, text.len, JSON_REJECT_DUPLICATES, NULL);

    /* jansson 2.14 loses a NUL behind a number; JSON has no place for one. */
    if (json_is_object(root) && !memchr(data, 0, size)) {
        FUZZ_CHECK(answer == 0 || answer == JSON_SCAN_TOO_DEEP);
        if (answer == 0) {
            compare(root, "type", head.type);
            compare(root, "clientMessageId", head.client_message_id);
            compare(root, "frameId", head.frame_id);
            compare(root, "roomId", head.room_id);
        }
    }
    json_decref(root);
    return 0;
}
