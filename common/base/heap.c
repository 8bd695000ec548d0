/* heap.c - see heap.h. Trimming walks over the free pages: some 0.2 ms for each MiB of them. */
#include "common/base/heap.h"

#include <malloc.h>

#include "common/base/limits.h"

void heap_configure(void)
{
    /* A refusal leaves the library's own choice, which is only larger. Said at all, these also
     * end its habit of raising them with every large block that is freed. */
    (void)mallopt(M_ARENA_MAX, 1);
    (void)mallopt(M_MMAP_THRESHOLD, HEAP_LARGE_BLOCK);
    (void)mallopt(M_TRIM_THRESHOLD, HEAP_LARGE_BLOCK);
}

void heap_tidy(uint64_t now_ms, uint64_t *last_ms)
{
    struct mallinfo2 info;

    if (now_ms - *last_ms < HEAP_TIDY_MS)
        return;
    *last_ms = now_ms;
    info = mallinfo2();
    if (info.arena <= HEAP_TIDY_MAX && info.fordblks >= HEAP_TIDY_FREE)
        (void)malloc_trim(0);
}
