/* roles.c - see roles.h. */
#include "gateway/auth/roles.h"

static const char *const names[ROLE_COUNT] = {"owner",  "admin", "moderator",
                                              "member", "guest", "bot"};

unsigned role_parse(struct slice word)
{
    for (unsigned i = 0; i < ROLE_COUNT; i++) {
        if (slice_eq_str(word, names[i]))
            return 1u << i;
    }
    return slice_eq_str(word, "mod") ? ROLE_MODERATOR : 0;
}

const char *role_name(unsigned role)
{
    for (unsigned i = 0; i < ROLE_COUNT; i++) {
        if (role == 1u << i)
            return names[i];
    }
    return "";
}

struct slice roles_text(unsigned roles, char ret[ROLES_TEXT_MAX])
{
    size_t len = 0;

    for (unsigned i = 0; i < ROLE_COUNT; i++) {
        size_t n = strlen(names[i]);

        if (!(roles & (1u << i)))
            continue;
        if (len)
            ret[len++] = ',';
        memcpy(ret + len, names[i], n);
        len += n;
    }
    return slice_of(ret, len);
}
