/* sim_rows.c - projects, keys and ids of the database of tests; see sim_db.h. */
#include "tests/support/sim_rows.h"

#include <stdlib.h>

struct sim_project {
    struct list link;
    struct project_row row;
    struct project_secret secret;
    char text[];
};

struct sim_api_key {
    struct list link;
    uint8_t hash[32];
    struct key_row row;
    char text[];
};

struct sim_db *sim_db_new(void)
{
    struct sim_db *db = sim_must(calloc(1, sizeof(*db)));

    map_init(&db->rooms);
    list_init(&db->by_age);
    list_init(&db->projects);
    list_init(&db->keys);
    db->next_id = 1000;
    db->generation = 1;
    return db;
}

void sim_db_free(struct sim_db *db)
{
    if (!db)
        return;
    sim_rooms_free(db);
    while (!list_empty(&db->projects)) {
        struct sim_project *p = list_first(&db->projects, struct sim_project, link);

        list_del(&p->link);
        free(p);
    }
    while (!list_empty(&db->keys)) {
        struct sim_api_key *k = list_first(&db->keys, struct sim_api_key, link);

        list_del(&k->link);
        free(k);
    }
    free(db);
}

int64_t sim_db_id_block(struct sim_db *db, uint32_t count)
{
    int64_t first = db->next_id;

    db->next_id += count;
    return first;
}

void sim_db_skip_ids(struct sim_db *db, int64_t first)
{
    db->next_id = first;
}

static struct slice put(char **at, const char *s)
{
    size_t len = strlen(s);
    char *start = *at;

    memcpy(start, s, len + 1);
    *at += len + 1;
    return slice_of(start, len);
}

void sim_db_add_project(struct sim_db *db, const char *project, const char *name,
                        const char *secret)
{
    size_t len = strlen(project) + strlen(name) + strlen(secret) + 5;
    struct sim_project *p = sim_must(calloc(1, sizeof(*p) + len));
    char *at = p->text;

    p->secret.kid = put(&at, "1");
    p->secret.key = put(&at, secret);
    p->row.project = put(&at, project);
    p->row.name = put(&at, name);
    p->row.version = 1;
    p->row.secrets = &p->secret;
    p->row.n_secrets = 1;
    list_add_tail(&db->projects, &p->link);
}

void sim_db_add_key(struct sim_db *db, const char *project, const char *key_id,
                    const uint8_t hash[32])
{
    static const char scopes[] = "[\"*\"]";
    struct sim_api_key *k =
        sim_must(calloc(1, sizeof(*k) + strlen(project) + strlen(key_id) + sizeof(scopes) + 2));
    char *at = k->text;

    memcpy(k->hash, hash, sizeof(k->hash));
    k->row.project = put(&at, project);
    k->row.key_id = put(&at, key_id);
    k->row.scopes = put(&at, scopes);
    list_add_tail(&db->keys, &k->link);
}

const struct project_row *sim_db_project(struct sim_db *db, struct slice project)
{
    struct sim_project *p;

    list_for_each(p, &db->projects, link)
    {
        if (slice_eq(p->row.project, project))
            return &p->row;
    }
    return NULL;
}

const struct key_row *sim_db_key(struct sim_db *db, const uint8_t hash[32])
{
    struct sim_api_key *k;

    list_for_each(k, &db->keys, link)
    {
        if (memcmp(k->hash, hash, sizeof(k->hash)) == 0)
            return &k->row;
    }
    return NULL;
}
