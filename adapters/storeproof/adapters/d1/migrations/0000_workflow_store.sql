-- The tables of the workflow store, shared with the TypeScript packages: same names, same columns, same id.
-- {runs} stands for the quoted name of a table, {runs:status_idx} for the quoted name of an index of it.

create table if not exists {schema_migrations} (
  migration_id text primary key,
  package_name text not null,
  package_version text,
  applied_at integer not null
);

create table if not exists {runs} (
  run_id text primary key,
  workflow_id text not null,
  workflow_version text,
  status text not null,
  input text not null,
  output text,
  error text,
  awaiting text,
  waiting_for text,
  pending_approval text,
  wake_at integer,
  lease_owner text,
  lease_expires_at integer,
  created_at integer not null,
  updated_at integer not null
);

create index if not exists {runs:status_idx} on {runs} (status, updated_at);

create index if not exists {runs:lease_idx} on {runs} (status, lease_expires_at);

create table if not exists {run_states} (
  run_id text primary key,
  workflow_id text not null,
  workflow_version text,
  status text not null,
  input text not null,
  output text,
  error text,
  awaiting text,
  waiting_for text,
  pending_approval text,
  created_at integer not null,
  updated_at integer not null
);

create table if not exists {event_locks} (
  run_id text primary key,
  created_at integer not null
);

create table if not exists {events} (
  run_id text not null,
  event_index integer not null,
  event_type text not null,
  step_id text,
  event text not null,
  created_at integer not null,
  primary key (run_id, event_index)
);

create index if not exists {events:type_idx} on {events} (run_id, event_type);

create table if not exists {timers} (
  run_id text not null,
  signal_id text not null,
  workflow_id text not null,
  workflow_version text,
  wake_at integer not null,
  lease_owner text,
  lease_expires_at integer,
  primary key (run_id, signal_id)
);

create index if not exists {timers:due_idx} on {timers} (wake_at, lease_expires_at);

create table if not exists {signal_deliveries} (
  run_id text not null,
  signal_id text not null,
  created_at integer not null,
  primary key (run_id, signal_id)
);

create table if not exists {schedules} (
  schedule_id text primary key,
  workflow_id text not null,
  workflow_version text,
  schedule text not null,
  overlap_policy text not null,
  input text,
  next_fire_at integer,
  enabled integer not null,
  updated_at integer not null
);

create index if not exists {schedules:due_idx} on {schedules} (enabled, next_fire_at);

create table if not exists {schedule_buckets} (
  schedule_id text not null,
  bucket_id text not null,
  workflow_id text not null,
  workflow_version text,
  run_id text not null,
  fire_at integer not null,
  input text,
  overlap_policy text not null,
  status text not null,
  lease_owner text,
  lease_expires_at integer,
  started_at integer,
  primary key (schedule_id, bucket_id)
);

create index if not exists {schedule_buckets:lease_idx} on {schedule_buckets} (status, fire_at, lease_expires_at);

-- Whole seconds: unixepoch('subsec') is NULL before SQLite 3.42.
insert into {schema_migrations} (migration_id, package_name, applied_at)
values ('0000_workflow_store', 'storeproof', cast(strftime('%s', 'now') as integer) * 1000)
on conflict (migration_id) do nothing returning migration_id;
