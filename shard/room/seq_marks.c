/* seq_marks.c - see seq_marks.h. */
#include "shard/room/seq_marks.h"

static const struct seq_mark *mark_back(const struct seq_marks *marks, unsigned i)
{
    return &marks->marks[(marks->next + SEQ_MARKS - 1 - i) % SEQ_MARKS];
}

static void push(struct seq_marks *marks, struct seq_mark mark)
{
    marks->marks[marks->next] = mark;
    marks->next = (marks->next + 1) % SEQ_MARKS;
    marks->count += marks->count < SEQ_MARKS;
}

/* The one before goes into the ring, not this one: it may be the end of a burst, behind which
 * all was quiet. Any two neighbours but one are SEQ_MARKS_APART_MS apart. */
void seq_marks_put(struct seq_marks *marks, int64_t at_ms, uint64_t seq)
{
    struct seq_mark mark = {.at_ms = at_ms, .seq = seq};

    if (marks->count == 0)
        push(marks, mark);
    else if (at_ms - mark_back(marks, 0)->at_ms >= SEQ_MARKS_APART_MS)
        push(marks, marks->last);
    marks->last = mark;
}

uint64_t seq_marks_at(const struct seq_marks *marks, int64_t at_ms)
{
    if (marks->count > 0 && marks->last.at_ms <= at_ms)
        return marks->last.seq;
    for (unsigned i = 0; i < marks->count; i++) {
        if (mark_back(marks, i)->at_ms <= at_ms)
            return mark_back(marks, i)->seq;
    }
    return 0;
}
