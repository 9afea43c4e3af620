/** Something that people may want to be told of. Money is pico-dollars. */
export type AlertEvent =
  | QuotaEvent
  | {
      readonly kind: 'credits_low'
      readonly organizationId: string
      readonly balancePico: number
    }
  | { readonly kind: 'payment_failed'; readonly organizationId: string; readonly failures: number }
  | {
      readonly kind: 'provider_paused' | 'provider_down'
      /** Null: of the platform, so of everybody's concern. */
      readonly organizationId: string | null
      readonly provider: string
      readonly reason: string
    }
  | {
      readonly kind: 'price_missing'
      readonly organizationId: string
      readonly provider: string
      readonly model: string
    }

/** A part of a limit or budget is used up. */
export interface QuotaEvent {
  /** `budget`: one that somebody has set on spending or use; `quota`: what the plan or a key's settings allow. */
  readonly kind: 'quota' | 'budget'
  readonly organizationId: string
  /** Whose limit it is: null for the organization's, else also `keyId` for a key's own. */
  readonly projectId: string | null
  readonly keyId: string | null
  /** Name of the limit's counter: with `resetMs` and `percent` it names this event for good. */
  readonly counter: string
  readonly what: 'requests' | 'tokens' | 'spend'
  readonly period: 'day' | 'week' | 'month' | 'total'
  readonly percent: 50 | 80 | 100
  /** Requests, tokens or nano-dollars. */
  readonly limit: number
  /** Epoch milliseconds, null: never. */
  readonly resetMs: number | null
}
