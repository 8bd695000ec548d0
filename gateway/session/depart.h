/*
 * depart.h - the sessions of a gateway that goes. Every client is told when to
 * open its next socket elsewhere (`goaway`), one after another at a pace, so that
 * those who take them in are not run over. A client that knows the frame does so,
 * resumes there and then closes this socket: it has time for it. What is still
 * here then, and those who do not know the frame at their time, are closed. Event
 * streams just end at theirs: a browser opens the next one only then.
 * Inside gateway/session; others use session.h.
 */
#pragma once

#include "common/base/list.h"
#include "gateway/session/session.h"

struct departure {
    bool has_begun;
    uint64_t began_ms;
    uint64_t told;       /* sessions; the next one's place in the order of return */
    uint32_t pace;       /* returns a second */
    uint32_t overlap_ms; /* from its time to return to the end of a socket that may overlap */
    /* struct session: told, in the order in which they are closed. */
    struct list overlapping; /* native: open the next socket first */
    struct list ending;
};

void departure_init(struct departure *departure);
/* The session ends by itself: it has left in time. */
void depart_on_left(struct session *session);
