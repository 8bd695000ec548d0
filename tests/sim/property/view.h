/*
 * view.h - what a client has of one room, built from nothing but the frames that
 * it was given, by the rules of docs/protocol-client.md. Each frame is held
 * against the model where that can be done at once; what only can be said when
 * all is quiet is said by view_compare().
 */
#pragma once

#include <jansson.h>

#include "common/base/map.h"
#include "tests/sim/property/model.h"

struct view_message {
    struct map_node node; /* by id */
    const struct pm_message *model;
    uint64_t text; /* number of the operation that wrote it; 0: deleted */
    uint32_t version;
    bool is_deleted, is_edited, is_marked; /* marked: used by view_compare() */
    bool is_echo; /* an old client's own, older than its snapshot: known without reactions */
    uint32_t mentions; /* users, as bits */
    int counts[PM_EMOJI];
    bool mine[PM_EMOJI];
};

struct view {
    struct pm_model *model;
    const char *who; /* in violations */
    unsigned room, user;
    bool is_native;
    bool is_used; /* the client is in this room */
    struct map messages;
    uint64_t seq;   /* native: everything up to here is in the view */
    uint64_t floor; /* messages up to here may be missing */
    size_t limit;   /* messages in a snapshot, as asked for */
    bool has_cursor;
    bool is_subscribed;
    bool has_asked;   /* a `resume` was sent on this connection: live frames may be old news */
    bool is_resuming; /* and is not answered yet */
    char resumed[64]; /* the generation that the last one bears */
    bool is_patchy;   /* old clients: was given a form that such a client does not understand */
    int64_t expiring; /* the message whose end was announced */
    char generation[64];
};

void view_init(struct view *view, struct pm_model *model, const char *who, unsigned room,
               unsigned user, bool is_native);
void view_deinit(struct view *view);
/* As if the client had been installed anew. */
void view_forget(struct view *view);
/* A new connection begins, or the old one has ended. */
void view_disconnected(struct view *view);

/* True: the frame was one about the timeline. */
bool view_on_frame(struct view *view, struct slice type, const json_t *frame);
/* Does it know the message, and as deleted? */
const struct view_message *view_find(const struct view *view, int64_t id);

/* The view is what the user should see. are_reactions_told: they are right, too. An old client
 * that was re-attached does not learn which have been taken back meanwhile. */
void view_compare(struct view *view, bool are_reactions_told);
