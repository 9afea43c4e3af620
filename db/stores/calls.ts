import { CompiledQuery, type Kysely } from 'kysely'
import { CALL_COLUMNS } from '../model/call-columns.ts'
import type { CallRecord } from '../model/calls.ts'
import type { Price } from '../model/money.ts'
import type { Schema } from '../schema/index.ts'
import { ADD_SUMS, COPY_CALLS, INSERT_CALLS } from './calls-sql.ts'
import { POST_USAGE } from './ledger-sql.ts'

/**
 * A faster way for the usual case: loads a JSON array of CallRecord of which none is stored yet.
 * @returns the number of rows, or null when nothing was done because a row is there already or isn't as it should be.
 */
export type LoadCalls = (job: {
  readonly callsJson: string
  /** Beginning of the COPY that takes the rows, and the statements that take their sums by the hour and their charges. */
  readonly copy: string
  readonly addSums: string
  readonly postUsage: string
}) => Promise<number | null>

export interface CallStore {
  /**
   * Inserts the calls that aren't stored yet, adds just those to `usage_hourly` and posts what they are charged to the
   * ledger, one ledger transaction for each organization, all in one database transaction, so that giving the same call again, alone or among others, changes nothing. NUL characters and lone surrogates, which
   * PostgreSQL can't hold, are taken out of texts.
   * @param callsJson a JSON array of CallRecord
   * @returns the number of calls that were new
   * @throws RefusedCallsError when some can't be stored; all others are. Anything else, after 70 s at most:
   *   it isn't known what was stored, and giving the batch again is right.
   */
  insertBatch(callsJson: string): Promise<number>
  /** A call of this project with the price that it was charged by; null when the project has no such call. */
  find(projectId: string, id: string): Promise<{ readonly call: CallRecord; readonly price: Price | null } | null>
}

/** These records can never be stored, whatever is tried; the others of the batch are stored. */
export class RefusedCallsError extends Error {
  /** Ids of the records; one without an id is named by ''. */
  readonly refused: readonly string[]
  /** How many others of the batch were new. */
  readonly inserted: number
  constructor(refused: readonly string[], inserted: number, cause: unknown) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    super(`The database refuses ${refused.length} of the calls: ${reason}`, { cause })
    this.name = 'RefusedCallsError'
    this.refused = refused
    this.inserted = inserted
  }
}

/** Longer than the server lets a statement run: only a connection that broke in silence takes this long. */
const SETTLE_MS = 70_000

type Refuse = (record: unknown, error: unknown) => void

export function callStore(db: Kysely<Schema>, load: LoadCalls | null): CallStore {
  async function insert(callsJson: string): Promise<number> {
    const { rows } = await db.executeQuery<{ inserted: number }>(CompiledQuery.raw(INSERT_CALLS, [callsJson]))
    return rows[0]?.inserted ?? 0
  }

  /** Halves the batch around what is refused: the rest still goes in by large parts. */
  async function insertParts(records: readonly unknown[], refuse: Refuse): Promise<number> {
    if (records.length === 0) return 0
    try {
      return await insert(JSON.stringify(records))
    } catch (error) {
      if (!isDataError(error)) throw error
      if (records.length === 1) {
        refuse(records[0], error)
        return 0
      }
    }
    const half = Math.ceil(records.length / 2)
    const first = await insertParts(records.slice(0, half), refuse)
    return first + (await insertParts(records.slice(half), refuse))
  }

  async function insertBatch(callsJson: string): Promise<number> {
    const loaded = await load?.({ callsJson, copy: COPY_CALLS, addSums: ADD_SUMS, postUsage: POST_USAGE })
    if (loaded !== null && loaded !== undefined) return loaded
    try {
      return await insert(callsJson)
    } catch (error) {
      if (!isDataError(error)) throw error
    }
    const refused: string[] = []
    let reason: unknown
    const inserted = await insertParts(cleanRecords(callsJson), (record, error) => {
      refused.push(idOf(record))
      reason ??= error
    })
    if (refused.length > 0) throw new RefusedCallsError(refused, inserted, reason)
    return inserted
  }

  return {
    insertBatch: (callsJson) => settled(insertBatch(callsJson)),

    async find(projectId, id) {
      const row = await db
        .selectFrom('calls')
        .leftJoin('prices', 'prices.id', 'calls.price_id')
        .selectAll('calls')
        .select('prices.content as price')
        .where('calls.id', '=', id)
        .where('calls.project_id', '=', projectId)
        .executeTakeFirst()
      return row === undefined ? null : { call: recordOf(row), price: row.price }
    },
  }
}

/** Inserting is idempotent, so that one given up here may still succeed. */
async function settled<T>(work: Promise<T>): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`The database did not answer within ${SETTLE_MS} ms`)), SETTLE_MS)
  })
  try {
    return await Promise.race([work, late])
  } finally {
    clearTimeout(timer)
  }
}

/** Classes 22 and 23: the data is at fault, so that trying it again can't help. */
function isDataError(error: unknown): boolean {
  const code = error instanceof Error && 'code' in error ? error.code : null
  return typeof code === 'string' && /^2[23]/.test(code)
}

function cleanRecords(callsJson: string): readonly unknown[] {
  const parsed: unknown = JSON.parse(callsJson, (_, value: unknown) =>
    typeof value === 'string' ? value.replaceAll('\0', '').replace(/\p{Cs}/gu, '\ufffd') : value,
  )
  if (!Array.isArray(parsed)) throw new TypeError('Calls to insert must be a JSON array')
  return parsed
}

function idOf(record: unknown): string {
  const id = typeof record === 'object' && record !== null && 'id' in record ? record.id : ''
  return typeof id === 'string' ? id : ''
}

function recordOf(row: { readonly [column: string]: unknown }): CallRecord {
  const record: Record<string, unknown> = {}
  const usage: Record<string, unknown> = {}
  for (const { column, field, counter, type } of CALL_COLUMNS) {
    const value = row[column]
    if (counter) usage[field] = value
    else record[field] = type === 'time' && value instanceof Date ? value.getTime() : value
  }
  record.usage = usage
  return record as unknown as CallRecord
}
