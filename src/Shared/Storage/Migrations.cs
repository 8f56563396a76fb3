using System.Collections.Immutable;

namespace Shared.Storage;

/// <summary>The steps that bring a database to the newest schema, the first one from nothing. A step that was released never changes.</summary>
internal static class Migrations
{
    public static ImmutableArray<string> All { get; } =
    [
        // 1. `sequence` is the record's place in the journal, so rows are appended and found without an index of their ids.
        // Partial indexes cost nothing for calls that have no user, team or customer.
        """
        CREATE TABLE attempts (
            sequence INTEGER PRIMARY KEY,
            id BLOB NOT NULL,
            started_at INTEGER NOT NULL,
            minute INTEGER GENERATED ALWAYS AS (started_at / 60000) VIRTUAL,
            settled INTEGER NOT NULL,
            kind INTEGER NOT NULL,
            request_id TEXT NOT NULL,
            trace_id BLOB NOT NULL,
            key_id TEXT NOT NULL,
            user_id TEXT,
            team_id TEXT,
            customer_id TEXT,
            requested_name TEXT NOT NULL,
            upstream TEXT NOT NULL,
            name TEXT NOT NULL,
            price_version TEXT,
            revision TEXT NOT NULL,
            attempt_index INTEGER NOT NULL,
            reserved_nano INTEGER NOT NULL,
            reserved_tokens INTEGER NOT NULL,
            outcome INTEGER NOT NULL DEFAULT 0,
            status INTEGER NOT NULL DEFAULT 0,
            error TEXT,
            served_model TEXT,
            usage_source INTEGER NOT NULL DEFAULT 0,
            input INTEGER NOT NULL DEFAULT 0,
            cache_read INTEGER NOT NULL DEFAULT 0,
            cache_write INTEGER NOT NULL DEFAULT 0,
            audio_input INTEGER NOT NULL DEFAULT 0,
            output INTEGER NOT NULL DEFAULT 0,
            reasoning INTEGER NOT NULL DEFAULT 0,
            audio_output INTEGER NOT NULL DEFAULT 0,
            cost_nano INTEGER,
            duration_us INTEGER
        );
        CREATE INDEX attempts_time ON attempts (started_at);
        CREATE INDEX attempts_unsettled ON attempts (started_at) WHERE NOT settled;

        -- What the settled attempts used, minute by minute: kept with them, in the same transactions, so that a start need not read them all.
        CREATE TABLE spend (
            key_id TEXT NOT NULL,
            minute INTEGER NOT NULL,
            kind INTEGER NOT NULL,
            upstream TEXT NOT NULL,
            name TEXT NOT NULL,
            user_id TEXT NOT NULL,
            team_id TEXT NOT NULL,
            customer_id TEXT NOT NULL,
            cost_nano INTEGER NOT NULL,
            requests INTEGER NOT NULL,
            attempts INTEGER NOT NULL,
            tokens INTEGER NOT NULL,
            PRIMARY KEY (key_id, minute, kind, upstream, name, user_id, team_id, customer_id)
        ) WITHOUT ROWID;
        CREATE INDEX spend_user ON spend (user_id, minute) WHERE user_id <> '';
        CREATE INDEX spend_team ON spend (team_id, minute) WHERE team_id <> '';
        CREATE INDEX spend_customer ON spend (customer_id, minute) WHERE customer_id <> '';

        CREATE TABLE virtual_keys (
            id TEXT PRIMARY KEY,
            secret_hashes BLOB NOT NULL,
            declaration TEXT NOT NULL,
            created_by TEXT NOT NULL,
            created_at INTEGER NOT NULL,
            revoked_by TEXT,
            revoked_at INTEGER
        ) WITHOUT ROWID;

        CREATE TABLE admin_keys (
            id TEXT PRIMARY KEY,
            secret_hash BLOB NOT NULL,
            created_by TEXT NOT NULL,
            created_at INTEGER NOT NULL,
            revoked_by TEXT,
            revoked_at INTEGER
        ) WITHOUT ROWID;
        """,

        // 2. What the admin API declares, with who changed what and when, and the texts of revisions.
        """
        CREATE TABLE key_secrets (
            key_id TEXT NOT NULL,
            number INTEGER NOT NULL,
            hash BLOB NOT NULL,
            added_at INTEGER NOT NULL,
            valid_until INTEGER,
            PRIMARY KEY (key_id, number)
        ) WITHOUT ROWID;
        INSERT INTO key_secrets SELECT id, 1, secret_hashes, created_at, NULL FROM virtual_keys;
        ALTER TABLE virtual_keys DROP COLUMN secret_hashes;

        ALTER TABLE admin_keys ADD COLUMN name TEXT NOT NULL DEFAULT '';
        ALTER TABLE admin_keys ADD COLUMN read_only INTEGER NOT NULL DEFAULT 0;
        ALTER TABLE admin_keys ADD COLUMN expires_at INTEGER;

        CREATE TABLE entities (
            kind TEXT NOT NULL,
            id TEXT NOT NULL,
            declaration TEXT NOT NULL,
            created_by TEXT NOT NULL,
            created_at INTEGER NOT NULL,
            changed_by TEXT NOT NULL,
            changed_at INTEGER NOT NULL,
            PRIMARY KEY (kind, id)
        ) WITHOUT ROWID;

        CREATE TABLE secrets (
            name TEXT PRIMARY KEY,
            sealed BLOB NOT NULL,
            changed_by TEXT NOT NULL,
            changed_at INTEGER NOT NULL
        ) WITHOUT ROWID;

        CREATE TABLE audit (
            sequence INTEGER PRIMARY KEY AUTOINCREMENT,
            at INTEGER NOT NULL,
            actor TEXT NOT NULL,
            request_id TEXT,
            action TEXT NOT NULL,
            kind TEXT NOT NULL,
            id TEXT NOT NULL,
            before TEXT,
            after TEXT,
            revision TEXT
        );
        CREATE INDEX audit_entity ON audit (kind, id, sequence);
        CREATE INDEX audit_time ON audit (at);

        -- A revision is kept as its difference to the one before; now and then one is kept whole (base IS NULL).
        CREATE TABLE revisions (
            sequence INTEGER PRIMARY KEY AUTOINCREMENT,
            revision TEXT NOT NULL,
            published_at INTEGER NOT NULL,
            changed_by TEXT NOT NULL,
            base INTEGER,
            lines BLOB NOT NULL
        );
        CREATE INDEX revisions_name ON revisions (revision, sequence);
        """,

        // 3. Sums by hour, from which usage is answered, and which outlive the attempts; what is held back of tool servers; indexes for looking attempts up.
        // The sums and the indexes are made from the attempts that there are, once: docs/operations.md has the time it takes.
        """
        CREATE TABLE usage_hours (
            hour INTEGER NOT NULL,
            key_id TEXT NOT NULL,
            kind INTEGER NOT NULL,
            upstream TEXT NOT NULL,
            name TEXT NOT NULL,
            outcome INTEGER NOT NULL,
            user_id TEXT NOT NULL,
            team_id TEXT NOT NULL,
            customer_id TEXT NOT NULL,
            calls INTEGER NOT NULL,
            unsettled INTEGER NOT NULL,
            reserved_nano INTEGER NOT NULL,
            cost_nano INTEGER NOT NULL,
            unknown_cost INTEGER NOT NULL,
            input INTEGER NOT NULL,
            cached INTEGER NOT NULL,
            output INTEGER NOT NULL,
            duration_us INTEGER NOT NULL,
            longest_us INTEGER NOT NULL,
            PRIMARY KEY (hour, key_id, kind, upstream, name, outcome, user_id, team_id, customer_id)
        ) WITHOUT ROWID;
        INSERT INTO usage_hours
            SELECT started_at / 3600000, key_id, kind, upstream, name, outcome, coalesce(user_id, ''), coalesce(team_id, ''), coalesce(customer_id, ''),
                count(*), 0, 0,
                min(sum(coalesce(cost_nano, 0) / 1000000000), 9223372035) * 1000000000 + sum(coalesce(cost_nano, 0) % 1000000000), sum(cost_nano IS NULL),
                sum(input + cache_read + cache_write + audio_input), sum(cache_read), sum(output + reasoning + audio_output), sum(coalesce(duration_us, 0)), max(coalesce(duration_us, 0))
            FROM attempts WHERE settled GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9;

        CREATE INDEX attempts_request ON attempts (request_id);
        CREATE INDEX attempts_key ON attempts (key_id);
        CREATE INDEX attempts_failed ON attempts (outcome) WHERE outcome > 1;

        -- How far the deletion of what is old has come, in milliseconds since 1970.
        CREATE TABLE retained (what TEXT PRIMARY KEY, since INTEGER NOT NULL) WITHOUT ROWID;

        -- State that admins set, by the ids of manifests and the upstream's own tool names. '' as the tool: the server as a whole.
        CREATE TABLE tools_held (
            server TEXT NOT NULL,
            tool TEXT NOT NULL,
            reason TEXT NOT NULL,
            held_by TEXT NOT NULL,
            held_at INTEGER NOT NULL,
            PRIMARY KEY (server, tool)
        ) WITHOUT ROWID;
        """,

        // 4. Who changed a virtual key last.
        """
        ALTER TABLE virtual_keys ADD COLUMN changed_by TEXT;
        ALTER TABLE virtual_keys ADD COLUMN changed_at INTEGER;
        """,

        // 5. Definitions of tools that were seen, and what was decided of them, by the ids of manifests and the upstream's own tool names.
        """
        CREATE TABLE tool_definitions (
            server TEXT NOT NULL,
            tool TEXT NOT NULL,
            first_hash TEXT NOT NULL,
            first_seen INTEGER NOT NULL,
            PRIMARY KEY (server, tool)
        ) WITHOUT ROWID;

        CREATE TABLE tool_decisions (
            number INTEGER PRIMARY KEY AUTOINCREMENT,
            server TEXT NOT NULL,
            tool TEXT NOT NULL,
            hash TEXT NOT NULL,
            shape TEXT NOT NULL,
            definition TEXT,
            approved INTEGER NOT NULL,
            decided_by TEXT NOT NULL,
            decided_at INTEGER NOT NULL,
            reason TEXT
        );
        CREATE UNIQUE INDEX tool_decisions_hash ON tool_decisions (server, tool, hash);
        """,

        // 6. Where the gateway, or somebody by it, has signed in at upstream tool servers, and as which client. Tokens and secrets are sealed.
        """
        CREATE TABLE upstream_grants (
            server TEXT NOT NULL,
            subject TEXT NOT NULL,
            issuer TEXT NOT NULL,
            sealed BLOB NOT NULL,
            created_at INTEGER NOT NULL,
            changed_at INTEGER NOT NULL,
            PRIMARY KEY (server, subject, issuer)
        ) WITHOUT ROWID;

        CREATE TABLE upstream_clients (
            server TEXT NOT NULL,
            issuer TEXT NOT NULL,
            sealed BLOB NOT NULL,
            changed_at INTEGER NOT NULL,
            PRIMARY KEY (server, issuer)
        ) WITHOUT ROWID;
        """,

        // 7. Those who are signed in through the gateway as an authorization server. Who they are is sealed.
        """
        CREATE TABLE sign_ins (
            id TEXT PRIMARY KEY,
            client_id TEXT NOT NULL,
            content BLOB NOT NULL,
            generation INTEGER NOT NULL,
            created_at INTEGER NOT NULL,
            rotated_at INTEGER NOT NULL,
            expires_at INTEGER NOT NULL,
            idle_until INTEGER NOT NULL
        ) WITHOUT ROWID;
        """,

        // 8. Which key made which file or batch at a provider: nobody else may see it.
        """
        CREATE TABLE provider_objects (
            number INTEGER PRIMARY KEY AUTOINCREMENT,
            key_id TEXT NOT NULL,
            kind TEXT NOT NULL,
            id TEXT NOT NULL,
            provider TEXT NOT NULL,
            label TEXT NOT NULL,
            created_at INTEGER NOT NULL,
            reserved_nano INTEGER NOT NULL,
            billed INTEGER NOT NULL
        );
        CREATE UNIQUE INDEX provider_objects_id ON provider_objects (key_id, kind, id, provider);
        """,

        // 9. What is billed apart has a column of its own: cache writes of an hour, tokens of pictures, and units (in thousandths). Rows of before have the first two within
        // cache_write, input and output, where they stay.
        """
        ALTER TABLE attempts ADD COLUMN cache_write_1h INTEGER NOT NULL DEFAULT 0;
        ALTER TABLE attempts ADD COLUMN image_input INTEGER NOT NULL DEFAULT 0;
        ALTER TABLE attempts ADD COLUMN image_output INTEGER NOT NULL DEFAULT 0;
        ALTER TABLE attempts ADD COLUMN unit_kind INTEGER NOT NULL DEFAULT 0;
        ALTER TABLE attempts ADD COLUMN unit_thousandths INTEGER NOT NULL DEFAULT 0;
        ALTER TABLE attempts ADD COLUMN unit_variant TEXT;
        ALTER TABLE usage_hours ADD COLUMN images INTEGER NOT NULL DEFAULT 0;
        ALTER TABLE usage_hours ADD COLUMN audio_seconds INTEGER NOT NULL DEFAULT 0;
        ALTER TABLE usage_hours ADD COLUMN characters INTEGER NOT NULL DEFAULT 0;
        ALTER TABLE usage_hours ADD COLUMN searches INTEGER NOT NULL DEFAULT 0;
        """,
    ];
}
