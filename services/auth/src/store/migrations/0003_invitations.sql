-- Invitations that are neither accepted nor revoked; expired ones are forgotten as new ones are made.
create table invitations (
  id text primary key,
  email text not null,
  -- The e-mail in lower case, as it is compared; the newest invitation replaces the one before.
  email_key text not null unique,
  plan text not null check (plan in ('free', 'pro', 'business')),
  role text not null check (role in ('user', 'admin')),
  -- HMAC-SHA-256 of the token.
  hash bytea not null unique,
  invited_by text not null references users,
  created_at timestamptz not null,
  expires_at timestamptz not null
);
create index invitations_by_expiry on invitations (expires_at);
