-- The whole room API: changes of entries, whispers, expiry, restrictions, read state, inbox, files, search.
-- Every primary key begins with project_id.

ALTER TABLE rooms
    ADD COLUMN message_count bigint NOT NULL DEFAULT 0, -- messages ever created here: unread counts are differences of it
    ADD COLUMN pinned_id bigint,
    ADD COLUMN pinned_at timestamptz,
    ADD COLUMN pinned_by text COLLATE "C",
    ADD COLUMN settings json, -- slow mode, blocked words, rates, join policy; shard/room/settings.h
    ADD COLUMN deleted_at timestamptz, -- a deleted room keeps its row: who makes it again continues its numbers
    ADD COLUMN has_remains boolean NOT NULL DEFAULT false; -- of a deleted room: other tables still have rows of it
-- Of indexes that seem equal the youngest is taken: rooms are looked up by their key.
ALTER TABLE rooms DROP CONSTRAINT rooms_pkey, ADD PRIMARY KEY (project_id, room_id);
-- Deleted rooms of which something is left; few at any time, and no commit touches it.
CREATE INDEX rooms_remains ON rooms (deleted_at) WHERE has_remains;

ALTER TABLE timeline
    ADD COLUMN flags smallint NOT NULL DEFAULT 0, -- ENTRY_* of shard/room/entry.h
    ADD COLUMN visible_to text[] COLLATE "C", -- whisper: who may see it, the author among them; null: everybody
    ADD COLUMN reactions json, -- {"<emoji>": ["<user>", ...]} in the order in which they came
    ADD COLUMN message_no bigint NOT NULL DEFAULT 0; -- messages created in the room up to this entry, itself included

UPDATE timeline t SET message_no = n.no
    FROM (SELECT project_id, room_id, seq,
                 count(*) FILTER (WHERE kind = 1) OVER (PARTITION BY project_id, room_id ORDER BY seq) AS no
          FROM timeline) n
    WHERE t.project_id = n.project_id AND t.room_id = n.room_id AND t.seq = n.seq;
UPDATE rooms r SET message_count = n.no
    FROM (SELECT project_id, room_id, max(message_no) AS no FROM timeline GROUP BY project_id, room_id) n
    WHERE r.project_id = n.project_id AND r.room_id = n.room_id;

-- REST names a message by its id alone.
-- Not (project_id, id): while a table is small, or not analysed yet, all its indexes seem equal to the planner, and one
-- that begins with the project would serve every look-up by walking through all that the project has.
CREATE UNIQUE INDEX timeline_by_id ON timeline (id, project_id);
-- What is to be removed on time; one index for all tenants, because it is asked for all of them at once.
CREATE INDEX timeline_expiring ON timeline (expires_at) WHERE expires_at IS NOT NULL AND deleted_at IS NULL;
-- Messages that do not count for everybody: unread counts subtract them.
CREATE INDEX timeline_exceptions ON timeline (project_id, room_id, seq)
    WHERE kind = 1 AND (deleted_at IS NOT NULL OR visible_to IS NOT NULL);
-- Token streams that nobody has ended: few at any time.
CREATE INDEX timeline_streaming ON timeline (project_id, room_id, seq) WHERE flags & 1 <> 0;

-- Changes of entries with the key under which they were asked for, so that one sent again is recognised. Kept for an
-- hour, longer than any gateway sends again.
CREATE TABLE room_ops (
    project_id text COLLATE "C" NOT NULL,
    room_id text COLLATE "C" NOT NULL,
    key uuid NOT NULL,
    seq bigint NOT NULL, -- that the change took
    target_seq bigint NOT NULL, -- of the entry that it changed
    at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (project_id, room_id, key)
);
CREATE INDEX room_ops_by_age ON room_ops (at);

-- Who may not write (muted) or enter (banned). 'infinity': for good; null: not at all.
CREATE TABLE restrictions (
    project_id text COLLATE "C" NOT NULL,
    room_id text COLLATE "C" NOT NULL,
    user_id text COLLATE "C" NOT NULL,
    muted_until timestamptz,
    banned_until timestamptz,
    PRIMARY KEY (project_id, room_id, user_id)
);

-- Everything that somebody did by virtue of an office. ids rise.
CREATE TABLE audit_events (
    project_id text COLLATE "C" NOT NULL,
    id bigint GENERATED ALWAYS AS IDENTITY,
    action text NOT NULL, -- "room.ban", "message.delete", ...
    actor_id text COLLATE "C" NOT NULL,
    room_id text COLLATE "C",
    target_id text COLLATE "C", -- user or message
    detail json,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (project_id, id)
);

CREATE TABLE reports (
    project_id text COLLATE "C" NOT NULL,
    id bigint GENERATED ALWAYS AS IDENTITY,
    room_id text COLLATE "C" NOT NULL,
    user_id text COLLATE "C" NOT NULL, -- who reports
    message_id bigint NOT NULL,
    reason text,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (project_id, id)
);
CREATE INDEX reports_room ON reports (project_id, room_id, id);

-- How far a user has read: message_no is that of the newest message up to seq, so that what is unread is a difference.
CREATE TABLE read_state (
    project_id text COLLATE "C" NOT NULL,
    user_id text COLLATE "C" NOT NULL,
    room_id text COLLATE "C" NOT NULL,
    seq bigint NOT NULL,
    message_no bigint NOT NULL,
    message_id bigint NOT NULL,
    at timestamptz NOT NULL,
    PRIMARY KEY (project_id, user_id, room_id)
) WITH (fillfactor = 70);
CREATE INDEX read_state_by_room ON read_state (project_id, room_id);

-- Who was named in a message; "@channel", "@here" and "@role:<role>" stand for all that they mean.
CREATE TABLE mentions (
    project_id text COLLATE "C" NOT NULL,
    user_id text COLLATE "C" NOT NULL,
    room_id text COLLATE "C" NOT NULL,
    seq bigint NOT NULL,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (project_id, user_id, room_id, seq)
);
CREATE INDEX mentions_by_room ON mentions (project_id, room_id, seq);

CREATE TABLE drafts (
    project_id text COLLATE "C" NOT NULL,
    user_id text COLLATE "C" NOT NULL,
    room_id text COLLATE "C" NOT NULL,
    content text NOT NULL,
    reply_to bigint,
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (project_id, user_id, room_id)
);
CREATE INDEX drafts_by_room ON drafts (project_id, room_id);

CREATE TABLE snoozes (
    project_id text COLLATE "C" NOT NULL,
    user_id text COLLATE "C" NOT NULL,
    room_id text COLLATE "C" NOT NULL,
    until timestamptz NOT NULL,
    PRIMARY KEY (project_id, user_id, room_id)
);
CREATE INDEX snoozes_by_room ON snoozes (project_id, room_id);

CREATE TABLE follow_ups (
    project_id text COLLATE "C" NOT NULL,
    user_id text COLLATE "C" NOT NULL,
    id bigint GENERATED ALWAYS AS IDENTITY,
    room_id text COLLATE "C" NOT NULL,
    message_id bigint NOT NULL,
    note text,
    due_at timestamptz,
    done_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (project_id, user_id, id)
);
CREATE INDEX follow_ups_by_room ON follow_ups (project_id, room_id);

CREATE TABLE notifications_read (
    project_id text COLLATE "C" NOT NULL,
    user_id text COLLATE "C" NOT NULL,
    room_id text COLLATE "C" NOT NULL,
    seq bigint NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (project_id, user_id, room_id, seq)
);
CREATE INDEX notifications_read_by_room ON notifications_read (project_id, room_id);

CREATE TABLE blocks (
    project_id text COLLATE "C" NOT NULL,
    user_id text COLLATE "C" NOT NULL,
    blocked_id text COLLATE "C" NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (project_id, user_id, blocked_id)
);

CREATE TABLE deliveries (
    project_id text COLLATE "C" NOT NULL,
    message_id bigint NOT NULL,
    user_id text COLLATE "C" NOT NULL,
    status text NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (project_id, message_id, user_id)
);

-- Uploads, in pieces of at most 256 KiB. ready: all pieces are here.
CREATE TABLE files (
    project_id text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    room_id text COLLATE "C",
    user_id text COLLATE "C" NOT NULL,
    name text NOT NULL,
    content_type text NOT NULL,
    size bigint NOT NULL,
    ready boolean NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (project_id, key)
);
-- What was begun and not finished is swept away, for all tenants at once.
CREATE INDEX files_unfinished ON files (created_at) WHERE NOT ready;
CREATE INDEX files_room ON files (project_id, room_id) WHERE room_id IS NOT NULL; -- they go with the room
CREATE TABLE file_chunks (
    project_id text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    n integer NOT NULL,
    data bytea NOT NULL,
    PRIMARY KEY (project_id, key, n)
);
ALTER TABLE file_chunks ALTER COLUMN data SET STORAGE EXTERNAL; -- what is uploaded is packed already

-- Answers kept for those who ask again with the same Idempotency-Key. status 0: under way.
CREATE TABLE idempotency_keys (
    project_id text COLLATE "C" NOT NULL,
    user_id text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    request bytea NOT NULL, -- SHA-256 over method, target and body
    status integer NOT NULL DEFAULT 0,
    body text,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (project_id, user_id, key)
);
CREATE INDEX idempotency_keys_by_age ON idempotency_keys (created_at);

-- Full text, filled behind the commits. words holds the message's words, each behind the mark of its project (so that one
-- tenant's search walks no other's words), and two lexemes that no text can make, of project and room, so that one index
-- finds "these words in this room". No pending list: it would make a search cost what others have just written.
CREATE TABLE message_search (
    project_id text COLLATE "C" NOT NULL,
    room_id text COLLATE "C" NOT NULL,
    seq bigint NOT NULL,
    words tsvector NOT NULL,
    PRIMARY KEY (project_id, room_id, seq)
);
CREATE INDEX message_search_words ON message_search USING gin (words) WITH (fastupdate = off);
-- Up to which change the index knows the room.
CREATE TABLE search_state (
    project_id text COLLATE "C" NOT NULL,
    room_id text COLLATE "C" NOT NULL,
    indexed_seq bigint NOT NULL,
    PRIMARY KEY (project_id, room_id)
) WITH (fillfactor = 70);

-- Words of no language in particular: compatible forms and cases are one; kana and ideographs, which stand without
-- spaces, are words of their own. What is longer than PostgreSQL takes as a lexeme is left out.
CREATE FUNCTION search_lexemes(project text, content text) RETURNS TABLE (word text, positions smallint[])
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT left(md5(project), 6) || w.lexeme, w.positions
    FROM unnest(to_tsvector('pg_catalog.simple', lower(CASE WHEN octet_length(content) = length(content) THEN content
        ELSE regexp_replace(normalize(content, NFKC),
            '([\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff])', ' \1 ', 'g') END))) w
    WHERE octet_length(w.lexeme) < 1000
$$;

CREATE FUNCTION search_quote(word text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT '''' || replace(replace(word, '\', '\\'), '''', '''''') || ''''
$$;

CREATE FUNCTION search_words(project text, room text, content text) RETURNS tsvector
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT coalesce(string_agg(search_quote(word) || ':' || array_to_string(positions, ','), ' '), '')::tsvector
        || array_to_tsvector(ARRAY[chr(1) || 'p' || project, chr(1) || 'r' || project || '/' || room])
    FROM search_lexemes(project, content)
$$;

-- All words of q, the last one as the beginning of a word. Null: there is no word in it.
CREATE FUNCTION search_query(project text, q text) RETURNS tsquery
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT string_agg(search_quote(word) || CASE WHEN at = last THEN ':*' ELSE '' END, ' & ')::tsquery
    FROM (SELECT word, at, max(at) OVER () AS last
          FROM (SELECT word, positions[cardinality(positions)] AS at FROM search_lexemes(project, q)) p) w
$$;

-- The same within a room, or (null) within the project.
CREATE FUNCTION search_query_in(project text, room text, q text) RETURNS tsquery
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT search_query(project, q)
        && search_quote(CASE WHEN room IS NULL THEN chr(1) || 'p' || project
                             ELSE chr(1) || 'r' || project || '/' || room END)::tsquery
$$;

-- A time as clients see it: three digits when whole milliseconds, else six.
CREATE FUNCTION fluxy_time(t timestamptz) RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN t IS NULL THEN NULL
        WHEN extract(microseconds FROM t)::bigint % 1000 = 0
            THEN to_char(t AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')
        ELSE to_char(t AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') END
$$;
