/* verb_lookups.c - KEY_LOOKUP and PROJECT_CONFIG: what gateways need to let anybody in. */
#include "common/base/codec.h"
#include "shard/api/call.h"
#include "shard/host/host.h"

#define KEY_HASH_LEN 32

static void on_found(struct lookup_wait *wait, unsigned status, struct slice body)
{
    call_reply(container_of(wait, struct call, lookup_wait), status, body);
}

void verb_key_lookup(struct call *call, struct room_host *room)
{
    struct json_fields f = json_fields(call->params);
    struct slice text =
        json_get_str(&f, "keyHash", 2 * KEY_HASH_LEN, 2 * KEY_HASH_LEN, ERROR_bad_request);
    uint8_t hash[KEY_HASH_LEN];

    (void)room;
    if (!json_fields_failed(&f) && hex_decode(text, hash, sizeof(hash)) < 0)
        json_fields_fail(&f, ERROR_bad_request, "keyHash must be hex");
    if (json_fields_failed(&f)) {
        call_refuse_fields(call, &f);
        return;
    }
    call->lookup_wait.fn = on_found;
    lookup_key(call->host->lookups, hash, &call->lookup_wait);
}

void verb_project_config(struct call *call, struct room_host *room)
{
    (void)room;
    call->lookup_wait.fn = on_found;
    lookup_project(call->host->lookups, call->project, &call->lookup_wait);
}
