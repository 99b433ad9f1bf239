-- The networks that an account was logged in from: strangers' wrong passwords keep nobody out who comes from one of them.
create table known_networks (
  user_id text not null references users,
  -- HMAC-SHA-256 of e-mail and network under AUTH_SECRET.
  network bytea not null,
  last_login_at timestamptz not null,
  primary key (user_id, network)
);
