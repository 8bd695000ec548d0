/* export.c - see export.h. */
#include "shard/room/export.h"

#include "common/base/ident.h"
#include "common/base/limits.h"
#include "common/json/json_read.h"
#include "shard/room/frames.h"

static const char *const names[] = {
    [EXPORT_NONE] = "",   [EXPORT_JSON] = "json",         [EXPORT_NDJSON] = "ndjson",
    [EXPORT_CSV] = "csv", [EXPORT_MARKDOWN] = "markdown", [EXPORT_COMPLIANCE] = "compliance",
};

enum export_format export_format_parse(struct slice name)
{
    for (size_t i = EXPORT_JSON; i < ARRAY_LEN(names); i++) {
        if (slice_eq_str(name, names[i]))
            return (enum export_format)i;
    }
    return EXPORT_NONE;
}

static void write_time(struct buf *out, int64_t us)
{
    char text[TIME_TEXT_MAX];

    size_t len = time_format(us, text);

    buf_put(out, text, len);
}

/* ---- CSV ---- */

static bool is_formula(char c)
{
    return c == '=' || c == '+' || c == '-' || c == '@' || c == '\t' || c == '\r';
}

static bool needs_quotes(struct slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] == ',' || text.data[i] == '"' || text.data[i] == '\r' ||
            text.data[i] == '\n')
            return true;
    }
    return text.len > 0 && (text.data[0] == ' ' || text.data[text.len - 1] == ' ');
}

void export_write_cell(struct buf *out, struct slice text)
{
    bool is_quoted = needs_quotes(text);

    if (is_quoted)
        buf_put_char(out, '"');
    if (text.len > 0 && is_formula(text.data[0]))
        buf_put_char(out, '\'');
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] == '"')
            buf_put_char(out, '"');
        buf_put_char(out, text.data[i]);
    }
    if (is_quoted)
        buf_put_char(out, '"');
}

/* The users named, with semicolons between them. */
static void write_mentions(struct buf *out, const struct entry *e)
{
    AUTO(json_free) json_t *extra = NULL;
    AUTO_BUF list = BUF_INIT;
    const json_t *mentions;

    if (e->extra.len > 0 && json_load_object(e->extra, LINK_MESSAGE_MAX, &extra) != 0)
        extra = NULL;
    mentions = json_object_get(extra, "mentions");
    for (size_t i = 0; i < json_array_size(mentions); i++) {
        if (i > 0)
            buf_put_char(&list, ';');
        buf_put_slice(&list, json_slice(json_array_get(mentions, i)));
    }
    export_write_cell(out, buf_slice(&list));
}

static void write_csv(struct buf *out, struct slice room, const struct entry *e)
{
    buf_printf(out, "%lld,", (long long)e->id);
    write_time(out, e->created_us);
    buf_put_char(out, ',');
    export_write_cell(out, room);
    buf_put_char(out, ',');
    export_write_cell(out, e->user);
    buf_put_char(out, ',');
    export_write_cell(out, e->content);
    buf_put_char(out, ',');
    if (e->parent_id)
        buf_printf(out, "%lld", (long long)e->parent_id);
    buf_put_char(out, ',');
    write_mentions(out, e);
    buf_put_slice(out, SLICE_LIT("\r\n"));
}

/* ---- Markdown ---- */

/* The text as a quotation in which nothing is markup or HTML. */
static void write_quotation(struct buf *out, struct slice text)
{
    static const char special[] = "\\`*_{}[]<>()#+-.!|~&";
    bool is_line_start = true;

    for (size_t i = 0; i < text.len; i++) {
        char c = text.data[i];

        if (is_line_start)
            buf_put_slice(out, SLICE_LIT("> "));
        is_line_start = c == '\n';
        if (c == '\r')
            continue;
        if (c == '\n') {
            buf_put_slice(out, SLICE_LIT("\\\n")); /* a line break stays one */
            continue;
        }
        if (c != 0 && strchr(special, c))
            buf_put_char(out, '\\');
        buf_put_char(out, c);
    }
    buf_put_char(out, '\n');
}

static void write_markdown(struct buf *out, const struct entry *e)
{
    buf_put_slice(out, SLICE_LIT("\n**"));
    for (size_t i = 0; i < e->user.len; i++) {
        if (e->user.data[i] == '_')
            buf_put_char(out, '\\');
        buf_put_char(out, e->user.data[i]);
    }
    buf_put_slice(out, SLICE_LIT("** \xc2\xb7 "));
    write_time(out, e->created_us);
    buf_printf(out, " \xc2\xb7 \\#%lld", (long long)e->id);
    if (e->parent_id)
        buf_printf(out, " \xc2\xb7 reply to \\#%lld", (long long)e->parent_id);
    if (e->edited_us)
        buf_put_slice(out, SLICE_LIT(" \xc2\xb7 edited"));
    buf_put_slice(out, SLICE_LIT("\n\n"));
    write_quotation(out, e->content);
}

/* ---- JSON ---- */

static const char *kind_name(enum entry_kind kind)
{
    switch (kind) {
    case ENTRY_MESSAGE:
        return "message";
    case ENTRY_MEMBERSHIP:
        return "membership";
    case ENTRY_PIN:
        return "pin";
    case ENTRY_MODERATION:
        return "moderation";
    case ENTRY_ROOM:
        return "room";
    }
    return "unknown";
}

static void write_compliance(struct buf *out, struct slice room, const struct entry *e,
                             struct slice viewer)
{
    struct json_writer w = json_writer(out);

    json_write_object(&w);
    json_field_str(&w, "entryKind", slice_str(kind_name(e->kind)));
    json_field_u64(&w, "seq", e->seq);
    json_field_u64(&w, "updatedSeq", e->updated_seq);
    json_field_time(&w, "createdAt", e->created_us);
    if (e->kind == ENTRY_MESSAGE) {
        json_write_key(&w, "message");
        frame_message_row(&w, room, e, viewer);
        json_field_bool(&w, "deleted", e->deleted_us != 0);
        json_field_bool(&w, "expired", (e->flags & ENTRY_EXPIRED) != 0);
    } else {
        json_field_str(&w, "userId", e->user);
        (void)json_write_members(&w, e->extra);
    }
    json_write_object_end(&w);
}

void export_write(struct buf *out, enum export_format format, struct slice room,
                  const struct entry *e, struct slice viewer, bool is_first)
{
    struct json_writer w = json_writer(out);

    switch (format) {
    case EXPORT_JSON:
    case EXPORT_COMPLIANCE:
        buf_put_slice(out, is_first ? SLICE_LIT("\n") : SLICE_LIT(",\n"));
        if (format == EXPORT_JSON)
            frame_message_row(&w, room, e, viewer);
        else
            write_compliance(out, room, e, viewer);
        return;
    case EXPORT_NDJSON:
        frame_message_row(&w, room, e, viewer);
        buf_put_char(out, '\n');
        return;
    case EXPORT_CSV:
        write_csv(out, room, e);
        return;
    case EXPORT_MARKDOWN:
        write_markdown(out, e);
        return;
    case EXPORT_NONE:
        return;
    }
}
