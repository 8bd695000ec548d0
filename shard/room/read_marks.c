/* read_marks.c - see read_marks.h. */
#include "shard/room/read_marks.h"

#include <errno.h>
#include <stdlib.h>

#include "common/json/json_write.h"

void read_marks_init(struct read_marks *marks)
{
    map_init(&marks->by_user);
    list_init(&marks->marks);
}

void read_mark_free(struct read_mark *mark)
{
    list_del(&mark->link);
    free(mark);
}

void read_marks_deinit(struct read_marks *marks)
{
    while (!list_empty(&marks->marks))
        read_mark_free(list_first(&marks->marks, struct read_mark, link));
    map_deinit(&marks->by_user);
}

static bool user_eq(const struct map_node *node, const void *key)
{
    const struct slice *user = key;

    return slice_eq(container_of(node, const struct read_mark, node)->user, *user);
}

struct read_mark *read_marks_find(const struct read_marks *marks, struct slice user)
{
    struct map_node *node = map_find(&marks->by_user, hash_slice(user), user_eq, &user);

    return node ? container_of(node, struct read_mark, node) : NULL;
}

struct read_mark *read_marks_put(struct read_marks *marks, struct slice user, int64_t id)
{
    struct read_mark *mark = read_marks_find(marks, user);

    if (mark) {
        mark->id = MAX(mark->id, id);
        return mark;
    }
    mark = calloc(1, sizeof(*mark) + user.len);
    if (!mark)
        return NULL;
    memcpy(mark->bytes, user.data, user.len);
    mark->user = slice_of(mark->bytes, user.len);
    mark->id = id;
    list_init(&mark->waits);
    if (map_insert(&marks->by_user, &mark->node, hash_slice(user)) < 0) {
        free(mark);
        return NULL;
    }
    list_add_tail(&marks->marks, &mark->link);
    return mark;
}

void read_marks_take(struct read_marks *marks, size_t max, struct list *ret_marks)
{
    list_init(ret_marks);
    for (size_t n = 0; n < max && !list_empty(&marks->marks); n++) {
        struct read_mark *mark = list_first(&marks->marks, struct read_mark, link);

        map_remove(&marks->by_user, &mark->node);
        list_del(&mark->link);
        list_add_tail(ret_marks, &mark->link);
    }
}

int read_marks_give_back(struct read_marks *marks, struct read_mark *mark)
{
    struct read_mark *younger = read_marks_find(marks, mark->user);

    if (!younger) {
        if (map_insert(&marks->by_user, &mark->node, hash_slice(mark->user)) < 0)
            return -ENOMEM;
        list_del(&mark->link);
        list_add_head(&marks->marks, &mark->link);
        return 0;
    }
    younger->id = MAX(younger->id, mark->id);
    while (!list_empty(&mark->waits)) {
        struct list *wait = mark->waits.next;

        list_del(wait);
        list_add_tail(&younger->waits, wait);
    }
    read_mark_free(mark);
    return 0;
}

void read_marks_write(struct buf *out, const struct list *marks)
{
    struct json_writer w = json_writer(out);
    const struct read_mark *mark;

    json_write_array(&w);
    list_for_each(mark, marks, link)
    {
        json_write_object(&w);
        json_field_str(&w, "u", mark->user);
        json_field_i64(&w, "i", mark->id);
        json_write_object_end(&w);
    }
    json_write_array_end(&w);
}
