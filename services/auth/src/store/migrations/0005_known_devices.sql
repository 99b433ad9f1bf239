-- The devices that an account was logged in from: as known_networks, wherever the device is.
create table known_devices (
  user_id text not null references users,
  -- HMAC-SHA-256 of e-mail and token under AUTH_SECRET.
  device bytea not null,
  last_login_at timestamptz not null,
  primary key (user_id, device)
);
