-- Layout 1 of ferrofax's rows. Times are microseconds since 1970 (UTC). Ids sort by their octets.
create table fax_jobs (
    id text collate "C" primary key,
    account text collate "C" not null,
    faxbox text,
    created bigint not null,
    state smallint not null,
    -- 0 in the queue, 1 filed.
    folder smallint not null,
    to_number text not null,
    not_before bigint not null,
    node text,
    lease_until bigint,
    pages bigint not null,
    -- 0 no; 1 in its account's queue; 2 parked until its number is free.
    waiting smallint not null,
    -- It takes a line of its account and its number.
    line boolean not null,
    original text,
    document text,
    -- The job as JSON, without lease and ledger.
    body text not null
);
create index fax_jobs_queue on fax_jobs (account, not_before, id) where waiting = 1;
create index fax_jobs_parked on fax_jobs (to_number, not_before, id) where waiting = 2;
create index fax_jobs_lines on fax_jobs (account) where line;
create index fax_jobs_numbers on fax_jobs (to_number) where line;
create index fax_jobs_converting on fax_jobs (not_before, id) where state = 0 and node is null;
create index fax_jobs_held on fax_jobs (lease_until) where node is not null;
create index fax_jobs_listed on fax_jobs (account, folder, created, id);
create index fax_jobs_listed_all on fax_jobs (folder, created, id);
create index fax_jobs_original on fax_jobs (original);
create index fax_jobs_document on fax_jobs (document);

-- A row of the page ledger; a page without a row is unsent.
create table fax_ledger (
    job text collate "C" not null references fax_jobs (id) on delete cascade,
    page bigint not null,
    -- 0 unsent, 1 sent, 2 confirmed, 3 confirmed as poor.
    state smallint not null,
    attempt bigint not null,
    at bigint not null,
    primary key (job, page)
);

-- When each account's first waiting job becomes due; null: none, or the account was found at its limit.
create table fax_queue (
    account text collate "C" primary key,
    due bigint
);
create index fax_queue_due on fax_queue (due, account) where due is not null;

create table fax_received (
    id text collate "C" primary key,
    account text collate "C" not null,
    faxbox text,
    created bigint not null,
    document text,
    body text not null
);
create index fax_received_listed on fax_received (account, created, id);
create index fax_received_all on fax_received (created, id);
create index fax_received_document on fax_received (document);

create table fax_notices (
    id text collate "C" primary key,
    not_before bigint not null,
    body text not null
);
create index fax_notices_due on fax_notices (not_before, id);

-- What calls taught about numbers (kind 0, of an account) and trunks (kind 1).
create table fax_profiles (
    kind smallint not null,
    owner text collate "C" not null,
    name text collate "C" not null,
    -- When it was changed last; null: it is kept whatever its age.
    aged bigint,
    body text not null,
    primary key (kind, owner, name)
);
create index fax_profiles_aged on fax_profiles (aged) where aged is not null;
