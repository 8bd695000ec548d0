/* row.h - a message as frames tell it, read and held against the model; inside property/. */
#pragma once

#include "tests/sim/property/view.h"

struct row {
    const struct pm_message *message;
    uint64_t updated_seq;
    uint64_t text;
    uint32_t version;
    bool is_deleted, is_edited;
    uint32_t mentions;
    int counts[PM_EMOJI];
    bool mine[PM_EMOJI];
};

/* The message that a frame names by this member: it exists, and this client may see it. NULL: a
 * violation. */
const struct pm_message *row_target(const struct view *view, const json_t *frame,
                                    const char *name);
/* A message in a list, or a live one (which has no reactions). False: a violation. */
bool row_read(const struct view *view, const json_t *json, bool is_live, struct row *ret_row);
/* Text and mentions of an edit. */
uint64_t row_text(const struct view *view, const json_t *json, const struct pm_message *m,
                  uint32_t *ret_mentions);
void row_violation(const struct view *view, const json_t *json, const char *what);
