import { createHmac, randomBytes } from 'node:crypto'
import type { Kv } from '../../db/kv/kv.ts'
import { memoryKv } from '../../db/kv/memory.ts'
import { makeId } from '../../db/model/ids.ts'
import type { AuthOptions } from '../../server/console/people/auth.ts'
import { hashPassword } from '../../server/console/people/password.ts'
import { sessionSecrets } from '../../server/console/people/signing.ts'
import { createPeople, type PeopleOptions } from '../../server/console/people.ts'
import type { Log } from '../../server/deps.ts'
import { systemClock, systemRandom } from '../../server/runtime/system.ts'
import type { Engine, TestDatabase } from '../db/engines.ts'
import { type Visitor, visitor } from './visitor.ts'

export const MASTER = 'the-master-secret-of-people-tests-1'
export const PASSWORD = 'correct horse battery'

export interface LogLine {
  readonly level: 'info' | 'warn' | 'error'
  readonly message: string
  readonly fields: Readonly<Record<string, unknown>>
}

export interface PeopleHouse {
  readonly people: ReturnType<typeof createPeople>
  readonly database: TestDatabase
  readonly log: LogLine[]
  /** Another one on the same database: another instance, or the same after a restart. */
  again(options?: Partial<PeopleOptions>): PeopleHouse
  visit(options?: VisitOptions): Visitor
  /** What better-auth itself is made of there. */
  authOptions(): AuthOptions
  /** Signs up whoever it is, past every limit and mail, and answers a visitor who is signed in. */
  member(email?: string): Promise<Visitor>
  close(): Promise<void>
}

interface VisitOptions {
  readonly address?: string | null
}

/** A database with the default organization and, unless told otherwise, its admin, and people on it. */
export async function peopleHouse(
  engine: Engine,
  options: Partial<PeopleOptions> & { readonly withoutAdmin?: boolean } = {},
): Promise<PeopleHouse> {
  const database = await engine.open()
  await makeDefaults(database)
  if (options.withoutAdmin !== true) await makeAdmin(database)
  return houseOn(database, options)
}

/** As many as anybody takes. */
export function openKv(): Kv {
  return { ...memoryKv(), take: (_key, limit) => ({ allowed: true, remaining: limit, resetMs: 0 }) }
}

let visitors = 0

function houseOn(database: TestDatabase, options: Partial<PeopleOptions>): PeopleHouse {
  const log: LogLine[] = []
  const write =
    (level: LogLine['level']) =>
    (message: string, fields: LogLine['fields'] = {}) =>
      void log.push({ level, message, fields })
  const catcher: Log = { info: write('info'), warn: write('warn'), error: write('error') }
  const all: PeopleOptions = {
    kv: openKv(),
    clock: systemClock,
    random: systemRandom(),
    log: catcher,
    database: { db: database.database.db, type: 'postgres' },
    store: database.stores.people,
    mail: null,
    signUp: 'open',
    clients: { github: null, google: null, oidc: null },
    secrets: [MASTER],
    publicUrl: () => 'http://gateway.test',
    ...options,
  }
  const people = createPeople(all)
  const house: PeopleHouse = {
    people,
    database,
    log,
    again: (more = {}) => houseOn(database, { ...options, ...more }),
    visit({ address = '203.0.113.7' } = {}) {
      return visitor({ base: all.publicUrl(), send: (request) => people.handle(request, address) })
    },
    authOptions: () => ({
      ...all,
      secrets: sessionSecrets(all.secrets),
      publicUrl: all.publicUrl(),
      withOidc: false,
      refusalOf: async () => null,
      later: () => {},
    }),
    async member(email = `member-${++visitors}@example.com`) {
      const one = house.visit()
      const made = await one.post('/api/auth/sign-up/email', { name: 'A Member', email, password: PASSWORD })
      if (made.status !== 200) throw new Error(`Sign-up: ${made.status} ${made.text}`)
      if (all.mail === null) return one
      await database.database.db.updateTable('users').set({ email_verified: true }).where('email', '=', email).execute()
      const signed = await one.post('/api/auth/sign-in/email', { email, password: PASSWORD })
      if (signed.status !== 200) throw new Error(`Sign-in: ${signed.status} ${signed.text}`)
      return one
    },
    async close() {
      await people.settled()
      await database.dispose()
    },
  }
  return house
}

export async function makeDefaults({ stores }: TestDatabase): Promise<string> {
  const id = (prefix: 'org' | 'prj') => makeId(prefix, Date.now(), randomBytes(16))
  const made = await stores.bootstrap.ensureDefaults({
    organizationId: id('org'),
    organizationName: 'Default',
    projectId: id('prj'),
    projectName: 'Default',
    plan: 'free',
    nowMs: Date.now(),
  })
  return made.organizationId
}

export const ADMIN = { email: 'admin@example.com', password: 'the first admin 1' }

async function makeAdmin({ stores }: TestDatabase): Promise<void> {
  const atMs = Date.now()
  const actor = { kind: 'system', id: 'test', name: 'Test' } as const
  const auditId = makeId('aud', atMs, randomBytes(16))
  await stores.people.createAdmin(
    { actor, action: 'setup.createAdmin', atMs, auditId, requestId: null, address: null },
    {
      id: makeId('usr', atMs, randomBytes(16)),
      accountId: randomBytes(12).toString('hex'),
      name: 'Admin',
      email: ADMIN.email,
      passwordHash: await hashPassword(ADMIN.password),
    },
  )
}

/** The code of an authenticator app (RFC 6238), `steps` periods from now. */
export function totp(uri: string, steps = 0): string {
  const secret = fromBase32(new URL(uri).searchParams.get('secret')!)
  const counter = Buffer.alloc(8)
  counter.writeBigUInt64BE(BigInt(Math.floor(Date.now() / 30_000) + steps))
  const digest = createHmac('sha1', secret).update(counter).digest()
  const at = digest.at(-1)! & 15
  return String((digest.readUInt32BE(at) & 0x7fffffff) % 1_000_000).padStart(6, '0')
}

function fromBase32(text: string): Buffer {
  let bits = ''
  for (const letter of text.replace(/=+$/, '')) {
    bits += 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'.indexOf(letter.toUpperCase()).toString(2).padStart(5, '0')
  }
  return Buffer.from(bits.match(/.{8}/g)!.map((byte) => Number.parseInt(byte, 2)))
}
