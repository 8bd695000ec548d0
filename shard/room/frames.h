/*
 * frames.h - the JSON frames that a room sends (docs/protocol-client.md).
 * Each function appends one whole frame to a buf; a failed allocation sticks
 * there. Decides nothing: who gets a frame, and when, is the host's business.
 */
#pragma once

#include "common/base/buf.h"
#include "common/json/errors.h"
#include "common/json/json_write.h"
#include "shard/room/entry.h"
#include "shard/room/roster.h"
#include "shard/room/turnout.h"

/* ---- timeline entries ---- */

/* The live frame of a new entry: `message`, or what its kind is called. */
void frame_entry(struct buf *out, struct slice room, const struct entry *e);
/* Is the entry, as a live frame, only for native sockets? */
bool frame_is_native(const struct entry *e);
/* A message as an element of history, snapshot and replay (2.5), as the viewer sees it. */
void frame_message_row(struct json_writer *w, struct slice room, const struct entry *e,
                       struct slice viewer);
/* The body of the answer to a write over REST: the message without a type, in an object
 * `message`. */
void frame_message_body(struct buf *out, struct slice room, const struct entry *e);

/* ---- changes of entries ---- */

/* The text has changed. e: the entry as it is now; the event's seq is its updated_seq. */
void frame_edit(struct buf *out, struct slice room, const struct entry *e);
/* What old clients got beside `edit` and `delete`: the same under another type. */
void frame_message_updated(struct buf *out, struct slice room, const struct entry *e);
void frame_message_deleted(struct buf *out, struct slice room, const struct entry *e,
                           struct slice actor);
void frame_delete(struct buf *out, struct slice room, const struct entry *e,
                  struct slice actor);
/* Before the `delete` of a message whose time is over. */
void frame_message_expired(struct buf *out, struct slice room, const struct entry *e);
void frame_reaction(struct buf *out, struct slice room, const struct entry *e,
                    struct slice actor, struct slice emoji, bool is_added);
/* An event that this socket may not see: its number is used up all the same. */
void frame_skip(struct buf *out, struct slice room, uint64_t seq, uint64_t to_seq);
/* The bodies of the answers to PATCH and DELETE /messages/{id} and to its reactions. */
void frame_edit_body(struct buf *out, struct slice room, const struct entry *e);
void frame_delete_body(struct buf *out, const struct entry *e);
void frame_reaction_body(struct buf *out, struct slice room, const struct entry *e,
                         struct slice actor, struct slice emoji, bool is_added);

/* ---- token streams ---- */

/* To the sender: the stream is open. */
void frame_stream_started(struct buf *out, struct slice room, const struct entry *e);
/* What has been added: the text from byte `from` on. */
void frame_stream_delta(struct buf *out, struct slice room, const struct entry *e,
                        struct slice text, size_t from);
/* The same for old clients: all of the text so far. */
void frame_stream_edit(struct buf *out, struct slice room, const struct entry *e,
                       struct slice text);
/* To who comes in the middle. */
void frame_stream_state(struct buf *out, struct slice room, const struct entry *e,
                        struct slice text);

/* To the sender, after commit. The ids are left out when empty. */
struct frame_ref {
    struct slice client_id; /* clientMessageId of the frame that is answered */
    struct slice frame_id;  /* frameId, likewise */
};
/* seq: of the event. */
void frame_ack(struct buf *out, struct slice room, const struct frame_ref *ref,
               const struct entry *e, uint64_t seq, bool is_duplicate);
/* detail may be empty; retry_after_ms 0: left out. */
void frame_error(struct buf *out, struct slice room, const struct frame_ref *ref,
                 enum error_code code, struct slice detail, uint64_t retry_after_ms);

/* ---- pages ---- */

struct frame_page {
    struct slice room;
    struct slice generation;
    struct entry *const *entries; /* oldest first */
    size_t n_entries;
    uint64_t current_seq;
    struct slice viewer; /* whose page it is: whispers to others are left out */
    int64_t now_us;      /* by the store's clock: what has expired by then is left out */
    bool has_more;       /* older messages exist (snapshot), or further pages follow (replay) */
};

/* The newest messages on connect; entries that are not live messages are left out. as_replay:
 * type `replay`. */
void frame_snapshot(struct buf *out, const struct frame_page *page, bool as_replay);

struct frame_range {
    uint64_t from_seq, to_seq; /* the frame covers (from_seq, to_seq] */
    bool is_reset;  /* the cursor could not be resumed: entries are the newest snapshot */
    bool is_native; /* membership entries are included */
};
/* One page of an answer to `resume` or ?lastSeq=: entries ascend by updated_seq. */
void frame_replay(struct buf *out, const struct frame_page *page,
                  const struct frame_range *range);
/* The body of GET /api/messages: the messages in the order given. */
void frame_history_body(struct buf *out, const struct frame_page *page);
void frame_cache_snapshot(struct buf *out, struct slice room, const struct entry *e,
                          int64_t cached_us);

/* A user has read up to the message. at: as text, from the store. */
void frame_read(struct buf *out, struct slice room, struct slice user, int64_t message_id,
                struct slice at);

/* The message has come to the user. */
void frame_delivery(struct buf *out, struct slice room, struct slice user, int64_t message_id);

/* ---- presence ---- */

enum typing_intent { TYPING_COMPOSING, TYPING_AWAY, TYPING_VIEWING_THREAD, TYPING_IDLE };

void frame_presence(struct buf *out, struct slice room, const struct roster *roster);
/* What has changed since the last presence; counts only when that is not known. */
void frame_presence_delta(struct buf *out, struct slice room, const struct roster *roster,
                          const struct turnout *turnout);
/* The body of GET /rooms/{id}/live; at most PRESENCE_LIST_MAX users and sockets are listed, the
 * first to come. sockets: elements of a JSON array. */
void frame_live_body(struct buf *out, struct slice room, const struct roster *roster,
                     struct slice sockets);
void frame_subscription_succeeded(struct buf *out, struct slice room, struct slice socket_id,
                                  struct slice generation, uint64_t current_seq,
                                  const struct roster *roster);
void frame_subscription_count(struct buf *out, struct slice room, const struct roster *roster);
void frame_member_joined(struct buf *out, struct slice room, struct slice user,
                         struct slice info, struct slice socket_id);
void frame_member_left(struct buf *out, struct slice room, struct slice user);
/* An agent that works for this user is at it, or no more. */
void frame_agent_typing(struct buf *out, struct slice room, struct slice user,
                        struct slice agent, bool is_typing);
void frame_typing(struct buf *out, struct slice room, struct slice user, bool is_typing,
                  enum typing_intent intent);
const char *typing_intent_name(enum typing_intent intent);
