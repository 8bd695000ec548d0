/*
 * broken.h - builds that break one promise on purpose (meson option `break`), so
 * that the campaigns that look for broken promises can be shown to find them. In
 * every other build nothing of this is left.
 */
#pragma once

#include <stdbool.h>

#define BREAK_NOTHING 0
#define BREAK_OUTPUT_GATE 1     /* shown and acknowledged before COMMIT */
#define BREAK_COMPARE_AND_SET 2 /* a commit looks at neither last_seq nor fence */
#define BREAK_DEDUPE 3          /* no key is recognised when it comes again */
#define BREAK_REPLAY 4          /* a resume leaves out one number */

#ifndef FLUXY_BREAK
#define FLUXY_BREAK BREAK_NOTHING
#endif

#define IS_BROKEN(what) (FLUXY_BREAK == (what))

/* What --version and the log say of such a build; NULL: nothing is broken. */
static inline const char *broken_name(void)
{
    static const char *const names[] = {0, "output-gate", "compare-and-set", "dedupe",
                                        "replay"};

    return names[FLUXY_BREAK];
}
