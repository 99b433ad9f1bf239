-- The key leaked, and a call is having tokens regenerated for it; past this time that call has failed.
alter table api_keys add column regenerating_until timestamptz;
