-- Layout 2: what is set up while the service runs, and the audit log.
create table fax_entries (
    kind smallint not null,
    id text collate "C" not null,
    change bigint not null,
    body text not null,
    primary key (kind, id)
);
create unique index fax_entries_changes on fax_entries (change);

-- Names that only one entry has.
create table fax_claims (
    claim text collate "C" primary key,
    kind smallint not null,
    id text collate "C" not null,
    foreign key (kind, id) references fax_entries (kind, id)
);
create index fax_claims_holders on fax_claims (kind, id);

create table fax_audit (
    account text collate "C" not null,
    created bigint not null,
    id text collate "C" not null,
    body text not null,
    primary key (account, created, id)
);
create index fax_audit_aged on fax_audit (created);

-- The number of the last change of an entry.
insert into fax_meta values ('entries', 0);
