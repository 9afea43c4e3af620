import { type Kysely, type Selectable, sql } from 'kysely'
import type { ScopedChange } from '../model/access.ts'
import type { BodySide, KeptBody, KeptCall } from '../model/call-bodies.ts'
import type { CallBodiesTable } from '../schema/call-bodies.ts'
import type { Schema } from '../schema/index.ts'
import { audit } from './audit-log.ts'

/** Which call's. */
export interface BodiesOf {
  readonly projectId: string
  readonly callId: string
}

/**
 * What was said in calls. Texts go in and come out as envelopes of the vault (`callBodyContext`). A project sees its own
 * and no other's; what has expired is as good as deleted; and what is deleted is gone from the table.
 */
export interface CallBodyStore {
  /** All or none, but for those of projects that are gone. Giving the same again changes nothing. */
  insertBatch(calls: readonly KeptCall[]): Promise<void>
  find(of: BodiesOf, nowMs: number): Promise<KeptCall | null>
  /** For somebody: that they have read it is in the audit log when they have it. */
  read(change: ScopedChange, of: BodiesOf): Promise<KeptCall | null>
  /** @returns false when there is none */
  delete(change: ScopedChange, of: BodiesOf): Promise<boolean>
  /** Deletes what has expired. @returns how many there were */
  sweep(nowMs: number): Promise<number>
}

/** Rows deleted by one statement. */
const SWEEP_ROWS = 500

type Row = Selectable<CallBodiesTable>

export function callBodyStore(db: Kysely<Schema>): CallBodyStore {
  return {
    async insertBatch(calls) {
      if (calls.length === 0) return
      // By way of the projects: one that is deleted meanwhile takes its own along, and nobody else's.
      await sql`
        insert into call_bodies
        select x.* from json_populate_recordset(null::call_bodies, ${JSON.stringify(calls.map(rowOf))}::json) as x
        join projects p on p.id = x.project_id and p.organization_id = x.organization_id
        on conflict (call_id) do nothing`.execute(db)
    },

    async find({ projectId, callId }, nowMs) {
      const row = await db
        .selectFrom('call_bodies')
        .selectAll()
        .where('call_id', '=', callId)
        .where('project_id', '=', projectId)
        .where('expires_at', '>', new Date(nowMs))
        .executeTakeFirst()
      return row === undefined ? null : keptCall(row)
    },

    read(change, { projectId, callId }) {
      return db.transaction().execute(async (trx) => {
        const row = await trx
          .selectFrom('call_bodies')
          .selectAll()
          .where('call_id', '=', callId)
          .where('project_id', '=', projectId)
          .where('organization_id', '=', change.organizationId)
          .where('expires_at', '>', new Date(change.atMs))
          .executeTakeFirst()
        if (row === undefined) return null
        await audit(trx, change, { type: 'call', id: callId, before: null, after: null })
        return keptCall(row)
      })
    },

    delete(change, { projectId, callId }) {
      return db.transaction().execute(async (trx) => {
        const gone = await trx
          .deleteFrom('call_bodies')
          .where('call_id', '=', callId)
          .where('project_id', '=', projectId)
          .where('organization_id', '=', change.organizationId)
          .returning('expires_at')
          .executeTakeFirst()
        if (gone === undefined || gone.expires_at.getTime() <= change.atMs) return false
        await audit(trx, change, { type: 'call', id: callId, before: { bodies: true }, after: { bodies: false } })
        return true
      })
    },

    async sweep(nowMs) {
      let swept = 0
      for (;;) {
        const { rows } = await sql`
          delete from call_bodies where call_id in (
            select call_id from call_bodies where expires_at <= ${new Date(nowMs)} limit ${SWEEP_ROWS}
          ) returning call_id`.execute(db)
        swept += rows.length
        if (rows.length < SWEEP_ROWS) return swept
      }
    },
  }
}

/** As JSON, by the names of the columns. */
function rowOf(call: KeptCall): Record<string, unknown> {
  return {
    call_id: call.callId,
    project_id: call.projectId,
    organization_id: call.organizationId,
    created_at: new Date(call.createdAtMs),
    expires_at: new Date(call.expiresAtMs),
    endpoint: call.endpoint,
    model: storable(call.model),
    pinned: call.pinned,
    stream: call.stream,
    ...columnsOf('request', call.request),
    ...columnsOf('answer', call.answer),
  }
}

function columnsOf(side: BodySide, { text, contentType, bytes, truncated, redacted }: KeptBody) {
  return {
    [side]: text,
    [`${side}_type`]: contentType === null ? null : storable(contentType),
    [`${side}_bytes`]: bytes,
    [`${side}_truncated`]: truncated,
    [`${side}_redacted`]: redacted,
  }
}

function keptCall(row: Row): KeptCall {
  const side = (name: BodySide): KeptBody => ({
    text: row[name],
    contentType: row[`${name}_type`],
    bytes: row[`${name}_bytes`],
    truncated: row[`${name}_truncated`],
    redacted: row[`${name}_redacted`],
  })
  return {
    callId: row.call_id,
    projectId: row.project_id,
    organizationId: row.organization_id,
    createdAtMs: row.created_at.getTime(),
    expiresAtMs: row.expires_at.getTime(),
    endpoint: row.endpoint,
    model: row.model,
    pinned: row.pinned,
    stream: row.stream,
    request: side('request'),
    answer: side('answer'),
  }
}

/** Without what PostgreSQL can't hold in a text: NUL and halves of surrogate pairs. */
function storable(text: string): string {
  return text.replace(/[\0\p{Surrogate}]/gu, '')
}
