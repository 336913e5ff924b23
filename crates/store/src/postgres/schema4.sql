-- Layout 4: priorities. What waits already is in the middle lane.
-- 0 goes before 1, and that before 2, within an account.
alter table fax_jobs add column lane smallint not null default 1;
-- When its account's turn comes for a job that waits: that of a job that overtook it; null: its own time.
alter table fax_jobs add column turn bigint;
drop index fax_jobs_queue;
create index fax_jobs_queue on fax_jobs (account, lane, not_before, id) where waiting = 1;
create index fax_jobs_turns on fax_jobs (account, (coalesce(turn, not_before)), id) where waiting = 1;
drop index fax_jobs_parked;
create index fax_jobs_parked on fax_jobs (to_number, account, lane, not_before, id) where waiting = 2;
