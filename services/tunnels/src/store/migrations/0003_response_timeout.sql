-- How long a tunnel's local server may take to answer, in seconds: 0 for no limit, null for the platform's.
alter table tunnels add column response_timeout integer check (response_timeout between 0 and 3600);
