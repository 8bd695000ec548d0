/* keys.c - see keys.h. */
#include "shard/keys.h"

static int parse(const struct config_secret *secret, const char *name, struct master_key *ret,
                 struct buf *problem)
{
    int r = master_key_parse(slice_of(secret->data, secret->len), ret);

    if (r < 0)
        buf_printf(problem, "%s must be 64 hex digits or 32 bytes in base64", name);
    return r;
}

int keys_load(const struct shard_config *config, struct keyring *ret_keys, struct buf *problem)
{
    int r = parse(&config->master_key, "FLUXY_MASTER_KEY", &ret_keys->current, problem);

    if (r < 0 || !config->previous_master_key.data)
        return r;
    ret_keys->has_previous = true;
    return parse(&config->previous_master_key, "FLUXY_MASTER_KEY_PREVIOUS", &ret_keys->previous,
                 problem);
}
