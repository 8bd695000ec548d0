/*
 * export.h - entries as they stand in an export: JSON, CSV, Markdown. What
 * stands before the first and behind the last one is the gateway's. Pure.
 */
#pragma once

#include "common/base/buf.h"
#include "shard/room/entry.h"

enum export_format {
    EXPORT_NONE = 0,
    EXPORT_JSON,       /* rows of history, with commas between them */
    EXPORT_NDJSON,     /* the same, a line each */
    EXPORT_CSV,        /* id,createdAt,roomId,userId,content,parentId,mentions (RFC 4180) */
    EXPORT_MARKDOWN,   /* a heading and a quotation each */
    EXPORT_COMPLIANCE, /* every entry of the timeline as JSON, tombstones included */
};

/* EXPORT_NONE when unknown. */
enum export_format export_format_parse(struct slice name);
/* Only messages that are there to be read; else every entry. */
static inline bool export_is_live_only(enum export_format format)
{
    return format != EXPORT_COMPLIANCE;
}

/* Appends the entry. is_first: nothing was appended for the export part before it. */
void export_write(struct buf *out, enum export_format format, struct slice room,
                  const struct entry *e, struct slice viewer, bool is_first);

/* One CSV cell: quoted where it must be; what a spreadsheet would run as a formula gets an
 * apostrophe in front. */
void export_write_cell(struct buf *out, struct slice text);
