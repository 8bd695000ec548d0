/* framing.c - see framing.h. */
#include "gateway/session/framing.h"

#include <stdio.h>

#include "common/wire/msg.h"
#include "gateway/ws/ws_header.h"

#define GENERATION_MAX 40u /* longer than any; what is longer is left out */
#define ID_LINE_MAX (32 + GENERATION_MAX)

/* A line end would end the field. In JSON it can only stand between tokens, where a blank is as
 * good; our own writers put none. */
static void blank_line_ends(char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (text[i] == '\n' || text[i] == '\r')
            text[i] = ' ';
    }
}

static int write_id(char line[ID_LINE_MAX], struct framing_id id)
{
    bool is_first = slice_eq_str(id.generation, GENERATION_FIRST);

    if (id.seq == 0)
        return 0;
    if (is_first || id.generation.len == 0 || id.generation.len > GENERATION_MAX)
        return snprintf(line, ID_LINE_MAX, "id: %llu\n", (unsigned long long)id.seq);
    return snprintf(line, ID_LINE_MAX, "id: %llu-%.*s\n", (unsigned long long)id.seq,
                    (int)id.generation.len, id.generation.data);
}

static struct blob *build_event(struct slice json, struct framing_id event_id)
{
    static const char data[] = "data: ", end[] = "\n\n";
    char id[ID_LINE_MAX];
    int id_len = write_id(id, event_id);
    size_t len = (size_t)id_len + sizeof(data) - 1 + json.len + sizeof(end) - 1;
    struct blob *blob = blob_new(len);
    char *at;

    if (!blob)
        return NULL;
    at = blob->data;
    memcpy(at, id, (size_t)id_len);
    at += id_len;
    memcpy(at, data, sizeof(data) - 1);
    at += sizeof(data) - 1;
    if (json.len > 0)
        memcpy(at, json.data, json.len);
    blank_line_ends(at, json.len);
    memcpy(at + json.len, end, sizeof(end) - 1);
    return blob;
}

struct blob *framing_build(enum framing framing, struct slice json, struct framing_id id)
{
    return framing == FRAMING_EVENT_STREAM ? build_event(json, id)
                                           : ws_server_frame(WS_OP_TEXT, json);
}
