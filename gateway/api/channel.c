/*
 * channel.c - POST /auth/channel: a signature with which a member of a room can
 * prove to a third party (who was given the channel key by the project) that
 * this socket may listen to that room. Steps: signature, and only then whether
 * the room may be read, which its owner says.
 *
 *   channel key = HMAC-SHA256(the project's current secret, "fluxychat channel auth")
 *   auth = <project>:hex(HMAC-SHA256(channel key, <socketId>:<channelName>[:<channel_data>]))
 */
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdlib.h>

#include "common/base/codec.h"
#include "common/base/ident.h"
#include "common/base/secret.h"
#include "gateway/api/request.h"

#define KEY_LABEL "fluxychat channel auth"
#define CHANNEL_MAX (ID_MAX + 16)
#define MAC_BYTES 32

/* api_request.state */
struct channel {
    char mac[2 * MAC_BYTES + 1];
    struct slice name, room, socket, data; /* point into the body */
};

static bool mac(struct slice key, struct slice text, uint8_t ret[MAC_BYTES])
{
    unsigned len = MAC_BYTES;

    return HMAC(EVP_sha256(), key.data, (int)key.len, (const unsigned char *)text.data,
                text.len, ret, &len) != NULL;
}

static int sign(struct channel *c, const struct project *project)
{
    uint8_t key[MAC_BYTES], digest[MAC_BYTES];
    AUTO_BUF text = BUF_INIT;
    bool ok;

    buf_put_slice(&text, c->socket);
    buf_put_char(&text, ':');
    buf_put_slice(&text, c->name);
    if (c->data.len) {
        buf_put_char(&text, ':');
        buf_put_slice(&text, c->data);
    }
    ok = !buf_failed(&text) && mac(project->keys[0].bytes, SLICE_LIT(KEY_LABEL), key) &&
         mac(slice_of(key, sizeof(key)), buf_slice(&text), digest);
    secret_wipe(key, sizeof(key));
    if (!ok)
        return -1;
    hex_encode(digest, sizeof(digest), c->mac);
    return 0;
}

/* private-<room> and presence-<room> are channels of the room, as is its bare id. */
static struct slice room_of(struct slice channel)
{
    static const char *const prefixes[] = {"private-", "presence-"};

    for (size_t i = 0; i < ARRAY_LEN(prefixes); i++) {
        size_t len = strlen(prefixes[i]);

        if (channel.len > len && memcmp(channel.data, prefixes[i], len) == 0)
            return slice_of(channel.data + len, channel.len - len);
    }
    return channel;
}

static bool is_socket_id(struct slice s)
{
    for (size_t i = 0; i < s.len; i++) {
        if (s.data[i] != '.' && !ident_is_valid(slice_of(s.data + i, 1)))
            return false;
    }
    return s.len > 0;
}

/* False: answered. */
static bool read_body(struct api_request *req, struct channel *c)
{
    struct json_fields f = json_fields(req->body);
    struct slice room = json_get_id_opt(&f, "roomId", ERROR_invalid_id);

    c->name = json_get_str_opt(&f, "channel_name", 1, CHANNEL_MAX, ERROR_invalid_id);
    c->socket = json_get_str_opt(&f, "socket_id", 1, ID_MAX, ERROR_invalid_id);
    if (!c->socket.data)
        c->socket = json_get_str(&f, "socketId", 1, ID_MAX, ERROR_invalid_id);
    c->data =
        json_get_str_opt(&f, "channel_data", 0, CHANNEL_DATA_MAX_CHARS, ERROR_bad_request);
    if (!c->name.data)
        c->name = room;
    c->room = room_of(c->name);
    if (!json_fields_failed(&f) && !is_socket_id(c->socket))
        json_fields_fail(&f, ERROR_invalid_id, "socket_id");
    if (!json_fields_failed(&f) && !ident_is_valid(c->room))
        json_fields_fail(&f, ERROR_invalid_id, "channel_name or roomId");
    if (!json_fields_failed(&f) && room.data && !slice_eq(room, c->room))
        json_fields_fail(&f, ERROR_bad_request, "channel_name is of another room than roomId");
    return api_fields_ok(req, &f);
}

static bool write_answer(struct api_request *req, struct slice body, struct buf *out)
{
    const struct channel *c = req->state;
    AUTO_BUF auth = BUF_INIT;
    struct json_writer w = json_writer(out);

    (void)body; /* it is there, and may be read */
    buf_printf(&auth, "%s:%s", req->admission.token.project, c->mac);
    json_write_object(&w);
    json_field_bool(&w, "ok", true);
    json_field_str(&w, "auth", buf_slice(&auth));
    json_field_str(&w, "channelName", c->name);
    json_field_str(&w, "roomId", c->room);
    json_field_str(&w, "socketId", c->socket);
    json_field_str_opt(&w, "channel_data", c->data);
    json_write_object_end(&w);
    return true;
}

void api_post_auth_channel(struct api_request *req)
{
    struct channel *c = calloc(1, sizeof(*c));

    req->state = c;
    req->free_state = free;
    if (!c) {
        api_reply_error(req, ERROR_overloaded, slice_of(NULL, 0));
        return;
    }
    if (!read_body(req, c) || !api_may_use_room(req, c->room))
        return;
    if (sign(c, req->admission.project) < 0) {
        api_reply_error(req, ERROR_overloaded, slice_of(NULL, 0));
        return;
    }
    req->rewrite = write_answer;
    api_call_room(req, CALL_ROOM_GET, c->room, SLICE_LIT("{}"));
}
