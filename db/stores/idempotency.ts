import { type Kysely, type Selectable, sql } from 'kysely'
import type { Claimed, HeldKey, IdempotencyClaim, KeptAnswer } from '../model/idempotency.ts'
import type { IdempotencyKeysTable } from '../schema/idempotency.ts'
import type { Schema } from '../schema/index.ts'
import type { Sealing } from './sealing.ts'

/**
 * Idempotency keys: each is held by one call at a time, over all instances, until that call has its answer. What has
 * expired is as good as deleted; a project sees its own and no other's.
 */
export interface IdempotencyStore {
  /** Of many that claim a key at once exactly one holds it. */
  claim(claim: IdempotencyClaim): Promise<Claimed>
  /** A call holds the key, and is alive. */
  isRunning(key: Omit<IdempotencyClaim, 'fingerprint' | 'requestId' | 'expiresAtMs'>): Promise<boolean>
  /** Says that these calls are alive. */
  beat(held: readonly HeldKey[], nowMs: number): Promise<void>
  /**
   * Ends the claim with its answer, which every instance can read when it resolves.
   * @param answer null: it is too large to be kept
   * @returns false when the key isn't held by this call any more
   */
  finish(held: HeldKey, answer: KeptAnswer | null, expiresAtMs: number): Promise<boolean>
  /** The key is as if it had never been used. Does nothing when it isn't held by this call (any more). */
  release(held: HeldKey): Promise<void>
  /** Deletes what has expired. @returns how many there were */
  sweep(nowMs: number): Promise<number>
}

/** Rows deleted by one statement. */
const SWEEP_ROWS = 500

type Row = Selectable<IdempotencyKeysTable>

export function idempotencyStore(db: Kysely<Schema>, vault: Sealing): IdempotencyStore {
  const seal = (text: string, { projectId, id }: HeldKey, part: 'head' | 'body') =>
    vault.seal(text, contextOf(projectId, id, part))

  return {
    async claim(claim) {
      for (;;) {
        if (await hold(db, claim)) return { state: 'held' }
        const row = await db
          .selectFrom('idempotency_keys')
          .selectAll()
          .where('id', '=', claim.id)
          .where('project_id', '=', claim.projectId)
          .where('expires_at', '>', new Date(claim.nowMs))
          .executeTakeFirst()
        // Released in between: it is free.
        if (row !== undefined) return claimedBy(row, vault)
      }
    },

    async isRunning({ id, projectId, nowMs, deadBeforeMs }) {
      const row = await db
        .selectFrom('idempotency_keys')
        .select('id')
        .where('id', '=', id)
        .where('project_id', '=', projectId)
        .where('answered', '=', false)
        .where('alive_at', '>=', new Date(deadBeforeMs))
        .where('expires_at', '>', new Date(nowMs))
        .executeTakeFirst()
      return row !== undefined
    },

    async beat(held, nowMs) {
      if (held.length === 0) return
      await db
        .updateTable('idempotency_keys')
        .set({ alive_at: new Date(nowMs) })
        .where('id', '=', anyOf(held.map(({ id }) => id)))
        // Its own call's: who has taken a key over shows for itself that it is alive.
        .where('request_id', '=', anyOf(held.map(({ requestId }) => requestId)))
        .where('answered', '=', false)
        .execute()
    },

    async finish(held, answer, expiresAtMs) {
      const { body = null, ...head } = answer ?? {}
      const ended = await db
        .updateTable('idempotency_keys')
        .set({
          answered: true,
          head: answer === null ? null : seal(JSON.stringify(head), held, 'head'),
          body: body === null ? null : seal(body, held, 'body'),
          expires_at: new Date(expiresAtMs),
        })
        .where('id', '=', held.id)
        .where('project_id', '=', held.projectId)
        .where('request_id', '=', held.requestId)
        .where('answered', '=', false)
        .returning('id')
        .execute()
      return ended.length > 0
    },

    async release({ id, projectId, requestId }) {
      await db
        .deleteFrom('idempotency_keys')
        .where('id', '=', id)
        .where('project_id', '=', projectId)
        .where('request_id', '=', requestId)
        .where('answered', '=', false)
        .execute()
    },

    async sweep(nowMs) {
      let swept = 0
      for (;;) {
        const { rows } = await sql`
          delete from idempotency_keys where id in (
            select id from idempotency_keys where expires_at <= ${new Date(nowMs)} limit ${SWEEP_ROWS}
          ) returning id`.execute(db)
        swept += rows.length
        if (rows.length < SWEEP_ROWS) return swept
      }
    },
  }
}

/** New, or left by what has expired or died. @returns whether it is held by this call now */
async function hold(db: Kysely<Schema>, claim: IdempotencyClaim): Promise<boolean> {
  const fresh = {
    fingerprint: claim.fingerprint,
    request_id: claim.requestId,
    answered: false,
    head: null,
    body: null,
    alive_at: new Date(claim.nowMs),
    expires_at: new Date(claim.expiresAtMs),
  }
  const held = await db
    .insertInto('idempotency_keys')
    .values({ id: claim.id, project_id: claim.projectId, ...fresh })
    .onConflict((conflict) =>
      conflict
        .column('id')
        .doUpdateSet(fresh)
        .where((row) =>
          row.or([
            row('idempotency_keys.expires_at', '<=', new Date(claim.nowMs)),
            row.and([
              row('idempotency_keys.answered', '=', false),
              row('idempotency_keys.alive_at', '<', new Date(claim.deadBeforeMs)),
            ]),
          ]),
        ),
    )
    .returning('id')
    .execute()
  return held.length > 0
}

function claimedBy(row: Row, vault: Sealing): Claimed {
  const { id, project_id, request_id: requestId, fingerprint, head, body } = row
  if (!row.answered) return { state: 'running', requestId, fingerprint }
  const opened = (envelope: string, part: 'head' | 'body') => vault.open(envelope, contextOf(project_id, id, part))
  let answer: KeptAnswer | null = null
  try {
    if (head !== null && body !== null) answer = { ...JSON.parse(opened(head, 'head')), body: opened(body, 'body') }
  } catch {
    // Sealed with a secret that is gone: as if it had never been kept.
  }
  return { state: 'answered', requestId, fingerprint, answer }
}

/** An envelope can't be opened as another key's, nor as another project's. */
export function contextOf(projectId: string, id: string, part: 'head' | 'body'): string {
  return `idempotency:${projectId}:${id}:${part}`
}

/** The same on both engines: they differ in how they take arrays. */
function anyOf(texts: readonly string[]) {
  return sql<string>`any(array(select json_array_elements_text(${JSON.stringify(texts)}::json)))`
}
