-- Tenants, keys, rooms, members, the timeline. Every primary key begins with
-- project_id (ready to be distributed by it), but for the two look-ups that find
-- the project from a secret or guard this very table of migrations.
-- Ids compare as bytes (COLLATE "C"): cheaper, and the same order everywhere.

-- Incarnations of shards are the fences of rooms; blocks of message ids.
CREATE SEQUENCE shard_incarnation;
CREATE SEQUENCE message_id_block;

CREATE TABLE projects (
    project_id text COLLATE "C" PRIMARY KEY,
    name text NOT NULL,
    version bigint NOT NULL DEFAULT 1, -- rises with every change of the configuration, keys and secrets
    created_at timestamptz NOT NULL DEFAULT now()
);

-- Secrets that must be used, not compared: sealed under the master key whose id is master_kid.
CREATE TABLE project_secrets (
    project_id text COLLATE "C" NOT NULL REFERENCES projects,
    kid text COLLATE "C" NOT NULL,
    purpose text NOT NULL, -- 'jwt'
    sealed bytea NOT NULL, -- nonce, ciphertext, tag
    master_kid text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (project_id, kid)
);

-- API keys, by the hash of the whole key: the project is what the look-up finds.
CREATE TABLE api_keys (
    key_hash bytea PRIMARY KEY, -- SHA-256
    project_id text COLLATE "C" NOT NULL REFERENCES projects,
    key_id text COLLATE "C" NOT NULL,
    prefix text NOT NULL, -- the first characters, to show
    scopes json NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    revoked_at timestamptz,
    UNIQUE (project_id, key_id)
);

-- The row is the lock of the room: every commit compares and sets (last_seq, fence).
-- Updated by every batch: half-empty pages keep the updates on the page (HOT), early vacuum keeps the page short.
CREATE TABLE rooms (
    project_id text COLLATE "C" NOT NULL,
    room_id text COLLATE "C" NOT NULL,
    last_seq bigint NOT NULL DEFAULT 0,
    last_id bigint NOT NULL DEFAULT 0,
    last_created_at timestamptz NOT NULL,
    fence bigint NOT NULL,
    generation bigint NOT NULL DEFAULT 1,
    resume_floor bigint NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL,
    type text NOT NULL,
    name text NOT NULL,
    created_by text COLLATE "C" NOT NULL,
    PRIMARY KEY (project_id, room_id)
) WITH (
    fillfactor = 50,
    autovacuum_vacuum_scale_factor = 0.02,
    autovacuum_vacuum_threshold = 200,
    autovacuum_analyze_scale_factor = 0.1,
    autovacuum_vacuum_cost_delay = 0
);

CREATE INDEX rooms_by_age ON rooms (project_id, created_at, room_id); -- touched only when a room is made

CREATE TABLE members (
    project_id text COLLATE "C" NOT NULL,
    room_id text COLLATE "C" NOT NULL,
    user_id text COLLATE "C" NOT NULL,
    role smallint NOT NULL, -- enum member_role
    joined_at timestamptz NOT NULL,
    notify_enabled boolean NOT NULL DEFAULT true,
    preferences json,
    PRIMARY KEY (project_id, room_id, user_id)
);
CREATE INDEX members_by_user ON members (project_id, user_id);

-- The only copy of content. A change of an entry takes a new seq into updated_seq.
CREATE TABLE timeline (
    project_id text COLLATE "C" NOT NULL,
    room_id text COLLATE "C" NOT NULL,
    seq bigint NOT NULL,
    updated_seq bigint NOT NULL,
    id bigint NOT NULL,
    created_at timestamptz NOT NULL,
    edited_at timestamptz,
    deleted_at timestamptz,
    expires_at timestamptz,
    parent_id bigint,
    dedupe uuid NOT NULL, -- hash over author and idempotency key
    kind smallint NOT NULL, -- enum entry_kind
    version integer NOT NULL,
    user_id text COLLATE "C" NOT NULL,
    client_id text COLLATE "C",
    content text NOT NULL,
    extra json,
    PRIMARY KEY (project_id, room_id, seq)
) WITH (autovacuum_vacuum_insert_scale_factor = 0.05);
CREATE UNIQUE INDEX timeline_dedupe ON timeline (project_id, room_id, dedupe);
-- Resume: what has changed after a cursor and is older than it. Entries that never changed are found by seq.
CREATE INDEX timeline_changed ON timeline (project_id, room_id, updated_seq) WHERE updated_seq <> seq;

-- The smallest seq from which on entries are not older than `t`: created_at rises with seq, so the place is found by
-- halves over the primary key, without an index of its own.
CREATE FUNCTION timeline_seq_at(project text, room text, t timestamptz) RETURNS bigint
LANGUAGE plpgsql STABLE AS $$
DECLARE
    low bigint;  -- everything before is older than t
    high bigint; -- everything from here on is not
    middle bigint;
    found_seq bigint;
    found_at timestamptz;
BEGIN
    SELECT min(seq), max(seq) + 1 INTO low, high FROM timeline
        WHERE project_id = project AND room_id = room;
    WHILE low < high LOOP
        middle := low + (high - low) / 2;
        SELECT seq, created_at INTO found_seq, found_at FROM timeline
            WHERE project_id = project AND room_id = room AND seq >= middle ORDER BY seq LIMIT 1;
        IF found_seq < high AND found_at < t THEN
            low := found_seq + 1;
        ELSE
            high := middle; -- also when there is no entry between
        END IF;
    END LOOP;
    RETURN low;
END
$$;
