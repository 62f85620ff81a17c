-- Uploaded OneRoster CSV zips, and which file a run was made from.
--
-- An upload rests here by the digest of its zip until a run made from it is merged, or until it expires. A tenant's stage
-- login writes it, by three functions that hold the tenant's bounds and are called in one transaction: what breaks off
-- leaves nothing.

alter table roster.sync_run add column source jsonb; -- the file: its digest, its size, and the server's time of it

-- What a tenant may leave here. The owner may change it, nobody else.
alter table roster.tenant
  add column upload_bytes bigint not null default 536870912 check (upload_bytes > 0), -- of one upload
  add column uploads_bytes bigint not null default 2147483648 check (uploads_bytes > 0), -- of all
  add column uploads_count integer not null default 20 check (uploads_count > 0),
  add column upload_days integer not null default 30 check (upload_days between 1 and 36500);

create table roster.upload (
  tenant text collate "C" not null,
  digest text collate "C" not null check (digest ~ '^sha256:[0-9a-f]{64}$'),
  size bigint not null check (size > 0),
  received bigint not null default 0,
  complete boolean not null default false,
  uploaded_by text not null check (length(uploaded_by) <= 256),
  uploaded_at timestamptz not null default now(),
  expires_at timestamptz not null,
  gone text check (gone in ('Merged', 'Expired')), -- the content is gone; the row says why for a while
  primary key (tenant, digest)
);

create table roster.upload_chunk (
  tenant text collate "C" not null,
  digest text collate "C" not null,
  number integer not null,
  content bytea not null,
  primary key (tenant, digest, number),
  foreign key (tenant, digest) references roster.upload on delete cascade
);
-- A zip is compressed already.
alter table roster.upload_chunk alter column content set storage external;

alter table roster.upload enable row level security;
alter table roster.upload_chunk enable row level security;
create policy own_tenant on roster.upload to roster_stager
  using (tenant = (select roster.session_tenant()));
create policy own_tenant on roster.upload_chunk to roster_stager
  using (tenant = (select roster.session_tenant()));
grant select on roster.upload, roster.upload_chunk to roster_stager;

-- Takes away what is overdue of a tenant: first the content, and after a year the row.
create function roster.expire_uploads(p_tenant text) returns bigint
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_count bigint;
begin
  update roster.upload set gone = 'Expired' where tenant = p_tenant and gone is null and expires_at < now();
  get diagnostics v_count = row_count;
  delete from roster.upload_chunk c using roster.upload u
   where u.tenant = p_tenant and c.tenant = u.tenant and c.digest = u.digest and u.gone is not null;
  delete from roster.upload where tenant = p_tenant and expires_at < now() - interval '1 year';
  return v_count;
end
$$;

-- One upload of a tenant at a time, to the end of the transaction. False: the content is here already, and rests longer.
create function roster.begin_upload(p_digest text, p_size bigint, p_by text) returns boolean
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  v_tenant text := roster.require_tenant();
  t roster.tenant;
  v_count bigint;
  v_bytes bigint;
begin
  perform pg_advisory_xact_lock(hashtextextended('roster/upload/' || v_tenant, 0));
  select * into t from roster.tenant where tenant = v_tenant;
  perform roster.expire_uploads(v_tenant);
  -- Whoever wrote these and did not come to the end did not hold the lock to the end either.
  delete from roster.upload where tenant = v_tenant and not complete;
  update roster.upload set expires_at = now() + make_interval(days => t.upload_days)
   where tenant = v_tenant and digest = p_digest and gone is null;
  if found then
    return false;
  end if;
  if p_size > t.upload_bytes then
    raise exception 'UploadTooLarge' using errcode = 'RO020';
  end if;
  select count(*), coalesce(sum(size), 0) into v_count, v_bytes
    from roster.upload where tenant = v_tenant and gone is null;
  if v_count >= t.uploads_count or v_bytes + p_size > t.uploads_bytes then
    raise exception 'UploadsFull' using errcode = 'RO021';
  end if;
  delete from roster.upload where tenant = v_tenant and digest = p_digest;
  insert into roster.upload (tenant, digest, size, uploaded_by, expires_at)
  values (v_tenant, p_digest, p_size, p_by, now() + make_interval(days => t.upload_days));
  return true;
end
$$;

create function roster.put_upload_chunk(p_digest text, p_number integer, p_content bytea) returns void
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  v_tenant text := roster.require_tenant();
begin
  update roster.upload set received = received + length(p_content)
   where tenant = v_tenant and digest = p_digest and not complete
     and length(p_content) between 1 and 1048576 and received + length(p_content) <= size;
  if not found then
    raise exception 'UploadMalformed' using errcode = 'RO022';
  end if;
  insert into roster.upload_chunk (tenant, digest, number, content) values (v_tenant, p_digest, p_number, p_content);
end
$$;

create function roster.end_upload(p_digest text) returns void
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  update roster.upload set complete = true
   where tenant = roster.require_tenant() and digest = p_digest and not complete and received = size;
  if not found then
    raise exception 'UploadMalformed' using errcode = 'RO022';
  end if;
end
$$;

-- Which file a run is made from; told while it is being staged.
create function roster.record_source(p_run uuid, p_token integer, p_source jsonb) returns void
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  update roster.sync_run set source = p_source
   where tenant = roster.require_tenant() and run = p_run and token = p_token and state = 'Staging';
  if not found then
    raise exception 'Fenced' using errcode = 'RO006';
  end if;
end
$$;

-- What was merged is in the tables; the zip it came in is personal data that nobody needs any more.
create function roster.spend_upload() returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  update roster.upload set gone = 'Merged'
   where tenant = new.tenant and digest = new.source ->> 'upload' and gone is null;
  if found then
    delete from roster.upload_chunk where tenant = new.tenant and digest = new.source ->> 'upload';
  end if;
  return null;
end
$$;
create trigger spend_upload after update of state on roster.sync_run
  for each row when (new.state = 'Merged' and old.state <> 'Merged' and new.source ? 'upload')
  execute function roster.spend_upload();

revoke execute on function
  roster.expire_uploads, roster.begin_upload, roster.put_upload_chunk, roster.end_upload, roster.record_source,
  roster.spend_upload from public;
grant execute on function
  roster.begin_upload, roster.put_upload_chunk, roster.end_upload, roster.record_source to roster_stager;
