import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { isAtLeast, ROLES } from '../../db/model/access.ts'
import { ACCESS, type ProcedureName, type Rule, TOKEN_SCOPES, type TokenScope } from '../../server/console/access.ts'
import { EXPORTS } from '../../server/console/exports.ts'
import { openapiDocument } from '../../server/console/openapi.ts'
import { restRoutes } from '../../server/console/rest.ts'
import { appRouter } from '../../server/console/router.ts'
import type { Person } from '../../server/deps.ts'
import { type As, bearer, type ConsoleApp, consoleApp, PUBLIC_URL } from '../helpers/console.ts'
import { type StripeFake, stripeFake } from '../helpers/stripe-fake.ts'
import { INPUTS } from './inputs.ts'
import { contentOf, createStage, type Stage, scopesWithout } from './stage.ts'

/** Every procedure and export × everybody who may come: what the table says, over tRPC and over REST. */

const NAMES = Object.keys(ACCESS) as ProcedureName[]
const ROUTES = new Map(restRoutes().map((route) => [route.procedure, route]))
const EXPORTED = new Set<string>(EXPORTS.map(({ procedure }) => procedure))

let house: ConsoleApp
let stripe: StripeFake
let operator: { readonly person: Person; readonly as: As; readonly token: (scope: TokenScope | null) => Promise<As> }

beforeAll(async () => {
  // Nobody listens there: a test call with a provider key fails at once.
  stripe = await stripeFake()
  house = await consoleApp({ upstreamUrl: 'http://127.0.0.1:9/v1', stripe: stripe.settings })
  const person = await house.person({ operator: true })
  const home = await house.organization({ name: 'Operators' })
  await house.join(home, person.id, 'owner')
  operator = {
    person,
    as: await house.session(person.id),
    async token(scope) {
      const scopes = scope === null ? TOKEN_SCOPES : [scope]
      return (await house.token({ organizationId: home, personId: person.id, scopes })).as
    },
  }
}, 60_000)
afterAll(async () => {
  await house?.close()
  await stripe?.close()
})

describe('the table', () => {
  it('has a row for every procedure and export, and no other', () => {
    const all = [...Object.keys(appRouter._def.procedures), ...EXPORTED]
    expect([...NAMES].sort()).toEqual(all.sort())
    expect(Object.keys(INPUTS).sort()).toEqual(all.sort())
  })

  it('rules over everything that REST answers, and REST answers everything', () => {
    expect([...ROUTES.keys()].sort()).toEqual([...NAMES].sort())
  })
})

interface Visitor {
  readonly name: string
  readonly as: (stage: Stage, rule: Rule) => As | Promise<As>
  readonly person?: (stage: Stage) => Person
  readonly may: (rule: Rule) => boolean
  /** When they may not. */
  readonly refusal: 401 | 403
}

const isRole = (who: Rule['who']): who is (typeof ROLES)[number] => (ROLES as readonly string[]).includes(who)
const forAnyone = ({ who }: Rule): boolean => who === 'anyone'
const forScope = ({ scope }: Rule): readonly TokenScope[] => (scope === null ? TOKEN_SCOPES : [scope])
const there = (as: As, { organizationId }: Stage): As => ({ ...as, 'x-watchllm-organization': organizationId })

const VISITORS: readonly Visitor[] = [
  { name: 'nobody', as: () => null, may: forAnyone, refusal: 401 },
  ...ROLES.map(
    (role): Visitor => ({
      name: role,
      as: (stage) => there(stage.people[role].as, stage),
      person: (stage) => stage.people[role].person,
      may: ({ who }) => who === 'anyone' || who === 'user' || (isRole(who) && isAtLeast(role, who)),
      refusal: 403,
    }),
  ),
  {
    name: 'operator',
    as: (stage) => there(operator.as, stage),
    person: () => operator.person,
    may: ({ who }) => who === 'anyone' || who === 'user' || who === 'operator',
    refusal: 403,
  },
  {
    name: 'a token of the owner with the scope',
    as: (stage, rule) => stage.token(forScope(rule)),
    person: (stage) => stage.people.owner.person,
    may: ({ who, scope }) => who === 'anyone' || (scope !== null && who !== 'operator'),
    refusal: 403,
  },
  {
    name: 'a token of the owner without the scope',
    as: (stage, { scope }) => stage.token(scope === null ? TOKEN_SCOPES : scopesWithout(scope)),
    may: forAnyone,
    refusal: 403,
  },
  {
    name: 'a token of a viewer with every scope',
    as: async ({ organizationId, people }) =>
      (await house.token({ organizationId, personId: people.viewer.person.id, scopes: TOKEN_SCOPES })).as,
    person: (stage) => stage.people.viewer.person,
    may: ({ who, scope }) => who === 'anyone' || (scope !== null && (who === 'user' || who === 'viewer')),
    refusal: 403,
  },
  {
    name: 'a token of the operator, for another organization',
    as: async (stage, { scope }) => there(await operator.token(scope), stage),
    person: () => operator.person,
    may: ({ who, scope }) => who === 'anyone' || (scope !== null && (who === 'user' || who === 'operator')),
    refusal: 403,
  },
  {
    name: 'an API key',
    as: (stage) => stage.key,
    may: ({ who, keys }) => who === 'anyone' || keys === true,
    refusal: 403,
  },
  ...gone('an expired token', (stage, rule) => stage.token(forScope(rule), { expiresAtMs: Date.now() - 1 })),
  ...gone('a revoked token', (stage, rule) => stage.token(forScope(rule), { revokedAtMs: Date.now() - 1 })),
  ...gone('a token of who has left', async ({ organizationId }, rule) => {
    const { id: personId } = await house.person()
    return (await house.token({ organizationId, personId, scopes: forScope(rule) })).as
  }),
  ...gone('a token that nobody made', () => bearer(`lgw_pat_${'a'.repeat(43)}`)),
  ...gone('an expired API key', async ({ projectId }) => (await house.key(projectId, { expiresAtMs: 1 })).as),
  ...gone('a key of no form', () => bearer('sk-0123456789')),
  ...gone('another way to authenticate', () => ({ authorization: 'Basic dXNlcjpwYXNz' })),
  ...gone('an expired session', ({ people }) => house.session(people.owner.person.id, { expiresAtMs: Date.now() - 1 })),
]

function gone(name: string, as: Visitor['as']): [Visitor] {
  return [{ name, as, may: forAnyone, refusal: 401 }]
}

/** Where being let in isn't being answered: the first admin is made once, and no provider gives its figures here. */
const REFUSED_ALL_THE_SAME: Partial<Record<ProcedureName, number>> = { 'setup.createAdmin': 403, 'reconcile.run': 400 }

const { paths: DESCRIBED } = openapiDocument({ publicUrl: PUBLIC_URL, version: 'test' })

/** What the document says of an answer. */
function described(name: ProcedureName): z.ZodType {
  const { method, path } = ROUTES.get(name)!
  const operation = DESCRIBED[path]![method.toLowerCase()] as { readonly responses: Record<string, unknown> }
  const { content } = operation.responses[200] as { readonly content: Record<string, { readonly schema: object }> }
  return z.fromJSONSchema(content['application/json']!.schema as Parameters<typeof z.fromJSONSchema>[0])
}

type Face = 'tRPC' | 'REST'

async function call(name: ProcedureName, face: Face, { as, input }: { as: As; input: object }) {
  if (face === 'tRPC') return house.call(name, as, input)
  const { method, path } = ROUTES.get(name)!
  const rest = new Map(Object.entries(input))
  const filled = path.replace(/\{(\w+)\}/g, (_, id: string) => {
    const value = String(rest.get(id))
    rest.delete(id)
    return encodeURIComponent(value)
  })
  if (method !== 'GET' && method !== 'DELETE')
    return house.call(`${method} /api${filled}`, as, Object.fromEntries(rest))
  const query = new URLSearchParams([...rest].map(([key, value]) => [key, String(value)])).toString()
  return house.call(`${method} /api${filled}${query === '' ? '' : `?${query}`}`, as)
}

const facesOf = (name: string): readonly Face[] => (EXPORTED.has(name) ? ['REST'] : ['tRPC', 'REST'])
const changes = (name: string): boolean => ROUTES.get(name)!.method !== 'GET'

describe.each(NAMES)('%s', { timeout: 60_000 }, (name) => {
  const rule: Rule = ACCESS[name]
  const make = INPUTS[name] as (stage: Stage, who: Person | null) => Promise<object>

  it('is refused to whom the table does not name, and nothing changes', async () => {
    const stage = await createStage(house)
    for (const visitor of VISITORS.filter(({ may }) => !may(rule))) {
      const as = await visitor.as(stage, rule)
      const input = await make(stage, visitor.person?.(stage) ?? null)
      const before = await contentOf(house, stage.organizationId)
      for (const face of facesOf(name)) {
        const { status, body } = await call(name, face, { as, input })
        const code = visitor.refusal === 401 ? 'invalid_api_key' : 'insufficient_permissions'
        expect({ visitor: visitor.name, face, status, body }).toMatchObject({
          status: visitor.refusal,
          body: { error: { code, message: expect.any(String), type: expect.any(String), param: null } },
        })
      }
      expect(await contentOf(house, stage.organizationId)).toBe(before)
    }
  })

  it('answers whom the table names', async () => {
    const answers = EXPORTED.has(name) ? null : described(name)
    let stage = await createStage(house)
    for (const visitor of VISITORS.filter(({ may }) => may(rule))) {
      for (const face of facesOf(name)) {
        if (changes(name)) stage = await createStage(house)
        const as = await visitor.as(stage, rule)
        const input = await make(stage, visitor.person?.(stage) ?? null)
        const { status, body } = await call(name, face, { as, input })
        const expected = invited(name, visitor) ? 404 : (REFUSED_ALL_THE_SAME[name] ?? 200)
        expect(status, `${visitor.name} by ${face}: ${JSON.stringify(body)}`).toBe(expected)
        if (status === 200 && answers !== null) expect(answers.parse(body)).toEqual(body)
      }
    }
  })

  it.runIf(isRole(rule.who))('keeps strangers out, with valid ids of another organization', async () => {
    const stage = await createStage(house)
    const input = await make(stage, null)
    const ids = [stage.organizationId, stage.projectId, stage.keyId, stage.spareUserId, stage.tokenId]
    const named = [...ids, stage.invitationId, stage.credentialId].some((id) => JSON.stringify(input).includes(id))
    const before = await contentOf(house, stage.organizationId)
    for (const face of facesOf(name)) {
      const foreign = await createStage(house)
      const { owner } = foreign.people
      const token = await foreign.token(TOKEN_SCOPES)
      for (const as of [owner.as, token]) {
        const asked = await call(name, face, { as: there(as, stage), input })
        expect(asked).toMatchObject({ status: 403, body: { error: { code: 'insufficient_permissions' } } })
      }
      for (const as of [owner.as, token, foreign.key]) {
        const { status, text } = await call(name, face, { as, input })
        if (named) expect([403, 404], text).toContain(status)
        for (const id of named ? [] : ids) expect(text).not.toContain(id)
      }
    }
    expect(await contentOf(house, stage.organizationId)).toBe(before)
  })
})

/** An invitation is for one address: nobody's is for those who have none. */
function invited(name: ProcedureName, { person }: Visitor): boolean {
  return name === 'invitations.accept' && person === undefined
}
