/*
 * typing.h - who is typing, as the others are told: the first signal at once,
 * repeats seldom, the end by itself when the signals stop or the socket goes.
 * A room in which somebody types does not sleep.
 */
#pragma once

#include "shard/host/attach.h"

void typing_init(struct room_host *room);
void typing_stop(struct room_host *room);

void typing_on_signal(struct attach *attach, bool is_typing, enum typing_intent intent);
/* The socket is back after a broken link, a wake or a move: it is told what the others were
 * told lately. */
void typing_on_back(struct attach *attach);
/* The socket goes: what it was typing ends. */
void typing_on_gone(struct attach *attach);
