/* sim_jobs.c - see sim_jobs.h. */
#include "tests/sim/sim_jobs.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/macros.h"

#define RUN_MAX_S 120 /* one seed: longer means that it turns in a circle */
#define JOBS_MAX 64

/* Shared by a job and its parent. */
struct job {
    uint64_t next, n_failed, n_passed; /* of its seeds, counted from its first */
    bool is_running;                   /* the seed before `next` */
    uint64_t failed[SIM_FAILED_MAX];
    struct sim_tally tally;
};

static void *shared(size_t size)
{
    void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    if (p == MAP_FAILED) {
        perror("mmap");
        exit(1);
    }
    return p;
}

static pid_t start(void)
{
    pid_t pid;

    fflush(stdout);
    fflush(stderr);
    pid = fork();
    if (pid < 0) {
        perror("fork");
        exit(1);
    }
    return pid;
}

static void job_failed(struct job *job, const struct sim_campaign *campaign, uint64_t seed,
                       unsigned duration_ms)
{
    if (job->n_failed < SIM_FAILED_MAX) {
        job->failed[job->n_failed] = seed;
        fprintf(stderr,
                "seed %" PRIu64 " failed; again with a trace: %s --seed %" PRIu64 " --ms %u\n",
                seed, campaign->name, seed, duration_ms);
    }
    job->n_failed++;
}

/* Each step-th seed from the one on that comes next. */
static void job_work(struct job *job, const struct sim_campaign *campaign,
                     const struct sim_options *options, uint64_t seeds, uint64_t first,
                     uint64_t step)
{
    struct sim_options each = *options;

    each.tally = &job->tally;
    while (first + job->next * step < seeds) {
        each.seed = options->seed + first + job->next++ * step;
        job->is_running = true;
        alarm(RUN_MAX_S);
        if (campaign->run(&each) == 0)
            job->n_passed++;
        else
            job_failed(job, campaign, each.seed, options->duration_ms);
        job->is_running = false;
        job->tally.n_runs++;
    }
    alarm(0);
}

static void tally_add(struct sim_tally *sum, const struct sim_tally *part)
{
    for (size_t i = 0; i < SIM_KINDS_MAX; i++)
        sum->n_faults[i] += part->n_faults[i];
    sum->n_runs += part->n_runs;
    sum->n_shown += part->n_shown;
    sum->n_acked += part->n_acked;
    sum->n_turns += part->n_turns;
    sum->world_ms += part->world_ms;
    sum->settle_ms = MAX(sum->settle_ms, part->settle_ms);
}

static int by_number(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

static void collect(const struct job *all, unsigned jobs, struct sim_outcome *ret)
{
    uint64_t known[JOBS_MAX * SIM_FAILED_MAX];
    size_t n = 0;

    *ret = (struct sim_outcome){0};
    for (unsigned i = 0; i < jobs; i++) {
        ret->n_passed += all[i].n_passed;
        ret->n_failed += all[i].n_failed;
        tally_add(&ret->tally, &all[i].tally);
        for (size_t k = 0; k < MIN(all[i].n_failed, (uint64_t)SIM_FAILED_MAX); k++)
            known[n++] = all[i].failed[k];
    }
    qsort(known, n, sizeof(known[0]), by_number);
    ret->n_known = MIN(n, (size_t)SIM_FAILED_MAX);
    memcpy(ret->failed, known, ret->n_known * sizeof(known[0]));
}

/* How a process ended, when not by itself. */
static void tell_end(uint64_t seed, int status)
{
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM)
        fprintf(stderr, "seed %" PRIu64 " was not done after %d s\n", seed, RUN_MAX_S);
    else if (WIFSIGNALED(status))
        fprintf(stderr, "seed %" PRIu64 ": killed by signal %d\n", seed, WTERMSIG(status));
    else
        fprintf(stderr, "seed %" PRIu64 ": exit status %d\n", seed, WEXITSTATUS(status));
}

void sim_jobs_run(const struct sim_campaign *campaign, const struct sim_options *options,
                  uint64_t seeds, unsigned jobs, struct sim_outcome *ret_outcome)
{
    struct job *all;
    pid_t pids[JOBS_MAX];
    unsigned running = 0;

    jobs = MIN(jobs, (unsigned)JOBS_MAX);
    all = shared(jobs * sizeof(*all));
    for (unsigned i = 0; i < jobs; i++, running++) {
        pids[i] = start();
        if (pids[i] == 0) {
            job_work(&all[i], campaign, options, seeds, i, jobs);
            exit(0);
        }
    }
    while (running > 0) {
        int status;
        pid_t pid = wait(&status);

        for (unsigned i = 0; i < jobs; i++) {
            struct job *job = &all[i];

            if (pids[i] != pid)
                continue;
            running--;
            if (!job->is_running)
                break; /* it has done its share */
            tell_end(options->seed + i + (job->next - 1) * jobs, status);
            job_failed(job, campaign, options->seed + i + (job->next - 1) * jobs,
                       options->duration_ms);
            job->is_running = false;
            pids[i] = start();
            if (pids[i] == 0) {
                job_work(job, campaign, options, seeds, i, jobs);
                exit(0);
            }
            running++;
            break;
        }
    }
    collect(all, jobs, ret_outcome);
    munmap(all, jobs * sizeof(*all));
}

bool sim_job_fails(const struct sim_campaign *campaign, const struct sim_options *options,
                   bool is_heard, struct sim_tally *ret_tally)
{
    struct sim_tally *tally = shared(sizeof(*tally));
    struct sim_options mine = *options;
    pid_t pid = start();
    int status = 0;

    mine.tally = tally;
    if (pid == 0) {
        int nowhere = open("/dev/null", O_WRONLY);

        if (!is_heard && (nowhere < 0 || dup2(nowhere, STDERR_FILENO) < 0))
            _exit(1);
        alarm(RUN_MAX_S);
        exit(campaign->run(&mine) > 0 ? 1 : 0);
    }
    if (waitpid(pid, &status, 0) < 0) {
        perror("waitpid");
        exit(1);
    }
    *ret_tally = *tally;
    munmap(tally, sizeof(*tally));
    if (is_heard && WIFSIGNALED(status))
        tell_end(options->seed, status);
    return status != 0;
}
