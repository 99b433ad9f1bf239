-- The keys, revoked ones included: a secret that was once good is known to be no longer.
create table api_keys (
  -- Ids sort by time when compared byte by byte.
  id text collate "C" primary key,
  user_id text not null,
  session_id text constraint api_keys_session unique,
  name text not null,
  prefix text not null,
  start text not null,
  masked text not null,
  -- HMAC-SHA-256 under the pepper of the secret's SHA-256.
  hash bytea not null constraint api_keys_hash unique,
  pepper_id text not null,
  -- As they were asked for: scopes, and patterns of them.
  permissions text[] not null,
  enabled boolean not null default true,
  metadata jsonb not null default '{}',
  created_at timestamptz not null,
  updated_at timestamptz not null,
  expires_at timestamptz,
  revoked_at timestamptz,
  request_count double precision not null default 0,
  last_request timestamptz
);
create index api_keys_of_user on api_keys (user_id, id) where revoked_at is null;

-- Sessions that ended before their key was made: a request for one that comes late is refused.
create table ended_sessions (
  session_id text primary key,
  ended_at timestamptz not null
);
