import { randomBytes } from 'node:crypto'
import type { Kysely } from 'kysely'
import { memoryKv } from '../../db/kv/memory.ts'
import type { Role } from '../../db/model/access.ts'
import { displayPrefix, type IdPrefix, makeId } from '../../db/model/ids.ts'
import { PLANS } from '../../db/model/plans.ts'
import type { KeySettings } from '../../db/model/settings.ts'
import type { Schema } from '../../db/schema/index.ts'
import { KEYS_CHANNEL } from '../../db/stores/keys.ts'
import { PLANS_CHANGED } from '../../db/stores/plans.ts'
import { PLATFORM } from '../../db/stores/provider-credentials.ts'
import { createVault, type Vault } from '../../db/vault.ts'
import { type BillingOptions, type OpenBilling, openBilling } from '../../server/billing.ts'
import { openBodies } from '../../server/bodies.ts'
import type { TokenScope } from '../../server/console/access.ts'
import { cookieName, sessionSecrets, signed } from '../../server/console/people/signing.ts'
import { createPeople } from '../../server/console/people.ts'
import { type OpenCredentials, openCredentials } from '../../server/credentials.ts'
import type { Control, Deps, Mail, People, Person } from '../../server/deps.ts'
import { openDirectory, sha256 } from '../../server/directory.ts'
import { entryFinder } from '../../server/main/entry.ts'
import { openMultipliers } from '../../server/multipliers.ts'
import { openPlans } from '../../server/plans.ts'
import { PROVIDERS } from '../../server/providers/index.ts'
import { systemClock, systemRandom } from '../../server/runtime/system.ts'
import { openEmbedded, type TestDatabase } from '../db/engines.ts'
import { PROVIDER_KEY, type TestApp, type TestAppOptions, testApp } from './app.ts'

/** Where the app of these tests says it lives. */
export const PUBLIC_URL = 'http://gateway.test'

const SECRET = 'console-test-secret-0123456789abcdef'
const SILENT = { info() {}, warn() {}, error() {} }

/** Headers that say who calls; null: nobody. */
export type As = Readonly<Record<string, string>> | null

export interface Answer {
  readonly status: number
  readonly headers: Headers
  readonly text: string
  /** Parsed; of a procedure its result, of a refused one the error as REST shows it. Null: it is no JSON. */
  readonly body: unknown
}

export type SentMail = Parameters<Mail['send']>[0]

export interface ConsoleApp {
  readonly app: TestApp
  readonly deps: Deps
  readonly control: Control
  readonly database: TestDatabase
  readonly mails: SentMail[]
  /** Null: no Stripe is configured. */
  readonly billing: OpenBilling | null
  /**
   * Calls a procedure over tRPC (`projects.list`) or a route as it stands (`GET /api/projects?limit=1`).
   * @param input of the procedure, or the JSON body of the route
   */
  call(what: string, as: As, input?: unknown): Promise<Answer>
  organization(options?: { readonly name?: string; readonly plan?: string }): Promise<string>
  person(options?: Partial<Pick<Person, 'name' | 'email' | 'emailVerified' | 'operator'>>): Promise<Person>
  /** Makes them a member, whatever they were before. */
  join(organizationId: string, personId: string, role: Role): Promise<void>
  /** A new person with a role there, signed in. */
  signedIn(organizationId: string, role: Role): Promise<{ readonly person: Person; readonly as: As }>
  session(personId: string, options?: { readonly expiresAtMs?: number }): Promise<As>
  token(options: TokenOptions): Promise<{ readonly id: string; readonly secret: string; readonly as: As }>
  project(organizationId: string, name?: string): Promise<string>
  key(
    projectId: string,
    options?: KeyOptions,
  ): Promise<{ readonly id: string; readonly secret: string; readonly as: As }>
  close(): Promise<void>
}

interface TokenOptions {
  readonly organizationId: string
  readonly personId: string
  readonly scopes: readonly TokenScope[]
  readonly expiresAtMs?: number | null
  readonly revokedAtMs?: number | null
}

interface KeyOptions {
  readonly kind?: 'project' | 'test'
  readonly expiresAtMs?: number | null
  readonly settings?: Partial<KeySettings>
}

export interface ConsoleAppOptions extends TestAppOptions {
  /** Default: any base URL will do. */
  readonly tenantHosts?: Control['tenantHosts']
  /** Default: anybody may make an account. */
  readonly signUp?: 'open' | 'invite'
  readonly publicUrl?: string
  /** Default: taken into `mails`. */
  readonly mail?: Mail | null
  /** A Stripe to sell by; default: none is configured. */
  readonly stripe?: Pick<BillingOptions, 'secretKey' | 'webhookSecret' | 'apiBase'>
  /** Another instance's, which closes it; default: a new one. */
  readonly database?: TestDatabase
}

/** The whole app on a new embedded database, with the control plane. Close it when the tests are over. */
export async function consoleApp(options: ConsoleAppOptions = {}): Promise<ConsoleApp> {
  const database = options.database ?? (await openEmbedded())
  const { db } = database.database
  const mails: SentMail[] = []
  const mail = options.mail === undefined ? { send: async (one: SentMail) => void mails.push(one) } : options.mail
  const publicUrl = () => options.publicUrl ?? PUBLIC_URL
  const vault = createVault([SECRET])
  const kv = options.deps?.kv ?? memoryKv()
  const credentials = credentialsOf(database, vault, options)
  const plans = openPlans({
    ...{ base: PLANS, store: database.stores.plans, log: SILENT, clock: systemClock },
    changed: (ids) => ids.forEach((id) => void directory.invalidate(id)),
  })
  const multipliers = openMultipliers({ store: database.stores.multipliers, clock: systemClock, log: SILENT })
  const billing = billingOf({ ...options, mail, publicUrl }, { stores: database.stores, plans, kv })
  const control: Control = {
    stores: database.stores,
    people: peopleOf(database, { ...options, mail, publicUrl }),
    mail,
    vault,
    tenantHosts: options.tenantHosts ?? { objection: async () => null },
    accountFor: credentials.accountFor,
    publicUrl,
    plans,
    billing,
  }
  const clock = options.clock ?? systemClock
  const known = { ...{ plans, kv, clock, log: options.deps?.log ?? SILENT }, accountsOf: credentials.accountsOf }
  const find = entryFinder({ stores: database.stores, ...known })
  const directory = openDirectory({ clock, find, log: SILENT })
  const bodies = openBodies({ store: database.stores.callBodies, vault, clock, log: SILENT })
  await database.database.listen(KEYS_CHANNEL, (id) => {
    if (id === PLATFORM) void credentials.reload()
    if (id === '' || id === PLANS_CHANGED) void plans.reload()
    if (id === '') void multipliers.reload()
    directory.invalidate(id === '' ? undefined : id)
  })
  const app = testApp({
    ...options,
    deps: {
      kv,
      control,
      directory,
      multipliers,
      bodies,
      credentials: credentials.platform,
      receipts: database.stores.calls,
      ...options.deps,
    },
  })
  return {
    app,
    deps: app.deps,
    control,
    database,
    mails,
    billing,
    call: (what, as, input) => call(app, { what, as, input }),
    ...makersOf(db),
    async close() {
      await billing?.settled()
      plans.close()
      multipliers.close()
      await app.close()
      await bodies.close()
      if (options.database === undefined) await database.dispose()
    },
  }
}

function billingOf(
  options: Omit<ConsoleAppOptions, 'publicUrl'> & Pick<Control, 'mail' | 'publicUrl'>,
  parts: Pick<BillingOptions, 'stores' | 'plans' | 'kv'>,
): OpenBilling | null {
  const { stripe, mail, publicUrl, deps } = options
  if (stripe === undefined) return null
  return openBilling({
    ...{ ...stripe, ...parts, mail, publicUrl, alerts: deps?.alerts ?? null },
    clock: options.clock ?? systemClock,
    random: systemRandom(),
    log: deps?.log ?? SILENT,
  })
}

/** Every provider is at the scripted upstream, or nowhere. */
function credentialsOf({ stores }: TestDatabase, vault: Vault, options: ConsoleAppOptions): OpenCredentials {
  const { origin, pathname } = new URL(options.upstreamUrl ?? 'http://provider.test')
  const place = { origin, basePath: pathname === '/' ? '/v1' : pathname }
  return openCredentials({
    store: stores.providerCredentials,
    vault,
    config: {
      accounts: new Map(options.upstreamUrl === undefined ? [] : [['openai', { apiKey: PROVIDER_KEY, ...place }]]),
      places: new Map(Array.from(PROVIDERS.keys(), (id) => [id, place])),
    },
    random: systemRandom(),
    clock: options.clock ?? systemClock,
    log: options.deps?.log ?? SILENT,
  })
}

function peopleOf(
  { database, stores }: TestDatabase,
  options: Pick<ConsoleAppOptions, 'signUp' | 'clock'> & Pick<Control, 'mail' | 'publicUrl'>,
): People {
  return createPeople({
    database: { db: database.db, type: 'postgres' },
    store: stores.people,
    mail: options.mail,
    signUp: options.signUp ?? 'open',
    clients: { github: null, google: null, oidc: null },
    secrets: [SECRET],
    publicUrl: options.publicUrl,
    kv: memoryKv(),
    clock: options.clock ?? systemClock,
    random: systemRandom(),
    log: SILENT,
  })
}

function newId(prefix: IdPrefix): string {
  return makeId(prefix, Date.now(), randomBytes(16))
}

function newSecret(prefix: string): string {
  return prefix + randomBytes(32).toString('base64url')
}

type Makers = Pick<
  ConsoleApp,
  'organization' | 'person' | 'join' | 'signedIn' | 'session' | 'token' | 'project' | 'key'
>

/** Rows as the product would have made them. */
function makersOf(db: Kysely<Schema>): Makers {
  const makers: Makers = {
    async organization({ name = 'Some organization', plan = 'unlimited' } = {}) {
      const id = newId('org')
      await db.insertInto('organizations').values({ id, name, plan, created_at: new Date() }).execute()
      return id
    },

    async person(options = {}) {
      const id = newId('usr')
      const person = { id, name: 'Some Body', email: `${id}@example.com`, emailVerified: true, operator: false }
      const made: Person = { ...person, ...options }
      const at = { created_at: new Date(), updated_at: new Date() }
      const { name, email, operator } = made
      const row = { id, name, email, operator, email_verified: made.emailVerified, image: null, ...at }
      await db
        .insertInto('users')
        .values({ ...row, two_factor_enabled: false })
        .execute()
      return made
    },

    async join(organizationId, personId, role) {
      await db
        .insertInto('members')
        .values({ organization_id: organizationId, user_id: personId, role, created_at: new Date() })
        .onConflict((conflict) => conflict.columns(['organization_id', 'user_id']).doUpdateSet({ role }))
        .execute()
    },

    async signedIn(organizationId, role) {
      const person = await makers.person()
      await makers.join(organizationId, person.id, role)
      return { person, as: await makers.session(person.id) }
    },

    async session(personId, { expiresAtMs = Date.now() + 3_600_000 } = {}) {
      const token = newSecret('')
      const at = { created_at: new Date(), updated_at: new Date(), expires_at: new Date(expiresAtMs) }
      const row = { id: newSecret('ses_'), token, user_id: personId, ip_address: null, user_agent: null, ...at }
      await db.insertInto('sessions').values(row).execute()
      const cookie = signed(token, sessionSecrets([SECRET])[0]!)
      return { cookie: `${cookieName('session_token', false)}=${cookie}`, origin: PUBLIC_URL }
    },

    async token({ organizationId, personId, scopes, expiresAtMs = null, revokedAtMs = null }) {
      const id = newId('tok')
      const secret = newSecret('lgw_pat_')
      await db
        .insertInto('access_tokens')
        .values({
          id,
          organization_id: organizationId,
          user_id: personId,
          name: 'A token',
          secret_sha256: sha256(secret),
          display_prefix: displayPrefix(secret),
          scopes: [...scopes],
          created_at: new Date(),
          expires_at: expiresAtMs === null ? null : new Date(expiresAtMs),
          last_used_at: null,
          revoked_at: revokedAtMs === null ? null : new Date(revokedAtMs),
        })
        .execute()
      return { id, secret, as: bearer(secret) }
    },

    async project(organizationId, name = 'Some project') {
      const id = newId('prj')
      const row = { id, organization_id: organizationId, name, default_provider: null, archived_at: null }
      await db
        .insertInto('projects')
        .values({ ...row, created_at: new Date() })
        .execute()
      return id
    },

    async key(projectId, { kind = 'project', expiresAtMs = null, settings = {} } = {}) {
      const id = newId('key')
      const secret = newSecret(kind === 'test' ? 'lgw_test_' : 'lgw_proj_')
      const { organization_id } = await db
        .selectFrom('projects')
        .select('organization_id')
        .where('id', '=', projectId)
        .executeTakeFirstOrThrow()
      await db
        .insertInto('api_keys')
        .values({
          id,
          project_id: projectId,
          organization_id,
          name: 'A key',
          kind,
          secret_sha256: sha256(secret),
          display_prefix: displayPrefix(secret),
          expires_at: expiresAtMs === null ? null : new Date(expiresAtMs),
          revoked_at: null,
          last_used_at: null,
          created_at: new Date(),
          created_by: null,
          settings,
        })
        .execute()
      return { id, secret, as: bearer(secret) }
    },
  }
  return makers
}

export function bearer(secret: string): As {
  return { authorization: `Bearer ${secret}` }
}

interface Call {
  readonly what: string
  readonly as: As
  readonly input: unknown
}

async function call(app: TestApp, { what, as, input }: Call): Promise<Answer> {
  const isRoute = what.includes(' ')
  const sent = isRoute ? input : (input ?? {})
  const [method, path] = isRoute ? what.split(' ') : await trpcLine(what, sent)
  const hasBody = sent !== undefined && method !== 'GET' && method !== 'HEAD'
  const response = await app.fetch(
    new Request(PUBLIC_URL + path, {
      method: method!,
      headers: { ...(hasBody ? { 'content-type': 'application/json' } : {}), ...as },
      ...(hasBody ? { body: JSON.stringify(sent) } : {}),
    }),
  )
  const text = await response.text()
  const read = response.headers.get('content-type')?.startsWith('application/json') && text !== ''
  const body: unknown = read ? JSON.parse(text) : null
  return { status: response.status, headers: response.headers, text, body: isRoute ? body : unwrap(body) }
}

/** What a procedure is called by over HTTP. */
async function trpcLine(procedure: string, input: unknown): Promise<[method: string, path: string]> {
  const { appRouter } = await import('../../server/console/router.ts')
  const procedures: Readonly<Record<string, unknown>> = appRouter._def.procedures
  const found = procedures[procedure] as { readonly _def: { readonly type: string } } | undefined
  if (found === undefined) throw new Error(`There is no procedure ${procedure}`)
  if (found._def.type === 'mutation') return ['POST', `/api/trpc/${procedure}`]
  return ['GET', `/api/trpc/${procedure}?input=${encodeURIComponent(JSON.stringify(input))}`]
}

interface TrpcBody {
  readonly result?: { readonly data: unknown }
  readonly error?: { readonly data: { readonly error: unknown } }
}

function unwrap(body: unknown): unknown {
  const { result, error } = (body ?? {}) as TrpcBody
  if (error === undefined) return result?.data ?? null
  return { error: error.data.error }
}
