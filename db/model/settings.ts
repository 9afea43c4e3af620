import { z } from 'zod'

const id = z.string().min(1).max(200)

/** Endpoints that call a model or a provider, by the names that the log has for them. */
export const ENDPOINTS = [
  'chat.completions',
  'completions',
  'embeddings',
  'responses',
  'responses.compact',
  'responses.input_tokens',
  'messages',
  'messages.count_tokens',
  'generate_content',
  'images.generations',
  'images.edits',
  'images.variations',
  'audio.speech',
  'audio.transcriptions',
  'audio.translations',
  'moderations',
  'rerank',
  'files.create',
  'files.list',
  'files.retrieve',
  'files.content',
  'files.delete',
  'batches.create',
  'batches.list',
  'batches.retrieve',
  'batches.cancel',
] as const

/** `auto`: by the model. `preferred`: this provider where it has the model. `failover`: this provider, or an error. */
export const routingSchema = z.discriminatedUnion('mode', [
  z.strictObject({ mode: z.literal('auto') }),
  z.strictObject({ mode: z.enum(['preferred', 'failover']), provider: id }),
])
export type Routing = z.infer<typeof routingSchema>

const ownLimit = z.int().positive().nullable()

/** Null or absent: no limit of its own; the tightest of key, project and plan holds. Tokens are input plus output. */
export const ownLimitsSchema = z.strictObject({
  requestsPerMinute: ownLimit,
  tokensPerMinute: ownLimit.optional(),
  requestsPerDay: ownLimit.optional(),
  tokensPerDay: ownLimit.optional(),
  requestsPerMonth: ownLimit.optional(),
  tokensPerMonth: ownLimit.optional(),
})
export type OwnLimits = z.infer<typeof ownLimitsSchema>

/** What a key may, beside what its project may. */
export const keySettingsSchema = z.strictObject({
  /** Ids as lists show them, `provider/*` or `provider/model`; null: all. */
  allowedModels: z.array(id).min(1).max(500).nullable(),
  /** Some of ENDPOINTS; null: all. */
  allowedEndpoints: z.array(id).min(1).max(100).nullable(),
  routing: routingSchema,
  limits: ownLimitsSchema,
  /** Whether prompts get cache breakpoints where the provider knows them. */
  promptCache: z.enum(['auto', 'respect', 'off']),
  /** Members are added to the bodies of answers. */
  bodyAdditions: z.boolean(),
  /** An SDK's retry joins the attempt before it where that still runs. */
  joinRetries: z.boolean(),
})
export type KeySettings = z.infer<typeof keySettingsSchema>

export const KEY_DEFAULTS: KeySettings = {
  allowedModels: null,
  allowedEndpoints: null,
  routing: { mode: 'auto' },
  limits: { requestsPerMinute: null },
  promptCache: 'respect',
  bodyAdditions: true,
  joinRetries: true,
}

export const projectSettingsSchema = z.strictObject({
  allowedModels: z.array(id).min(1).max(500).nullable(),
  limits: ownLimitsSchema,
})
export type ProjectSettings = z.infer<typeof projectSettingsSchema>

export const PROJECT_DEFAULTS: ProjectSettings = { allowedModels: null, limits: { requestsPerMinute: null } }
