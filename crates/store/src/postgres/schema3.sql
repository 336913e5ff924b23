-- Layout 3: what web hooks are to be told, and what came of it.
create table fax_hook_notices (
    id text collate "C" primary key,
    not_before bigint not null,
    body text not null
);
create index fax_hook_notices_due on fax_hook_notices (not_before, id);

create table fax_hook_attempts (
    hook text collate "C" not null,
    at bigint not null,
    id text collate "C" not null,
    body text not null,
    primary key (hook, at, id)
);
