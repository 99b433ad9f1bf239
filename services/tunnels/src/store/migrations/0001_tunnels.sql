-- The tunnels that exist; deleting one frees its subdomain.
create table tunnels (
  id text primary key,
  user_id text not null,
  name text not null,
  subdomain text not null constraint tunnels_subdomain unique,
  local_port integer not null,
  -- HMAC of the token's SHA-256, and the pepper that it is under: what tokens are looked up by.
  token_hash bytea not null constraint tunnels_token_hash unique,
  token_pepper_id text not null,
  -- The token itself under AES-256-GCM, and which secret that is: what tokens are shown from.
  token_sealed bytea not null,
  token_secret_id text not null,
  -- When the token was regenerated within the hour before the last time.
  regenerated_at timestamptz[] not null default '{}',
  created_at timestamptz not null,
  updated_at timestamptz not null
);
create index tunnels_user_id on tunnels (user_id, id);

-- What a user has used, for ever. Its row is what parallel creates of one user wait for.
create table usage (
  user_id text primary key,
  tunnels_created integer not null default 0,
  -- Doubles, as in the contract: exact to 2^53, and they never overflow.
  requests_served double precision not null default 0,
  data_transferred_bytes double precision not null default 0
);
