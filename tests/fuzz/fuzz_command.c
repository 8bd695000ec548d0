/*
 * fuzz_command.c - client frames as the shard reads them: whatever comes is a
 * command within its bounds, or an error with a word.
 */
#include "common/base/ident.h"
#include "common/base/limits.h"
#include "shard/room/command.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct command command;
    struct command_error error;

    if (command_parse(slice_of(data, size), &command, &error) == 0) {
        FUZZ_CHECK(command.type != COMMAND_NONE);
        if (command.type == COMMAND_MESSAGE) {
            FUZZ_CHECK(command.message.content.len > 0);
            FUZZ_CHECK(memchr(command.message.content.data, '\0',
                              command.message.content.len) == NULL);
            FUZZ_CHECK(command.message.client_id.len == 0 ||
                       client_message_id_is_valid(command.message.client_id));
            FUZZ_CHECK(command.message.parent_id >= 0);
        }
    } else {
        FUZZ_CHECK(error.code != ERROR_NONE && error_info(error.code)->code != NULL);
    }
    command_deinit(&command);
    return 0;
}
