/*
 * config.h - configuration of a program from FLUXY_* environment variables. A
 * program has one table of options and one struct of values; this module fills
 * the struct, checks every value at start (an error names the variable and
 * what it wants), warns of FLUXY_* variables that nobody knows, and prints
 * --help from the table.
 *
 *     struct config { uint64_t idle_ms; };
 *     static const struct config_option options[] = {
 *         CONFIG_MS(struct config, idle_ms, "X_IDLE", "60s", 1000, 86400000, "How long"),
 *     };
 *
 * A secret FLUXY_X may also be given as FLUXY_X_FILE, the path of a file; one
 * newline at its end does not count.
 */
#pragma once

#include "common/base/buf.h"

/* "host:port", "[v6]:port" or ":port" (host is then empty: all addresses). */
struct config_address {
    char *host; /* NULL when the option is empty, that is switched off */
    uint16_t port;
};

struct config_secret {
    char *data; /* NULL when not given; a NUL follows, for who wants a string */
    size_t len;
};

enum config_type {
    CONFIG_TYPE_STRING, /* char *, owned, never NULL; min and max are lengths */
    CONFIG_TYPE_WORD,   /* char *; one of `words` */
    CONFIG_TYPE_INT,    /* int64_t; also with a suffix k, M, G (1024) */
    CONFIG_TYPE_BOOL,   /* bool; true/false, 1/0, yes/no, on/off */
    CONFIG_TYPE_MS, /* uint64_t milliseconds; "250ms", "10s", "5m", "2h", "1d"; a bare number is
                       ms */
    CONFIG_TYPE_ADDRESS, /* struct config_address; empty is taken where there is a default */
    CONFIG_TYPE_SECRET,  /* struct config_secret; min and max are lengths */
};

struct config_option {
    const char *name;
    enum config_type type;
    size_t offset;     /* of the value in the program's struct */
    const char *def;   /* as it would be written; NULL: must be given */
    int64_t min, max;  /* inclusive */
    const char *words; /* "debug|info|warn": for CONFIG_TYPE_WORD */
    const char *help;
};

#define CONFIG_STRING(s, field, name_, def_, min_, max_, help_)                                \
    {                                                                                          \
        .name = (name_), .type = CONFIG_TYPE_STRING, .offset = offsetof(s, field),             \
        .def = (def_), .min = (min_), .max = (max_), .help = (help_)                           \
    }
#define CONFIG_WORD(s, field, name_, def_, words_, help_)                                      \
    {                                                                                          \
        .name = (name_), .type = CONFIG_TYPE_WORD, .offset = offsetof(s, field),               \
        .def = (def_), .words = (words_), .help = (help_)                                      \
    }
#define CONFIG_INT(s, field, name_, def_, min_, max_, help_)                                   \
    {                                                                                          \
        .name = (name_), .type = CONFIG_TYPE_INT, .offset = offsetof(s, field), .def = (def_), \
        .min = (min_), .max = (max_), .help = (help_)                                          \
    }
#define CONFIG_BOOL(s, field, name_, def_, help_)                                              \
    {                                                                                          \
        .name = (name_), .type = CONFIG_TYPE_BOOL, .offset = offsetof(s, field),               \
        .def = (def_), .help = (help_)                                                         \
    }
#define CONFIG_MS(s, field, name_, def_, min_, max_, help_)                                    \
    {                                                                                          \
        .name = (name_), .type = CONFIG_TYPE_MS, .offset = offsetof(s, field), .def = (def_),  \
        .min = (min_), .max = (max_), .help = (help_)                                          \
    }
#define CONFIG_ADDRESS(s, field, name_, def_, help_)                                           \
    {                                                                                          \
        .name = (name_), .type = CONFIG_TYPE_ADDRESS, .offset = offsetof(s, field),            \
        .def = (def_), .help = (help_)                                                         \
    }
/* def: "" = may be left out, NULL = must be given */
#define CONFIG_SECRET(s, field, name_, def_, min_, max_, help_)                                \
    {                                                                                          \
        .name = (name_), .type = CONFIG_TYPE_SECRET, .offset = offsetof(s, field),             \
        .def = (def_), .min = (min_), .max = (max_), .help = (help_)                           \
    }

/*
 * Fills *values (zeroed by the caller) from the environment `env` (as environ). 0; -EINVAL:
 * `problems` has one line per bad variable; -ENOMEM. `warnings` gets one line per unknown
 * FLUXY_* variable. After a failure config_free() is still due.
 */
int config_load(const struct config_option *options, size_t n, void *values, char *const *env,
                struct buf *problems, struct buf *warnings) MUST_CHECK;
/* Frees the strings and wipes the secrets. */
void config_free(const struct config_option *options, size_t n, void *values);
/* Usage, and each option with its form, range and default. */
void config_help(struct buf *out, const char *program, const char *summary,
                 const struct config_option *options, size_t n);

enum config_answer { CONFIG_EXIT = 1 };
/*
 * What a main() does first: --help and --version are printed to stdout (CONFIG_EXIT: leave with
 * status 0), any other argument is refused, the values are loaded; problems and warnings go to
 * stderr as log lines. -EINVAL, -ENOMEM: leave with a failure.
 */
int config_start(const char *program, const char *summary, const struct config_option *options,
                 size_t n, void *values, int argc, char **argv) MUST_CHECK;

/* Also for values that reach us otherwise. -EINVAL. */
int config_parse_address(struct slice text, struct config_address *ret_address) MUST_CHECK;
int config_parse_ms(struct slice text, uint64_t *ret_ms) MUST_CHECK;
