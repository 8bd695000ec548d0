/* commands.c - see commands.h. Results go to stdout, as a JSON object where there is something
 * to read. */
#include "shard/commands.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/ident.h"
#include "common/json/json_write.h"
#include "shard/config.h"
#include "shard/keys.h"
#include "shard/store/store_admin.h"

struct command {
    struct shard_config config;
    struct keyring keys;
    struct store_admin *admin;
};

static int fail(const struct buf *problem)
{
    (void)fprintf(stderr, "fluxy-shard: %.*s\n", (int)problem->len,
                  problem->len ? problem->data : "failed");
    return EXIT_FAILURE;
}

/* Configuration, keys, connection, schema: what every command begins with. */
static int command_begin(struct command *c, struct buf *problem)
{
    unsigned applied;

    if (shard_config_load_for_command(&c->config) < 0) {
        buf_put_str(problem, "bad configuration");
        return -1;
    }
    if (keys_load(&c->config, &c->keys, problem) < 0 ||
        store_admin_open(c->config.database_url, c->config.allow_unsafe_postgres, problem,
                         &c->admin) < 0 ||
        store_admin_migrate(c->admin, problem, &applied) < 0)
        return -1;
    if (applied > 0)
        (void)fprintf(stderr, "fluxy-shard: %u migrations applied\n", applied);
    return 0;
}

static void command_end(struct command *c)
{
    store_admin_close(c->admin);
    keyring_wipe(&c->keys);
    shard_config_unload(&c->config);
}

static int migrate(struct command *c, char **args, struct buf *problem)
{
    (void)c;
    (void)args;
    (void)problem;
    return 0;
}

static int create_project(struct command *c, char **args, struct buf *problem)
{
    struct project_created made;
    AUTO_BUF out = BUF_INIT;
    struct json_writer w = json_writer(&out);

    if (args[1] && !ident_is_valid(slice_str(args[1]))) {
        buf_put_str(problem, "--id must be 1 to 128 characters of A-Z a-z 0-9 _ -");
        return -1;
    }
    if (store_admin_create_project(c->admin, &c->keys, args[0], args[1], problem, &made) < 0)
        return -1;
    json_write_object(&w);
    json_field_str(&w, "project", slice_str(made.project));
    json_field_str(&w, "apiKey", slice_str(made.api_key));
    json_write_object_end(&w);
    printf("%.*s\n", (int)out.len, out.data);
    return 0;
}

static int rotate(struct command *c, char **args, struct buf *problem)
{
    unsigned count;

    (void)args;
    if (store_admin_rotate_master_key(c->admin, &c->keys, problem, &count) < 0)
        return -1;
    printf("{\"rotated\":%u}\n", count);
    return 0;
}

/* args: the name and the id; NULL where not given. */
static const struct {
    const char *flag;
    int (*run)(struct command *c, char **args, struct buf *problem);
    bool has_name;
} commands[] = {
    {"--migrate", migrate, false},
    {"--create-project", create_project, true},
    {"--rotate-master-key", rotate, false},
};

/* The arguments behind the flag: NAME [--id ID] or none. */
static bool read_args(int argc, char **argv, bool has_name, char *args[2])
{
    if (!has_name)
        return argc == 2;
    if (argc != 3 && !(argc == 5 && strcmp(argv[3], "--id") == 0))
        return false;
    args[0] = argv[2];
    args[1] = argc == 5 ? argv[4] : NULL;
    return true;
}

bool command_run(int argc, char **argv, int *ret_status)
{
    for (size_t i = 0; i < ARRAY_LEN(commands) && argc > 1; i++) {
        struct command c = {0};
        char *args[2] = {NULL, NULL};
        AUTO_BUF problem = BUF_INIT;

        if (strcmp(argv[1], commands[i].flag) != 0)
            continue;
        *ret_status = EXIT_SUCCESS;
        if (!read_args(argc, argv, commands[i].has_name, args)) {
            buf_printf(&problem, "wrong arguments for %s; try --help", argv[1]);
            *ret_status = fail(&problem);
        } else if (command_begin(&c, &problem) < 0 || commands[i].run(&c, args, &problem) < 0) {
            *ret_status = fail(&problem);
        }
        command_end(&c);
        return true;
    }
    return false;
}
