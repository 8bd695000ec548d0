/*
 * fences.h - while our lease on the ring is unconfirmed another shard may have
 * claimed our rooms without our knowing: look at their rows once a second.
 */
#pragma once

struct host;

/* One query for all active rooms; nothing while another is under way. */
void fences_probe(struct host *host);
/* The host goes; an answer that is still to come is for nobody. */
void fences_stop(struct host *host);
