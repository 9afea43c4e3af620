import { z } from 'zod'
import {
  MAX_ALIASES,
  MAX_CHAIN,
  MAX_FALLBACK_MODELS,
  MAX_FALLBACKS,
  type ProjectRouting,
  ROUTING_DEFAULTS,
  ROUTING_POLICIES,
} from '../../db/model/settings.ts'
import { resolveModel, taskOf } from '../catalog/catalog.ts'
import type { Deps } from '../deps.ts'
import { GatewayError } from '../errors.ts'

/** Where the calls of a project go, as the API says it; db/model/settings.ts has it as it is stored. */

const nameSchema = z.string().min(1).max(200)
const hedgeSchema = z.number().int().min(50).max(60_000)

const members = {
  policy: z
    .enum(ROUTING_POLICIES)
    .describe(
      'What comes first where several targets could answer. `order`: what was asked for, then the chain. `cheapest`: by price, three tokens of input to one of output. `fastest`: by the time to the first byte as measured here. `balanced`: both. What nobody knows the price or speed of never goes before what is known',
    ),
  chain: z.array(nameSchema).max(MAX_CHAIN).describe('Providers, tried in this order after the preferred one'),
  aliases: z
    .record(nameSchema, nameSchema)
    .describe(
      `Names of the project’s own, at most ${MAX_ALIASES}, each for \`provider/model\`, the id of a model, \`auto\` or \`auto:TASK\``,
    ),
  fallbacks: z
    .record(nameSchema, z.array(nameSchema).min(1).max(MAX_FALLBACKS))
    .describe(
      `For at most ${MAX_FALLBACK_MODELS} models: the models that are tried after it, at most ${MAX_FALLBACKS} each`,
    ),
  equivalents: z.boolean().describe('Whether another provider may be asked for the same model'),
  hedge_after_ms: hedgeSchema
    .nullable()
    .describe(
      'The next target is asked as well when the first has not answered by then; both may be billed. Null: never',
    ),
}

export const projectRouting = z.object(members)
/** What is left out stays as it is. */
export const projectRoutingInput = z.strictObject(members).partial()

export const keyHedge = z
  .union([z.literal(0), hedgeSchema])
  .nullable()
  .describe('As `routing.hedge_after_ms` of the project; 0: never. Null: as the project says')

const PLACE = 'settings.routing'

/** @throws GatewayError `invalid_request` that names what is unknown, or too much */
export function readProjectRouting(
  said: z.output<typeof projectRoutingInput>,
  { providerOf }: Pick<Deps, 'providerOf'>,
): Partial<ProjectRouting> {
  const { policy, chain, aliases, fallbacks, equivalents, hedge_after_ms } = said
  const unknown = chain?.find((id) => providerOf(id) === null)
  if (unknown !== undefined) throw bad('chain', `Unknown provider "${shortened(unknown)}"`)
  return {
    ...(policy === undefined ? {} : { policy }),
    ...(chain === undefined ? {} : { chain: [...new Set(chain)] }),
    ...(aliases === undefined ? {} : { aliases: readAliases(aliases) }),
    ...(fallbacks === undefined ? {} : { fallbacks: readFallbacks(fallbacks, aliases ?? {}) }),
    ...(equivalents === undefined ? {} : { equivalents }),
    ...(hedge_after_ms === undefined ? {} : { hedgeAfterMs: hedge_after_ms }),
  }
}

function readAliases(said: Readonly<Record<string, string>>): Record<string, string> {
  const all = Object.entries(said)
  if (all.length > MAX_ALIASES) throw bad('aliases', `At most ${MAX_ALIASES} aliases; these are ${all.length}`)
  for (const [name, target] of all) {
    if (name === target) throw bad('aliases', `"${shortened(name)}" stands for itself`)
    if (!leadsSomewhere(target)) throw bad('aliases', unknownModel(target))
  }
  return Object.fromEntries(all)
}

function readFallbacks(
  said: Readonly<Record<string, readonly string[]>>,
  aliases: Readonly<Record<string, string>>,
): Record<string, string[]> {
  const all = Object.entries(said)
  if (all.length > MAX_FALLBACK_MODELS) {
    throw bad('fallbacks', `At most ${MAX_FALLBACK_MODELS} models have fallbacks; these are ${all.length}`)
  }
  return Object.fromEntries(
    all.map(([model, others]) => {
      if (!Object.hasOwn(aliases, model) && !leadsSomewhere(model)) throw bad('fallbacks', unknownModel(model))
      const unknown = others.find((other) => resolveModel(other) === null)
      if (unknown !== undefined) throw bad('fallbacks', unknownModel(unknown))
      if (others.includes(model)) throw bad('fallbacks', `"${shortened(model)}" falls back on itself`)
      return [model, [...new Set(others)]]
    }),
  )
}

function leadsSomewhere(name: string): boolean {
  return resolveModel(name) !== null || taskOf(name) !== null
}

function unknownModel(name: string): string {
  return `Unknown model "${shortened(name)}": GET /v1/models lists those known; "provider/model" names any other`
}

function shortened(name: string): string {
  return name.slice(0, 128)
}

function bad(member: string, message: string): GatewayError {
  return new GatewayError('invalid_request', message, { param: `${PLACE}.${member}` })
}

export function shownProjectRouting(stored: Partial<ProjectRouting>): z.output<typeof projectRouting> {
  const { hedgeAfterMs, ...rest } = { ...ROUTING_DEFAULTS, ...stored }
  return { ...rest, hedge_after_ms: hedgeAfterMs }
}
