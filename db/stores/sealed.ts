import { type Kysely, sql } from 'kysely'
import type { Change } from '../model/access.ts'
import { endpointContext } from '../model/alerts.ts'
import { callBodyContext } from '../model/call-bodies.ts'
import { credentialContext } from '../model/credentials.ts'
import { adminCredentialContext } from '../model/reconcile.ts'
import type { Schema } from '../schema/index.ts'
import { audit } from './audit-log.ts'
import { contextOf as conversationContext } from './conversations.ts'
import { contextOf as idempotencyContext } from './idempotency.ts'
import { contextOf as responseContext } from './responses.ts'
import type { Sealing } from './sealing.ts'

/** Seals with the newest of several secrets, and tells its envelopes from those of the others. */
export interface Resealing extends Sealing {
  readonly newestPrefix: string
}

export interface ResealCount {
  readonly table: string
  readonly column: string
  /** Sealed with the newest secret by this call. */
  readonly resealed: number
  /** No secret of ours opens these: they stay as they are. */
  readonly unreadable: number
}

export interface Resealed {
  readonly columns: readonly ResealCount[]
  /** All has been looked at: what is still sealed with an older secret is unreadable. */
  readonly done: boolean
}

/** Everything in the database that the vault has sealed. */
export interface SealedStore {
  /**
   * Seals again with the newest secret what an older one has sealed. What is changed meanwhile is left to who changed
   * it; calls go on as ever.
   * @param most envelopes after which it ends with `done` false, to be called again
   */
  reseal(change: Change, vault: Resealing, most: number): Promise<Resealed>
}

type Row = Readonly<Record<string, string>>

interface Sealed {
  readonly table: string
  readonly column: string
  /** The rows, with all that the context is made of. */
  readonly from: string
  readonly keys: readonly string[]
  readonly context: (row: Row) => string
}

/** Whatever seals a column adds it here: a test looks for envelopes of an older secret in every column there is. */
const SEALED: readonly Sealed[] = [
  {
    table: 'provider_credentials',
    column: 'sealed',
    from: 'select id, sealed from provider_credentials',
    keys: ['id'],
    context: (row) => credentialContext(row.id!),
  },
  {
    table: 'admin_credentials',
    column: 'sealed',
    from: 'select id, sealed from admin_credentials',
    keys: ['id'],
    context: (row) => adminCredentialContext(row.id!),
  },
  ...(['sealed', 'previous_sealed'] as const).map((column) => ({
    table: 'webhook_endpoints',
    column,
    from: `select id, ${column} from webhook_endpoints`,
    keys: ['id'],
    context: (row: Row) => endpointContext(row.id!),
  })),
  ...(['input', 'answer'] as const).map((column) => ({
    table: 'responses',
    column,
    from: `select id, project_id, ${column} from responses`,
    keys: ['id'],
    context: (row: Row) => responseContext(row.project_id!, row.id!, column),
  })),
  {
    table: 'conversations',
    column: 'metadata',
    from: 'select id, project_id, metadata from conversations',
    keys: ['id'],
    context: (row) => conversationContext(row.project_id!, row.id!, 'metadata'),
  },
  {
    table: 'conversation_items',
    column: 'item',
    from: `select i.conversation_id, i.id, i.item, c.project_id
      from conversation_items i join conversations c on c.id = i.conversation_id`,
    keys: ['conversation_id', 'id'],
    context: (row) => conversationContext(row.project_id!, row.conversation_id!, `item:${row.id}`),
  },
  ...(['head', 'body'] as const).map((column) => ({
    table: 'idempotency_keys',
    column,
    from: `select id, project_id, ${column} from idempotency_keys`,
    keys: ['id'],
    context: (row: Row) => idempotencyContext(row.project_id!, row.id!, column),
  })),
  ...(['request', 'answer'] as const).map((column) => ({
    table: 'call_bodies',
    column,
    from: `select call_id, project_id, ${column} from call_bodies`,
    keys: ['call_id'],
    context: (row: Row) => callBodyContext(row.project_id!, row.call_id!, column),
  })),
]

/** Envelopes read at a time: one may hold a whole conversation. */
const PAGE = 20

export function sealedStore(db: Kysely<Schema>): SealedStore {
  return {
    async reseal(change, vault, most) {
      const columns: ResealCount[] = []
      let left = most
      for (const sealed of SEALED) {
        const count = await resealColumn(db, sealed, { vault, most: left })
        columns.push(count)
        left -= count.resealed
      }
      const resealed = most - left
      if (resealed > 0) await audit(db, change, { type: 'platform', id: 'secrets', before: null, after: { resealed } })
      return { columns, done: left > 0 }
    },
  }
}

async function resealColumn(
  db: Kysely<Schema>,
  sealed: Sealed,
  { vault, most }: { readonly vault: Resealing; readonly most: number },
): Promise<ResealCount> {
  const { table, column } = sealed
  let [resealed, unreadable] = [0, 0]
  let after: Row | null = null
  while (resealed < most) {
    const rows: readonly Row[] = await stale(db, sealed, {
      prefix: vault.newestPrefix,
      after,
      limit: Math.min(PAGE, most - resealed),
    })
    for (const row of rows) {
      const again = reopened(row[column]!, sealed.context(row), vault)
      if (again === null) unreadable++
      else if (await replace(db, sealed, { row, again })) resealed++
    }
    after = rows.at(-1) ?? null
    if (after === null) break
  }
  return { table, column, resealed, unreadable }
}

/** Sealed anew; null when no secret opens it. */
function reopened(envelope: string, context: string, vault: Resealing): string | null {
  let text: string
  try {
    text = vault.open(envelope, context)
  } catch {
    return null
  }
  return vault.seal(text, context)
}

interface Page {
  readonly prefix: string
  readonly after: Row | null
  readonly limit: number
}

async function stale(db: Kysely<Schema>, { column, from, keys }: Sealed, page: Page): Promise<readonly Row[]> {
  const key = sql.join(keys.map((name) => sql.ref(name)))
  const { prefix, after, limit } = page
  const beyond = after === null ? sql`` : sql`and (${key}) > (${sql.join(keys.map((name) => after[name]!))})`
  const { rows } = await sql<Row>`
    select * from (${sql.raw(from)}) as sealed
    where left(${sql.ref(column)}, ${sql.lit(prefix.length)}) <> ${prefix} ${beyond}
    order by ${key} limit ${sql.lit(limit)}`.execute(db)
  return rows
}

/** @returns false when it was changed meanwhile */
async function replace(
  db: Kysely<Schema>,
  { table, column, keys }: Sealed,
  { row, again }: { readonly row: Row; readonly again: string },
): Promise<boolean> {
  const isRow = sql.join(
    keys.map((name) => sql`${sql.ref(name)} = ${row[name]!}`),
    sql` and `,
  )
  const { numAffectedRows } = await sql`
    update ${sql.table(table)} set ${sql.ref(column)} = ${again}
    where ${isRow} and ${sql.ref(column)} = ${row[column]!}`.execute(db)
  return numAffectedRows === 1n
}
