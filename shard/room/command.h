/*
 * command.h - client frames and message bodies as typed commands: JSON in,
 * checked fields or a precise error out. Decides nothing about permission.
 * Who the sender is comes from elsewhere: `userId` in a frame is ignored, as
 * are fields that nobody knows.
 */
#pragma once

#include <jansson.h>

#include "common/base/slice.h"
#include "common/json/errors.h"
#include "shard/room/event.h"

enum command_type {
    COMMAND_NONE = 0,
    COMMAND_MESSAGE,
    COMMAND_EDIT,
    COMMAND_DELETE,
    COMMAND_REACTION,
    COMMAND_STREAM,
    COMMAND_RESUME,
    COMMAND_TYPING,
    COMMAND_CLIENT_EVENT,
    COMMAND_AGENT_TYPING,
    COMMAND_READ,
};

struct command_message {
    struct slice content;      /* trimmed, 1..CONTENT_MAX_CHARS UTF-16 units */
    struct slice client_id;    /* clientMessageId; empty: none */
    int64_t parent_id;         /* 0: none */
    const json_t *attachments; /* checked, not empty; or NULL */
    bool is_open;              /* `visibility` says that everybody shall see it */
    bool is_whisper;
    const json_t *visible_to; /* whisper: array of strings, not empty */
    int64_t expires_us;       /* when it is to go, or ... */
    int64_t expires_in_s;     /* ... after how long; 0: not said */
};

/* A change of a message: edit, delete, reaction. */
struct command_change {
    struct slice client_id; /* clientMessageId: the key of the change; empty: none */
    int64_t message_id;
    struct slice content; /* EDIT */
    struct slice emoji;   /* REACTION */
    bool is_added;        /* REACTION */
    bool is_hard;         /* DELETE */
};

enum stream_op { STREAM_OP_START, STREAM_OP_DELTA, STREAM_OP_END, STREAM_OP_ABORT };

/* A frame of a token stream. */
struct command_stream {
    enum stream_op op;
    struct slice content; /* START, DELTA: more text; END: all of it, when has_content */
    bool has_content;
    struct slice client_id; /* START */
    int64_t parent_id;      /* START; 0: none */
};

struct command {
    json_t *root; /* owned; what the slices point into */
    enum command_type type;
    struct slice frame_id; /* empty: none */
    union {
        struct command_message message;
        struct command_change change;
        struct command_stream stream;
        struct {
            uint64_t last_seq;
            struct slice generation; /* empty: not given */
        } resume;
        struct {
            bool is_typing;
            unsigned intent; /* enum typing_intent */
        } typing;
        struct event event; /* CLIENT_EVENT */
        struct {
            struct slice agent;
            bool is_typing;
        } agent_typing;
        int64_t read_id; /* READ: of the message */
    };
};

struct command_error {
    enum error_code code;
    char detail[128];       /* which field, and what it must be; may be empty */
    struct slice client_id; /* clientMessageId and frameId of the refused frame as far as they
                               are valid; */
    struct slice frame_id;  /* they live as long as the command does */
};

enum command_answer { COMMAND_BAD = 1 };

/* One client frame. 0, or COMMAND_BAD with the error. The command is to be deinited in both
 * cases. */
int command_parse(struct slice json, struct command *ret_command,
                  struct command_error *ret_error);
void command_deinit(struct command *command);

/* The fields of a message in an object, from a frame or from a REST body. 0 or COMMAND_BAD. */
int command_message_read(const json_t *object, struct command_message *ret_message,
                         struct command_error *ret_error);
/* Likewise of a change, of which type says what it is. */
int command_change_read(const json_t *object, enum command_type type,
                        struct command_change *ret_change, struct command_error *ret_error);
