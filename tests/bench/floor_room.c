/* floor_room.c - rooms by name, and the three ways of sending to everyone in one. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "common/base/macros.h"
#include "tests/bench/floor.h"
#include "tests/bench/tool.h"

static struct floor_room *find_room(struct floor *f, const char *name)
{
    struct floor_room **chain, *room;
    uint32_t hash = 5381;

    for (const char *p = name; *p; p++)
        hash = hash * 33 + (unsigned char)*p;
    chain = &f->chains[hash % ARRAY_LEN(f->chains)];
    for (room = *chain; room; room = room->next) {
        if (strcmp(room->name, name) == 0)
            return room;
    }
    room = must_calloc(1, sizeof(*room));
    room->name = strdup(name);
    room->next = *chain;
    *chain = room;
    return room;
}

void floor_join(struct floor *f, struct floor_client *c, const char *name)
{
    struct floor_room *room = find_room(f, name);

    if (room->n_members == room->cap_members) {
        room->cap_members = room->cap_members ? room->cap_members * 2 : 4;
        room->members =
            must_realloc(room->members, room->cap_members * sizeof(struct floor_client *));
    }
    c->room = room;
    c->index = room->n_members;
    room->members[room->n_members++] = c;
}

void floor_leave(struct floor_client *c)
{
    struct floor_room *room = c->room;

    if (!room)
        return;
    room->members[c->index] = room->members[--room->n_members];
    room->members[c->index]->index = c->index;
    c->room = NULL;
}

/* Output of one client. */

static void want_write(struct floor *f, struct floor_client *c, bool write)
{
    struct epoll_event ev = {.events = EPOLLIN | (write ? EPOLLOUT : 0u), .data.ptr = c};

    if (c->wants_write == write)
        return;
    c->wants_write = write;
    if (epoll_ctl(f->epoll_fd, EPOLL_CTL_MOD, c->fd, &ev) < 0)
        die("epoll_ctl: %s", strerror(errno));
}

static void keep_output(struct floor *f, struct floor_client *c, const char *p, size_t len)
{
    if (c->out_len + len > c->out_cap) {
        c->out_cap = (uint32_t)(c->out_len + len) * 2;
        c->out = must_realloc(c->out, c->out_cap);
    }
    memcpy(c->out + c->out_len, p, len);
    c->out_len += (uint32_t)len;
    want_write(f, c, true);
}

void floor_flush_client(struct floor *f, struct floor_client *c)
{
    ssize_t n = send(c->fd, c->out + c->out_off, c->out_len - c->out_off, MSG_NOSIGNAL);

    if (n < 0)
        return; /* not now; a broken socket shows itself by reading */
    c->out_off += (uint32_t)n;
    if (c->out_off < c->out_len)
        return;
    free(c->out);
    c->out = NULL;
    c->out_len = c->out_off = c->out_cap = 0;
    want_write(f, c, false);
}

void floor_send(struct floor *f, struct floor_client *c, const char *p, size_t len)
{
    ssize_t n = 0;

    if (c->out_len == 0) {
        n = send(c->fd, p, len, MSG_NOSIGNAL);
        if (n < 0 && errno != EAGAIN)
            return; /* shows itself by reading */
        if (n < 0)
            n = 0;
    }
    if ((size_t)n < len)
        keep_output(f, c, p + n, len - (size_t)n);
}

/* Faults. */

static bool is_nth(uint64_t every, uint64_t n)
{
    return every != 0 && n % every == 0;
}

static void send_faulty(struct floor *f, struct floor_client *c, struct iovec frame)
{
    uint64_t n = ++f->deliveries;

    if (is_nth(f->faults.drop_every, n))
        return;
    if (is_nth(f->faults.double_every, n))
        floor_send(f, c, frame.iov_base, frame.iov_len);
    if (!f->held_for && is_nth(f->faults.swap_every, n)) {
        f->held_for = c;
        f->held.iov_base = must_realloc(f->held.iov_base, frame.iov_len);
        f->held.iov_len = frame.iov_len;
        memcpy(f->held.iov_base, frame.iov_base, frame.iov_len);
        return;
    }
    floor_send(f, c, frame.iov_base, frame.iov_len);
    if (f->held_for == c) {
        f->held_for = NULL;
        floor_send(f, c, f->held.iov_base, f->held.iov_len);
    }
}

/* To everyone. */

static size_t frame_head(uint8_t *head, size_t len)
{
    head[0] = 0x81; /* a whole text message */
    if (len < 126) {
        head[1] = (uint8_t)len;
        return 2;
    }
    head[1] = 126;
    head[2] = (uint8_t)(len >> 8);
    head[3] = (uint8_t)len;
    return 4;
}

static void send_to_all(struct floor *f, struct floor_room *room, struct iovec frame)
{
    bool faulty = f->faults.drop_every || f->faults.double_every || f->faults.swap_every;

    for (uint32_t i = 0; i < room->n_members; i++) {
        if (faulty)
            send_faulty(f, room->members[i], frame);
        else
            floor_send(f, room->members[i], frame.iov_base, frame.iov_len);
    }
}

void floor_broadcast(struct floor *f, struct floor_room *room, const char *p, size_t len)
{
    uint8_t head[4];
    size_t head_len = frame_head(head, len);
    struct iovec frame = {.iov_len = head_len + len};

    frame.iov_base = must_realloc(NULL, frame.iov_len);
    memcpy(frame.iov_base, head, head_len);
    memcpy((char *)frame.iov_base + head_len, p, len);
    if (f->store) {
        floor_store_add(f->store, room, frame, head_len);
    } else if (f->batch) {
        floor_queue(f, room, frame);
    } else {
        send_to_all(f, room, frame);
        free(frame.iov_base);
    }
}

static void flush_to(struct floor *f, struct floor_room *room, struct floor_client *c,
                     size_t total)
{
    struct msghdr msg = {.msg_iov = room->frames, .msg_iovlen = room->n_frames};
    ssize_t n = c->out_len ? 0 : sendmsg(c->fd, &msg, MSG_NOSIGNAL);
    size_t skip;

    if (n == (ssize_t)total || (n < 0 && errno != EAGAIN))
        return;
    skip = n < 0 ? 0 : (size_t)n;
    for (uint32_t i = 0; i < room->n_frames; i++) {
        const char *p = room->frames[i].iov_base;
        size_t len = room->frames[i].iov_len, gone = MIN(skip, len);

        skip -= gone;
        if (gone < len)
            keep_output(f, c, p + gone, len - gone);
    }
}

static void flush_room(struct floor *f, struct floor_room *room)
{
    size_t total = 0;

    for (uint32_t i = 0; i < room->n_frames; i++)
        total += room->frames[i].iov_len;
    for (uint32_t i = 0; i < room->n_members; i++)
        flush_to(f, room, room->members[i], total);
    for (uint32_t i = 0; i < room->n_frames; i++)
        free(room->frames[i].iov_base);
    room->n_frames = 0;
}

void floor_queue(struct floor *f, struct floor_room *room, struct iovec frame)
{
    if (room->n_frames == FLOOR_TURN_FRAMES)
        flush_room(f, room);
    room->frames[room->n_frames++] = frame;
    if (!room->dirty) {
        room->dirty = true;
        room->next_dirty = f->dirty;
        f->dirty = room;
    }
}

void floor_flush_rooms(struct floor *f)
{
    while (f->dirty) {
        struct floor_room *room = f->dirty;

        f->dirty = room->next_dirty;
        room->dirty = false;
        flush_room(f, room);
    }
}
