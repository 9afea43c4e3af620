import { z } from 'zod'

/** Null: no limit. Tokens are input plus output. */
export const planSchema = z.strictObject({
  id: z.string().regex(/^[a-z][a-z0-9_-]{0,31}$/),
  name: z.string().min(1).max(64),
  requestsPerMinute: z.int().positive().nullable(),
  requestsPerMonth: z.int().positive().nullable(),
  tokensPerDay: z.int().positive().nullable(),
})

export type Plan = z.infer<typeof planSchema>

/** The shipped preset (CONTRACT 8). */
export const PLANS: readonly Plan[] = [
  { id: 'free', name: 'Free', requestsPerMinute: 10, requestsPerMonth: 10_000, tokensPerDay: 100_000 },
  { id: 'starter', name: 'Starter', requestsPerMinute: 60, requestsPerMonth: 100_000, tokensPerDay: 1_000_000 },
  { id: 'pro', name: 'Pro', requestsPerMinute: 600, requestsPerMonth: 1_000_000, tokensPerDay: 10_000_000 },
  { id: 'agency', name: 'Agency', requestsPerMinute: 6_000, requestsPerMonth: 10_000_000, tokensPerDay: 100_000_000 },
  { id: 'unlimited', name: 'Unlimited', requestsPerMinute: null, requestsPerMonth: null, tokensPerDay: null },
]
