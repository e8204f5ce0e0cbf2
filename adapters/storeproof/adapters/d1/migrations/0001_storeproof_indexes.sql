-- Indexes in the order in which rows are claimed and listed. The TypeScript packages neither need nor mind them.

create index if not exists {timers:wake_idx} on {timers} (wake_at, run_id, signal_id);

create index if not exists {schedules:fire_idx} on {schedules} (enabled, next_fire_at, schedule_id);

create index if not exists {runs:updated_idx} on {runs} (updated_at desc, run_id);

create index if not exists {runs:workflow_idx} on {runs} (workflow_id, updated_at desc, run_id);

insert into {schema_migrations} (migration_id, package_name, applied_at)
values ('0001_storeproof_indexes', 'storeproof', cast(strftime('%s', 'now') as integer) * 1000)
on conflict (migration_id) do nothing returning migration_id;
