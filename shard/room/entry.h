/*
 * entry.h - one entry of a room's timeline in memory: a message, or a change of
 * the member list. Immutable once admitted, shared by tail, commit queue and
 * frames in the making; reference-counted.
 */
#pragma once

#include "common/base/blob.h"

enum entry_kind {
    ENTRY_MESSAGE = 1,    /* a chat message */
    ENTRY_MEMBERSHIP = 2, /* a member was added, removed, or got another role */
    ENTRY_PIN = 3,        /* a message was pinned, or none is any more */
    ENTRY_MODERATION = 4, /* somebody was muted or banned, or no longer is */
    ENTRY_ROOM = 5,       /* name, type or settings of the room changed */
};

/* entry.flags; stored */
#define ENTRY_STREAMING 0x1u /* the text still grows, token by token */
#define ENTRY_HARD 0x2u      /* tombstone of a hard delete */
#define ENTRY_EXPIRED 0x4u   /* tombstone of a message whose time was over */

enum member_role {
    ROLE_NONE = 0,
    ROLE_GUEST,
    ROLE_MEMBER,
    ROLE_MODERATOR,
    ROLE_ADMIN,
    ROLE_OWNER
};

enum membership_change { CHANGE_ADDED = 1, CHANGE_REMOVED, CHANGE_ROLE };

#define DEDUPE_LEN 16

struct entry {
    uint32_t refs;
    enum entry_kind kind;
    uint64_t seq;               /* place in the room, from 1 */
    uint64_t updated_seq;       /* seq of the last change; seq when never changed */
    int64_t id;                 /* JSON-safe, rises with seq within the room */
    int64_t created_us;         /* unique and rising within the room */
    int64_t edited_us;          /* 0: never */
    int64_t deleted_us;         /* 0: lives; else a tombstone, content empty */
    uint32_t version;           /* 1 at creation, +1 per edit */
    uint32_t flags;             /* ENTRY_* */
    uint64_t message_no;        /* messages created in the room up to this entry */
    int64_t parent_id;          /* 0: none */
    int64_t expires_us;         /* 0: never */
    uint8_t dedupe[DEDUPE_LEN]; /* first 16 bytes of SHA-256 over author and key: unique in the
                                   room */
    struct slice user;          /* author; for membership: who was changed */
    struct slice client_id;     /* clientMessageId, may be empty */
    struct slice content;       /* text, valid UTF-8, may be empty */
    struct slice extra; /* JSON object with what else the kind has ("attachments", "mentions";
                           "change", "role"), or empty */
    struct slice visible_to; /* whisper: user ids, comma-separated, the author's first; empty:
                                everybody */
    struct slice reactions;  /* JSON object {"<emoji>": ["<user>", ...]}, or empty */
    char bytes[];            /* what the slices point at */
};

struct entry *entry_ref(struct entry *e);
void entry_unref(struct entry *e); /* NULL does nothing */
DEFINE_AUTO(struct entry, entry_unref)

/* Copies the strings of `from` (all other fields by value) into a fresh entry with one
 * reference. NULL: out of memory. */
struct entry *entry_new(const struct entry *from);
/* Bytes that the entry takes in memory. */
size_t entry_size(const struct entry *e);

/* May the user see it? Only whispers are not for everybody. */
bool entry_is_visible(const struct entry *e, struct slice user);
/* A message that is there to be read: not deleted, not expired at now_us. */
static inline bool entry_is_live(const struct entry *e, int64_t now_us)
{
    return e->kind == ENTRY_MESSAGE && e->deleted_us == 0 &&
           (e->expires_us == 0 || e->expires_us > now_us);
}

const char *role_name(enum member_role role);   /* "none" for ROLE_NONE */
enum member_role role_parse(struct slice name); /* ROLE_NONE when unknown; "mod" is moderator */
