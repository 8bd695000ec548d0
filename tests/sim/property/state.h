/* state.h - the changing part of a message: read from rows, changed by the model's rules,
 * compared. */
#pragma once

#include "tests/sim/property/model.h"

/* Users in a comma-separated list, as bits. */
uint32_t state_users(struct slice list);
void state_of_entry(struct pm_model *model, const struct entry *e, struct pm_state *ret_state);
/* The rules: what an event makes of the message. */
void state_apply(struct pm_state *state, const struct pm_fact *fact);
bool state_eq(const struct pm_state *a, const struct pm_state *b);
/* For violations. */
const char *state_print(const struct pm_state *state, char ret[160]);
