/* room_facts.c - see room_facts.h. */
#include "shard/host/room_facts.h"

#include <errno.h>
#include <stdlib.h>

void room_facts_init(struct room_facts *facts)
{
    *facts = (struct room_facts){0};
    room_settings_init(&facts->settings);
}

void room_facts_deinit(struct room_facts *facts)
{
    free(facts->name);
    free(facts->created_by);
    free(facts->pinned_by);
    room_settings_deinit(&facts->settings);
    room_facts_init(facts);
}

static int set_text(char **text, struct slice value)
{
    char *copy = slice_dup(value);

    if (!copy)
        return -ENOMEM;
    free(*text);
    *text = copy;
    return 0;
}

static int set_pin(struct room_facts *facts, int64_t id, int64_t at_us, struct slice by)
{
    if (id == 0) {
        free(facts->pinned_by);
        facts->pinned_by = NULL;
    } else if (set_text(&facts->pinned_by, by) < 0) {
        return -ENOMEM;
    }
    facts->pinned_id = id;
    facts->pinned_us = id == 0 ? 0 : at_us;
    return 0;
}

int room_facts_load(struct room_facts *facts, const struct room_row *row)
{
    int r = set_text(&facts->name, row->name);

    if (r == 0)
        r = set_text(&facts->created_by, row->created_by);
    if (r == 0)
        r = room_settings_load(&facts->settings, row->settings);
    if (r == 0)
        r = set_pin(facts, row->pinned_id, row->pinned_us, row->pinned_by);
    facts->type = room_type_parse(row->type);
    facts->created_us = row->created_us;
    return r;
}

int room_facts_apply(struct room_facts *facts, const struct side_op *op, int64_t at_us)
{
    if (op->kind == SIDE_PIN)
        return set_pin(facts, op->id, at_us, op->actor);
    if (op->kind != SIDE_ROOM)
        return 0;
    facts->type = room_type_parse(op->type);
    if (set_text(&facts->name, op->text) < 0)
        return -ENOMEM;
    return room_settings_load(&facts->settings, op->json);
}
