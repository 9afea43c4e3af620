import { type Kysely, sql } from 'kysely'
import type { Schema } from '../schema/index.ts'

/** An event as it came: signed by Stripe, and checked to be. */
export interface StripeEvent {
  /** `evt_…` */
  readonly id: string
  readonly type: string
  /** Of what it tells of; null: that has none. */
  readonly objectId: string | null
  readonly createdAtMs: number
  /** The whole event as it was sent. */
  readonly payload: string
}

/** One that was taken to be applied. */
export interface TakenEvent {
  readonly id: string
  readonly type: string
  readonly payload: string
  /** How often it was taken, this time included. */
  readonly attempts: number
}

/** Who takes an event, and until when nobody else does; epoch milliseconds. */
export interface Taking {
  readonly nowMs: number
  readonly untilMs: number
}

export interface StripeEventStore {
  /**
   * Keeps an event and takes it at once. Promise: of all that are told of it, on any instance and however often, one is
   * answered true. It is kept when this resolves.
   */
  add(event: StripeEvent, taking: Taking): Promise<boolean>
  /** Takes up to `limit` that are neither applied nor taken, the oldest first. */
  takeDue(taking: Taking, limit: number): Promise<readonly TakenEvent[]>
  /** @param outcome what came of it, in a word or two */
  applied(id: string, nowMs: number, outcome: string): Promise<void>
  /** It is tried again at `nextMs`. */
  failed(id: string, end: { readonly nextMs: number; readonly error: string }): Promise<void>
  /** Forgets the contents of events that were applied and are older than that; that they came stays known. */
  sweep(beforeMs: number): Promise<void>
}

const MAX_ERROR = 1_000

export function stripeEventStore(db: Kysely<Schema>): StripeEventStore {
  return {
    async add({ id, type, objectId, createdAtMs, payload }, { nowMs, untilMs }) {
      const added = await db
        .insertInto('stripe_events')
        .values({
          id,
          type,
          object_id: objectId,
          created_at: new Date(createdAtMs),
          received_at: new Date(nowMs),
          payload,
          attempts: 1,
          next_attempt_at: new Date(untilMs),
          applied_at: null,
          outcome: null,
          error: null,
        })
        .onConflict((conflict) => conflict.column('id').doNothing())
        .returning('id')
        .executeTakeFirst()
      return added !== undefined
    },

    async takeDue({ nowMs, untilMs }, limit) {
      const rows = await db
        .updateTable('stripe_events')
        .set({ next_attempt_at: new Date(untilMs), attempts: sql`attempts + 1` })
        .where('id', 'in', (eb) =>
          eb
            .selectFrom('stripe_events')
            .select('id')
            .where('applied_at', 'is', null)
            .where('next_attempt_at', '<=', new Date(nowMs))
            .orderBy('next_attempt_at')
            .limit(limit)
            .forUpdate()
            .skipLocked(),
        )
        .returning(['id', 'type', 'payload', 'attempts', 'created_at'])
        .execute()
      rows.sort((one, other) => one.created_at.getTime() - other.created_at.getTime())
      return rows.map(({ id, type, payload, attempts }) => ({ id, type, payload: payload ?? '{}', attempts }))
    },

    async applied(id, nowMs, outcome) {
      await db
        .updateTable('stripe_events')
        .set({ applied_at: new Date(nowMs), next_attempt_at: null, outcome, error: null })
        .where('id', '=', id)
        .where('applied_at', 'is', null)
        .execute()
    },

    async failed(id, { nextMs, error }) {
      await db
        .updateTable('stripe_events')
        .set({ next_attempt_at: new Date(nextMs), error: error.slice(0, MAX_ERROR) })
        .where('id', '=', id)
        .where('applied_at', 'is', null)
        .execute()
    },

    async sweep(beforeMs) {
      await db
        .updateTable('stripe_events')
        .set({ payload: null })
        .where('payload', 'is not', null)
        .where('applied_at', 'is not', null)
        .where('received_at', '<', new Date(beforeMs))
        .execute()
    },
  }
}
