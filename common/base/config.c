/* config.c - environment variables into a checked struct; see config.h. */
#include "common/base/config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/base/broken.h"
#include "common/base/limits.h"
#include "common/base/log.h"
#include "common/base/secret.h"

#define PREFIX "FLUXY_"
#define FILE_SUFFIX "_FILE"

/* ---- values ---- */

/* Digits only; false when it is not a number or above max. */
static bool parse_digits(struct slice text, uint64_t max, uint64_t *ret)
{
    uint64_t v = 0;

    if (text.len == 0)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        unsigned digit = (unsigned)(text.data[i] - '0');

        if (text.data[i] < '0' || text.data[i] > '9' || v > (max - digit) / 10)
            return false;
        v = 10 * v + digit;
    }
    *ret = v;
    return true;
}

static bool take_suffix(struct slice *text, const char *suffix)
{
    size_t len = strlen(suffix);

    if (text->len <= len || memcmp(text->data + text->len - len, suffix, len) != 0)
        return false;
    text->len -= len;
    return true;
}

static int parse_scaled(struct slice text, uint64_t factor, uint64_t *ret)
{
    uint64_t v;

    if (!parse_digits(text, (uint64_t)INT64_MAX / factor, &v))
        return -EINVAL;
    *ret = v * factor;
    return 0;
}

int config_parse_ms(struct slice text, uint64_t *ret_ms)
{
    static const struct {
        const char *suffix;
        uint64_t ms;
    } units[] = {{"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000}};

    for (size_t i = 0; i < ARRAY_LEN(units); i++)
        if (take_suffix(&text, units[i].suffix))
            return parse_scaled(text, units[i].ms, ret_ms);
    return parse_scaled(text, 1, ret_ms);
}

static int parse_int(struct slice text, int64_t *ret)
{
    bool negative = text.len > 0 && text.data[0] == '-';
    uint64_t factor = 1, v;

    if (negative)
        text = slice_of(text.data + 1, text.len - 1);
    if (take_suffix(&text, "k"))
        factor = UINT64_C(1) << 10;
    else if (take_suffix(&text, "M"))
        factor = UINT64_C(1) << 20;
    else if (take_suffix(&text, "G"))
        factor = UINT64_C(1) << 30;
    if (parse_scaled(text, factor, &v) < 0)
        return -EINVAL;
    *ret = negative ? -(int64_t)v : (int64_t)v;
    return 0;
}

static int parse_bool(struct slice text, bool *ret)
{
    static const char *const yes[] = {"true", "1", "yes", "on"};
    static const char *const no[] = {"false", "0", "no", "off"};

    for (size_t i = 0; i < ARRAY_LEN(yes); i++) {
        if (slice_eq_str(text, yes[i]) || slice_eq_str(text, no[i])) {
            *ret = slice_eq_str(text, yes[i]);
            return 0;
        }
    }
    return -EINVAL;
}

int config_parse_address(struct slice text, struct config_address *ret_address)
{
    const char *colon = text.len ? memrchr(text.data, ':', text.len) : NULL;
    struct slice host, port;
    uint64_t number;
    char *copy;

    if (!colon)
        return -EINVAL;
    host = slice_of(text.data, (size_t)(colon - text.data));
    port = slice_of(colon + 1, text.len - host.len - 1);
    if (!parse_digits(port, UINT16_MAX, &number))
        return -EINVAL;
    if (host.len >= 2 && host.data[0] == '[' && host.data[host.len - 1] == ']')
        host = slice_of(host.data + 1, host.len - 2);
    else if (host.len && memchr(host.data, ':', host.len))
        return -EINVAL; /* a v6 address without brackets: which colon is meant? */
    copy = slice_dup(host);
    if (!copy)
        return -ENOMEM;
    *ret_address = (struct config_address){copy, (uint16_t)number};
    return 0;
}

static bool is_word(const char *words, struct slice text)
{
    while (*words) {
        size_t len = strcspn(words, "|");

        if (slice_eq(slice_of(words, len), text))
            return true;
        words += len + (words[len] == '|');
    }
    return false;
}

/* ---- one option ---- */

static const char *lookup(char *const *env, const char *name, const char *suffix)
{
    size_t len = strlen(name), suffix_len = strlen(suffix);

    for (; *env; env++)
        if (strncmp(*env, name, len) == 0 && strncmp(*env + len, suffix, suffix_len) == 0 &&
            (*env)[len + suffix_len] == '=')
            return *env + len + suffix_len + 1;
    return NULL;
}

static int in_range(const struct config_option *o, int64_t v)
{
    return v < o->min || v > o->max ? -EINVAL : 0;
}

static int set_string(const struct config_option *o, void *value, struct slice text)
{
    char *copy;

    if (o->type == CONFIG_TYPE_WORD ? !is_word(o->words, text)
                                    : in_range(o, (int64_t)text.len) < 0)
        return -EINVAL;
    copy = slice_dup(text);
    if (!copy)
        return -ENOMEM;
    *(char **)value = copy;
    return 0;
}

static int set_secret(const struct config_option *o, void *value, struct slice text)
{
    struct config_secret *secret = value;

    if (text.len == 0 && o->def)
        return 0;
    if (in_range(o, (int64_t)text.len) < 0)
        return -EINVAL;
    secret->data = slice_dup(text);
    if (!secret->data)
        return -ENOMEM;
    secret->len = text.len;
    return 0;
}

static int set_value(const struct config_option *o, void *value, struct slice text)
{
    int r;

    switch (o->type) {
    case CONFIG_TYPE_STRING:
    case CONFIG_TYPE_WORD:
        return set_string(o, value, text);
    case CONFIG_TYPE_INT:
        r = parse_int(text, value);
        return r < 0 ? r : in_range(o, *(int64_t *)value);
    case CONFIG_TYPE_BOOL:
        return parse_bool(text, value);
    case CONFIG_TYPE_MS:
        r = config_parse_ms(text, value);
        return r < 0 ? r : in_range(o, (int64_t) * (uint64_t *)value);
    case CONFIG_TYPE_ADDRESS:
        return text.len == 0 && o->def ? 0 : config_parse_address(text, value);
    case CONFIG_TYPE_SECRET:
        return set_secret(o, value, text);
    }
    return -EINVAL;
}

/* What a value must look like, for errors and --help. */
static void describe(struct buf *out, const struct config_option *o)
{
    switch (o->type) {
    case CONFIG_TYPE_STRING:
        buf_printf(out, "text of %lld to %lld bytes", (long long)o->min, (long long)o->max);
        break;
    case CONFIG_TYPE_WORD:
        buf_printf(out, "one of %s", o->words);
        break;
    case CONFIG_TYPE_INT:
        buf_printf(out, "a whole number from %lld to %lld", (long long)o->min,
                   (long long)o->max);
        break;
    case CONFIG_TYPE_BOOL:
        buf_put_str(out, "true or false");
        break;
    case CONFIG_TYPE_MS:
        buf_printf(out, "a duration such as 250ms, 10s, 5m, 2h (%lldms to %lldms)",
                   (long long)o->min, (long long)o->max);
        break;
    case CONFIG_TYPE_ADDRESS:
        buf_put_str(out, "an address host:port, [v6]:port or :port");
        break;
    case CONFIG_TYPE_SECRET:
        buf_printf(
            out, "a secret of %lld to %lld bytes, here or in the file named by %s" FILE_SUFFIX,
            (long long)o->min, (long long)o->max, o->name);
        break;
    }
}

/* The bytes of a file without one newline at its end. -E2BIG, or what the system says. */
static int read_file(const char *path, struct buf *ret)
{
    FILE *file = fopen(path, "re");
    char *to = buf_reserve(ret, SECRET_FILE_MAX + 1);
    int r = 0;

    if (!file)
        return -errno;
    if (!to) {
        r = -ENOMEM;
    } else {
        ret->len = fread(to, 1, SECRET_FILE_MAX + 1, file);
        if (ferror(file))
            r = -EIO;
        else if (ret->len > SECRET_FILE_MAX)
            r = -E2BIG;
        else if (ret->len > 0 && to[ret->len - 1] == '\n')
            ret->len--;
    }
    fclose(file);
    return r;
}

/* The option's text: from its variable, its file or its default. `file` keeps the content of
 * the file. */
static int find_text(const struct config_option *o, char *const *env, struct buf *file,
                     struct buf *problems, struct slice *ret_text)
{
    const char *text = lookup(env, o->name, "");
    const char *path = o->type == CONFIG_TYPE_SECRET ? lookup(env, o->name, FILE_SUFFIX) : NULL;
    int r;

    if (text && path && *text && *path) {
        buf_printf(problems, "%s and %s" FILE_SUFFIX " are both set; give one of them\n",
                   o->name, o->name);
        return -EINVAL;
    }
    if (path && *path) {
        r = read_file(path, file);
        if (r < 0) {
            buf_printf(problems, "%s" FILE_SUFFIX ": cannot read %s: %s\n", o->name, path,
                       strerror(-r));
            return -EINVAL;
        }
        *ret_text = buf_slice(file);
        return 0;
    }
    if (!text && !o->def) {
        buf_printf(problems, "%s must be set: ", o->name);
        describe(problems, o);
        buf_put_char(problems, '\n');
        return -EINVAL;
    }
    *ret_text = slice_str(text ? text : o->def);
    return 0;
}

static int load_option(const struct config_option *o, void *values, char *const *env,
                       struct buf *problems)
{
    AUTO_BUF file = BUF_INIT;
    struct slice text;
    int r;

    r = find_text(o, env, &file, problems, &text);
    if (r == 0) {
        r = set_value(o, (char *)values + o->offset, text);
        if (r == -EINVAL) {
            /* A secret is not repeated: the log is no place for it. */
            if (o->type == CONFIG_TYPE_SECRET)
                buf_printf(problems, "%s has %zu bytes, but must be ", o->name, text.len);
            else
                buf_printf(problems, "%s is \"%.*s\", but must be ", o->name, (int)text.len,
                           text.data);
            describe(problems, o);
            buf_put_char(problems, '\n');
        }
    }
    secret_wipe(file.data, file.len);
    return r;
}

/* ---- the table ---- */

static bool is_known(const struct config_option *options, size_t n, struct slice name)
{
    for (size_t i = 0; i < n; i++) {
        size_t len = strlen(options[i].name);

        if (slice_eq_str(name, options[i].name))
            return true;
        if (options[i].type == CONFIG_TYPE_SECRET && name.len == len + strlen(FILE_SUFFIX) &&
            memcmp(name.data, options[i].name, len) == 0 &&
            memcmp(name.data + len, FILE_SUFFIX, strlen(FILE_SUFFIX)) == 0)
            return true;
    }
    return false;
}

static void warn_unknown(const struct config_option *options, size_t n, char *const *env,
                         struct buf *warnings)
{
    for (; *env; env++) {
        struct slice name = slice_of(*env, strcspn(*env, "="));

        if (strncmp(*env, PREFIX, strlen(PREFIX)) == 0 && !is_known(options, n, name))
            buf_printf(warnings, "%.*s is not a variable of this program\n", (int)name.len,
                       name.data);
    }
}

int config_load(const struct config_option *options, size_t n, void *values, char *const *env,
                struct buf *problems, struct buf *warnings)
{
    int result = 0;

    for (size_t i = 0; i < n; i++) {
        int r = load_option(&options[i], values, env, problems);

        if (r == -ENOMEM)
            return r;
        if (r < 0)
            result = r;
    }
    warn_unknown(options, n, env, warnings);
    return buf_failed(problems) || buf_failed(warnings) ? -ENOMEM : result;
}

void config_free(const struct config_option *options, size_t n, void *values)
{
    for (size_t i = 0; i < n; i++) {
        void *value = (char *)values + options[i].offset;

        if (options[i].type == CONFIG_TYPE_STRING || options[i].type == CONFIG_TYPE_WORD) {
            free(*(char **)value);
            *(char **)value = NULL;
        } else if (options[i].type == CONFIG_TYPE_ADDRESS) {
            struct config_address *address = value;

            free(address->host);
            address->host = NULL;
        } else if (options[i].type == CONFIG_TYPE_SECRET) {
            struct config_secret *secret = value;

            secret_wipe(secret->data, secret->len);
            free(secret->data);
            *secret = (struct config_secret){0};
        }
    }
}

void config_help(struct buf *out, const char *program, const char *summary,
                 const struct config_option *options, size_t n)
{
    buf_printf(out,
               "Usage: %s [--help | --version]\n%s\n\nConfigured by environment variables:\n\n",
               program, summary);
    if (broken_name())
        buf_printf(out, "BROKEN BUILD: %s is broken on purpose, for tests only\n\n",
                   broken_name());
    for (size_t i = 0; i < n; i++) {
        const struct config_option *o = &options[i];

        buf_printf(out, "%s\n    %s\n    ", o->name, o->help);
        describe(out, o);
        if (!o->def)
            buf_put_str(out, "; must be set\n\n");
        else if (*o->def)
            buf_printf(out, "; default: %s\n\n", o->def);
        else
            buf_put_str(out, "; default: empty\n\n");
    }
}

/* ---- the start of a program ---- */

static void log_lines(enum log_level level, const char *msg, struct slice lines)
{
    while (lines.len > 0) {
        const char *end = memchr(lines.data, '\n', lines.len);
        struct slice line = slice_of(lines.data, end ? (size_t)(end - lines.data) : lines.len);

        LOG_AT(level, msg, L_SLICE("detail", line));
        lines.data += MIN(line.len + 1, lines.len);
        lines.len -= MIN(line.len + 1, lines.len);
    }
}

int config_start(const char *program, const char *summary, const struct config_option *options,
                 size_t n, void *values, int argc, char **argv)
{
    AUTO_BUF out = BUF_INIT;
    AUTO_BUF warnings = BUF_INIT;
    int r;

    if (argc == 2 && strcmp(argv[1], "--help") == 0) {
        config_help(&out, program, summary, options, n);
        if (buf_failed(&out))
            return -ENOMEM;
        fwrite(out.data, 1, out.len, stdout);
        return CONFIG_EXIT;
    }
    if (argc == 2 && strcmp(argv[1], "--version") == 0) {
        printf("%s %s%s%s\n", program, FLUXY_VERSION, broken_name() ? " BROKEN BUILD: " : "",
               broken_name() ? broken_name() : "");
        return CONFIG_EXIT;
    }
    if (argc > 1) {
        fprintf(stderr, "%s: unknown argument %s; try --help\n", program, argv[1]);
        return -EINVAL;
    }
    r = config_load(options, n, values, environ, &out, &warnings);
    log_lines(LOG_LEVEL_ERROR, "bad configuration", buf_slice(&out));
    log_lines(LOG_LEVEL_WARN, "unknown variable", buf_slice(&warnings));
    return r;
}
