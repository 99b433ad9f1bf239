-- What is still to be told, in the order it happened; a row goes when the stream has it.
create table outbox (
  seq bigint generated always as identity primary key,
  id text not null,
  type text not null,
  subject text not null,
  time timestamptz not null,
  data jsonb not null
);

-- Which events of others were acted on already, so that a second delivery changes nothing.
create table inbox (
  event_id text primary key,
  seen_at timestamptz not null default now()
);
create index inbox_seen_at on inbox (seen_at);
