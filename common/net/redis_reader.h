/*
 * redis_reader.h - hiredis' parser, bounded: an array that announces more than
 * REDIS_ELEMENTS_MAX elements is an error instead of an allocation.
 */
#pragma once

#include <hiredis/read.h>

/* NULL: out of memory. Freed by redisReaderFree(). */
redisReader *redis_reader_new(void);
