/* subscribe.c - see subscribe.h. */
#include "gateway/session/subscribe.h"

#include "common/base/ident.h"
#include "common/base/limits.h"
#include "gateway/session/attach.h"
#include "gateway/session/say.h"
#include "gateway/session/token_life.h"

/* Why a frame cannot be taken. */
struct refusal {
    enum error_code code; /* ERROR_NONE: it can */
    const char *detail;
};

static void fail(struct refusal *why, enum error_code code, const char *detail)
{
    if (why->code == ERROR_NONE)
        *why = (struct refusal){code, detail};
}

static bool is_given(const struct json_want *want)
{
    return want->kind != JSON_KIND_NONE && want->kind != JSON_KIND_NULL;
}

/* Plain digits: no sign, fraction or exponent, and not more than a JavaScript client can
 * count. */
static bool read_number(const struct json_want *want, uint64_t *ret)
{
    uint64_t v = 0;

    if (want->kind != JSON_KIND_NUMBER || want->value.len > 16)
        return false;
    for (size_t i = 0; i < want->value.len; i++) {
        unsigned digit = (unsigned)want->value.data[i] - '0';

        if (digit > 9)
            return false;
        v = v * 10 + digit;
    }
    *ret = v;
    return v <= SEQ_MAX;
}

enum { WANT_LAST_SEQ, WANT_GENERATION, WANT_PRESENCE, WANT_LIMIT, WANT_COUNT };

static void read_cursor(const struct json_want *wants, struct enter_params *p,
                        char generation[ID_MAX + 1], struct refusal *why)
{
    struct slice text;

    if (is_given(&wants[WANT_LAST_SEQ])) {
        if (!read_number(&wants[WANT_LAST_SEQ], &p->last_seq))
            fail(why, ERROR_invalid_cursor, "lastSeq must be a non-negative integer");
        p->attach_flags |= ATTACH_HAS_SEQ;
    }
    if (!is_given(&wants[WANT_GENERATION]))
        return;
    if (!json_scan_string(&wants[WANT_GENERATION], generation, ID_MAX, &text) ||
        text.len > ID_MAX)
        fail(why, ERROR_invalid_cursor, "generation must be the text that the server gave");
    else
        p->generation = text;
}

static void read_rest(const struct json_want *wants, struct enter_params *p,
                      struct refusal *why)
{
    enum json_kind presence = wants[WANT_PRESENCE].kind;
    uint64_t limit = SNAPSHOT_DEFAULT;

    if (is_given(&wants[WANT_PRESENCE]) && presence != JSON_KIND_TRUE &&
        presence != JSON_KIND_FALSE)
        fail(why, ERROR_bad_request, "presence must be true or false");
    p->no_presence = presence == JSON_KIND_FALSE;
    if (is_given(&wants[WANT_LIMIT]) &&
        (!read_number(&wants[WANT_LIMIT], &limit) || limit < 1 || limit > SNAPSHOT_MAX))
        fail(why, ERROR_invalid_limit, "replayLimit must be 1 to 500");
    p->replay_limit = (uint32_t)limit;
}

static void check(const struct session *s, struct slice room, struct refusal *why)
{
    if (!ident_is_valid(room))
        fail(why, ERROR_invalid_id, "roomId");
    else if (token_is_over(s))
        fail(why, ERROR_token_expired, NULL);
    else if (s->only_room && !slice_eq(intern_slice(s->only_room), room))
        fail(why, ERROR_forbidden, "the token is good for another room only");
    else if (session_find_attach(s, room))
        fail(why, ERROR_already_subscribed, NULL);
    else if (s->n_attaches >= ROOMS_PER_SOCKET_MAX)
        fail(why, ERROR_too_many_rooms, NULL);
}

int subscribe_take(struct session *s, const struct json_frame_head *head, struct slice text)
{
    struct json_want wants[WANT_COUNT] = {[WANT_LAST_SEQ] = {.name = "lastSeq"},
                                          [WANT_GENERATION] = {.name = "generation"},
                                          [WANT_PRESENCE] = {.name = "presence"},
                                          [WANT_LIMIT] = {.name = "replayLimit"}};
    struct enter_params p = {
        .room = head->room_id, .attach_flags = ATTACH_SUBSCRIBE, .frame_id = head->frame_id};
    struct say_ref ref = say_ref_of(s, head);
    char generation[ID_MAX + 1];
    struct refusal why = {0};
    int r;

    check(s, head->room_id, &why);
    if (json_scan(text, wants, WANT_COUNT) != 0)
        fail(&why, ERROR_invalid_json, "a field is there twice");
    read_cursor(wants, &p, generation, &why);
    read_rest(wants, &p, &why);
    if (why.code == ERROR_NONE) {
        r = session_enter(s, &p);
        if (r == 0) {
            s->all->metrics->subscribes++;
            return 0;
        }
        fail(&why, ERROR_overloaded, NULL);
    }
    s->all->metrics->frames_refused++;
    return say_error(s, why.code, why.detail, &ref, 0);
}

int unsubscribe_take(struct session *s, const struct json_frame_head *head)
{
    struct say_ref ref = say_ref_of(s, head);
    struct attach *a = session_find_attach(s, head->room_id);
    int r;

    if (!a) {
        s->all->metrics->frames_refused++;
        return say_error(s, head->room_id.len == 0 ? ERROR_invalid_id : ERROR_not_subscribed,
                         NULL, &ref, 0);
    }
    r = attach_answer_unsettled(a);
    if (r < 0)
        return r;
    attach_leave(a);
    return say_unsubscribed(s, &ref);
}
