/*
 * fuzz_command.c - client frames as the shard reads them: whatever comes is a
 * command within its bounds, or an error with a word.
 */
#include "common/base/ident.h"
#include "common/base/limits.h"
#include "common/base/utf8.h"
#include "shard/room/command.h"
#include "shard/room/reactions.h"
#include "tests/fuzz/fuzz.h"

static void check_content(struct slice content)
{
    FUZZ_CHECK(content.len > 0 && content.len <= CONTENT_MAX_BYTES);
    FUZZ_CHECK(utf8_is_valid(content) && memchr(content.data, '\0', content.len) == NULL);
}

static void check_client_id(struct slice id)
{
    FUZZ_CHECK(id.len == 0 || client_message_id_is_valid(id));
}

static void check_message(const struct command_message *m)
{
    check_content(m->content);
    check_client_id(m->client_id);
    FUZZ_CHECK(m->parent_id >= 0 && m->parent_id <= MESSAGE_ID_MAX);
    FUZZ_CHECK(!m->attachments || (json_array_size(m->attachments) > 0 &&
                                   json_array_size(m->attachments) <= ATTACHMENTS_MAX));
    FUZZ_CHECK(m->is_whisper == (m->visible_to != NULL));
    FUZZ_CHECK(!m->is_whisper || (json_array_size(m->visible_to) > 0 &&
                                  json_array_size(m->visible_to) < VISIBLE_TO_MAX));
    FUZZ_CHECK(m->expires_us >= 0 && (m->expires_us == 0 || m->expires_in_s == 0));
    FUZZ_CHECK(m->expires_in_s == 0 ||
               (m->expires_in_s >= EXPIRY_MIN_S && m->expires_in_s <= EXPIRY_MAX_S));
}

static void check_change(enum command_type type, const struct command_change *change)
{
    FUZZ_CHECK(change->message_id >= 1 && change->message_id <= MESSAGE_ID_MAX);
    if (type == COMMAND_EDIT)
        check_content(change->content);
    if (type == COMMAND_REACTION)
        FUZZ_CHECK(reaction_emoji_is_valid(change->emoji));
}

static void check_stream(const struct command_stream *s)
{
    FUZZ_CHECK(s->content.len <=
               (s->op == STREAM_OP_END ? STREAM_MAX_BYTES : STREAM_DELTA_MAX_BYTES));
    FUZZ_CHECK(s->has_content || (s->content.len == 0 && s->op != STREAM_OP_DELTA));
    FUZZ_CHECK(s->op == STREAM_OP_START || (s->client_id.len == 0 && s->parent_id == 0));
    check_client_id(s->client_id);
}

static void check_event(const struct event *event)
{
    AUTO_BUF out = BUF_INIT;
    AUTO_BUF frame = BUF_INIT;

    FUZZ_CHECK(event->name.len > 7 && event->name.len <= EVENT_NAME_MAX);
    event_put_json(&out, event->data);
    FUZZ_CHECK(out.len > 0 && out.len <= CLIENT_EVENT_DATA_MAX);
    frame_client_event(&frame, slice_str("room"), slice_str("ann"), event);
    FUZZ_CHECK(frame.len > out.len && utf8_is_valid(buf_slice(&frame)));
}

static void check(const struct command *command)
{
    switch (command->type) {
    case COMMAND_MESSAGE:
        check_message(&command->message);
        break;
    case COMMAND_EDIT:
    case COMMAND_DELETE:
    case COMMAND_REACTION:
        check_change(command->type, &command->change);
        break;
    case COMMAND_STREAM:
        check_stream(&command->stream);
        break;
    case COMMAND_RESUME:
        FUZZ_CHECK(command->resume.last_seq <= SEQ_MAX);
        break;
    case COMMAND_CLIENT_EVENT:
        check_event(&command->event);
        break;
    case COMMAND_AGENT_TYPING:
        FUZZ_CHECK(ident_is_valid(command->agent_typing.agent) &&
                   command->agent_typing.agent.len <= AGENT_ID_MAX);
        break;
    case COMMAND_READ:
        FUZZ_CHECK(command->read_id >= 1 && command->read_id <= MESSAGE_ID_MAX);
        break;
    case COMMAND_TYPING:
        break;
    case COMMAND_NONE:
        FUZZ_CHECK(false);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct command command;
    struct command_error error;

    if (command_parse(slice_of(data, size), &command, &error) == 0)
        check(&command);
    else
        FUZZ_CHECK(error.code != ERROR_NONE && error_info(error.code)->code != NULL);
    command_deinit(&command);
    return 0;
}
