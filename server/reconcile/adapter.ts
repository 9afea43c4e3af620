import type { Figures } from '../../db/model/reconcile.ts'

/** How one provider tells what it was asked for and what it charges. */
export interface UsageAdapter {
  /** As in providers/index.ts. */
  readonly provider: string
  /** What the provider calls the parts of an account that its figures can be narrowed to, such as `project`. */
  readonly part: string
  /**
   * What the provider says of the days, by day and model; the same day and model may come several times, to be added up.
   * @throws GatewayError when the provider doesn't answer, refuses the key, or answers what isn't as documented
   */
  read(ask: UsageAsk): Promise<readonly UsageRow[]>
  /** Asks for as little as tells whether the key is good. @throws GatewayError as `read` does */
  probe(ask: UsageAsk): Promise<void>
}

export interface UsageAsk {
  /** Midnights of UTC in epoch milliseconds, the end not in it; 31 days at most. */
  readonly fromMs: number
  readonly toMs: number
  /** Ids of the parts of the account that are asked about; empty: all of it. */
  readonly only: readonly string[]
  readonly get: Get
}

/**
 * Asks the provider for one answer as JSON, by the way that calls go.
 * @param path below the API's base, such as `/organization/costs`
 * @throws GatewayError when there is none that can be used
 */
export type Get = (path: string, query: Query) => Promise<unknown>
export type Query = readonly (readonly [name: string, value: string])[]

export interface UsageRow {
  /** `2026-11-21`, in UTC. */
  readonly day: string
  /** As the provider names it, '': what belongs to no model. */
  readonly model: string
  readonly figures: Figures
}

/** What adapters throw at answers that aren't as documented. @param what where, and what is wrong with it */
export class OddAnswer extends Error {}

/** Days that can be asked for at once: what providers give in one page. */
export const MAX_DAYS = 31
