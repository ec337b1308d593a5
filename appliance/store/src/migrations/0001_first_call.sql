-- Times are RFC 3339 UTC with milliseconds, so they sort as text. Lists and objects are JSON.

CREATE TABLE tenant (
    id                    TEXT PRIMARY KEY,
    name                  TEXT NOT NULL UNIQUE,
    country_code          TEXT,
    timezone              TEXT NOT NULL,
    voicemail_greeting    TEXT,
    voicemail_transcripts INTEGER NOT NULL DEFAULT 0,
    created_at            TEXT NOT NULL,
    updated_at            TEXT NOT NULL
) STRICT;

CREATE TABLE user (
    id            TEXT PRIMARY KEY,
    tenant_id     TEXT NOT NULL REFERENCES tenant (id),
    email         TEXT NOT NULL UNIQUE COLLATE NOCASE,
    name          TEXT NOT NULL,
    role          TEXT NOT NULL,
    enabled       INTEGER NOT NULL,
    password_hash TEXT,
    created_at    TEXT NOT NULL,
    updated_at    TEXT NOT NULL
) STRICT;
CREATE INDEX user_by_tenant ON user (tenant_id, id);

CREATE TABLE session (
    token_sha256 TEXT PRIMARY KEY,
    user_id      TEXT NOT NULL REFERENCES user (id) ON DELETE CASCADE,
    csrf_token   TEXT NOT NULL,
    created_at   TEXT NOT NULL,
    expires_at   TEXT NOT NULL
) STRICT;

-- `lookup` is the part of a key that may be shown; the whole key is only kept as argon2id.
CREATE TABLE api_key (
    id           TEXT PRIMARY KEY,
    tenant_id    TEXT NOT NULL REFERENCES tenant (id),
    user_id      TEXT REFERENCES user (id) ON DELETE CASCADE,
    name         TEXT NOT NULL,
    role         TEXT NOT NULL,
    lookup       TEXT NOT NULL,
    secret_hash  TEXT NOT NULL,
    expires_at   TEXT,
    created_at   TEXT NOT NULL,
    UNIQUE (tenant_id, name)
) STRICT;
CREATE INDEX api_key_by_lookup ON api_key (lookup);

CREATE TABLE audit (
    seq            INTEGER PRIMARY KEY AUTOINCREMENT,
    id             TEXT NOT NULL UNIQUE,
    tenant_id      TEXT,
    at             TEXT NOT NULL,
    actor          TEXT NOT NULL,
    action         TEXT NOT NULL,
    object_id      TEXT,
    detail         TEXT NOT NULL,
    correlation_id TEXT NOT NULL,
    previous_hash  TEXT NOT NULL,
    hash           TEXT NOT NULL
) STRICT;
CREATE INDEX audit_by_tenant ON audit (tenant_id, seq);

CREATE TABLE idempotency (
    tenant_id    TEXT NOT NULL,
    key          TEXT NOT NULL,
    request_hash TEXT NOT NULL,
    status       INTEGER,
    body         TEXT,
    created_at   TEXT NOT NULL,
    PRIMARY KEY (tenant_id, key)
) STRICT;

CREATE TABLE trunk (
    id                  TEXT PRIMARY KEY,
    tenant_id           TEXT NOT NULL REFERENCES tenant (id),
    name                TEXT NOT NULL,
    sip_server_address  TEXT NOT NULL,
    sip_transport       TEXT NOT NULL,
    auth_mode           TEXT NOT NULL,
    sip_auth_username   TEXT,
    sip_auth_password   TEXT,
    register            INTEGER NOT NULL,
    allowed_addresses   TEXT NOT NULL,
    media_encryption    TEXT NOT NULL,
    codecs              TEXT NOT NULL,
    number_format       TEXT NOT NULL,
    priority            INTEGER NOT NULL,
    enabled             INTEGER NOT NULL,
    sync_status         TEXT NOT NULL,
    sync_last_error     TEXT,
    sync_hint           TEXT,
    sync_attempts       INTEGER NOT NULL DEFAULT 0,
    next_sync_at        TEXT,
    -- Counts the changes; a sync that started before the last one does not count as done.
    revision            INTEGER NOT NULL DEFAULT 1,
    sip_trunk_id        TEXT,
    lk_inbound_trunk_id TEXT,
    lk_dispatch_rule_id TEXT,
    resolved_addresses  TEXT NOT NULL DEFAULT '[]',
    registration        TEXT,
    health              TEXT,
    created_at          TEXT NOT NULL,
    updated_at          TEXT NOT NULL,
    UNIQUE (tenant_id, name)
) STRICT;
CREATE INDEX trunk_by_inbound ON trunk (lk_inbound_trunk_id);

CREATE TABLE dialplan (
    id         TEXT PRIMARY KEY,
    tenant_id  TEXT NOT NULL REFERENCES tenant (id),
    name       TEXT NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    UNIQUE (tenant_id, name)
) STRICT;

-- `seq` is the order of creation, the tie-break between equal priorities.
CREATE TABLE rule (
    seq           INTEGER PRIMARY KEY AUTOINCREMENT,
    id            TEXT NOT NULL UNIQUE,
    dialplan_id   TEXT NOT NULL REFERENCES dialplan (id) ON DELETE CASCADE,
    priority      INTEGER NOT NULL,
    match_type    TEXT NOT NULL,
    match_params  TEXT NOT NULL,
    action_type   TEXT NOT NULL,
    action_params TEXT NOT NULL,
    enabled       INTEGER NOT NULL
) STRICT;
CREATE INDEX rule_by_dialplan ON rule (dialplan_id, priority, seq);

CREATE TABLE did (
    id          TEXT PRIMARY KEY,
    tenant_id   TEXT NOT NULL REFERENCES tenant (id),
    number      TEXT NOT NULL UNIQUE,
    trunk_id    TEXT NOT NULL REFERENCES trunk (id),
    dialplan_id TEXT REFERENCES dialplan (id),
    label       TEXT NOT NULL,
    enabled     INTEGER NOT NULL,
    created_at  TEXT NOT NULL,
    updated_at  TEXT NOT NULL
) STRICT;
CREATE INDEX did_by_trunk ON did (trunk_id);

CREATE TABLE bot (
    id          TEXT PRIMARY KEY,
    tenant_id   TEXT NOT NULL REFERENCES tenant (id),
    name        TEXT NOT NULL,
    description TEXT NOT NULL,
    agent_name  TEXT NOT NULL,
    enabled     INTEGER NOT NULL,
    created_at  TEXT NOT NULL,
    updated_at  TEXT NOT NULL,
    UNIQUE (tenant_id, name)
) STRICT;

CREATE TABLE calendar (
    id         TEXT PRIMARY KEY,
    tenant_id  TEXT NOT NULL REFERENCES tenant (id),
    name       TEXT NOT NULL,
    timezone   TEXT NOT NULL,
    days       TEXT NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    UNIQUE (tenant_id, name)
) STRICT;

CREATE TABLE extension (
    id                 TEXT PRIMARY KEY,
    tenant_id          TEXT NOT NULL REFERENCES tenant (id),
    number             TEXT NOT NULL,
    name               TEXT NOT NULL,
    type               TEXT NOT NULL,
    user_id            TEXT REFERENCES user (id),
    bot_id             TEXT REFERENCES bot (id),
    target             TEXT,
    sip_username       TEXT,
    sip_password       TEXT,
    dnd                INTEGER NOT NULL,
    forwarding         TEXT NOT NULL,
    ring_timeout_s     INTEGER NOT NULL,
    timeout_action     TEXT NOT NULL,
    timeout_forward_to TEXT,
    created_at         TEXT NOT NULL,
    updated_at         TEXT NOT NULL,
    UNIQUE (tenant_id, number)
) STRICT;
CREATE INDEX extension_by_user ON extension (user_id);

CREATE TABLE call (
    id                TEXT PRIMARY KEY,
    tenant_id         TEXT NOT NULL REFERENCES tenant (id),
    kind              TEXT NOT NULL,
    direction         TEXT NOT NULL,
    trunk_id          TEXT,
    did_id            TEXT,
    caller            TEXT NOT NULL,
    callee            TEXT NOT NULL,
    from_extension_id TEXT,
    extension_id      TEXT,
    user_id           TEXT,
    dialplan_id       TEXT,
    matched_rule_id   TEXT,
    state             TEXT NOT NULL,
    started_at        TEXT NOT NULL,
    answered_at       TEXT,
    ended_at          TEXT,
    end_reason        TEXT,
    end_code          TEXT,
    sip_code          INTEGER,
    room              TEXT,
    correlation_id    TEXT NOT NULL,
    trace             TEXT,
    -- What the call's state machine needs to go on after a restart.
    machine           TEXT
) STRICT;
CREATE INDEX call_by_tenant ON call (tenant_id, id);
CREATE INDEX call_by_room ON call (room);
CREATE INDEX call_alive ON call (state) WHERE state <> 'ended';

CREATE TABLE leg (
    id           TEXT PRIMARY KEY,
    call_id      TEXT NOT NULL REFERENCES call (id) ON DELETE CASCADE,
    tenant_id    TEXT NOT NULL,
    -- Its number within the call; 0 is the caller.
    party        INTEGER NOT NULL,
    kind         TEXT NOT NULL,
    direction    TEXT,
    state        TEXT NOT NULL,
    lk_call_id   TEXT UNIQUE,
    sip_call_id  TEXT,
    identity     TEXT,
    address      TEXT,
    trunk_id     TEXT,
    extension_id TEXT,
    user_id      TEXT,
    codec        TEXT,
    stats        TEXT,
    started_at   TEXT NOT NULL,
    answered_at  TEXT,
    ended_at     TEXT,
    end_cause    TEXT,
    end_detail   TEXT,
    sip_code     INTEGER
) STRICT;
CREATE INDEX leg_by_call ON leg (call_id, party);
CREATE INDEX leg_by_user ON leg (user_id);

CREATE TABLE cdr (
    call_id    TEXT PRIMARY KEY,
    tenant_id  TEXT NOT NULL,
    ended_at   TEXT NOT NULL,
    end_reason TEXT NOT NULL,
    sip_code   INTEGER,
    duration_s REAL NOT NULL,
    billable_s REAL NOT NULL,
    record     TEXT NOT NULL
) STRICT;
CREATE INDEX cdr_by_tenant ON cdr (tenant_id, ended_at);

CREATE TABLE metering (
    id        INTEGER PRIMARY KEY AUTOINCREMENT,
    tenant_id TEXT NOT NULL,
    call_id   TEXT NOT NULL,
    metric    TEXT NOT NULL,
    quantity  REAL NOT NULL,
    at        TEXT NOT NULL,
    UNIQUE (call_id, metric)
) STRICT;
CREATE INDEX metering_by_tenant ON metering (tenant_id, at);

CREATE TABLE voicemail (
    id           TEXT PRIMARY KEY,
    tenant_id    TEXT NOT NULL REFERENCES tenant (id),
    extension_id TEXT,
    call_id      TEXT,
    caller       TEXT NOT NULL,
    received_at  TEXT NOT NULL,
    duration_ms  INTEGER NOT NULL,
    object_key   TEXT NOT NULL,
    bytes        INTEGER NOT NULL,
    stored       INTEGER NOT NULL,
    ended_by     TEXT NOT NULL,
    transcript   TEXT,
    summary      TEXT,
    read_at      TEXT
) STRICT;
CREATE INDEX voicemail_by_tenant ON voicemail (tenant_id, id);

-- The event stream; an event with a user is for that user's own page too.
CREATE TABLE event (
    id             INTEGER PRIMARY KEY AUTOINCREMENT,
    tenant_id      TEXT NOT NULL,
    type           TEXT NOT NULL,
    at             TEXT NOT NULL,
    user_id        TEXT,
    data           TEXT NOT NULL
) STRICT;
CREATE INDEX event_by_tenant ON event (tenant_id, id);

-- How far each spool of sip-gateway and voice-worker has been taken in.
CREATE TABLE ingest (
    source     TEXT NOT NULL,
    instance   TEXT NOT NULL,
    through    INTEGER NOT NULL,
    updated_at TEXT NOT NULL,
    PRIMARY KEY (source, instance)
) STRICT;
