/*
 * presence.h - join and leave frames, coalesced presence, and typing. All of it
 * is ephemeral: it passes by the commit and is the first to be left out for a
 * slow link.
 */
#pragma once

#include "shard/host/attach.h"

/* A socket has become live. is_back: it was here before (re-attach); nobody is told that it
 * joined. */
void presence_on_live(struct attach *attach, bool is_back);
/* A socket that was counted is going; takes it out of the roster. */
void presence_on_gone(struct attach *attach);
/* Cancels what is planned. */
void presence_stop(struct room_host *room);

void typing_on_signal(struct attach *attach, bool is_typing, enum typing_intent intent);
void presence_on_timer(struct timer *timer, void *arg);
void typing_on_timer(struct timer *timer, void *arg);
