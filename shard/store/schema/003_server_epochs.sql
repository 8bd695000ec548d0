-- Which server this database has lived on: a new one, or a new timeline of it (failover, restore), may have lost the
-- end of what was committed. Each has an epoch, whose generation is that of the rooms claimed or made there.

CREATE TABLE server_epochs (
    number integer PRIMARY KEY, -- 1, 2, ...: the last one counts
    system text NOT NULL,       -- system identifier
    timeline text NOT NULL,
    generation bigint NOT NULL UNIQUE,
    since timestamptz NOT NULL DEFAULT now()
);

-- Of cursors that bear the generation before the room's, those up to that seq are good still: both have it in common.
ALTER TABLE rooms
    ADD COLUMN forked_from bigint, -- generation; null: of none
    ADD COLUMN forked_at bigint;   -- last_seq when the room was first claimed in its generation

CREATE FUNCTION server_timeline() RETURNS text
LANGUAGE sql VOLATILE AS $$ SELECT substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8) $$;

-- The generation of the server that answers; writes down one that is not known yet. 0: it is not known and this
-- transaction may only read. The generation is drawn, not counted: two standbys that were made primaries one after the
-- other, neither of which knows of the other, must not have the same. What was drawn from sequences on the server before
-- may be known outside: here they go on far above it. Not waited for by synchronous replication, so that reads work
-- before there is a standby again; whoever uses the generation commits behind it.
CREATE FUNCTION server_epoch() RETURNS bigint
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    here text := (SELECT system_identifier::text FROM pg_control_system());
    line text;
    last server_epochs;
BEGIN
    IF pg_is_in_recovery() THEN
        RETURN 0;
    END IF;
    line := server_timeline();
    SELECT * INTO last FROM server_epochs ORDER BY number DESC LIMIT 1;
    IF last.system = here AND last.timeline = line THEN
        RETURN last.generation;
    END IF;
    IF current_setting('transaction_read_only')::boolean THEN
        RETURN 0;
    END IF;
    PERFORM set_config('synchronous_commit', 'local', true);
    PERFORM pg_advisory_xact_lock(7021964311);
    SELECT * INTO last FROM server_epochs ORDER BY number DESC LIMIT 1;
    IF last.system = here AND last.timeline = line THEN
        RETURN last.generation;
    END IF;
    PERFORM setval('shard_incarnation', (SELECT last_value FROM shard_incarnation) + 1000000);
    PERFORM setval('message_id_block', (SELECT last_value FROM message_id_block) + 1000000);
    INSERT INTO server_epochs (number, system, timeline, generation) VALUES (coalesce(last.number, 0) + 1, here, line,
        ('x' || substr(replace(gen_random_uuid()::text, '-', ''), 1, 12))::bit(48)::bigint + 2)
        RETURNING * INTO last;
    RETURN last.generation;
END
$$;

-- What there is now is of the first generation.
INSERT INTO server_epochs (number, system, timeline, generation)
    SELECT 1, system_identifier::text, server_timeline(), 1 FROM pg_control_system();
