/* migrations.h - the SQL of shard/store/schema, embedded at build (schema/embed.py). */
#pragma once

#include <stddef.h>

struct migration {
    int number; /* from 1, without gap */
    const char *name;
    const char *sql;
};

extern const struct migration migrations[];
extern const size_t n_migrations;
