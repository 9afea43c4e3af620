import { type Kysely, sql } from 'kysely'

export const name = '0001-first'

/** Ids compare by bytes: faster than any language's order, and the same on every server. */
const ID = 'text collate "C"'

const STATEMENTS = [
  `create table organizations (
    id ${ID} primary key,
    name text not null,
    plan text not null,
    created_at timestamptz not null
  )`,
  `create table projects (
    id ${ID} primary key,
    organization_id ${ID} not null references organizations (id),
    name text not null,
    default_provider text,
    created_at timestamptz not null,
    archived_at timestamptz
  )`,
  'create index projects_by_organization on projects (organization_id)',
  `create table api_keys (
    id ${ID} primary key,
    project_id ${ID} not null references projects (id),
    organization_id ${ID} not null references organizations (id),
    name text not null,
    kind text not null check (kind in ('project', 'test')),
    secret_sha256 ${ID} not null unique check (secret_sha256 ~ '^[0-9a-f]{64}$'),
    display_prefix text not null,
    expires_at timestamptz,
    revoked_at timestamptz,
    last_used_at timestamptz,
    created_at timestamptz not null
  )`,
  'create index api_keys_by_project on api_keys (project_id)',
  `create table prices (
    id ${ID} primary key,
    provider text not null,
    model text not null,
    source text not null,
    content jsonb not null,
    created_at timestamptz not null default now()
  )`,
  // No foreign keys here: each would be looked up for each of the rows, and the journal must always find room.
  `create table calls (
    created_at timestamptz not null,
    cost_pico bigint,
    latency_us bigint not null,
    overhead_us bigint not null,
    first_byte_us bigint,
    status int not null,
    attempts int not null,
    stream boolean not null,
    usage_input int not null,
    usage_cache_read int not null,
    usage_cache_write_5m int not null,
    usage_cache_write_1h int not null,
    usage_output int not null,
    usage_reasoning int not null,
    usage_audio_input int not null,
    usage_audio_output int not null,
    usage_image_input int not null,
    id ${ID} primary key,
    organization_id ${ID} not null,
    project_id ${ID} not null,
    key_id ${ID} not null,
    endpoint text not null,
    model_requested text not null,
    model text,
    provider text,
    outcome text not null,
    error_code text,
    usage_source text not null,
    price_id ${ID},
    route text,
    adapted text,
    upstream_id text,
    client_request_id text,
    end_user text,
    metadata text
  )`,
  'create index calls_by_project on calls (project_id, created_at)',
  `create type call_usage_json as (
    "input" int, "cacheRead" int, "cacheWrite5m" int, "cacheWrite1h" int, "output" int, "reasoning" int,
    "audioInput" int, "audioOutput" int, "imageInput" int
  )`,
  // Filled to 70 %: a counter that is raised again and again finds room on its own page and touches no index.
  `create table usage_hourly (
    hour timestamptz not null,
    requests bigint not null,
    errors bigint not null,
    cached bigint not null default 0,
    usage_input bigint not null,
    usage_cache_read bigint not null,
    usage_cache_write_5m bigint not null,
    usage_cache_write_1h bigint not null,
    usage_output bigint not null,
    usage_reasoning bigint not null,
    usage_audio_input bigint not null,
    usage_audio_output bigint not null,
    usage_image_input bigint not null,
    latency_us bigint not null,
    cost_pico numeric not null,
    organization_id ${ID} not null,
    project_id ${ID} not null,
    key_id ${ID} not null,
    provider ${ID} not null,
    model ${ID} not null,
    primary key (project_id, hour, key_id, provider, model, organization_id)
  ) with (fillfactor = 70)`,
  `create table settings (
    name ${ID} primary key,
    value text not null
  )`,
]

export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of STATEMENTS) await sql.raw(statement).execute(db)
}
