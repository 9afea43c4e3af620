import type { Kysely } from 'kysely'
import { sql } from 'kysely'

export const name = '0013-alerts'

const ID = 'text collate "C"'
const ROLE = "check (email_role in ('viewer', 'member', 'admin', 'owner'))"

/** Alert rules, what fired, and deliveries. */
const STATEMENTS: readonly string[] = [
  // The defaults that an organization has changed are rows too, by their fixed ids.
  `create table alert_rules (
    organization_id ${ID} not null references organizations (id) on delete cascade,
    id ${ID} not null,
    name text not null,
    kind text not null,
    project_id ${ID} references projects (id) on delete cascade,
    key_id ${ID} references api_keys (id) on delete cascade,
    settings jsonb not null,
    email_role text ${ROLE},
    endpoint_ids text[],
    enabled boolean not null,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    primary key (organization_id, id)
  )`,
  'create index alert_rules_by_kind on alert_rules (kind, organization_id, id) where enabled',
  'create index alert_rules_by_project on alert_rules (project_id) where project_id is not null',
  'create index alert_rules_by_key on alert_rules (key_id) where key_id is not null',
  `create table webhook_endpoints (
    id ${ID} primary key,
    organization_id ${ID} not null references organizations (id) on delete cascade,
    url text not null,
    description text not null,
    sealed text not null,
    previous_sealed text,
    previous_until timestamptz,
    enabled boolean not null,
    disabled_reason text,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    check ((previous_sealed is null) = (previous_until is null))
  )`,
  'create index webhook_endpoints_by_organization on webhook_endpoints (organization_id, id)',
  // What fired. Without an organization: told to those who run the installation. Rules may be gone by now.
  `create table alert_events (
    id ${ID} primary key,
    organization_id ${ID} references organizations (id) on delete cascade,
    rule_id ${ID} not null,
    rule_name text not null,
    kind text not null,
    identity ${ID} not null,
    payload text not null,
    mail text check (mail in ('sent', 'held', 'told')),
    mail_day int,
    created_at timestamptz not null,
    expires_at timestamptz
  )`,
  // What makes it once: over all instances, a rule fires for one thing only once.
  `create unique index alert_events_once on alert_events (coalesce(organization_id, ''), rule_id, identity)`,
  'create index alert_events_by_organization on alert_events (organization_id, id)',
  `create index alert_events_by_rule on alert_events (coalesce(organization_id, ''), rule_id, created_at)`,
  'create index alert_events_by_expiry on alert_events (expires_at)',
  `create table alert_deliveries (
    id ${ID} primary key,
    organization_id ${ID} references organizations (id) on delete cascade,
    event_id ${ID} not null references alert_events (id) on delete cascade,
    channel text not null check (channel in ('email', 'webhook')),
    endpoint_id ${ID} references webhook_endpoints (id) on delete cascade,
    user_id ${ID} references users (id) on delete cascade,
    email_role text ${ROLE},
    more int not null default 0,
    state text not null check (state in ('pending', 'delivered', 'failed', 'cancelled')),
    attempts int not null default 0,
    next_at timestamptz,
    claimed_until timestamptz,
    last_attempt_at timestamptz,
    status int,
    error text,
    response text,
    created_at timestamptz not null,
    check ((endpoint_id is null) = (channel = 'email')),
    check ((user_id is null) = (channel = 'webhook')),
    check ((next_at is null) = (state <> 'pending'))
  )`,
  "create index alert_deliveries_due on alert_deliveries (next_at) where state = 'pending'",
  'create index alert_deliveries_claimed on alert_deliveries (organization_id, endpoint_id) where claimed_until is not null',
  'create index alert_deliveries_by_organization on alert_deliveries (organization_id, id)',
  'create index alert_deliveries_by_event on alert_deliveries (event_id)',
  'create index alert_deliveries_by_endpoint on alert_deliveries (endpoint_id)',
  'create index alert_deliveries_by_user on alert_deliveries (user_id)',
]

export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of STATEMENTS) await sql.raw(statement).execute(db)
}
