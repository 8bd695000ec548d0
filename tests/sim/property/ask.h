/* ask.h - what a client does next, by chance: create, reply, whisper, edit, delete, react, and
 * now and then what must be refused. */
#pragma once

#include "tests/sim/property/client.h"

void ask_something(struct client *client);
