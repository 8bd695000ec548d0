/* differential.c - answers of stores as text; see differential.h. */
#include "differential.h"

static void put_slice(struct buf *to, struct slice s)
{
    buf_printf(to, " |%.*s", (int)s.len, s.data);
}

static void put_entry(struct buf *to, const struct entry *e)
{
    if (!e) {
        buf_put_str(to, "-\n");
        return;
    }
    buf_printf(to, "%d %llu %llu %lld %lld %lld %lld %u %x %llu %lld %lld %.16s", (int)e->kind,
               (unsigned long long)e->seq, (unsigned long long)e->updated_seq, (long long)e->id,
               (long long)e->created_us, (long long)e->edited_us, (long long)e->deleted_us,
               e->version, e->flags, (unsigned long long)e->message_no, (long long)e->parent_id,
               (long long)e->expires_us, (const char *)e->dedupe);
    put_slice(to, e->user);
    put_slice(to, e->client_id);
    put_slice(to, e->content);
    put_slice(to, e->extra);
    put_slice(to, e->visible_to);
    put_slice(to, e->reactions);
    buf_put_char(to, '\n');
}

static void put_row(struct buf *to, const struct room_row *row)
{
    buf_printf(to, "row %llu %lld %lld %llu %llu %llu %lld %llu %lld %lld",
               (unsigned long long)row->last_seq, (long long)row->last_id,
               (long long)row->last_created_us, (unsigned long long)row->fence,
               (unsigned long long)row->generation, (unsigned long long)row->resume_floor,
               (long long)row->created_us, (unsigned long long)row->message_count,
               (long long)row->pinned_id, (long long)row->pinned_us);
    put_slice(to, row->type);
    put_slice(to, row->name);
    put_slice(to, row->created_by);
    put_slice(to, row->pinned_by);
    put_slice(to, row->settings);
    buf_put_char(to, '\n');
}

void diff_on_submitted(void *arg, enum store_result result, const bool *committed,
                       bool is_duplicate)
{
    struct submit_arg *s = arg;

    buf_printf(s->b->to, "submit %d", (int)result);
    if (result == STORE_BAD_DATA) {
        buf_printf(s->b->to, " duplicate %d", is_duplicate);
        s->b->n_duplicates += is_duplicate;
    }
    for (size_t i = 0; result == STORE_OK && i < s->n; i++) {
        buf_printf(s->b->to, " %d", committed[i]);
        s->b->n_committed += committed[i];
    }
    buf_put_char(s->b->to, '\n');
    s->b->done = true;
}

void diff_on_claimed(void *arg, enum store_result result, const struct claim_result *claim)
{
    struct both *b = arg;

    buf_printf(b->to, "claim %d\n", (int)result);
    b->done = true;
    if (!claim)
        return;
    put_row(b->to, &claim->row);
    for (size_t i = 0; i < claim->n_members; i++)
        buf_printf(b->to, "member %.*s %d %lld %d\n", (int)claim->members[i].user.len,
                   claim->members[i].user.data, (int)claim->members[i].role,
                   (long long)claim->members[i].joined_us, claim->members[i].notify_enabled);
    for (size_t i = 0; i < claim->n_restrictions; i++)
        buf_printf(b->to, "restricted %.*s %lld %lld\n", (int)claim->restrictions[i].user.len,
                   claim->restrictions[i].user.data, (long long)claim->restrictions[i].muted_us,
                   (long long)claim->restrictions[i].banned_us);
    buf_printf(b->to, "floors %llu %llu\n", (unsigned long long)claim->touched_floor,
               (unsigned long long)claim->seq_floor);
    for (size_t i = 0; i < claim->n_tail; i++)
        put_entry(b->to, claim->tail[i]);
    buf_printf(b->to, "streams %zu\n", claim->n_streams);
    for (size_t i = 0; i < claim->n_streams; i++)
        put_entry(b->to, claim->streams[i]);
}

void diff_on_page(void *arg, enum store_result result, const struct page *page)
{
    struct both *b = arg;

    buf_printf(b->to, "page %d\n", (int)result);
    b->done = true;
    if (!page)
        return;
    buf_printf(b->to, "head %llu generation %llu floor %llu more %d\n",
               (unsigned long long)page->head, (unsigned long long)page->generation,
               (unsigned long long)page->resume_floor, page->more);
    for (size_t i = 0; i < page->n_entries; i++)
        put_entry(b->to, page->entries[i]);
}

void diff_on_dedupe(void *arg, enum store_result result, const struct dedupe_found *found)
{
    struct both *b = arg;

    buf_printf(b->to, "dedupe %d\n", (int)result);
    for (size_t i = 0; i < KEYS; i++) {
        buf_printf(b->to, "%llu ", (unsigned long long)found[i].change_seq);
        put_entry(b->to, found[i].entry);
        b->n_found += found[i].change_seq > 0;
    }
    b->done = true;
}

void diff_on_found(void *arg, enum store_result result, struct slice room, struct entry *entry)
{
    struct both *b = arg;

    buf_printf(b->to, "find %d %.*s ", (int)result, (int)room.len, room.data);
    put_entry(b->to, entry);
    b->done = true;
}

void diff_on_due(void *arg, enum store_result result, const struct due_row *rows, size_t n)
{
    struct both *b = arg;

    buf_printf(b->to, "due %d\n", (int)result);
    for (size_t i = 0; i < n; i++)
        buf_printf(b->to, "%.*s %.*s %llu %lld %lld\n", (int)rows[i].project.len,
                   rows[i].project.data, (int)rows[i].room.len, rows[i].room.data,
                   (unsigned long long)rows[i].seq, (long long)rows[i].id,
                   (long long)rows[i].expires_us);
    b->n_due += (unsigned)n;
    b->done = true;
}

void diff_on_fences(void *arg, enum store_result result, const struct fence_state *rows)
{
    struct both *b = arg;

    buf_printf(b->to, "fences %d\n", (int)result);
    for (size_t i = 0; i < ROOMS + 1; i++)
        buf_printf(b->to, "%llu %llu %lld\n", (unsigned long long)rows[i].fence,
                   (unsigned long long)rows[i].last_seq, (long long)rows[i].last_id);
    b->done = true;
}

void diff_on_created(void *arg, enum store_result result, bool created)
{
    struct both *b = arg;

    buf_printf(b->to, "create %d %d\n", (int)result, created);
    b->done = true;
}

void diff_on_deleted(void *arg, enum store_result result, bool deleted)
{
    struct both *b = arg;

    buf_printf(b->to, "delete %d %d\n", (int)result, deleted);
    b->n_deleted += deleted;
    b->done = true;
}

/* PostgreSQL counts mentions too, which the simulator does not keep: not compared. */
void diff_on_swept(void *arg, enum store_result result, uint64_t n, bool more)
{
    struct both *b = arg;

    (void)n;
    buf_printf(b->to, "sweep %d %d\n", (int)result, more);
    b->done = true;
}
