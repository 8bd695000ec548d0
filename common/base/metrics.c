/* metrics.c - metrics as Prometheus text; see metrics.h. */
#include "common/base/metrics.h"

#include <assert.h>
#include <dirent.h>
#include <malloc.h>
#include <stdio.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "common/base/log.h"

const struct buckets buckets_latency_us = {
    .scale = 1e6,
    .n = 16,
    .bounds = {100, 250, 500, 1000, 2500, 5000, 10000, 25000, 50000, 100000, 250000, 500000,
               1000000, 2500000, 5000000, 10000000},
};
const struct buckets buckets_bytes = {
    .scale = 1,
    .n = 9,
    .bounds = {64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304},
};
const struct buckets buckets_count = {
    .scale = 1,
    .n = 13,
    .bounds = {1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000},
};

void histogram_observe(struct histogram *h, uint64_t v)
{
    size_t low = 0, high = h->buckets->n;

    while (low < high) { /* the first bound that is not below v */
        size_t middle = (low + high) / 2;

        if (h->buckets->bounds[middle] < v)
            low = middle + 1;
        else
            high = middle;
    }
    h->counts[low]++;
    h->sum += v;
}

static const void *member(const struct metric_row *row, const void *values)
{
    return (const char *)values + row->offset;
}

void metrics_init(const struct metric_row *rows, size_t n, void *values)
{
    for (size_t i = 0; i < n; i++) {
        struct histogram *h = (struct histogram *)(void *)((char *)values + rows[i].offset);

        if (rows[i].type == METRIC_HISTOGRAM) {
            assert(rows[i].buckets->n <= HISTOGRAM_BUCKETS_MAX);
            h->buckets = rows[i].buckets;
        }
    }
}

static void write_series(struct buf *out, const char *name, const char *suffix,
                         const char *labels)
{
    buf_put_str(out, name);
    buf_put_str(out, suffix);
    if (*labels)
        buf_printf(out, "{%s}", labels);
    buf_put_char(out, ' ');
}

static void write_histogram(struct buf *out, const struct metric_row *row,
                            const struct histogram *h)
{
    const char *comma = *row->labels ? "," : "";
    uint64_t below = 0;

    for (size_t i = 0; i < row->buckets->n; i++) {
        below += h->counts[i];
        buf_printf(out, "%s_bucket{%s%sle=\"%g\"} %llu\n", row->name, row->labels, comma,
                   (double)row->buckets->bounds[i] / row->buckets->scale,
                   (unsigned long long)below);
    }
    below += h->counts[row->buckets->n];
    buf_printf(out, "%s_bucket{%s%sle=\"+Inf\"} %llu\n", row->name, row->labels, comma,
               (unsigned long long)below);
    write_series(out, row->name, "_sum", row->labels);
    buf_printf(out, "%.15g\n", (double)h->sum / row->buckets->scale);
    write_series(out, row->name, "_count", row->labels);
    buf_printf(out, "%llu\n", (unsigned long long)below);
}

static void write_head(struct buf *out, const char *name, const char *type, const char *help)
{
    buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

void metrics_write(struct buf *out, const struct metric_row *rows, size_t n, const void *values)
{
    static const char *const types[] = {"counter", "gauge", "histogram"};

    for (size_t i = 0; i < n; i++) {
        const struct metric_row *row = &rows[i];
        const void *value = member(row, values);

        if (i == 0 || strcmp(rows[i - 1].name, row->name) != 0)
            write_head(out, row->name, types[row->type], row->help);
        if (row->type == METRIC_HISTOGRAM) {
            write_histogram(out, row, value);
            continue;
        }
        write_series(out, row->name, "", row->labels);
        if (row->type == METRIC_COUNTER)
            buf_put_u64_dec(out, *(const uint64_t *)value);
        else
            buf_put_i64_dec(out, *(const int64_t *)value);
        buf_put_char(out, '\n');
    }
}

/* ---- the process ---- */

static void write_one(struct buf *out, const char *name, const char *type, const char *help,
                      double v)
{
    write_head(out, name, type, help);
    buf_printf(out, "%s %.15g\n", name, v);
}

static double cpu_seconds(void)
{
    struct rusage usage;

    if (getrusage(RUSAGE_SELF, &usage) < 0)
        return 0;
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static double resident_bytes(void)
{
    FILE *file = fopen("/proc/self/statm", "re");
    long pages = 0;

    if (!file)
        return 0;
    if (fscanf(file, "%*d %ld", &pages) != 1)
        pages = 0;
    fclose(file);
    return (double)pages * (double)sysconf(_SC_PAGESIZE);
}

/* What the program holds, without what the allocator keeps for later. */
static double heap_bytes(void)
{
    struct mallinfo2 info = mallinfo2();

    return (double)info.uordblks + (double)info.hblkhd;
}

/* Not counting the one that counts. */
static double open_fds(void)
{
    DIR *dir = opendir("/proc/self/fd");
    long n = -1;

    if (!dir)
        return 0;
    for (struct dirent *entry = readdir(dir); entry; entry = readdir(dir))
        n += entry->d_name[0] != '.';
    closedir(dir);
    return (double)n;
}

/* Field 22 of /proc/self/stat, in clock ticks since boot; fields 1 and 2 may contain blanks, so
 * from the last bracket. */
static double start_seconds(void)
{
    struct timespec wall, boot;
    unsigned long long ticks = 0;
    char text[1024];
    const char *at;
    FILE *file = fopen("/proc/self/stat", "re");
    size_t len;

    if (!file)
        return 0;
    len = fread(text, 1, sizeof(text) - 1, file);
    fclose(file);
    text[len] = '\0';
    at = strrchr(text, ')');
    for (int field = 2; at && field < 22; field++)
        at = strchr(at + 1, ' ');
    if (!at || sscanf(at, "%llu", &ticks) != 1)
        return 0;
    clock_gettime(CLOCK_REALTIME, &wall);
    clock_gettime(CLOCK_BOOTTIME, &boot);
    return (double)(wall.tv_sec - boot.tv_sec) + (double)ticks / (double)sysconf(_SC_CLK_TCK);
}

void metrics_write_process(struct buf *out)
{
    struct rlimit fds;

    write_one(out, "process_cpu_seconds_total", "counter", "User and system CPU time",
              cpu_seconds());
    write_one(out, "process_resident_memory_bytes", "gauge", "Resident memory",
              resident_bytes());
    write_one(out, "fluxy_heap_bytes", "gauge", "Memory that is allocated and not freed",
              heap_bytes());
    write_one(out, "process_open_fds", "gauge", "Open file descriptors", open_fds());
    if (getrlimit(RLIMIT_NOFILE, &fds) == 0)
        write_one(out, "process_max_fds", "gauge", "Most file descriptors",
                  (double)fds.rlim_cur);
    write_one(out, "process_start_time_seconds", "gauge", "Start, as Unix time",
              start_seconds());
    write_one(out, "fluxy_log_dropped_total", "counter", "Log lines that nobody took",
              (double)log_dropped());
    write_head(out, "fluxy_build_info", "gauge", "Version, as a label");
    buf_put_str(out, "fluxy_build_info{version=\"" FLUXY_VERSION "\"} 1\n");
}
