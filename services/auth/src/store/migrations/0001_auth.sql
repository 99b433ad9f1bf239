create table users (
  id text primary key,
  email text not null,
  -- The e-mail in lower case, as it is compared.
  email_key text not null constraint users_email_unique unique,
  name text not null,
  username text not null,
  password_hash text not null,
  plan text not null check (plan in ('free', 'pro', 'business')),
  role text not null check (role in ('user', 'admin')),
  created_at timestamptz not null,
  updated_at timestamptz not null
);
create index users_admins on users (id) where role = 'admin';

create table sessions (
  id text primary key,
  user_id text not null references users,
  created_at timestamptz not null,
  expires_at timestamptz not null,
  ended_at timestamptz,
  user_agent text not null,
  address text not null
);
create index sessions_by_user on sessions (user_id, id);

create table signing_keys (
  kid text primary key,
  purpose text not null check (purpose in ('session', 'identity')),
  public_key text not null,
  -- PKCS8, sealed with AES-256-GCM under AUTH_SECRET.
  private_key bytea not null,
  created_at timestamptz not null
);
create index signing_keys_newest on signing_keys (purpose, created_at desc);
