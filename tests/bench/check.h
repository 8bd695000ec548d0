/*
 * check.h - the promises that the generator verifies while it measures.
 *
 *   exactly once   every member gets each message of its room one time
 *   sender order   the messages of one sender arrive in the order in which it sent them
 *   gapless seq    the seq numbers that a member sees rise by one
 *   one order      all members see the same seq for the same message
 *
 * A member keeps the next number it expects of each sender in its room, and a list of holes
 * that stays empty on a good run. Pure, apart from ending the program when memory runs out.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct check_totals {
    uint64_t delivered;  /* distinct messages, summed over members */
    uint64_t lost;       /* never came; known at the end only */
    uint64_t duplicated; /* came again */
    uint64_t reordered;  /* came after a later one of the same sender */
    uint64_t foreign;    /* of another room, or never sent */
    uint64_t seq_gap;    /* a seq was left out */
    uint64_t seq_back;   /* a seq repeated or went down */
    uint64_t disagreed;  /* another member was told another seq for this message */
    uint64_t unnumbered; /* no seq where one is promised */
};

bool check_is_clean(const struct check_totals *t);

/* Numbers [from, to) of sender @slot that have been passed over. */
struct check_hole {
    uint32_t slot;
    uint32_t from;
    uint32_t to;
};

struct check_member {
    uint32_t *next; /* owned; by sender slot: the next number expected */
    struct check_hole *holes;
    uint32_t n_holes;
    uint32_t cap_holes;
    bool has_seq;
    uint64_t last_seq;
};

void check_member_init(struct check_member *m, uint32_t slots);
void check_member_deinit(struct check_member *m);

enum check_answer { CHECK_NEW, CHECK_REPEAT, CHECK_NEVER_SENT };

/* Message @n of the sender in @slot, which has sent @sent so far, reached this member. */
enum check_answer check_message(struct check_totals *t, struct check_member *m, uint32_t slot,
                                uint32_t n, uint32_t sent);

/* A durable event with this seq reached this member. */
void check_seq(struct check_totals *t, struct check_member *m, uint64_t seq);

/* How many of the @sent messages of @slot this member still lacks. */
uint64_t check_missing(const struct check_member *m, uint32_t slot, uint32_t sent);

/* Which seq each message of one sender was first seen with. */
struct check_order {
    uint64_t *seq_of; /* owned; 0: not seen */
    uint32_t cap;
};

void check_order_deinit(struct check_order *o);
void check_same_seq(struct check_totals *t, struct check_order *o, uint32_t n, uint64_t seq);
