import { type Kysely, sql } from 'kysely'

export const name = '0006-control-plane'

const ID = 'text collate "C"'
const ORGANIZATION = `organization_id ${ID} not null references organizations (id) on delete cascade`
const SHA256 = `${ID} not null unique check (secret_sha256 ~ '^[0-9a-f]{64}$')`

const STATEMENTS = [
  // What an organization or a project owns goes with it.
  `alter table projects drop constraint projects_organization_id_fkey,
    add constraint projects_organization_id_fkey
      foreign key (organization_id) references organizations (id) on delete cascade`,
  `alter table api_keys drop constraint api_keys_organization_id_fkey, drop constraint api_keys_project_id_fkey,
    add constraint api_keys_organization_id_fkey
      foreign key (organization_id) references organizations (id) on delete cascade,
    add constraint api_keys_project_id_fkey foreign key (project_id) references projects (id) on delete cascade`,
  `create table members (
    ${ORGANIZATION},
    user_id ${ID} not null references users (id) on delete cascade,
    role text not null check (role in ('viewer', 'member', 'admin', 'owner')),
    created_at timestamptz not null,
    primary key (organization_id, user_id)
  )`,
  'create index members_by_user on members (user_id)',
  `create table invitations (
    id ${ID} primary key,
    ${ORGANIZATION},
    email text not null,
    role text not null check (role in ('viewer', 'member', 'admin', 'owner')),
    secret_sha256 ${SHA256},
    invited_by ${ID} not null,
    created_at timestamptz not null,
    expires_at timestamptz not null,
    accepted_at timestamptz,
    revoked_at timestamptz
  )`,
  'create index invitations_by_organization on invitations (organization_id, created_at)',
  `create table access_tokens (
    id ${ID} primary key,
    ${ORGANIZATION},
    user_id ${ID} not null references users (id) on delete cascade,
    name text not null,
    secret_sha256 ${SHA256},
    display_prefix text not null,
    scopes text[] not null,
    created_at timestamptz not null,
    expires_at timestamptz,
    last_used_at timestamptz,
    revoked_at timestamptz
  )`,
  'create index access_tokens_by_user on access_tokens (user_id)',
  'create index access_tokens_by_organization on access_tokens (organization_id)',
  "alter table projects add column settings jsonb not null default '{}'",
  "alter table api_keys add column settings jsonb not null default '{}', add column created_by text",
  // What a key was before it was rotated: valid until the grace is over.
  `create table retired_secrets (
    secret_sha256 ${ID} primary key check (secret_sha256 ~ '^[0-9a-f]{64}$'),
    key_id ${ID} not null references api_keys (id) on delete cascade,
    expires_at timestamptz not null
  )`,
  'create index retired_secrets_by_key on retired_secrets (key_id)',
  // For the end of a project, which takes its responses along.
  'create index responses_by_project on responses (project_id)',
  // Of a project, or with neither project nor organization: the platform's own.
  `create table provider_credentials (
    id ${ID} primary key,
    organization_id ${ID} references organizations (id) on delete cascade,
    project_id ${ID} references projects (id) on delete cascade,
    provider text not null,
    name text not null,
    sealed text not null,
    hint text not null,
    base_url text,
    version text,
    weight int not null check (weight between 0 and 1000),
    checked_at timestamptz,
    check_result text,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    check ((organization_id is null) = (project_id is null))
  )`,
  'create index provider_credentials_by_project on provider_credentials (project_id)',
  // No foreign keys: what happened stays told when who or what it was is gone.
  `create table audit_log (
    id ${ID} primary key,
    organization_id ${ID},
    created_at timestamptz not null,
    actor_kind text not null,
    actor_id ${ID} not null,
    actor_name text not null,
    action text not null,
    target_type text not null,
    target_id text not null,
    before jsonb,
    after jsonb,
    request_id ${ID},
    address text
  )`,
  'create index audit_log_by_organization on audit_log (organization_id, id)',
]

export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of STATEMENTS) await sql.raw(statement).execute(db)
}
