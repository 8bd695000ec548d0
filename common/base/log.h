/*
 * log.h - JSON lines on stderr: ts, level, node, component, msg and typed
 * fields. One event is one line, whatever its values contain. Writing never
 * blocks: what the descriptor does not take is dropped and counted. A call site
 * that repeats itself faster than LOG_REPEAT_MAX per LOG_REPEAT_WINDOW_MS is
 * cut, and its next line says how many were left out.
 *
 *     log_info("link up", L_STR("shard", name), L_U64("incarnation", n));
 *
 * Pure code does not include this. Secrets and message contents are never
 * given to it. The component is the name of the source file.
 */
#pragma once

#include "common/base/slice.h"

enum log_level {
    LOG_LEVEL_DEBUG,
    LOG_LEVEL_INFO,
    LOG_LEVEL_WARN,
    LOG_LEVEL_ERROR,
    LOG_LEVEL_OFF
};

enum log_field_type {
    LOG_FIELD_STR,
    LOG_FIELD_U64,
    LOG_FIELD_I64,
    LOG_FIELD_BOOL,
    LOG_FIELD_ERR
};

struct log_field {
    const char *key; /* a literal without anything to escape */
    enum log_field_type type;
    union {
        struct slice s;
        uint64_t u;
        int64_t i;
        bool b;
    };
};

#define L_SLICE(k, v) ((struct log_field){.key = (k), .type = LOG_FIELD_STR, .s = (v)})
#define L_STR(k, v) L_SLICE(k, slice_str(v)) /* NULL is the empty string */
#define L_U64(k, v) ((struct log_field){.key = (k), .type = LOG_FIELD_U64, .u = (v)})
#define L_I64(k, v) ((struct log_field){.key = (k), .type = LOG_FIELD_I64, .i = (v)})
#define L_BOOL(k, v) ((struct log_field){.key = (k), .type = LOG_FIELD_BOOL, .b = (v)})
/* A return value below zero (or an errno), by its name: "error":"ECONNREFUSED". */
#define L_ERR(r) ((struct log_field){.key = "error", .type = LOG_FIELD_ERR, .i = (r)})

/* What a call site remembers to cut repeats. */
struct log_site {
    uint64_t window_ms;
    uint32_t lines, left_out;
};

/* Starts writing to fd (2) as this node; before it, lines go to fd 2 without a node. The string
 * is borrowed. */
void log_init(int fd, const char *node);
void log_set_level(enum log_level level);
/* "debug", "info", "warn", "error", "off". False for another word. */
bool log_level_parse(const char *word, enum log_level *ret_level);
/* What a program does before its first line: to stderr, from the level of that name on (info
 * when there is none such); a build that is broken on purpose says so. */
void log_start(const char *node, const char *level);
/* Lines that the descriptor did not take. */
uint64_t log_dropped(void);

bool log_is_on(enum log_level level);
void log_emit(struct log_site *site, enum log_level level, const char *file, const char *msg,
              const struct log_field *fields, size_t n_fields);

#define LOG_AT(level, msg, ...)                                                                \
    do {                                                                                       \
        if (log_is_on(level)) {                                                                \
            static struct log_site log_site_;                                                  \
            const struct log_field log_fields_[] = {{0}, ##__VA_ARGS__};                       \
            log_emit(&log_site_, (level), __FILE_NAME__, (msg), log_fields_ + 1,               \
                     sizeof(log_fields_) / sizeof(log_fields_[0]) - 1);                        \
        }                                                                                      \
    } while (0)

#define log_debug(msg, ...) LOG_AT(LOG_LEVEL_DEBUG, msg, ##__VA_ARGS__)
#define log_info(msg, ...) LOG_AT(LOG_LEVEL_INFO, msg, ##__VA_ARGS__)
#define log_warn(msg, ...) LOG_AT(LOG_LEVEL_WARN, msg, ##__VA_ARGS__)
#define log_error(msg, ...) LOG_AT(LOG_LEVEL_ERROR, msg, ##__VA_ARGS__)
