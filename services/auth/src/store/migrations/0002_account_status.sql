-- Whether an account may be used.
alter table users add column status text not null default 'active' check (status in ('active', 'suspended'));
