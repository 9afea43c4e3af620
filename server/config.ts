import { readFileSync } from 'node:fs'
import { isIP } from 'node:net'
import { resolve } from 'node:path'
import { z } from 'zod'
import { keyKindOf } from '../db/model/ids.ts'
import { mergePlans, PLANS, type Plan, planFileSchema } from '../db/model/plans.ts'
import type { Account } from './deps.ts'
import type { Provider } from './providers/provider.ts'

/** Everything the operator can set (CONTRACT 10). The only reader of the environment. */
export interface Config {
  readonly host: string
  readonly port: number
  readonly publicUrl: string | null
  readonly dataDir: string
  readonly databaseUrl: string | null
  /** Where counters are shared; null: they are kept in this process's memory. */
  readonly kv: { readonly redisUrl: string } | { readonly url: string; readonly token: string } | null
  readonly secrets: readonly string[]
  readonly bootstrapKey: string | null
  readonly bootstrapAdmin: { readonly email: string; readonly password: string } | null
  /** `invite`: only who is invited can make an account. */
  readonly signUp: 'open' | 'invite'
  readonly logins: ConfiguredLogins
  readonly mail: { readonly smtpUrl: string; readonly from: string } | null
  /** Null: nothing is sold. `apiBase`: the origin of the API, null: Stripe's own. */
  readonly stripe: {
    readonly secretKey: string
    readonly webhookSecret: string
    readonly apiBase: string | null
  } | null
  /** Null: the default organization is made with the smallest plan and keeps what it is given later. */
  readonly bootstrapPlan: Plan | null
  readonly plans: readonly Plan[]
  /** The operator's price overrides as read from its file, null without one; the catalogue checks them. */
  readonly prices: unknown
  readonly accounts: ReadonlyMap<string, EnvAccount>
  /** Where each provider's API lives for whoever brings a key; without those of which that isn't known. */
  readonly places: ReadonlyMap<string, Place>
  /** Hosts that tenants may have calls sent to, though they are not public. */
  readonly tenantHosts: AllowedHosts
  readonly connectTimeoutMs: number
  readonly firstByteTimeoutMs: number
  readonly idleTimeoutMs: number
  readonly totalTimeoutMs: number
  readonly maxBodyBytes: number
  /** How often a target that failed is asked again, once all targets of a call were asked. */
  readonly retries: number
  /** `off`: accounts that fail are called all the same, for who has a gateway behind this one. */
  readonly breaker: 'on' | 'off'
  readonly journalFsync: 'interval' | 'always'
  /** Variables that are set and belong to parts that are not built yet. */
  readonly unused: readonly string[]
}

export type Place = Pick<Account, 'origin' | 'basePath' | 'version'>
export type EnvAccount = Place & Pick<Account, 'apiKey'>

export interface AllowedHosts {
  /** As `URL.hostname` has it, without brackets; a null port stands for all. */
  readonly hosts: readonly { readonly host: string; readonly port: number | null }[]
  readonly ranges: readonly { readonly address: string; readonly prefix: number; readonly family: 'ipv4' | 'ipv6' }[]
}

/** Clients of ours at parties that people may sign in with. */
export interface ConfiguredLogins {
  readonly github: LoginClient | null
  readonly google: LoginClient | null
  readonly oidc: (LoginClient & { readonly issuer: string }) | null
}

interface LoginClient {
  readonly clientId: string
  readonly clientSecret: string
}

export type Env = Readonly<Record<string, string | undefined>>

/** A variable that stops the start: its message is one line that names it and says what is accepted. */
export class ConfigError extends Error {
  constructor(variable: string, accepted: string) {
    super(`${variable} ${accepted}`.replace(/\s+/g, ' '))
    this.name = 'ConfigError'
  }
}

const NOT_YET = ['OTEL_EXPORTER_OTLP_ENDPOINT']

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
    publicUrl: readPublicUrl(env),
    dataDir: resolve(set(env, 'WATCHLLM_DATA_DIR') ?? './data'),
    databaseUrl,
    kv: readKv(env),
    secrets,
    bootstrapKey: readBootstrapKey(env),
    bootstrapPlan: readBootstrapPlan(env, plans),
    bootstrapAdmin: readBootstrapAdmin(env),
    signUp: readChoice(env, 'WATCHLLM_SIGN_UP', ['open', 'invite']),
    logins: readLogins(env),
    mail: readMail(env),
    stripe: readStripe(env),
    plans,
    prices: readJson(env, 'WATCHLLM_PRICES'),
    ...readAccounts(env, providers),
    tenantHosts: readTenantHosts(env),
    connectTimeoutMs: readTimeout(env, 'CONNECT', 5_000),
    firstByteTimeoutMs: readTimeout(env, 'FIRST_BYTE', 60_000),
    idleTimeoutMs: readTimeout(env, 'IDLE', 30_000),
    totalTimeoutMs: readTimeout(env, 'TOTAL', 600_000),
    breaker: readChoice(env, 'WATCHLLM_BREAKER', ['on', 'off']),
    retries: readInt(env, 'WATCHLLM_RETRIES', { fallback: 1, min: 0, max: 5 }),
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

function readKv(env: Env): Config['kv'] {
  const [rest, token] = ['UPSTASH_REDIS_REST_URL', 'UPSTASH_REDIS_REST_TOKEN'] as const
  const redisUrl = readUrl(env, 'REDIS_URL', ['redis:', 'rediss:'])
  const url = readUrl(env, rest, ['https:', 'http:'])
  if (redisUrl !== null) {
    const other = [rest, token].find((name) => set(env, name) !== null)
    if (other !== undefined)
      throw new ConfigError('REDIS_URL', `must not be set when ${other} is: counters are kept in one`)
    if (new URL(redisUrl).hostname !== '') return { redisUrl }
    throw new ConfigError('REDIS_URL', 'must name a host: redis://user:password@host:6379/0')
  }
  allOrNone(env, [rest, token])
  const secret = set(env, token)
  if (url === null || secret === null) return null
  const { username, password, search, hash } = new URL(url)
  if (username + password + search + hash !== '')
    throw new ConfigError(rest, 'must be a URL without user, query and fragment')
  if (!/^[\x21-\x7e]+$/.test(secret)) throw new ConfigError(token, 'must be visible ASCII characters without spaces')
  return { url: url.replace(/\/+$/, ''), token: secret }
}

/** Without a slash at its end: paths are put behind it. */
function readPublicUrl(env: Env): string | null {
  const text = readUrl(env, 'PUBLIC_URL', ['http:', 'https:'])
  if (text === null) return null
  const { username, password, search, hash } = new URL(text)
  if (username + password + search + hash === '') return text.replace(/\/+$/, '')
  throw new ConfigError('PUBLIC_URL', 'must be a URL without user, query and fragment')
}

function readBootstrapAdmin(env: Env): Config['bootstrapAdmin'] {
  const text = set(env, 'WATCHLLM_BOOTSTRAP_ADMIN')
  if (text === null) return null
  const colon = text.indexOf(':')
  const email = text.slice(0, Math.max(colon, 0)).toLowerCase()
  const password = text.slice(colon + 1)
  const isGood = z.email().safeParse(email).success && password.length >= 10 && password.length <= 128
  if (isGood) return { email, password }
  throw new ConfigError('WATCHLLM_BOOTSTRAP_ADMIN', 'must be email:password with a password of 10 to 128 characters')
}

function readMail(env: Env): Config['mail'] {
  const smtpUrl = readUrl(env, 'SMTP_URL', ['smtp:', 'smtps:'])
  const from = set(env, 'MAIL_FROM')
  allOrNone(env, ['SMTP_URL', 'MAIL_FROM'])
  if (smtpUrl === null || from === null) return null
  if (new URL(smtpUrl).hostname === '')
    throw new ConfigError('SMTP_URL', 'must name a host: smtp://user:password@host:587')
  const address = /^[^<>\r\n]*<([^<>]+)>$/.exec(from)?.[1] ?? from
  if (z.email().safeParse(address).success) return { smtpUrl, from }
  throw new ConfigError('MAIL_FROM', 'must be an e-mail address, or a name and one: WatchLLM <gateway@example.com>')
}

function readStripe(env: Env): Config['stripe'] {
  const names = ['STRIPE_SECRET_KEY', 'STRIPE_WEBHOOK_SECRET'] as const
  const apiBase = readUrl(env, 'STRIPE_API_BASE', ['https:', 'http:'])
  allOrNone(env, apiBase === null ? names : [...names, 'STRIPE_API_BASE'])
  const [secretKey, webhookSecret] = names.map((name) => set(env, name))
  if (secretKey == null || webhookSecret == null) return null
  if (!/^[sr]k_\w+$/.test(secretKey)) {
    throw new ConfigError(names[0], 'must be a secret key (sk_…) or a restricted one (rk_…), never a publishable one')
  }
  if (!/^whsec_[\x21-\x7e]+$/.test(webhookSecret)) {
    throw new ConfigError(names[1], 'must be the signing secret of the webhook endpoint: whsec_…')
  }
  if (apiBase === null) return { secretKey, webhookSecret, apiBase }
  const { username, password, pathname, search, hash, origin } = new URL(apiBase)
  if (username + password + search + hash === '' && pathname === '/')
    return { secretKey, webhookSecret, apiBase: origin }
  throw new ConfigError('STRIPE_API_BASE', 'must be a URL without user, path, query and fragment')
}

function readLogins(env: Env): ConfiguredLogins {
  const issuer = readUrl(env, 'OIDC_ISSUER', ['http:', 'https:'])
  allOrNone(env, ['OIDC_ISSUER', 'OIDC_CLIENT_ID', 'OIDC_CLIENT_SECRET'])
  const client = readLogin(env, 'OIDC')
  return {
    github: readLogin(env, 'GITHUB'),
    google: readLogin(env, 'GOOGLE'),
    oidc: issuer === null || client === null ? null : { issuer, ...client },
  }
}

function readLogin(env: Env, party: string): LoginClient | null {
  const [id, secret] = [`${party}_CLIENT_ID`, `${party}_CLIENT_SECRET`] as const
  allOrNone(env, [id, secret])
  const clientId = set(env, id)
  const clientSecret = set(env, secret)
  return clientId === null || clientSecret === null ? null : { clientId, clientSecret }
}

/** @throws ConfigError naming the first that is missing among others that are set */
function allOrNone(env: Env, names: readonly string[]): void {
  const missing = names.filter((name) => set(env, name) === null)
  const there = names.find((name) => set(env, name) !== null)
  if (missing[0] !== undefined && there !== undefined) throw new ConfigError(missing[0], `must be set when ${there} is`)
}

function readBootstrapKey(env: Env): string | null {
  const key = set(env, 'WATCHLLM_BOOTSTRAP_KEY')
  if (key === null || keyKindOf(key) === 'project') return key
  throw new ConfigError('WATCHLLM_BOOTSTRAP_KEY', 'must be lgw_proj_ and 16 to 128 letters, digits, _ or -')
}

function readBootstrapPlan(env: Env, plans: readonly Plan[]): Plan | null {
  const id = set(env, 'WATCHLLM_BOOTSTRAP_PLAN')
  if (id === null) return null
  const plan = plans.find((candidate) => candidate.id === id)
  if (plan !== undefined) return plan
  throw new ConfigError('WATCHLLM_BOOTSTRAP_PLAN', `must be one of ${plans.map((known) => known.id).join(', ')}`)
}

/** The operator's file replaces plans of the same id and adds the others, or replaces all of them. */
function readPlans(env: Env): readonly Plan[] {
  const given = readJson(env, 'WATCHLLM_PLANS')
  if (given === null) return PLANS
  const parsed = planFileSchema.safeParse(given)
  if (!parsed.success) throw new ConfigError('WATCHLLM_PLANS', `must name a JSON file of plans: ${issue(parsed.error)}`)
  const { replace, plans } = parsed.data
  if (new Set(plans.map(({ id }) => id)).size < plans.length)
    throw new ConfigError('WATCHLLM_PLANS', 'must name each plan once')
  return mergePlans(replace ? [] : PLANS, plans)
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

function readAccounts(env: Env, providers: Iterable<Provider>): Pick<Config, 'accounts' | 'places'> {
  const accounts = new Map<string, EnvAccount>()
  const places = new Map<string, Place>()
  for (const provider of providers) {
    if (provider.inProcess !== undefined) continue
    const apiKey = set(env, provider.keyVariable)
    const own = readUrl(env, provider.baseUrlVariable, ['http:', 'https:'])
    const hasAccount = apiKey !== null || (provider.keyless === true && own !== null)
    const base = own ?? readBaseUrl(env, provider, hasAccount)
    if (base === null) continue
    if (apiKey !== null && !/^[\x21-\x7e]+$/.test(apiKey)) {
      throw new ConfigError(provider.keyVariable, 'must be visible ASCII characters without spaces')
    }
    const url = new URL(base)
    if (url.username + url.password !== '' || url.search !== '' || url.hash !== '') {
      throw new ConfigError(provider.baseUrlVariable, 'must be a URL without user, query and fragment')
    }
    const dated = provider.dated === undefined ? {} : { version: set(env, provider.dated.variable) }
    const place = { origin: url.origin, basePath: url.pathname.replace(/\/+$/, ''), ...dated }
    places.set(provider.id, place)
    if (hasAccount) accounts.set(provider.id, { apiKey, ...place })
  }
  return { accounts, places }
}

/**
 * A provider's own base URL with what the operator must say of it; null when it isn't said and not `needed`.
 * @throws ConfigError naming what is missing
 */
function readBaseUrl(env: Env, provider: Provider, needed: boolean): string | null {
  const variables = Array.from(provider.baseUrl?.matchAll(/\{(\w+)\}/g) ?? [], (found) => found[1]!)
  if (!needed && variables.some((name) => set(env, name) === null)) return null
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

/** `host`, `host:port`, an address or a range of addresses (`10.1.0.0/16`), separated by commas. */
function readTenantHosts(env: Env): AllowedHosts {
  const hosts: { host: string; port: number | null }[] = []
  const ranges: { address: string; prefix: number; family: 'ipv4' | 'ipv6' }[] = []
  for (const entry of (set(env, 'WATCHLLM_TENANT_HOSTS') ?? '').split(',').map((one) => one.trim().toLowerCase())) {
    if (entry === '') continue
    const [, address = '', bits] = /^([\da-f.:]+)\/(\d{1,3})$/.exec(entry) ?? []
    const version = isIP(address)
    const family = version === 4 ? 'ipv4' : 'ipv6'
    const [, name = '', port] = /^(\[[\da-f:.]+\]|[^\s/:[\]]+)(?::(\d{1,5}))?$/.exec(entry) ?? []
    const url = `http://${isIP(entry) === 6 ? `[${entry}]` : name}`
    if (version !== 0 && Number(bits) <= (version === 4 ? 32 : 128)) {
      ranges.push({ address, prefix: Number(bits), family })
    } else if (url !== 'http://' && URL.canParse(url) && Number(port ?? 0) <= 65_535 && /^[^@?#\\%*]+$/.test(entry)) {
      const host = new URL(url).hostname.replace(/^\[|\]$/g, '')
      hosts.push({ host, port: port === undefined ? null : Number(port) })
    } else {
      const wanted = 'must be hosts, host:port or ranges such as 10.1.0.0/16, separated by commas, not'
      throw new ConfigError('WATCHLLM_TENANT_HOSTS', `${wanted} "${entry.slice(0, 60)}"`)
    }
  }
  return { hosts, ranges }
}
