/* proc.c - readers of /proc/PID/stat and /proc/PID/smaps_rollup (see proc(5)). */
#include "tests/bench/proc.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct stat_line {
    int ppid;
    uint64_t self_ticks;
    uint64_t reaped_ticks;
};

static int read_stat(pid_t pid, struct stat_line *ret)
{
    unsigned long utime, stime;
    long cutime, cstime;
    char path[64], buf[1024];
    const char *fields;
    size_t n;
    FILE *f;

    snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    f = fopen(path, "re");
    if (!f)
        return -1;
    n = fread(buf, 1, sizeof(buf) - 1, f);
    fclose(f);
    buf[n] = '\0';
    fields = strrchr(buf, ')'); /* the name before it may hold blanks and brackets */
    if (!fields ||
        sscanf(fields + 1, " %*c %d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu %ld %ld",
               &ret->ppid, &utime, &stime, &cutime, &cstime) != 5)
        return -1;
    ret->self_ticks = utime + stime;
    ret->reaped_ticks = (uint64_t)cutime + (uint64_t)cstime;
    return 0;
}

static int64_t ticks_to_us(uint64_t ticks)
{
    return (int64_t)(ticks * (1000000u / (uint64_t)sysconf(_SC_CLK_TCK)));
}

int64_t proc_cpu_us(pid_t pid)
{
    struct stat_line st;

    return read_stat(pid, &st) < 0 ? -1 : ticks_to_us(st.self_ticks);
}

int64_t proc_tree_cpu_us(pid_t pid)
{
    struct stat_line st;
    struct dirent *entry;
    uint64_t ticks;
    DIR *dir;

    if (read_stat(pid, &st) < 0)
        return -1;
    ticks = st.self_ticks + st.reaped_ticks;
    dir = opendir("/proc");
    if (!dir)
        return -1;
    while ((entry = readdir(dir)) != NULL) {
        char *end;
        long other = strtol(entry->d_name, &end, 10);

        if (other > 0 && *end == '\0' && read_stat((pid_t)other, &st) == 0 && st.ppid == pid)
            ticks += st.self_ticks + st.reaped_ticks;
    }
    closedir(dir);
    return ticks_to_us(ticks);
}

int64_t proc_pss_bytes(pid_t pid)
{
    char path[64], line[256];
    long long kb = -1;
    FILE *f;

    snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", (int)pid);
    f = fopen(path, "re");
    if (!f)
        return -1;
    while (fgets(line, sizeof(line), f)) {
        if (sscanf(line, "Pss: %lld", &kb) == 1)
            break;
    }
    fclose(f);
    return kb < 0 ? -1 : (int64_t)kb * 1024;
}
