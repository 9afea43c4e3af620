import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { z } from 'zod'
import { keyKindOf } from '../db/model/ids.ts'
import { PLANS, type Plan, planSchema } from '../db/model/plans.ts'
import type { Account } from './deps.ts'
import type { Provider } from './providers/provider.ts'

/** Everything the operator can set (CONTRACT 10). The only reader of the environment. */
export interface Config {
  readonly host: string
  readonly port: number
  readonly publicUrl: string | null
  readonly dataDir: string
  readonly databaseUrl: string | null
  readonly secrets: readonly string[]
  readonly bootstrapKey: string | null
  readonly bootstrapPlan: Plan
  readonly plans: readonly Plan[]
  /** The operator's price overrides as read from its file, null without one; the catalogue checks them. */
  readonly prices: unknown
  readonly accounts: ReadonlyMap<string, Account>
  readonly connectTimeoutMs: number
  readonly firstByteTimeoutMs: number
  readonly idleTimeoutMs: number
  readonly totalTimeoutMs: number
  readonly maxBodyBytes: number
  readonly journalFsync: 'interval' | 'always'
  /** Variables that are set and belong to parts that are not built yet. */
  readonly unused: readonly string[]
}

export type Env = Readonly<Record<string, string | undefined>>

/** A variable that stops the start: its message is one line that names it and says what is accepted. */
export class ConfigError extends Error {
  constructor(variable: string, accepted: string) {
    super(`${variable} ${accepted}`.replace(/\s+/g, ' '))
    this.name = 'ConfigError'
  }
}

const NOT_YET = [
  'REDIS_URL',
  'UPSTASH_REDIS_REST_URL',
  'UPSTASH_REDIS_REST_TOKEN',
  'WATCHLLM_BOOTSTRAP_ADMIN',
  'STRIPE_SECRET_KEY',
  'STRIPE_WEBHOOK_SECRET',
  'STRIPE_API_BASE',
  'SMTP_URL',
  'MAIL_FROM',
  'OTEL_EXPORTER_OTLP_ENDPOINT',
]

const MAX_TIMEOUT_MS = 24 * 3600 * 1000

/** The process's own environment. */
export function environment(): Env {
  return process.env
}

/** @throws ConfigError for the first variable that is set to something else than is accepted */
export function readConfig(env: Env, providers: Iterable<Provider>): Config {
  const plans = readPlans(env)
  const databaseUrl = readUrl(env, 'DATABASE_URL', ['postgres:', 'postgresql:'])
  const secrets = (set(env, 'WATCHLLM_SECRET') ?? '')
    .split(',')
    .map((secret) => secret.trim())
    .filter((secret) => secret !== '')
  if (secrets.some((secret) => secret.length < 16)) {
    throw new ConfigError('WATCHLLM_SECRET', 'must be at least 16 characters; several are separated by commas')
  }
  if (databaseUrl !== null && secrets.length === 0) {
    throw new ConfigError('WATCHLLM_SECRET', 'must be set when DATABASE_URL is: all instances share it')
  }
  return {
    host: set(env, 'HOST') ?? '127.0.0.1',
    port: readInt(env, 'PORT', { fallback: 8787, min: 0, max: 65_535 }),
    publicUrl: readUrl(env, 'PUBLIC_URL', ['http:', 'https:']),
    dataDir: resolve(set(env, 'WATCHLLM_DATA_DIR') ?? './data'),
    databaseUrl,
    secrets,
    bootstrapKey: readBootstrapKey(env),
    bootstrapPlan: readBootstrapPlan(env, plans),
    plans,
    prices: readJson(env, 'WATCHLLM_PRICES'),
    accounts: readAccounts(env, providers),
    connectTimeoutMs: readTimeout(env, 'CONNECT', 5_000),
    firstByteTimeoutMs: readTimeout(env, 'FIRST_BYTE', 60_000),
    idleTimeoutMs: readTimeout(env, 'IDLE', 30_000),
    totalTimeoutMs: readTimeout(env, 'TOTAL', 600_000),
    maxBodyBytes: readInt(env, 'WATCHLLM_MAX_BODY_BYTES', { fallback: 32 * 1024 * 1024, min: 1024, max: 2 ** 30 }),
    journalFsync: readChoice(env, 'WATCHLLM_JOURNAL_FSYNC', ['interval', 'always']),
    unused: NOT_YET.filter((name) => set(env, name) !== null),
  }
}

/** Null when absent or empty: an empty variable is how shells and compose files leave one out. */
function set(env: Env, name: string): string | null {
  const value = env[name]
  return value === undefined || value.trim() === '' ? null : value.trim()
}

function readInt(env: Env, name: string, range: { fallback: number; min: number; max: number }): number {
  const text = set(env, name)
  if (text === null) return range.fallback
  const value = Number(text)
  if (/^\d+$/.test(text) && value >= range.min && value <= range.max) return value
  throw new ConfigError(name, `must be a whole number from ${range.min} to ${range.max}, not "${text.slice(0, 40)}"`)
}

function readTimeout(env: Env, phase: string, fallback: number): number {
  return readInt(env, `WATCHLLM_${phase}_TIMEOUT_MS`, { fallback, min: 1, max: MAX_TIMEOUT_MS })
}

function readChoice<const T extends string>(env: Env, name: string, choices: readonly [T, ...T[]]): T {
  const text = set(env, name) ?? choices[0]
  const found = choices.find((choice) => choice === text)
  if (found !== undefined) return found
  throw new ConfigError(name, `must be one of ${choices.join(', ')}, not "${text.slice(0, 40)}"`)
}

function readUrl(env: Env, name: string, protocols: readonly string[]): string | null {
  const text = set(env, name)
  if (text === null) return null
  const wanted = `must be a URL that begins with ${protocols.map((protocol) => `${protocol}//`).join(' or ')}`
  // Never echoed: it may carry a password.
  if (!URL.canParse(text) || !protocols.includes(new URL(text).protocol)) throw new ConfigError(name, wanted)
  return text
}

function readBootstrapKey(env: Env): string | null {
  const key = set(env, 'WATCHLLM_BOOTSTRAP_KEY')
  if (key === null || keyKindOf(key) === 'project') return key
  throw new ConfigError('WATCHLLM_BOOTSTRAP_KEY', 'must be lgw_proj_ and 16 to 128 letters, digits, _ or -')
}

function readBootstrapPlan(env: Env, plans: readonly Plan[]): Plan {
  const id = set(env, 'WATCHLLM_BOOTSTRAP_PLAN') ?? 'free'
  const plan = plans.find((candidate) => candidate.id === id)
  if (plan !== undefined) return plan
  throw new ConfigError('WATCHLLM_BOOTSTRAP_PLAN', `must be one of ${plans.map((known) => known.id).join(', ')}`)
}

/** The operator's file replaces plans of the same id and adds the others. */
function readPlans(env: Env): readonly Plan[] {
  const given = readJson(env, 'WATCHLLM_PLANS')
  if (given === null) return PLANS
  const parsed = z.array(planSchema).safeParse(given)
  if (!parsed.success) throw new ConfigError('WATCHLLM_PLANS', `must name a JSON list of plans: ${issue(parsed.error)}`)
  const own = new Set(parsed.data.map((plan) => plan.id))
  if (own.size < parsed.data.length) throw new ConfigError('WATCHLLM_PLANS', 'must name each plan once')
  return [...PLANS.filter((plan) => !own.has(plan.id)), ...parsed.data]
}

function issue(error: z.ZodError): string {
  const first = error.issues[0]
  return first === undefined ? 'invalid' : `${first.path.join('.')}: ${first.message}`
}

function readJson(env: Env, name: string): unknown {
  const path = set(env, name)
  if (path === null) return null
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (error) {
    throw new ConfigError(name, `must name a readable JSON file: ${(error as Error).message}`)
  }
  try {
    return JSON.parse(text)
  } catch (error) {
    throw new ConfigError(name, `must name a JSON file: ${(error as Error).message}`)
  }
}

function readAccounts(env: Env, providers: Iterable<Provider>): Map<string, Account> {
  const accounts = new Map<string, Account>()
  for (const provider of providers) {
    if (provider.inProcess !== undefined) continue
    const apiKey = set(env, provider.keyVariable)
    const own = readUrl(env, provider.baseUrlVariable, ['http:', 'https:'])
    if (apiKey === null && !(provider.keyless && own !== null)) continue
    const base = own ?? readBaseUrl(env, provider)
    if (base === null) continue
    if (apiKey !== null && !/^[\x21-\x7e]+$/.test(apiKey)) {
      throw new ConfigError(provider.keyVariable, 'must be visible ASCII characters without spaces')
    }
    const url = new URL(base)
    if (url.username + url.password !== '' || url.search !== '' || url.hash !== '') {
      throw new ConfigError(provider.baseUrlVariable, 'must be a URL without user, query and fragment')
    }
    const dated = provider.dated === undefined ? {} : { version: set(env, provider.dated.variable) }
    accounts.set(provider.id, { apiKey, origin: url.origin, basePath: url.pathname.replace(/\/+$/, ''), ...dated })
  }
  return accounts
}

/** A provider's own base URL with what the operator must say of it. @throws ConfigError naming what is missing */
function readBaseUrl(env: Env, provider: Provider): string | null {
  return (
    provider.baseUrl?.replace(/\{(\w+)\}/g, (_, name: string) => {
      const value = set(env, name)
      if (value === null)
        throw new ConfigError(name, `must be set when ${provider.keyVariable} is, or ${provider.baseUrlVariable}`)
      if (!/^[\w-]+$/.test(value)) throw new ConfigError(name, 'must be letters, digits and hyphens')
      return value
    }) ?? null
  )
}
