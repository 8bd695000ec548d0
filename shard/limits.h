/*
 * limits.h - the limits of what a shard does by itself: rooms, commits,
 * PostgreSQL. Units and manner as in common/base/limits.h, which has those of
 * clients, gateways and links.
 */
#pragma once

#include "common/base/limits.h"

/* ---- files ---- */

/* An upload that is not finished by then never will be (it has HTTP_PARTS_TIMEOUT_MS), and is
 * swept away; so many at a time, so often. */
#define FILE_UNFINISHED_S 3600
#define SWEEP_BATCH 100
#define SWEEP_MS 3600000
#define SWEEP_RETRY_MS 60000
/* The first one after a start: not before the shard has its rooms. */
#define SWEEP_FIRST_MS 5000

/* ---- Idempotency-Key ---- */

/* How long the answer to a key is kept, and after how long a request that has not ended counts
 * as dead: longer than any call can take (CALL_DEADLINE_MS), and no longer than that, since who
 * comes again after both processes have died waits for it. */
#define IDEMPOTENCY_KEEP_S 86400
#define IDEMPOTENCY_STALE_S 12
/* Bytes of an answer that is kept; a larger one is not, and its request is done again. */
#define IDEMPOTENCY_BODY_MAX (256 * KIB)
/* What a client is told to wait whose first request is still under way. */
#define IDEMPOTENCY_RETRY_MS 1000

/* Keys to be given up of which the database could not be told yet: an outage under load leaves
 * as many as there are calls. Those beyond count as dead after IDEMPOTENCY_STALE_S. */
#define KEY_DROPS_MAX 4096
#define KEY_DROPS_RETRY_MS 500

/* ---- link between gateway and shard ---- */

/* Links that have not authenticated yet; an intruder on the network must not exhaust
 * descriptors. */
#define LINK_PENDING_MAX 64

/* ---- attaches and client writes (docs/design/contracts.md) ---- */

/* How long a shard keeps the sockets of a gateway whose link broke: presence does not flicker
 * over a blip. With LINK_SILENCE_MS before it, and the waking of sleeping rooms and the pause
 * of presence in large ones behind it, a gateway's users are gone 15 s after it. */
#define PRESENCE_HOLD_MS 6000
/* Of a gateway that does not come back so many are told in one turn. */
#define GHOSTS_PER_TURN 250
/* After an activation: presence is published when all gateways have answered or after this. */
#define PRESENCE_SETTLE_MS 1000

/* Sockets on one user's channel: each push costs as many frames. */
#define USER_SOCKETS_MAX 50
/* What every gateway is asked for (ended sockets, delivered events) is waited for this long;
 * who has not answered by then is not counted. */
#define GATHER_MS 2000
/* Such questions of one shard that are under way. */
#define GATHERS_MAX 1000

/* ---- search ---- */

/* Messages that are ranked for one search: a word that is everywhere must not cost seconds. */
#define SEARCH_RANKED_MAX 20000
/* Characters of a snippet, and of them before the first word found. */
#define SNIPPET_CHARS 200
#define SNIPPET_BEFORE 60

/* From a message to its indexing: what comes meanwhile is indexed with it. */
#define SEARCH_INDEX_DELAY_MS 300
/* Entries indexed by one statement, so that reads of the same connection need not wait long. */
#define SEARCH_INDEX_ROWS 200
/* Rooms that a shard remembers as not indexed yet; the rest is left to the sweep. */
#define SEARCH_DIRTY_MAX 100000
/* Pauses after a failure, doubling, jittered. */
#define SEARCH_RETRY_MIN_MS 500
#define SEARCH_RETRY_MAX_MS 30000u
/* The sweep for rooms whose owner died: so many rows of the room table, so often. */
#define SEARCH_SWEEP_ROOMS 500
#define SEARCH_SWEEP_MS 10000

/* ---- moderation ---- */

/* Muted and banned users of a room that count at a time: they are in the memory of its owner.
 */
#define ROOM_RESTRICTIONS_MAX 10000
/* Longest time of a mute or ban that ends by itself (ten years), in seconds. */
#define RESTRICT_MAX_S 315360000
/* Bytes of a reason: it is kept for ever in the audit log. */
#define REASON_MAX 1000
/* Reports by one user in a minute: each is somebody's work. */
#define REPORTS_PER_MINUTE 10
/* Users that one user may have blocked. */
#define BLOCKS_MAX 1000

/* ---- rooms and history ---- */

/* Entries of one resume page; further pages wait until the socket has drained. */
#define RESUME_PAGE 200
/* Reactions of one changed message that an old client is told of after a move of its room. */
#define CATCHUP_REACTIONS_MAX 100
/* How far back the snapshot of an old client may reach over replayLimit to close its hole:
 * messages, bytes of their entries (their JSON must fit into LINK_MESSAGE_MAX), and numbers of
 * the room, whose changes are looked through. Somebody who comes and goes in a busy room would
 * cost all of its history each time. */
#define SNAPSHOT_REACH_MAX 2000u
#define SNAPSHOT_REACH_BYTES (640 * KIB)
#define SNAPSHOT_REACH_SEQS 10000
/* How far an old client had come is remembered so long after it went, of so many users of rooms
 * (the longest gone are forgotten first; each costs some 300 bytes), so many times each. */
#define REACH_KEEP_MS (10 * 60 * 1000)
#define REACH_NOTES_MAX 50000
#define REACH_STEPS 4
#define REACH_PRUNE 5000 /* forgotten in one turn */
/* How exactly a room knows which number it was at when: so many marks, each two of them so far
 * apart. Together they must span OLD_CLIENT_DOUBT_MS. */
#define SEQ_MARKS 20
#define SEQ_MARKS_APART_MS 10000
/* An entry is out so long after its createdAt, or its room has another owner. */
#define SEQ_MARKS_SLACK_MS 10000
/* Members named when a room is created: each is a row in one transaction. */
#define MEMBERS_PER_CALL 100
/* Bytes of what a member keeps about a room (preferences): each travels with the member list.
 */
#define PREFERENCES_MAX 4096u
/* Read pointers: gathered this long before the first write, then one write a second of a room;
 * users in one write; users of a room, and of all rooms of a shard, who wait for one. */
#define READ_GATHER_MS 5
#define READ_INTERVAL_MS 1000
#define READ_BATCH 1000
#define READ_MARKS_MAX 10000
#define READ_MARKS_TOTAL_MAX 200000
/* Users of one room who are told of messages that name them, at a time; gathered this long, at
 * most so often. Characters of a message that they are shown. */
#define NOTICES_MAX 500
#define NOTICES_GATHER_MS 5
#define NOTICES_INTERVAL_MS 250
#define PREVIEW_CHARS 140
/* A room is put off for a year at most; open follow-ups of one user, and what he notes on one.
 */
#define SNOOZE_MAX_S (366 * 86400)
#define FOLLOW_UPS_MAX 1000
#define NOTE_MAX_CHARS 1000
/* Bytes of answers made in one turn of the loop; pages of history that would come behind them
 * wait for the next one. */
#define CALL_TURN_BYTES (256 * KIB)
/* Newest entries of a room kept in memory, in number and in bytes. Without the second a room of
 * long messages would cost megabytes. Default of FLUXY_TAIL_ENTRIES and FLUXY_TAIL_BYTES. */
#define TAIL_ENTRIES 512
#define TAIL_BYTES (1 * MIB)
/* Bytes of the entries in one page (snapshot, history; half as many in a replay, which has each
 * text twice); the page ends early. Their JSON is at most six times as long, which must fit
 * into LINK_MESSAGE_MAX. */
#define PAGE_MAX_BYTES (512 * KIB)
/* Settings of one room: every message is compared with the blocked words, and all of it travels
 * with the room. */
#define SLOW_MODE_MAX_S 86400
#define ROOM_RATE_MAX 6000 /* messages a minute that an owner may allow each member */
#define BLOCKED_WORDS_MAX 200
#define BLOCKED_WORD_MAX 64u
#define ROOM_SETTINGS_MAX (64 * KIB)
/* Frames about who is here (presence, subscription_count, member_joined, member_left,
 * presence_delta) that one room sends to each of its sockets: so many in any window. The window
 * is longer than the promised second, for what the way to the client adds. A storm of joins
 * would cost bytes by the square of its size otherwise. */
#define PRESENCE_FRAMES 4u
#define PRESENCE_WINDOW_MS 1100u
/* Presence of a room goes to so many sockets a second, and lists so many users in so many
 * frames a millisecond: large rooms hear of it less often, up to the longest pause. */
#define PRESENCE_FANOUT_PER_S 2000u
#define PRESENCE_LISTED_PER_MS 40u
#define PRESENCE_INTERVAL_MAX_MS 2500u
/* Users whose coming or going waits to be told one by one; beyond that only presence tells it.
 */
#define PRESENCE_NOTICES_MAX 16
/* Users in one presence_delta, and their bytes; with more it gives counts only. */
#define PRESENCE_DELTA_USERS 20
#define PRESENCE_DELTA_BYTES (4 * KIB)
/* Typing signals of one user that are sent on in ten seconds, and sockets of one room that are
 * told of typing in a second: a keyboard that stutters, and five hundred typists in a room of
 * thousands, must not drown the messages. */
#define TYPING_RELAYS 20
#define TYPING_RELAYS_WINDOW_MS 10000
#define TYPING_FANOUT_PER_S 20000u
/* Who was out of reach for a moment is told what became of typing in this time. */
#define TYPING_TOLD_MS 30000
/* Rooms put to sleep in one second's turn; a shard that falls quiet must not stop for it. */
#define ROOMS_SLEEP_PER_TICK 1000
/* A room without traffic leaves the shard. Default of FLUXY_ROOM_IDLE_MS. */
#define ROOM_IDLE_MS 60000
/* Rooms of a shard that are handed over at a time: each costs its new owner a claim, and all
 * the others in flight wait for it. At least a few, which keep the database busy; one more for
 * each that arrives within MOVE_FAST_MS, half of them when one takes longer than MOVE_SLOW_MS.
 */
#define ROOMS_MOVING_MIN 4
#define ROOMS_MOVING_MAX 16
#define MOVE_FAST_MS 15
#define MOVE_SLOW_MS 40
/* Rooms sent off in one turn; those without sockets need no place for long. */
#define ROOMS_MOVED_PER_TURN 200
/* Rooms that end in one turn because another database server answers, and sockets in them. */
#define DROPS_PER_TURN 50
#define DROPS_SOCKETS_PER_TURN 1000
/* From a new ring to the first room that goes: by then gateways and new owners know it too, and
 * have connected. */
#define MOVE_GRACE_MS 300
/* A room that has gone and is not said to have arrived holds back the next one so long: its new
 * owner may be dead. */
#define MOVE_ARRIVE_MS 250
/* What a room that must go waits for its batch in flight. */
#define ROOM_LEAVE_MS 2000
/* A failed read or claim is tried again after a pause, doubling from MIN to MAX; jittered. */
#define STORE_RETRY_MIN_MS 50
#define STORE_RETRY_MAX_MS 1000u
/* How long a shard answers for a project or key from memory. */
#define PROJECT_CACHE_MS 2000
/* While the database is away what was true is still answered, this long at most: sockets and
 * reads from memory go on (nothing can be revoked meanwhile, except just before the end or by
 * another part of a split network). */
#define PROJECT_STALE_MS 600000
#define PROJECT_CACHE_MAX 10000
/* Messages per minute of one user in one room, over the socket and, separately, over REST. */
#define MESSAGES_PER_MINUTE 60

/* Claims under way at a time, and rooms that wait for theirs; more are refused (1013, 503):
 * each costs some kilobytes, and an end that nobody waits for. */
#define CLAIMS_MAX 64
#define CLAIMS_WAITING_MAX 50000
/* Catch-ups (shard/host/pace.h): bytes of them given in one turn, what a step counts beside its
 * bytes, and pages that the store reads for them at a time. */
#define PACE_TURN_BYTES (128 * KIB)
#define PACE_STEP_BYTES (2 * KIB)
#define PACE_READS_MAX 32
/* Of them on one link and not read by its gateway; how often that is asked. */
#define PACE_LINK_BYTES (256 * KIB)
#define PACE_MARK_BYTES (64 * KIB)
/* The same of pages of history. */
#define PACE_REPLY_BYTES (256 * KIB)

/* ---- commit ---- */

/* Rows, bytes and rooms of one batch: a larger one holds the row locks of all its rooms longer
 * than the others should wait, and gains nothing. */
#define COMMIT_BATCH_ENTRIES 1000
#define COMMIT_BATCH_BYTES (1 * MIB)
#define COMMIT_BATCH_ROOMS 1000
/* Batches under way at once: each has a connection to PostgreSQL of its own. */
#define COMMIT_LANES_MAX 16
/* Rows that one tenant may put into a batch before the next tenant's turn. */
#define COMMIT_TENANT_TURN 32
/* Member changes of one room in one batch. */
#define COMMIT_PART_OPS 128
/* What waits to be written, per room and per lane; while PostgreSQL is away these fill. */
#define COMMIT_QUEUE_ENTRIES 2048
#define COMMIT_QUEUE_BYTES (4 * MIB)
#define COMMIT_LANE_ENTRIES 65536
#define COMMIT_LANE_BYTES (64 * MIB)
/* Who has waited this long for a commit is answered (less than WRITE_DEADLINE_MS of the
 * gateway). */
#define COMMIT_DEADLINE_MS 5000
/* Pauses between tries while the store is away, doubling, jittered; of a row that was locked.
 */
#define COMMIT_RETRY_MIN_MS 20
#define COMMIT_RETRY_MAX_MS 320
#define COMMIT_LOCKED_RETRY_MS 3
/* How long a tenant whose data the store refused shares no batch with others. */
#define COMMIT_ALONE_MS 10000
/* Keys in one look-up of duplicates; rows in one question after fences. */
#define COMMIT_LOOKUP_KEYS 512
#define COMMIT_PROBES 256
/* How far createdAt may run ahead of the clock in whole milliseconds (docs/protocol-client.md).
 */
#define CREATED_AHEAD_MAX_MS 50

/* ---- PostgreSQL ---- */

/* Connections for what REST asks beside the timeline (search, lists, export). Few out at a time
 * on each: a dear one holds back those behind it. */
#define PG_QUERY_CONNECTIONS 2
#define PG_QUERY_DEPTH 2
/* Of them those of one tenant: with more, the others would wait for all it asks for. */
#define PG_QUERY_SHARE 1
#define PG_QUERY_TIMEOUT_MS 8000
/* Rows of one table that one sweep removes: a transaction holds its row locks for as long. */
#define SWEEP_ROWS 2000
/* Sweeps before a room is made anew; a larger one has to wait until it is swept. */
#define SWEEPS_PER_CREATION 50
/* How long a change of an entry that is asked for again is known by its key: longer than any
 * gateway sends again. */
#define CHANGE_KEYS_KEEP_MS (60 * 60 * 1000)
/* Connections of a shard for reads, besides one per lane. */
#define PG_READ_CONNECTIONS 2
/* For what may wait for row locks, and commits by itself: claims and new rooms. With several,
 * the commits of rooms that move at the same time share the disk's time, and one room that is
 * locked holds up few others. */
#define PG_LOCK_CONNECTIONS 4
/* Requests out on one of them at a time, and waiting: a storm of readers must not fill memory.
 */
#define PG_READ_DEPTH 16
/* Of them those of one tenant, as above; the next lies at the server before the last is read.
 */
#define PG_READ_SHARE 2
/* Bytes of answers that one connection takes in one turn of the loop. */
#define PG_TURN_BYTES (256 * KIB)
/* How often requests that wait are looked through for those whose deadline has come. */
#define PG_DUE_LOOK_MS 250
#define PG_READ_QUEUE_MAX 20000
/* A read without an answer by then ends; a connection that owes it is given up. */
#define PG_READ_TIMEOUT_MS 6000
/* A batch without an answer by then costs its connection, and its outcome is unknown. */
#define PG_COMMIT_TIMEOUT_MS 10000
/* Pauses between attempts to connect, doubling, jittered. While none is up only one connection
 * for each host tries, so that a server that starts is not drowned by all of them; the others
 * are told, come within PG_SPREAD_MS, and look by themselves every PG_PARKED_MS. Writes shall
 * flow within a second of the server's return. */
#define PG_RETRY_MIN_MS 50
#define PG_RETRY_MAX_MS 400
#define PG_SPREAD_MS 50
#define PG_PARKED_MS 5000
/* Ids fetched at a time: at 20,000 messages a second one block lasts almost a second. */
#define PG_ID_BLOCK 16384
/* A larger difference of the clocks is reported. Two clocks drift apart by less than this
 * (parts per million): quartz is good to 50. */
#define PG_SKEW_WARN_MS 1000
#define PG_CLOCK_DRIFT_PPM 100
/* Blocking work before the loop runs: seconds for each address of a host; one statement. */
#define ADMIN_CONNECT_TIMEOUT_S "5"
#define ADMIN_QUERY_TIMEOUT_MS 120000
