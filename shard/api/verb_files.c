/* verb_files.c - FILE_*: pieces of files in and out of the file store. Who may do it has been
 * asked by the gateway, which also keeps the order. */
#include "common/base/ident.h"
#include "common/base/limits.h"
#include "common/json/json_write.h"
#include "shard/api/call.h"
#include "shard/host/host.h"
#include "shard/store/file_store.h"

/* False: answered. */
static bool read_id(struct call *call, struct json_fields *f, struct file_id *ret_id)
{
    *ret_id = (struct file_id){call->project, json_get_id(f, "key", ERROR_invalid_id)};
    if (!json_fields_failed(f) && !ident_is_valid(call->project))
        json_fields_fail(f, ERROR_invalid_id, "project");
    if (!json_fields_failed(f))
        return true;
    call_refuse_fields(call, f);
    return false;
}

/* What the store says when it is not what was hoped for. */
static void refuse(struct call *call, enum store_result result)
{
    call_refuse(call,
                result == STORE_NOT_FOUND  ? ERROR_not_found
                : result == STORE_BAD_DATA ? ERROR_bad_request
                : result == STORE_FAILED   ? ERROR_internal_error
                                           : ERROR_unavailable,
                "", 0);
}

/* r: what a function of the file store has returned; the call is held. */
static void started(struct call *call, int r)
{
    if (r < 0 && call_release(call))
        call_refuse(call, ERROR_unavailable, "", 0);
}

static void on_done(void *arg, enum store_result result)
{
    struct call *call = arg;

    if (!call_release(call))
        return;
    if (result == STORE_OK)
        call_reply_ok(call);
    else
        refuse(call, result);
}

void verb_file_create(struct call *call, struct room_host *room)
{
    struct json_fields f = json_fields(call->params);
    struct file_row file = {
        .room = json_get_id_opt(&f, "roomId", ERROR_invalid_id),
        .user = call->user,
        .name = json_get_str(&f, "name", 1, FILE_NAME_MAX_CHARS, ERROR_invalid_name),
        .content_type = json_get_str(&f, "contentType", 1, FILE_TYPE_MAX, ERROR_bad_request),
    };
    struct file_id id;

    (void)room;
    if (!read_id(call, &f, &id))
        return;
    call_hold(call);
    started(call, call->files->ops->create(call->files, &id, &file, on_done, call));
}

static uint32_t read_n(struct json_fields *f, const char *name)
{
    return (uint32_t)json_get_int(f, name, 0, INT32_MAX, ERROR_bad_request);
}

void verb_file_put(struct call *call, struct room_host *room)
{
    struct json_fields f = json_fields(call->params);
    uint32_t n = read_n(&f, "n");
    struct file_id id;

    (void)room;
    if (!json_fields_failed(&f) && (call->data.len == 0 || call->data.len > FILE_CHUNK_BYTES))
        json_fields_fail(&f, ERROR_bad_request, "data");
    if (!read_id(call, &f, &id))
        return;
    call_hold(call);
    started(call, call->files->ops->put(call->files, &id, n, call->data, on_done, call));
}

void verb_file_finish(struct call *call, struct room_host *room)
{
    struct json_fields f = json_fields(call->params);
    uint64_t size = (uint64_t)json_get_int(&f, "size", 0, INT64_MAX, ERROR_bad_request);
    uint32_t n_pieces = read_n(&f, "pieces");
    struct file_id id;

    (void)room;
    if (!read_id(call, &f, &id))
        return;
    call_hold(call);
    started(call, call->files->ops->finish(call->files, &id, size, n_pieces, on_done, call));
}

void verb_file_remove(struct call *call, struct room_host *room)
{
    struct json_fields f = json_fields(call->params);
    struct file_id id;

    (void)room;
    if (!read_id(call, &f, &id))
        return;
    call_hold(call);
    started(call, call->files->ops->remove(call->files, &id, on_done, call));
}

/* ---- reading ---- */

static void on_stat(void *arg, enum store_result result, const struct file_row *file)
{
    struct call *call = arg;
    struct json_writer w = json_writer(&call->host->json);

    if (!call_release(call))
        return;
    if (result != STORE_OK) {
        refuse(call, result);
        return;
    }
    buf_clear(w.out);
    json_write_object(&w);
    json_field_str(&w, "key", json_slice(json_object_get(call->params, "key")));
    json_field_str_opt(&w, "roomId", file->room);
    json_field_str(&w, "userId", file->user);
    json_field_str(&w, "name", file->name);
    json_field_str(&w, "contentType", file->content_type);
    json_field_u64(&w, "size", file->size);
    json_write_object_end(&w);
    call_reply_buf(call, w.out);
}

void verb_file_stat(struct call *call, struct room_host *room)
{
    struct json_fields f = json_fields(call->params);
    struct file_id id;

    (void)room;
    if (!read_id(call, &f, &id))
        return;
    call_hold(call);
    started(call, call->files->ops->stat(call->files, &id, on_stat, call));
}

static void on_piece(void *arg, enum store_result result, struct slice data)
{
    struct call *call = arg;

    if (!call_release(call))
        return;
    if (result == STORE_OK)
        call_reply_data(call, data);
    else
        refuse(call, result);
}

void verb_file_get(struct call *call, struct room_host *room)
{
    struct json_fields f = json_fields(call->params);
    uint32_t n = read_n(&f, "n");
    struct file_id id;

    (void)room;
    if (!read_id(call, &f, &id))
        return;
    call_hold(call);
    started(call, call->files->ops->get(call->files, &id, n, on_piece, call));
}
