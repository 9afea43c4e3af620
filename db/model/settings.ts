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

/** What comes first where several targets could answer. `order`: what was asked for, then in the order of the settings. */
export const ROUTING_POLICIES = ['order', 'cheapest', 'fastest', 'balanced'] as const
export type RoutingPolicy = (typeof ROUTING_POLICIES)[number]

export const MAX_CHAIN = 32
export const MAX_ALIASES = 100
export const MAX_FALLBACK_MODELS = 100
export const MAX_FALLBACKS = 8

/** Milliseconds without an answer after which the next target is asked as well. */
const hedgeAfterMs = z.int().min(50).max(60_000)

/** Where the calls of a project go when there is a choice. */
export const projectRoutingSchema = z.strictObject({
  policy: z.enum(ROUTING_POLICIES),
  /** Providers, tried in this order after the preferred one. */
  chain: z.array(id).max(MAX_CHAIN),
  /** Names of its own -> `provider/model` or a model's id. */
  aliases: z.record(id, id).refine((all) => Object.keys(all).length <= MAX_ALIASES),
  /** Models that are tried after one. */
  fallbacks: z
    .record(id, z.array(id).min(1).max(MAX_FALLBACKS))
    .refine((all) => Object.keys(all).length <= MAX_FALLBACK_MODELS),
  /** The same model may be asked elsewhere. */
  equivalents: z.boolean(),
  /** Null: one target is asked at a time. */
  hedgeAfterMs: hedgeAfterMs.nullable(),
})
export type ProjectRouting = z.infer<typeof projectRoutingSchema>

export const ROUTING_DEFAULTS: ProjectRouting = {
  policy: 'order',
  chain: [],
  aliases: {},
  fallbacks: {},
  equivalents: true,
  hedgeAfterMs: null,
}

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
  /** As of a project; null: as the project says, 0: never. */
  hedgeAfterMs: z.union([z.literal(0), hedgeAfterMs]).nullable(),
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
  hedgeAfterMs: null,
}

/** How what is said in calls is kept: see db/model/call-bodies.ts. */
export const bodyRulesSchema = z.strictObject({
  days: z.int().min(1).max(90),
  /** Secrets and personal data are taken out before anything is stored. */
  redact: z.boolean(),
  /** Of each side of a call: what is longer is cut. */
  maxBytes: z
    .int()
    .min(1024)
    .max(1024 * 1024),
})
export type BodyRules = z.infer<typeof bodyRulesSchema>

export const projectSettingsSchema = z.strictObject({
  allowedModels: z.array(id).min(1).max(500).nullable(),
  limits: ownLimitsSchema,
  /** What is left out is as ROUTING_DEFAULTS say. */
  routing: projectRoutingSchema.partial(),
  /** Null: nothing that is said in calls is kept. */
  bodyLogging: bodyRulesSchema.nullable(),
})
export type ProjectSettings = Omit<z.infer<typeof projectSettingsSchema>, 'routing'> & {
  readonly routing: Partial<ProjectRouting>
}

export const PROJECT_DEFAULTS: ProjectSettings = {
  allowedModels: null,
  limits: { requestsPerMinute: null },
  routing: {},
  bodyLogging: null,
}
