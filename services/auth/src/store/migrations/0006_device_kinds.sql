-- What a device is to be kept as; of each kind the last of an account are kept. Of those from before it is not known.
alter table known_devices
  add column kind text not null default 'program' check (kind in ('returned', 'browser', 'program'));
