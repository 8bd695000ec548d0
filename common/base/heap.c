/* heap.c - see heap.h. Trimming walks over the free pages: some 0.2 ms for each MiB of them. */
#include "common/base/heap.h"

#include <malloc.h>
#include <stdbool.h>
#include <stddef.h>
#include <unistd.h>

#include "common/base/limits.h"

/* Where the arena begins; NULL: not known. */
static const char *begin;

void heap_configure(void)
{
    if (!begin)
        begin = sbrk(0);
    /* A refusal leaves the library's own choice, which is only larger. Said at all, these also
     * end its habit of raising them with every large block that is freed. */
    (void)mallopt(M_ARENA_MAX, 1);
    (void)mallopt(M_MMAP_THRESHOLD, HEAP_LARGE_BLOCK);
    (void)mallopt(M_TRIM_THRESHOLD, HEAP_LARGE_BLOCK);
}

/* Without asking mallinfo2(), which walks over all that is free. */
static bool is_large(void)
{
    const char *end = sbrk(0);

    return !begin || end < begin || (size_t)(end - begin) > HEAP_TIDY_MAX;
}

void heap_tidy(uint64_t now_ms, uint64_t *last_ms)
{
    if (now_ms - *last_ms < HEAP_TIDY_MS)
        return;
    *last_ms = now_ms;
    if (!is_large() && mallinfo2().fordblks >= HEAP_TIDY_FREE)
        (void)malloc_trim(0);
}
