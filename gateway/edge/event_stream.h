/*
 * event_stream.h - GET /rooms/{id}/stream: a session that reads one room over
 * an HTTP answer without end (WHATWG HTML, "Server-sent events").
 */
#pragma once

struct api_request;
struct front;

/* Takes the request, whose caller has been let in and accepts an event stream. */
void event_stream_open(struct front *front, struct api_request *req);
/* Ends all of them. */
void event_stream_drop_all(struct front *front);
