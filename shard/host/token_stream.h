/*
 * token_stream.h - token streams: a message whose text grows while it is watched. The
 * message is committed empty when the stream starts and with its whole text when
 * it ends; in between the text is the room's memory, shown at most every
 * STREAM_SHOW_MS and stored now and then without a number of its own.
 *
 *   STARTING --committed--> OPEN --end, abandoned--> ENDING --committed--> gone
 *
 * At most one per user and room. One that nobody continues is ended with what
 * there is. When the room moves it is handed over with all of its text
 * (stream_handover.h). One that a new owner finds unfinished, and that nobody
 * hands over, is ended, too, since what came after the last stored text is lost.
 */
#pragma once

#include "common/base/buf.h"
#include "shard/host/op.h"
#include "shard/host/room_host.h"

enum token_stream_state { STREAM_STARTING, STREAM_OPEN, STREAM_ENDING };

struct token_stream {
    struct room_request request;
    struct list link;       /* room_host.streams */
    struct room_host *room; /* NULL: closed, the committer still holds the request */
    enum token_stream_state state;
    bool is_orphan; /* found unfinished: takes no more text, but may be ended with all of it */
    bool is_broken; /* an orphan that has refused text: handed over, it would have a hole */
    struct op *op;  /* of the `start` or `end` under way; NULL: nobody waits */
    struct attach *from; /* the socket that streams: is not shown its own text; NULL: gone */
    /* The newest text in it is frame n of that attach of that gateway; 0: not known. */
    uint64_t gateway, attach, n;
    uint8_t key[DEDUPE_LEN]; /* of its `start` */
    struct entry *entry;     /* once committed; owned reference */
    struct buf text;
    size_t shown_len, saved_len; /* how much of it has been shown, stored */
    struct stream_save *saving;  /* under way; NULL: none */
    struct timer show, save, idle;
    struct slice user; /* points into bytes */
    char bytes[];
};

/* The user's stream that is not gone, or NULL. */
struct token_stream *token_stream_find(const struct room_host *room, struct slice user);
size_t token_streams_count(const struct room_host *room);
/* A stream that is about to be committed; in `request` its commit comes back. NULL: out of
 * memory. */
struct token_stream *token_stream_new(struct room_host *room, struct op *op, struct slice text,
                                      const uint8_t *key);
/* The commit was not even tried. */
void token_stream_free(struct token_stream *stream);

/* Its `start` has been sent again: answers that, now or when it is committed. */
void token_stream_start_again(struct token_stream *stream, struct op *op);

enum token_stream_answer { STREAM_TOO_LONG = 1, STREAM_BLOCKED };
/* The text of this frame, for an open stream; once, however often the frame comes. BLOCKED:
 * with it there would be a word that the room does not allow. -ENOMEM. */
int token_stream_append(struct token_stream *stream, const struct op *op,
                        struct slice text) MUST_CHECK;
/* Ends an open stream: `text` (data NULL: what has been gathered) is what remains. key: of the
 * frame, or NULL. op: who waits, or NULL. < 0: it stays open, the op is not touched. */
int token_stream_end(struct token_stream *stream, struct slice text, const uint8_t *key,
                     struct op *op) MUST_CHECK;

/* ---- the life of the room ---- */

/* Just activated: what its last owner left unfinished, by the store. */
void token_streams_adopt(struct room_host *room, const struct claim_result *claim);
/* Writes down what it has, soon, without a number. */
void token_stream_save(struct token_stream *stream);
/* Frames in front of attach->gap_n were given up: text of the user's stream may have been among
 * them, and it takes no more. */
void token_streams_on_gap(struct attach *attach);
/* What its last owner had is all of it: it goes on here. */
void token_stream_resume(struct token_stream *stream);
/* A socket of the user is live. */
void token_streams_on_user_here(struct room_host *room, struct slice user);
/* The last socket of the user has gone. */
void token_streams_on_user_gone(struct room_host *room, struct slice user);
/* The socket goes, or starts over. */
void token_streams_on_attach_gone(struct attach *attach);
/* The message has been deleted. */
void token_streams_on_deleted(struct room_host *room, uint64_t seq);
/* `streamState` of every open stream to a socket that is being let in. */
void token_streams_tell(struct attach *attach);
void token_streams_stop(struct room_host *room);
