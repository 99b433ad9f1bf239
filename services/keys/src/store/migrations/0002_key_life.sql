-- Revoked keys stay visible for 30 days, and may be restored within the first.
alter table api_keys add column revoked_reason text;
create index api_keys_revoked on api_keys (user_id, id) where revoked_at is not null;
create index api_keys_purged on api_keys (revoked_at) where revoked_at is not null;

-- The secret before the last rotation, until its grace period ends.
alter table api_keys
  add column old_hash bytea constraint api_keys_old_hash unique,
  add column old_pepper_id text,
  add column old_masked text,
  add column rotated_at timestamptz,
  add column old_ends_at timestamptz,
  add column old_last_request timestamptz;
create index api_keys_grace on api_keys (old_ends_at) where old_ends_at is not null;

-- How many secrets the key had before the one it has: tells what came with which of them.
alter table api_keys add column rotations integer not null default 0;

-- Where a key may be used from, and for which tunnels; empty: everywhere, and all.
alter table api_keys
  add column allowed_ips text[] not null default '{}',
  add column allowed_subdomains text[] not null default '{}',
  add column rate_limit_enabled boolean not null default true;

-- What counts the uses of a key down, or has a window of its own; other keys have no row.
create table key_meters (
  key_id text collate "C" primary key references api_keys on delete cascade,
  -- Uses beside all leases; null where they are not counted down. Below 0 while more is leased than was set to remain.
  remaining double precision,
  -- What remains then, once nobody holds any of what was leased before.
  next_remaining double precision,
  refill_amount double precision,
  -- Milliseconds.
  refill_interval double precision,
  -- When the refill was chosen: its intervals are counted from then where it was never refilled since.
  refill_from timestamptz,
  last_refill_at timestamptz,
  -- The key's own window: its length in milliseconds, and how many uses it admits.
  time_window double precision,
  max_uses double precision,
  -- Uses that are settled and still in the window, oldest first: when, in Unix milliseconds, and how many.
  used_at double precision[] not null default '{}',
  used_count double precision[] not null default '{}'
) with (fillfactor = 50);

-- What replicas of auth may use without asking.
create table key_leases (
  key_id text collate "C" references api_keys on delete cascade,
  -- The replica: no other process ever has its name.
  holder text,
  -- Of the holder's last request, and the answer, which the same request gets again.
  turn double precision not null,
  -- Null while the other holders are being asked.
  answer jsonb,
  -- Uses that are not settled.
  held integer not null,
  -- From then on they are lost.
  until timestamptz not null,
  primary key (key_id, holder)
) with (fillfactor = 50);
