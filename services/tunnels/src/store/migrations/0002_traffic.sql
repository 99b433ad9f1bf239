alter table tunnels
  -- How many tokens there were before this one: what tells a connection that was admitted with an old one.
  add column token_generation integer not null default 0,
  -- Goes by itself once it has been without an agent for a while.
  add column ephemeral boolean not null default false,
  add column last_connected timestamptz;
create index tunnels_ephemeral on tunnels (user_id, id) where ephemeral;

-- What passed through the tunnels that exist: in all, by the minute and by the day.
create table traffic (
  tunnel_id text not null references tunnels on delete cascade,
  unit text not null constraint traffic_unit check (unit in ('all', 'minute', 'day')),
  -- When the minute or the day begins, in UTC; of all, the epoch.
  start timestamptz not null,
  -- Doubles, as in usage.
  requests double precision not null,
  bytes_in double precision not null,
  bytes_out double precision not null,
  -- Requests by the first digit of their status, 1xx first.
  status_classes double precision[] not null,
  -- Requests by the bucket of kit/latency that their latency falls into; the last that is not 0 ends it.
  latencies double precision[] not null,
  primary key (tunnel_id, unit, start)
  -- A row is written anew each second; that it finds room on its own page keeps the table from growing fivefold.
) with (fillfactor = 50);
-- What has become too old is found by this, without looking at the rest.
create index traffic_age on traffic (unit, start);
