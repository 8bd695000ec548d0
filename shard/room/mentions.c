/* mentions.c - see mentions.h. */
#include "shard/room/mentions.h"

#include "shard/room/audience.h"

static const struct {
    const char *word, *name;
    enum member_role role; /* ROLE_NONE: everybody */
} groups[] = {
    {"here", "@here", ROLE_NONE},
    {"channel", "@channel", ROLE_NONE},
    {"role:owner", "@role:owner", ROLE_OWNER},
    {"role:admin", "@role:admin", ROLE_ADMIN},
    {"role:moderator", "@role:moderator", ROLE_MODERATOR},
    {"role:mod", "@role:moderator", ROLE_MODERATOR},
    {"role:member", "@role:member", ROLE_MEMBER},
    {"role:guest", "@role:guest", ROLE_GUEST},
};

static bool is_name_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           c == '_' || c == ':';
}

/* The next "@name" at or after *at; moves *at behind it. False: no more. */
static bool next_mention(struct slice content, size_t *at, struct slice *ret_name)
{
    while (*at < content.len) {
        const char *sign = memchr(content.data + *at, '@', content.len - *at);
        size_t start, end;

        if (!sign)
            return false;
        start = end = (size_t)(sign - content.data) + 1;
        while (end < content.len && is_name_char(content.data[end]))
            end++;
        *at = end;
        *ret_name = slice_of(content.data + start, end - start);
        if (end > start)
            return true;
    }
    return false;
}

/* What the word after the sign stands for; empty: nothing. */
static struct slice meaning(struct slice word, const struct members *members,
                            struct slice visible_to)
{
    for (size_t i = 0; i < ARRAY_LEN(groups); i++) {
        if (slice_eq_str(word, groups[i].word))
            return visible_to.len == 0 ? slice_str(groups[i].name) : (struct slice){0};
    }
    return members_find(members, word) && audience_has(visible_to, word) ? word
                                                                         : (struct slice){0};
}

void mentions_find(struct mentions *mentions, struct slice content,
                   const struct members *members, struct slice visible_to)
{
    struct slice word;
    size_t at = 0;

    mentions->n = 0;
    while (mentions->n < MENTIONS_MAX && next_mention(content, &at, &word)) {
        struct slice name = meaning(word, members, visible_to);
        bool is_new = name.len > 0;

        for (size_t i = 0; i < mentions->n && is_new; i++)
            is_new = !slice_eq(mentions->names[i], name);
        if (is_new)
            mentions->names[mentions->n++] = name;
    }
}

bool mention_means(struct slice name, enum member_role role)
{
    for (size_t i = 0; i < ARRAY_LEN(groups); i++) {
        if (slice_eq_str(name, groups[i].name))
            return groups[i].role == ROLE_NONE || groups[i].role == role;
    }
    return false;
}
