/*
 * measure_commit.c - how fast batches commit through the store: rows/s and time
 * per batch, by rows per batch, over 200 rooms, and one room alone. Not a test:
 *
 *   tests/support/with-postgres build/tests/integration/measure_commit [rooms already there]
 * [rows already there] [an index to do without]
 */
#include <stdlib.h>

#include "pg_fixture.h"

#define ROOMS 200
#define SECONDS 2

static struct pgx x;
static uint64_t seqs[ROOMS];
static int64_t next_id = 1000000;

static uint64_t now_us(void)
{
    return (uint64_t)env_wall_us(loop_env(x.loop));
}

static struct entry *message(uint64_t seq)
{
    static char content[128];
    struct entry e = {
        .kind = ENTRY_MESSAGE,
        .seq = seq,
        .updated_seq = seq,
        .id = next_id++,
        .created_us = (int64_t)now_us(),
        .version = 1,
        .user = SLICE_LIT("user-1234"),
        .client_id = SLICE_LIT("cmsg_00112233-4455-6677-8899-aabbccddeeff"),
    };

    memset(content, 'x', sizeof(content));
    e.content = slice_of(content, sizeof(content));
    env_random(loop_env(x.loop), e.dedupe, DEDUPE_LEN);
    return entry_new(&e);
}

struct lane_run {
    unsigned lane, rows, rooms, first_room; /* per batch */
    struct batch_room *in;
    struct entry **entries;
    struct pgx_submit answer;
    char names[ROOMS][16];
};

static int by_room(const void *a, const void *b)
{
    const struct batch_room *p = a, *q = b;

    return strcmp(p->room.data, q->room.data);
}

static void run_start(struct lane_run *run)
{
    unsigned per_room = run->rows / run->rooms;
    struct batch batch = {run->in, run->rooms};

    for (unsigned i = 0; i < run->rooms; i++) {
        unsigned k = (run->first_room + i) % ROOMS;
        struct batch_room *room = &run->in[i];

        *room = (struct batch_room){
            .project = SLICE_LIT("p"),
            .room = slice_str(run->names[k]),
            .fence = 1,
            .expect_seq = seqs[k],
            .entries = &run->entries[(size_t)i * per_room],
            .n_entries = per_room,
        };
        for (unsigned n = 0; n < per_room; n++)
            run->entries[i * per_room + n] = message(++seqs[k]);
        room->new_seq = seqs[k];
        room->last_id = next_id - 1;
        room->last_created_us = (int64_t)now_us();
    }
    run->first_room = (run->first_room + run->rooms) % ROOMS;
    qsort(run->in, run->rooms, sizeof(*run->in), by_room);
    run->answer.n = 0; /* not copied */
    pgx_submit_start(&x, run->lane, &batch, &run->answer);
}

/* What the server's process of the lane has used of a processor so far. */
static double backend_cpu_us(void)
{
    char path[64];
    double ns = 0;
    FILE *file;

    snprintf(
        path, sizeof(path), "/proc/%s/schedstat",
        pgx_sql(
            &x,
            "SELECT pid FROM pg_stat_activity WHERE application_name = 'fluxy-shard lane'"));
    file = fopen(path, "r");
    if (!file)
        return 0;
    if (fscanf(file, "%lf", &ns) != 1)
        ns = 0;
    (void)fclose(file);
    return ns / 1000;
}

static int by_time(const void *a, const void *b)
{
    uint64_t p = *(const uint64_t *)a, q = *(const uint64_t *)b;

    return (p > q) - (p < q);
}

static void measure(unsigned rows, unsigned rooms)
{
    static uint64_t times[200000];
    struct lane_run run = {.rows = rows, .rooms = rooms};
    uint64_t end, at, start;
    double cpu_us = backend_cpu_us();
    size_t n = 0, middle, last;

    run.in = calloc(rooms, sizeof(*run.in));
    run.entries = calloc(rows, sizeof(struct entry *));
    for (unsigned i = 0; i < ROOMS; i++)
        snprintf(run.names[i], sizeof(run.names[i]), "m%05u", i);
    start = now_us();
    end = start + SECONDS * 1000000;
    while ((at = now_us()) < end && n < ARRAY_LEN(times)) {
        run_start(&run);
        pgx_wait(&x, &run.answer.done);
        assert_int_equal(run.answer.result, STORE_OK);
        times[n++] = now_us() - at;
        for (unsigned i = 0; i < rows; i++)
            entry_unref(run.entries[i]);
    }
    end = now_us();
    qsort(times, n, sizeof(times[0]), by_time);
    middle = n / 2;
    last = n - 1 - n / 100;
    cpu_us = (backend_cpu_us() - cpu_us) / (double)(n * rows);
    printf("%5u rows in %3u rooms: %7.0f rows/s, batch p50 %6.2f ms, p99 %6.2f ms, backend CPU "
           "%5.1f us/row\n",
           rows, rooms, (double)n * rows * 1e6 / (double)(end - start),
           (double)times[middle] / 1e3, (double)times[last] / 1e3, cpu_us);
    free(run.in);
    free(run.entries);
}

int main(int argc, char **argv)
{
    static const unsigned cases[][2] = {{1, 1},      {10, 10},  {100, 100}, {100, 1},
                                        {1000, 200}, {1000, 1}, {2000, 200}};
    int rooms = argc > 1 ? atoi(argv[1]) : 0, rows = argc > 2 ? atoi(argv[2]) : 0;

    pgx_init(&x, 1);
    if (argc > 3)
        (void)pgx_sql(&x, "DROP INDEX %s", argv[3]);
    (void)pgx_sql(&x,
                  "INSERT INTO rooms (project_id, room_id, last_created_at, fence, created_at, "
                  "type, name, created_by) "
                  "SELECT 'p', 'z' || i, now(), 1, now(), 'group', 'n', 'u' FROM "
                  "generate_series(1, %d) i",
                  rooms);
    if (rows > 0)
        (void)pgx_sql(&x,
                      "INSERT INTO timeline (project_id, room_id, seq, updated_seq, id, "
                      "created_at, dedupe, kind, "
                      "version, user_id, content) SELECT 'p', 'z' || (i %% %d), i, i, i, "
                      "now(), gen_random_uuid(), 1, 1, "
                      "'u', repeat('x', 128) FROM generate_series(1, %d) i",
                      rooms, rows);
    assert_int_equal(loop_turn(x.loop, false), 0); /* its clock has stood still meanwhile */
    for (unsigned i = 0; i < ROOMS; i++) {
        char name[16];

        snprintf(name, sizeof(name), "m%05u", i);
        (void)pgx_create_room(&x, name, 1);
    }
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        measure(cases[i][0], cases[i][1]);
    pgx_deinit(&x);
    return 0;
}
