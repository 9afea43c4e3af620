import { type Kysely, sql } from 'kysely'

export const name = '0004-people'

const ID = 'text collate "C"'

/** The tables of better-auth, whose field names are mapped onto these columns in server/console/auth.ts. */
const STATEMENTS = [
  `create table users (
    id ${ID} primary key,
    name text not null,
    email text not null unique,
    email_verified boolean not null default false,
    image text,
    two_factor_enabled boolean not null default false,
    operator boolean not null default false,
    created_at timestamptz not null,
    updated_at timestamptz not null
  )`,
  `create table sessions (
    id ${ID} primary key,
    token ${ID} not null unique,
    user_id ${ID} not null references users (id) on delete cascade,
    ip_address text,
    user_agent text,
    expires_at timestamptz not null,
    created_at timestamptz not null,
    updated_at timestamptz not null
  )`,
  'create index sessions_by_user on sessions (user_id)',
  `create table accounts (
    id ${ID} primary key,
    user_id ${ID} not null references users (id) on delete cascade,
    account_id text not null,
    provider_id text not null,
    access_token text,
    refresh_token text,
    id_token text,
    access_token_expires_at timestamptz,
    refresh_token_expires_at timestamptz,
    scope text,
    password text,
    created_at timestamptz not null,
    updated_at timestamptz not null
  )`,
  'create index accounts_by_user on accounts (user_id)',
  'create unique index accounts_by_provider on accounts (provider_id, account_id)',
  `create table verifications (
    id ${ID} primary key,
    identifier text not null,
    value text not null,
    expires_at timestamptz not null,
    created_at timestamptz not null,
    updated_at timestamptz not null
  )`,
  'create index verifications_by_identifier on verifications (identifier)',
  `create table two_factors (
    id ${ID} primary key,
    user_id ${ID} not null references users (id) on delete cascade,
    secret text not null,
    backup_codes text not null,
    verified boolean,
    failed_verification_count int,
    locked_until timestamptz
  )`,
  'create index two_factors_by_user on two_factors (user_id)',
]

export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of STATEMENTS) await sql.raw(statement).execute(db)
}
