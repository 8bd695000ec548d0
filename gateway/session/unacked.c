/* unacked.c - frames that are not settled yet; see unacked.h. */
#include "gateway/session/unacked.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "common/base/limits.h"

struct unacked *unacked_new(void)
{
    struct unacked *u = calloc(1, sizeof(*u));

    if (u)
        list_init(&u->frames);
    return u;
}

/* The frame behind this one; NULL: it is the last. */
static struct unacked_frame *behind(const struct unacked *u, const struct unacked_frame *frame)
{
    struct list *next = frame->link.next;

    return next == &u->frames ? NULL : list_entry(next, struct unacked_frame, link);
}

static void drop(struct unacked *u, struct unacked_frame *frame)
{
    assert(frame);
    if (u->next == frame)
        u->next = behind(u, frame);
    u->count--;
    u->bytes -= frame->len;
    list_del(&frame->link);
    free(frame);
}

void unacked_free(struct unacked *u)
{
    if (!u)
        return;
    while (!list_empty(&u->frames))
        drop(u, list_first(&u->frames, struct unacked_frame, link));
    free(u);
}

int unacked_push(struct unacked *u, struct slice json, uint64_t now_ms)
{
    struct unacked_frame *frame;

    assert(json.len <= FRAME_MAX_BYTES);
    frame = malloc(sizeof(*frame) + json.len);
    if (!frame)
        return -ENOMEM;
    frame->n = 0;
    frame->since_ms = now_ms;
    frame->len = (uint32_t)json.len;
    if (json.len > 0)
        memcpy(frame->json, json.data, json.len);
    list_add_tail(&u->frames, &frame->link);
    if (!u->next)
        u->next = frame;
    u->count++;
    u->bytes += frame->len;
    return 0;
}

void unacked_settle(struct unacked *u, uint64_t n)
{
    while (!list_empty(&u->frames)) {
        struct unacked_frame *frame = list_first(&u->frames, struct unacked_frame, link);

        if (frame->n == 0 || frame->n > n)
            return;
        drop(u, frame);
    }
}

void unacked_rewind(struct unacked *u)
{
    u->next =
        list_empty(&u->frames) ? NULL : list_first(&u->frames, struct unacked_frame, link);
}

void unacked_sent(struct unacked *u, uint64_t n)
{
    struct unacked_frame *frame = u->next;

    assert(frame && (frame->n == 0 || frame->n == n));
    frame->n = n;
    u->next = behind(u, frame);
}

struct unacked_frame *unacked_oldest(struct unacked *u, uint64_t before_ms)
{
    struct unacked_frame *frame;

    if (list_empty(&u->frames))
        return NULL;
    frame = list_first(&u->frames, struct unacked_frame, link);
    return frame->since_ms < before_ms ? frame : NULL;
}

void unacked_drop_oldest(struct unacked *u)
{
    drop(u, list_first(&u->frames, struct unacked_frame, link));
}

bool unacked_is_over(const struct unacked *u)
{
    return u->count > UNACKED_MAX_FRAMES || u->bytes > UNACKED_MAX_BYTES;
}

bool unacked_has_room(const struct unacked *u)
{
    return u->count <= UNACKED_MAX_FRAMES / 2 && u->bytes <= UNACKED_MAX_BYTES / 2;
}
