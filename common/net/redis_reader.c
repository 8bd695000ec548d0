/* redis_reader.c - see redis_reader.h. */
#include "common/net/redis_reader.h"

#include <hiredis/hiredis.h>

#include "common/base/limits.h"

#if HIREDIS_MAJOR < 1
typedef int elements_count;
#else
typedef size_t elements_count;
#endif

static const redisReplyObjectFunctions *hiredis_functions;

static void *create_array(const redisReadTask *task, elements_count elements)
{
    return elements > REDIS_ELEMENTS_MAX ? NULL
                                         : hiredis_functions->createArray(task, elements);
}

redisReader *redis_reader_new(void)
{
    static redisReplyObjectFunctions functions;
    redisReader *reader = redisReaderCreate();

    if (!reader)
        return NULL;
    if (!hiredis_functions) {
        hiredis_functions = reader->fn;
        functions = *reader->fn;
        functions.createArray = create_array;
    }
    reader->fn = &functions;
    return reader;
}
