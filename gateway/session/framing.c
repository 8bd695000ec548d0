/* framing.c - see framing.h. */
#include "gateway/session/framing.h"

#include <stdio.h>

#include "gateway/ws/ws_header.h"

#define ID_LINE_MAX 32

/* A line end would end the field. In JSON it can only stand between tokens, where a blank is as
 * good; our own writers put none. */
static void blank_line_ends(char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (text[i] == '\n' || text[i] == '\r')
            text[i] = ' ';
    }
}

static struct blob *build_event(struct slice json, uint64_t seq)
{
    static const char data[] = "data: ", end[] = "\n\n";
    char id[ID_LINE_MAX];
    int id_len = seq ? snprintf(id, sizeof(id), "id: %llu\n", (unsigned long long)seq) : 0;
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

struct blob *framing_build(enum framing framing, struct slice json, uint64_t seq)
{
    return framing == FRAMING_EVENT_STREAM ? build_event(json, seq)
                                           : ws_server_frame(WS_OP_TEXT, json);
}
