-- The key leaked, and tunnels still have the tokens that it could have read.
alter table api_keys
  add column exposes_tokens boolean not null default false,
  -- Patterns of subdomains: their tunnels have new tokens.
  add column regenerated_within text[] not null default '{}';
update api_keys set exposes_tokens = true where revoked_at is not null and revoked_reason ~* '^\s*leaked\s*$';
create index api_keys_exposing on api_keys (user_id, id) where exposes_tokens;
