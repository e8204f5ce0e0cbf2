-- Indexes in the order in which rows are claimed and listed, ids by code point. The TypeScript package neither needs
-- nor minds them. On big tables create them beforehand with `concurrently`, under the same names.

create index if not exists {timers:wake_idx} on {timers} (wake_at, run_id collate "C", signal_id collate "C");

create index if not exists {schedules:fire_idx} on {schedules} (enabled, next_fire_at, schedule_id collate "C");

create index if not exists {runs:updated_idx} on {runs} (updated_at desc, run_id collate "C");

create index if not exists {runs:workflow_idx} on {runs} (workflow_id, updated_at desc, run_id collate "C");

-- An event's type is free text and an index entry ends at about 2,700 bytes: the index held every type would refuse a
-- long one. Same name, so the TypeScript package does not make the old one again.

drop index if exists {events::type_idx};

create index {events:type_idx} on {events} (run_id, "left"(event_type, 200));

insert into {schema_migrations} (migration_id, package_name, applied_at)
values ('0001_storeproof_indexes', 'storeproof', (extract(epoch from now()) * 1000)::bigint)
on conflict (migration_id) do nothing;
