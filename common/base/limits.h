/*
 * limits.h - every limit, its unit, and what somebody could do without it.
 * No bare number bounds anything elsewhere. Sizes are bytes unless the name
 * or the comment says otherwise; times end in _MS. What concerns nobody but
 * a shard is in shard/limits.h.
 */
#pragma once

#define KIB 1024u
#define MIB (1024u * 1024u)

/* ---- identifiers and texts (docs/protocol-client.md) ---- */

/* A user, room or project id. Without it keys of any length would fill maps, indexes and links.
 */
#define ID_MAX 128
/* clientMessageId, frameId. Each is echoed and remembered; longer ones would multiply traffic.
 */
#define CLIENT_ID_MAX 128
/* A trace id that we accept from outside; it is copied to every log line of a request. */
#define TRACE_ID_MAX 64
/* The largest seq in a cursor: what a JavaScript client can count (2^53 - 1). */
#define SEQ_MAX 9007199254740991ull
/* Characters (code points) of a message after trimming. Larger texts belong in attachments. */
#define CONTENT_MAX_CHARS 4000
/* The same in bytes: a code point is at most 4. */
#define CONTENT_MAX_BYTES (4 * CONTENT_MAX_CHARS)
/* Characters of a room or display name: it is repeated in every room list. */
#define NAME_MAX_CHARS 256
/* Attachments of one message: each becomes a row of every history page. */
#define ATTACHMENTS_MAX 10
/* Bytes of an attachment's fields; without them ten attachments could carry a megabyte. */
#define ATTACHMENT_KIND_MAX 32
#define ATTACHMENT_URL_MAX 2048
#define ATTACHMENT_NAME_MAX 256
#define ATTACHMENT_TYPE_MAX 128
/* Members mentioned in one message: each will be a row and a notification. */
#define MENTIONS_MAX 32
#define MESSAGE_ID_MAX                                                                         \
    INT64_C(9007199254740991) /* 2^53 - 1: a JSON number that all readers know exactly */
/* Reactions of one message: without a bound each would make the entry larger for ever. */
#define REACTION_EMOJI_MAX 64 /* bytes of one */
#define REACTION_KINDS_MAX 64
#define REACTION_USERS_MAX 2000 /* users over all kinds */
/* Who may see a whisper, the author included. */
#define VISIBLE_TO_MAX 100
/* Token streams: bytes of one, in one room, how often their text is shown and stored, how long
 * one may stand still, and how long it waits for an author who has gone. */
#define STREAM_MAX_BYTES (64 * KIB)
#define STREAM_DELTA_MAX_BYTES (16 * KIB)
#define ROOM_STREAMS_MAX 64
#define STREAM_SHOW_MS 40
#define STREAM_SAVE_MS 5000
#define STREAM_IDLE_MS 60000
#define STREAM_ORPHAN_MS 10000
/* Expired messages: asked for at a time, and on their way to be buried by one shard at a time.
 */
#define EXPIRY_DUE_MAX 1000
#define EXPIRY_WORKS_MAX 256
/* How long a message that expires may live, in seconds. */
#define EXPIRY_MIN_S 60
#define EXPIRY_MAX_S (7 * 24 * 3600)
/* presenceInfo as sent, characters; what survives of it goes to all members on every join. */
#define PRESENCE_INFO_MAX_CHARS 2048
#define PRESENCE_NAME_MAX_CHARS 64
#define PRESENCE_ROLE_MAX_CHARS 32
#define PRESENCE_URL_MAX 1024

/* ---- client frames ---- */

/* UTF-16 units of one client frame (the unit in which a JavaScript client counts). */
#define FRAME_MAX_UTF16 256000
/* The same in bytes, checked before the text is looked at: 3 bytes of UTF-8 per unit at most.
 * Without it one frame could make a gateway buffer without end. */
#define FRAME_MAX_BYTES (3 * FRAME_MAX_UTF16)
/* Fragments of one WebSocket message; without it a message of empty fragments never ends. */
#define WS_FRAGMENTS_MAX 1024
/* Nesting of JSON from outside. Without it "[[[[..." costs memory or stack far beyond its size.
 */
#define JSON_DEPTH_MAX 32

/* Characters of the name of an event (`client_event`, `server_event`, `user_event`). */
#define EVENT_NAME_MAX 128
/* Bytes of an event's data as JSON: each goes to every socket of a room, or of a hundred rooms.
 */
#define EVENT_DATA_MAX (32 * KIB)
/* The same of a client_event, which any member may send. */
#define CLIENT_EVENT_DATA_MAX (16 * KIB)
/* client_event frames of one user in one room. */
#define CLIENT_EVENTS_PER_MINUTE 10
/* The same of agentTyping, which comes and goes with every answer of an agent. */
#define AGENT_SIGNALS_PER_MINUTE 120
/* The handle of an agent. */
#define AGENT_ID_MAX 64
/* Rooms of one POST /events, or of one fanoutRooms: each is a call to a shard. */
#define EVENT_ROOMS_MAX 100
/* So many of those calls are under way at a time: one request must not take all that a gateway
 * may have. */
#define EVENT_CALLS_AT_ONCE 16
/* Rooms and users that one caller may send events to over REST in a minute, at one gateway. */
#define EVENTS_PER_MINUTE 1200
/* What a call counts for that asks every gateway. */
#define EVENT_BROADCAST_COST 10
/* Events of a room that has just been woken, kept until its sockets are back; more go out at
 * once. */
#define SIGNALS_HELD_MAX 64
#define SIGNALS_HELD_BYTES (256 * KIB)
/* Bytes of the reason that a moderator gives for ending a socket; a close frame has 123. */
#define CLOSE_REASON_MAX 100

/* ---- HTTP ---- */

/* Bytes of a request body. Without it one request could fill the memory of a process. */
#define HTTP_BODY_MAX (1 * MIB)
/* Bytes of a request line and of the whole head; buffers that a slow or hostile client makes us
 * hold. */
#define HTTP_REQUEST_LINE_MAX (12 * KIB) /* a token and presenceInfo ride in the query */
#define HTTP_HEAD_MAX (24 * KIB)
/* The method and the space behind it: a first line without one is not HTTP. */
#define HTTP_METHOD_BYTES_MAX 32
/* Header fields of one request: bounds the work per look-up. */
#define HTTP_HEADERS_MAX 64
/* A chunk-size line with its extensions (ignored, so they must end soon). */
#define HTTP_CHUNK_LINE_MAX 256
/* Chunk extensions and trailers of one request together; both are thrown away. */
#define HTTP_CHUNK_LINES_MAX (4 * KIB)
/* Bytes behind a request that is being answered (a read may bring that many at once). */
#define HTTP_PIPELINE_MAX (2 * STREAM_READ_PER_TURN)
/* Bodies of unfinished requests, over all connections of a process: many clients at their own
 * limit each. */
#define HTTP_BODIES_TOTAL_MAX (256 * MIB)
/* A whole head must be here this long after its first byte (or after accept); slow-loris
 * otherwise. */
#define HTTP_HEAD_TIMEOUT_MS 10000
/* A whole body, from the end of its head. */
#define HTTP_BODY_TIMEOUT_MS 30000
/* Of a body that is taken in parts: between two reads, and the whole. */
#define HTTP_PART_TIMEOUT_MS 30000
#define HTTP_PARTS_TIMEOUT_MS 600000
/* What is left of it when the process goes down. */
#define HTTP_DRAIN_TIMEOUT_MS 2000
/* A kept-alive connection without a request. */
#define HTTP_IDLE_TIMEOUT_MS 60000
/* A client that does not read its answers while it asks for more. */
#define HTTP_WRITE_TIMEOUT_MS 30000
/* Who reads an answer in parts slowly may go on as long as he takes this much in that time. */
#define HTTP_WRITE_PROGRESS_BYTES (16 * KIB)
/* After a refusal the rest of the request is read and thrown away this long, so that the answer
 * is not lost in a reset; a client could otherwise keep a refused connection. */
#define HTTP_LINGER_MS 2000
/* Requests on one kept-alive connection, so that load moves when a gateway joins. */
#define HTTP_REQUESTS_PER_CONNECTION 10000

/* ---- files ---- */

/* One piece of a file, as it is stored and as it travels (never to be changed: files that exist
 * are cut so): what an upload or download holds of it in memory at a time, and what one
 * statement writes. */
#define FILE_CHUNK_BYTES (256 * KIB)
/* Bytes of a whole file. Default of FLUXY_UPLOAD_MAX_BYTES. */
#define FILE_BYTES (10 * MIB)
/* Characters of a file name, and of a content type. */
#define FILE_NAME_MAX_CHARS 200
#define FILE_TYPE_MAX 128
/* Uploads under way on one gateway, and begun per minute by one user: each holds two pieces,
 * and writes rows. */
#define UPLOADS_AT_ONCE 256
#define UPLOADS_PER_MINUTE 60

/* ---- connections ---- */

/* Sockets of one gateway process; each costs memory, and descriptors run out. Default of
 * FLUXY_MAX_CONNECTIONS. */
#define CONNECTIONS_MAX 100000
/* Connections accepted in one turn, so that a flood of them leaves time for those that are
 * already here. */
#define ACCEPTS_PER_TURN 64
/* Sockets that are let in in one turn (a signature is checked, a session made, a shard told),
 * and that wait for it; more are refused with 503. The same flood, a step later. */
#define OPENINGS_PER_TURN 32
#define OPENINGS_WAITING_MAX 20000
/* The TLS handshake, from accept. A peer that stalls in it holds a connection for nothing. */
#define TLS_HANDSHAKE_TIMEOUT_MS 10000
/* An outgoing connection (link, Redis, PostgreSQL) that neither opens nor fails. */
#define CONNECT_TIMEOUT_MS 5000
/* From our close frame (or the flush of a closing stream) to the end of the connection. */
#define CLOSE_TIMEOUT_MS 5000
/* A WebSocket from which nothing came for this long is pinged (SDK clients send something every
 * 25 s), and is dead when it is still silent after the second time: half-open connections would
 * pile up. The third is for a peer that has output queued before the ping. */
#define WS_PING_INTERVAL_MS 25000
#define WS_PONG_TIMEOUT_MS 8000
#define WS_PONG_TIMEOUT_QUEUED_MS 40000
/* After a protocol error the input is read and thrown away this long, so that the close frame
 * is not lost in a reset. */
#define WS_DISCARD_MS 2000
/* Bytes of unfinished WebSocket messages over all connections of a process: many clients at
 * their own limit each. */
#define WS_PARTIAL_TOTAL_MAX (256 * MIB)
/* Decoders kept for the next message; more are freed. */
#define WS_FREE_CODECS 64
/* Output queued for one client. Above the soft mark ephemerals are left out; above the next one
 * live frames are not queued any more, the socket is caught up from the log when it has
 * drained; above the hard one (what it asks for while it does not read) it is closed with 1013.
 * Without them one reader who stops reading grows the process. */
#define SOCKET_QUEUE_SOFT (256 * KIB)
#define SOCKET_QUEUE_BEHIND (512 * KIB)
#define SOCKET_QUEUE_HARD (1 * MIB)
/* Who is behind is closed when he has taken nothing for so long, or has not been caught up in
 * so long. */
#define BEHIND_STALL_MS 30000
#define BEHIND_MAX_MS 120000
/* Bytes of answers that wait for a socket in one room to be caught up. */
#define BEHIND_HELD_BYTES (64 * KIB)
/* Rooms of one socket that may be sent a page of their catch-up at a time: hundreds of rooms
 * would otherwise send one each at once. */
#define CATCHUPS_PER_SOCKET 4
/* Below this a paused producer (catch-up pages) goes on. */
#define SOCKET_QUEUE_LOW (64 * KIB)
/* A gateway that goes: from the moment at which a native client is to open its next socket to
 * the end of the old one; so many are told, and closed, in one turn. */
#define DEPART_OVERLAP_MS 5000
#define DEPART_TOLD_PER_CALL 500
#define DEPART_CLOSES_PER_CALL 500
/* When a client is asked to come back that was closed because we restart (an event stream), and
 * because there was no room for it: at random, the latter between once and twice this. */
#define RETURN_SPREAD_MS 1000u
#define RETURN_OVERLOADED_MS 2000u
/* Event streams: a comment this often, so that nobody on the way takes them for dead (default
 * of FLUXY_EVENT_STREAM_HEARTBEAT), and how long a client waits before it comes back. */
#define EVENT_STREAM_BEAT_MS 30000
#define EVENT_STREAM_RETRY_MS 2000u
/* Bytes read from one connection in one turn: one fast sender must not keep the others waiting.
 */
#define STREAM_READ_PER_TURN (64 * KIB)
/* While others wait too: so much of it, tenants in turn. */
#define STREAM_READ_SHARE (16 * KIB)
/* In all of them together, and microseconds that a turn may have lasted then: the rest is read
 * in the next turn. Of so many in any case, so that it goes on. */
#define CLIENTS_READ_PER_TURN (512 * KIB)
#define TURN_READ_US 2500u
#define CLIENTS_PER_TURN_MIN 8u
/* Links together; a read counts as this many bytes at least. */
#define LINKS_READ_PER_TURN (256 * KIB)
#define LINK_READ_COST (4 * KIB)
/* Connections written in one turn to which only goes what nobody waits for (who is here,
 * catch-ups); of so many in any case when the turn has lasted TURN_LATE_US. The news of many
 * rooms about who is here would else stand before what is said in them. */
#define UNHURRIED_PER_TURN 64u
#define UNHURRIED_PER_TURN_MIN 8u
#define TURN_LATE_US 4000u
/* Bytes written to one connection in one turn: a fast reader with a long queue must not either.
 */
#define STREAM_WRITE_PER_TURN (1 * MIB)
/* Marks of a stream's output queue, unless its owner sets others (on_drained). */
#define STREAM_QUEUE_HIGH SOCKET_QUEUE_SOFT
#define STREAM_QUEUE_LOW SOCKET_QUEUE_LOW
/* Handshake steps in one turn; each costs a signature. A flood of new TLS connections must not
 * stop the chat of those that are here. */
#define TLS_HANDSHAKES_PER_TURN 16
/* Out of file descriptors: accepting stops for this long instead of failing in a loop; it is
 * logged so often. */
#define ACCEPT_PAUSE_MS 100
#define ACCEPT_WARN_MS 10000
/* Descriptors that a gateway keeps from its clients: for links, Redis and the admin port. A
 * full gateway that loses a link could not get it back otherwise. */
#define DESCRIPTORS_RESERVED 192
/* Connections that the kernel holds for a listener: a reconnect storm fits, the rest is told by
 * the SYN queue. */
#define LISTEN_BACKLOG 4096
/* Addresses of one name that a connection tries; a hostile DNS answer must not keep us busy. */
#define CONNECT_ADDRESSES_MAX 4
/* A turn longer than this is logged: every client of the process has waited that long. */
#define TURN_SLOW_US 50000

/* Connections of the admin port at once, and how long each may take from accept to answer. A
 * scanner on the operators' network must not take our descriptors. */
#define ADMIN_CONNECTIONS_MAX 64
#define ADMIN_TIMEOUT_MS 10000

/* ---- letting people in ---- */

/* Characters of a token: it is decoded on the stack before anybody is known. */
#define TOKEN_MAX 4096
/* Bytes of a token's id (`jti`): every socket keeps it, so that the token can be revoked. */
#define TOKEN_ID_MAX 128
/* Characters of channel_data that are signed for a third party (POST /auth/channel). */
#define CHANNEL_DATA_MAX_CHARS 4096
/* Roles in a token. */
#define TOKEN_ROLES_MAX 16
/* Seconds by which the clock of who issued a token may run ahead of ours. Its end is taken
 * literally. */
#define TOKEN_CLOCK_SKEW_S 60
/* Secrets of one project that are tried: the current one and those being rotated out. */
#define PROJECT_SECRETS_MAX 4
/* Characters of one secret in base64. */
#define SECRET_TEXT_MAX 1024
/* Origins on a project's list: each handshake walks it. */
#define PROJECT_ORIGINS_MAX 100
/* A project's configuration as it travels. */
#define CONFIG_BODY_MAX (64 * KIB)
/* Projects and API keys that a gateway remembers, names that do not exist, and questions under
 * way. Made-up names would otherwise fill memory or the links. */
#define LOOKUP_FOUND_MAX 10000
#define LOOKUP_MISSING_MAX 1000
#define LOOKUP_ASKING_MAX 1000
/* How old what is known of a project or key may be when somebody new is let in, and a "does not
 * exist". */
#define LOOKUP_FOUND_MS 5000
#define LOOKUP_MISSING_MS 2000

/* Rate-limit buckets of one kind that a gateway keeps; the least recently used give way. */
#define RATE_TABLE_MAX 10000
/* What Retry-After says when nothing better is known: clients must not hammer what is down. */
#define API_RETRY_AFTER_MS 1000

/* ---- link between gateway and shard ---- */

/* One frame, type included; larger messages are cut, so that a heartbeat never waits long
 * behind one. */
#define LINK_FRAME_MAX (64 * KIB)
/* One message put together from chunks: what a peer can make us hold before anything is looked
 * at. */
#define LINK_MESSAGE_MAX (4 * MIB)
/* Hello and authentication, from connect. */
#define LINK_HANDSHAKE_TIMEOUT_MS 5000
/* Both sides ping this often, and take a silent peer for dead after LINK_SILENCE_MS. */
#define LINK_HEARTBEAT_MS 1000
#define LINK_SILENCE_MS 5000
/* Output queued for one peer: above HIGH we stop reading from it and drop ephemerals to it,
 * above MAX we close it. */
#define LINK_QUEUE_HIGH (1 * MIB)
#define LINK_QUEUE_MAX (64 * MIB)
/* First and longest pause between attempts to reach a shard; jittered. */
#define LINK_RETRY_MIN_MS 20
#define LINK_RETRY_MAX_MS 1000
/* A link to a shard that has left the ring stays open this long, so that what is under way on
 * it can end. */
#define LINK_LINGER_MS 5000
/* MOVED answers come by the thousand when a shard leaves: peers are asked for their ring at
 * most this often. */
#define RING_REFRESH_MS 20

/* ---- Redis ---- */

/* A command without a reply by then: the connection is given up. */
#define REDIS_COMMAND_MS 1000
/* First and longest pause between attempts to connect; jittered. */
#define REDIS_RETRY_MIN_MS 50
#define REDIS_RETRY_MAX_MS 1000
/* A subscriber's connection is tried this often. */
#define REDIS_PING_MS 3000
/* Commands under way, arguments of one, bytes of one reply: a Redis that has stopped answering
 * or answers nonsense must not fill our memory. */
#define REDIS_PENDING_MAX 1024
#define REDIS_ARGS_MAX 1024
#define REDIS_REPLY_MAX (4 * MIB)
/* Elements of one array of a reply; hiredis would allocate whatever number is announced. */
#define REDIS_ELEMENTS_MAX 4096
/* While Redis goes on refusing for the same reason, it is logged this often. */
#define REDIS_COMPLAIN_MS 60000

/* ---- ring and membership (docs/design/redis.md) ---- */

/* Bytes of a node id and of a link address, members of a ring and the sum of their weights (160
 * points each): a hostile ring could otherwise take any memory. */
#define NODE_ID_MAX 64
#define LINK_ADDRESS_MAX 264
#define RING_MEMBERS_MAX 256
#define RING_WEIGHT_MAX 16
#define RING_TOTAL_WEIGHT_MAX 1024
/* Epochs are milliseconds and pass through the numbers of Lua; a larger one is nonsense. */
#define RING_EPOCH_MAX (1ull << 52)
/* One in the registry that is further ahead of the registry's clock (a thousand years) has been
 * written by somebody else: taken over, it could stand so high that no change can follow. */
#define RING_EPOCH_AHEAD_MS (1ull << 45)
/* A shard's lease, and how often it is renewed (jittered). */
#define LEASE_TTL_MS 3000
#define LEASE_RENEW_MS 700
/* How often everybody reads the registry, beside its hints (jittered). */
#define RING_POLL_MS 1000
/* Hints are followed at most this often: anybody who reaches Redis can publish any number. */
#define RING_HINT_MS 50
/* A shard that refuses connections is evicted when its lease has not been renewed for this
 * long, or when a second observer says the same within SUSPECT_MS. */
#define SUSPECT_LEASE_MS 1000
#define SUSPECT_MS 3000
/* Until the registry is asked about a suspect again. */
#define SUSPECT_RETRY_MS 100
/* Evictions: one per shard and EVICT_HOLD_MS (doubled up to the maximum each time that the
 * evicted process turns out to live), a third of the ring per EVICT_WINDOW_MS. Without them a
 * broken network could empty the ring or keep rooms on the move. */
#define EVICT_HOLD_MS 10000
#define EVICT_HOLD_MAX_MS 160000
#define EVICT_WINDOW_MS 10000
/* An evicted shard that lives comes back after this, doubled each time up to the maximum; a
 * minute on the ring makes it start anew. */
#define REJOIN_MIN_MS 1000
#define REJOIN_MAX_MS 30000
#define REJOIN_FORGIVE_MS 60000
/* Shards that one process suspects at a time; the rest is found by their leases. */
#define SUSPECTS_MAX 16
/* A process that knows no ring and finds an empty registry waits this long for somebody who
 * remembers the ring, before it founds a new one. */
#define RING_FOUND_MS 500

/* ---- attaches and client writes (docs/design/contracts.md) ---- */

/* Durable frames of one attach that are not settled yet; over either limit its socket is not
 * read until it shrinks. */
#define UNACKED_MAX_FRAMES 256
#define UNACKED_MAX_BYTES (1 * MIB)
/* The same for all rooms of one socket together: a socket in many rooms could otherwise fill
 * the limit of each. */
#define SESSION_UNSETTLED_MAX (2 * MIB)
/* Rooms that one socket subscribes to: each costs memory here and in a shard, and is attached
 * again when something moves. */
#define ROOMS_PER_SOCKET_MAX 200
/* A durable frame that is not settled by then is answered outcome_unknown. */
#define WRITE_DEADLINE_MS 10000
/* A socket whose first attach no shard answers by then is closed with 1013, so that the client
 * tries elsewhere. */
#define ATTACH_DEADLINE_MS 10000
/* How often a gateway looks for deadlines that have passed: one sweep for all sockets. */
#define SESSION_SWEEP_MS 250
/* Attaches sent in one turn when many rooms are attached again: the loop must turn on. */
#define ATTACHES_PER_TURN 1000
/* A client is warned so long before its token ends, and may go on reading (not writing) so long
 * after that: somebody whose rights have ended must not listen for ever. Defaults of
 * FLUXY_TOKEN_WARNING and FLUXY_TOKEN_GRACE. */
#define TOKEN_WARNING_MS 60000
#define TOKEN_GRACE_MS 30000
/* How long a jump of the wall clock may hide that a token has ended. */
#define TOKEN_RECHECK_MS 60000
/* Frames of one socket: what a client that floods costs us in parsing and answers. */
#define SESSION_FRAMES_PER_WINDOW 600
#define SESSION_FRAMES_WINDOW_MS 10000
/* A frame of a token stream takes one of as many parts: a model says more than a person types.
 */
#define SESSION_FRAME_COST 5u
/* Sleeping rooms that a gateway wakes in one sweep because another gateway is gone, or the
 * database is another one: each costs a claim. */
#define GONE_WAKES_PER_SWEEP 250
/* Sleeping rooms of others that a gateway still wants awake because its last socket has left
 * them; how often each is asked for, and how many times. */
#define MISSED_MAX 10000
#define MISSED_RETRY_MS 5000
#define MISSED_TRIES 12
/* After a new ring a room may still be with its last owner, and is looked for there first, for
 * so long: more than a shard takes to hand over all that it has. */
#define HANDOVER_MS 30000
/* Another shard has claimed a room, and its last owner has not said MOVED: waited for so long.
 */
#define WAKE_FOLLOW_MS 200
/* Bytes of token streams that a gateway carries from one owner to the next; more end with what
 * is stored of them. */
#define HANDOVER_BYTES_MAX (16 * MIB)
/* MOVED is answered by looking again after a pause, doubling from MIN to MAX. */
#define MOVED_RETRY_MIN_MS 20
#define MOVED_RETRY_MAX_MS 1000
/* A REST request on its way through the cluster. */
#define CALL_DEADLINE_MS 10000u
/* Calls in flight of one gateway; more are refused with `overloaded`. */
#define CALLS_IN_FLIGHT_MAX 10000

/* Sockets ended in one turn by one KICK: closing costs a frame and a message each, and others
 * must go on. */
#define KICKS_PER_TURN 250

/* ---- search ---- */

/* Bytes of a search text, and words of it that are marked in what is found. */
#define SEARCH_QUERY_MAX 256
#define SEARCH_TERMS_MAX 32
/* Messages in one answer: default and most; rooms in one: default. */
#define SEARCH_DEFAULT 50
#define SEARCH_MAX 200
#define SEARCH_ROOMS_DEFAULT 20

/* ---- export ---- */

/* Messages in one page of an export: one short read, one part of the answer. */
#define EXPORT_PAGE 200
/* Exports under way on one gateway; each holds one page. */
#define EXPORTS_AT_ONCE 64
/* Messages of a PDF: its pages are remembered to its end. And bytes of the font's file. */
#define EXPORT_PDF_MAX 100000
#define FONT_FILE_MAX (64 * (int)MIB)
/* Pages that could not be read are asked for again so often, so long apart. */
#define EXPORT_RETRIES 5
#define EXPORT_RETRY_MS 1000

/* ---- moderation ---- */

/* Reports or audit events in one answer: defaults and most. */
#define REPORTS_DEFAULT 50
#define AUDIT_DEFAULT 100
#define REPORTS_MAX 200

/* ---- rooms and history ---- */

/* Messages of a connect snapshot or history page: default and most. */
#define SNAPSHOT_DEFAULT 50
#define SNAPSHOT_MAX 500u
/* What an old client was sent in the last moments before its socket ended may not have arrived:
 * it gives up a socket after 45 s without a pong, asked for each 25 s; a clean close says that
 * it was there until just now. */
#define OLD_CLIENT_DOUBT_MS 80000
#define OLD_CLIENT_CLOSED_DOUBT_MS 5000u
/* Members in one answer of the member list, and of one room. */
#define MEMBERS_PAGE 1000
#define ROOM_MEMBERS_MAX 100000
/* Rows of each list of the inbox, and of a page of notifications. */
#define INBOX_PAGE 50
#define INBOX_PAGE_MAX 200
/* Characters of a cursor: a time and an id. */
#define CURSOR_TEXT_MAX (ID_MAX + 24)
/* Rooms in one answer of the room list. */
#define ROOMS_PAGE 1000
/* Up to this many users a presence frame lists them; above it carries counts only (bytes
 * quadratic otherwise). */
#define PRESENCE_LIST_MAX 200
/* Typing ends by itself after this; the same signal again within TYPING_REPEAT_MS is not sent
 * on. */
#define TYPING_EXPIRE_MS 10000u
#define TYPING_REPEAT_MS 3000
/* A typing frame that a gateway keeps, to say it again to the room's next owner. */
#define TYPING_FRAME_MAX 512
/* Tokens minted per minute with one key from one address. */
#define TOKENS_PER_MINUTE 30

/* ---- inside a process ---- */

/* Passes over the end-of-turn list before the loop looks at its descriptors again: work that
 * queues itself anew must not keep a turn going for ever. */
#define TURN_LATER_ROUNDS 8
/* Streams written in one turn: the fan-out to a large room must not keep everybody else
 * waiting. */
#define FLUSHES_PER_TURN 512
/* Timers run in one turn. */
#define TIMERS_PER_TURN 10000
/* Bytes of one log line; what does not fit is left out and the line says so. */
#define LOG_LINE_MAX (8 * KIB)
/* Log lines of one call site per LOG_REPEAT_WINDOW_MS; the rest is counted. A client that
 * provokes an error in a loop would otherwise write our disk full. */
#define LOG_REPEAT_MAX 20
#define LOG_REPEAT_WINDOW_MS 1000
/* Label sets of one metric (all are defined at start): bounds what /metrics prints. */
#define METRIC_LABEL_SETS_MAX 256
/* What the heap keeps of freed memory: blocks of this size go back at once; the rest at most so
 * often, when there is so much of it, and only while the heap is small enough that giving it
 * back does not hold up a turn. */
#define HEAP_LARGE_BLOCK (256 * KIB)
#define HEAP_TIDY_MS 10000u
#define HEAP_TIDY_FREE (1 * MIB)
#define HEAP_TIDY_MAX (24 * MIB)
/* Bytes of a secret file: enough for keys in PEM, and no accident with a wrong path. */
#define SECRET_FILE_MAX (64 * KIB)
