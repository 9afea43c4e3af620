import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { memoryKv } from '../../db/kv/memory.ts'
import { credentialContext } from '../../db/model/credentials.ts'
import { makeId } from '../../db/model/ids.ts'
import type { TokenScope } from '../../server/console/access.ts'
import { systemRandom } from '../../server/runtime/system.ts'
import { fail, type Instance, instance } from '../breaker/kit.ts'
import { type HandClock, handClock } from '../helpers/clock.ts'
import { type As, type ConsoleApp, consoleApp, PUBLIC_URL } from '../helpers/console.ts'

const RESET = 'POST /v1/providers/health/reset'
const LIST = 'GET /api/platform/provider-health'
const WELL = { status: 'healthy', consecutive_failures: 0, last_failure: null }

let house: ConsoleApp
let breaker: Instance
let clock: HandClock
let paused: string[] = []
let organization: string
let operator: As
let tokenOf: (scopes: readonly TokenScope[]) => Promise<As>

beforeAll(async () => {
  clock = handClock(Date.now())
  breaker = instance({ kv: memoryKv(), clock })
  const pauses = { isPaused: (provider: string) => paused.includes(provider), spent() {} }
  house = await consoleApp({ upstreamUrl: 'http://127.0.0.1:9/v1', clock, deps: { breaker, pauses } })
  organization = await house.organization()
  const person = await house.person({ operator: true })
  await house.join(organization, person.id, 'owner')
  operator = await house.session(person.id)
  tokenOf = async (scopes) => (await house.token({ organizationId: organization, personId: person.id, scopes })).as
}, 60_000)
afterAll(async () => {
  breaker?.close()
  await house?.close()
})
beforeEach(() => {
  clock.advance(1)
  paused = []
  breaker.reset()
})

async function newKey(own: readonly string[] = []): Promise<As> {
  const projectId = await house.project(organization)
  for (const provider of own) await credential({ projectId, organizationId: organization, provider })
  return (await house.key(projectId)).as
}

async function credential(of: { projectId: string; organizationId: string; provider: string }): Promise<void> {
  const id = makeId('crd', Date.now(), systemRandom().bytes(16))
  await house.database.database.db
    .insertInto('provider_credentials')
    .values({
      ...{ id, project_id: of.projectId, organization_id: of.organizationId, provider: of.provider, name: 'A key' },
      ...{ sealed: house.control.vault.seal('sk-0123456789', credentialContext(id)), hint: '6789', weight: 1 },
      ...{ base_url: null, version: null, checked_at: null, check_result: null },
      ...{ created_at: new Date(), updated_at: new Date() },
    })
    .execute()
}

type State = Record<string, unknown>

async function healthFor(as: As): Promise<Record<string, State>> {
  const { status, body } = await house.call('GET /v1/providers/health', as)
  expect([status, (body as State).timestamp]).toEqual([200, new Date(clock.now()).toISOString()])
  return (body as { providers: Record<string, State> }).providers
}

describe('GET /v1/providers/health', () => {
  it('tells how calls of the key would fare: how often a provider failed in a row, and when last', async () => {
    const key = await newKey()
    expect(await healthFor(key)).toMatchObject({ openai: WELL, anthropic: WELL })
    fail(breaker, 2)
    const last = { last_failure: new Date(clock.now()).toISOString() }
    expect((await healthFor(key)).openai).toEqual({ status: 'healthy', consecutive_failures: 2, ...last })
    fail(breaker, 1)
    const after = await healthFor(key)
    expect(after.openai).toEqual({ status: 'unhealthy', consecutive_failures: 3, ...last })
    expect(after.anthropic).toEqual(WELL)
    expect(after).not.toHaveProperty('sandbox')
  })

  it('goes by the project’s own accounts where it has some, else by the platform’s', async () => {
    const [theirs, platforms] = [await newKey(['openai']), await newKey()]
    fail(breaker)
    expect((await healthFor(theirs)).openai).toEqual(WELL)
    expect((await healthFor(platforms)).openai).toMatchObject({ status: 'unhealthy' })
  })

  it('a provider that is paused is so whatever its health; those with own accounts are not held up', async () => {
    const [theirs, platforms] = [await newKey(['openai']), await newKey()]
    fail(breaker)
    paused = ['openai', 'anthropic']
    const health = await healthFor(platforms)
    expect([health.openai, health.anthropic]).toMatchObject([
      { status: 'paused', consecutive_failures: 3 },
      { status: 'paused' },
    ])
    expect((await healthFor(theirs)).openai).toEqual(WELL)
  })

  it('wants a key', async () => {
    expect((await house.call('GET /v1/providers/health', null)).status).toBe(401)
  })
})

describe(RESET, () => {
  const isOpen = () => [breaker.isOpen('openai', 'env'), breaker.isOpen('mistral', 'env')]
  beforeEach(() => {
    for (const provider of ['openai', 'mistral']) breaker.failed(provider, 'env', 'account')
    expect(isOpen()).toEqual([true, true])
  })
  const fromConsole = (as: As): As => ({ ...as, origin: PUBLIC_URL })

  it.each([
    { input: undefined, left: [false, false] },
    { input: {}, left: [false, false] },
    { input: { provider: 'openai' }, left: [false, true] },
  ])('with $input lets calls go again, for an operator who is signed in', async ({ input, left }) => {
    expect(await house.call(RESET, fromConsole(operator), input)).toMatchObject({ status: 200, body: { ok: true } })
    expect(isOpen()).toEqual(left)
  })

  it('an operator’s personal access token may with the scope, and puts it down in the audit log', async () => {
    expect((await house.call(RESET, await tokenOf(['platform:write']), { provider: 'mistral' })).status).toBe(200)
    expect(isOpen()).toEqual([true, false])
    const [entry] = await house.control.stores.auditLog.listAll({ limit: 1, after: null })
    expect(entry).toMatchObject({ action: 'platform.resetProviderHealth', type: 'provider_health', id: 'mistral' })
    expect(entry!.actor.kind).toBe('token')
  })

  it.each([
    ['nobody', 401, async (): Promise<As> => null],
    ['a key of the data plane', 403, () => newKey()],
    ['a token without the scope', 403, () => tokenOf(['platform:read', 'projects:write'])],
    ['an owner who runs no installation', 403, async () => (await house.signedIn(organization, 'owner')).as],
    ['a page of another site', 403, async () => ({ ...operator, origin: 'https://evil.example' })],
  ] as const)('%s gets %i, and nothing changes', async (who, status, make) => {
    const as: As = await make()
    const isSession = who.startsWith('an owner')
    const answer = await house.call(RESET, isSession ? fromConsole(as) : as, { provider: 'openai' })
    expect([answer.status, isOpen()]).toEqual([status, [true, true]])
    expect((answer.body as { error: { code: string } }).error.code).toBe(
      status === 401 ? 'invalid_api_key' : 'insufficient_permissions',
    )
  })

  it.each([
    [{ provider: 'nobody' }, 'provider'],
    [{ provider: 'sandbox' }, 'provider'],
    [{ provider: 7 }, 'provider'],
    [{ provider: '' }, 'provider'],
    [{ account: 'env' }, 'provider'],
    [{ provider: 'openai', account: 'a/b' }, 'account'],
  ])('%j is refused, and nothing changes', async (input, param) => {
    const { status, body } = await house.call(RESET, await tokenOf(['platform:write']), input)
    expect({ status, body }).toMatchObject({ status: 400, body: { error: { code: 'invalid_request', param } } })
    expect(isOpen()).toEqual([true, true])
  })

  it('is not at a provider’s own prefix, where one could think that it is about that one only', async () => {
    const as = await tokenOf(['platform:write'])
    expect((await house.call('POST /v1/openai/providers/health/reset', as, {})).status).toBe(404)
    expect(isOpen()).toEqual([true, true])
  })
})

describe(LIST, () => {
  it('shows an operator each account of the platform: what went wrong, and until when it rests', async () => {
    const write = await tokenOf(['platform:write'])
    const given = { provider: 'openai', name: 'A key', key: 'sk-one-0123456789', save_unchecked: true }
    const { id } = (await house.call('POST /api/platform/providers', write, given)).body as { id: string }
    await expect.poll(() => house.deps.credentials.all!('openai').length, { timeout: 10_000 }).toBe(2)
    breaker.failed('openai', id, 'account')
    breaker.failed('openai', 'env', 'late')
    const { body } = await house.call(LIST, operator)
    const at = (ms: number) => new Date(ms).toISOString()
    const last = { last_failure: at(clock.now()) }
    expect((body as { data: State[] }).data.filter(({ provider }) => provider === 'openai')).toEqual([
      {
        ...{ provider: 'openai', status: 'healthy', consecutive_failures: 1, ...last },
        accounts: [
          {
            id: 'env',
            name: null,
            status: 'healthy',
            consecutive_failures: 1,
            ...last,
            fault: 'late',
            rests_until: null,
          },
          {
            ...{ id, name: 'A key', status: 'unhealthy', consecutive_failures: 1, ...last, fault: 'account' },
            rests_until: at(clock.now() + 600_000),
          },
        ],
      },
    ])
    // A test call that the provider takes, or another key, is a reason to try it at once: here nobody answers.
    await house.call(`POST /api/platform/providers/${id}/test`, write)
    expect(breaker.isOpen('openai', id)).toBe(true)
    const other = { key: 'sk-another-0123456789', save_unchecked: true }
    const edited = await house.call(`PATCH /api/platform/providers/${id}`, write, other)
    expect([edited.status, breaker.isOpen('openai', id)]).toEqual([200, false])
  })
})
