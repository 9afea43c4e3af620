import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ROLES, type Role } from '../../db/model/access.ts'
import { ACCESS, type Rule, TOKEN_SCOPES, type TokenScope } from '../../server/console/access.ts'
import { sha256Of } from '../../server/console/secret.ts'
import { type ConsoleApp, consoleApp } from '../helpers/console.ts'
import { as, auditText, entriesOf, newMember, outcome } from './callers.ts'

const DAY_MS = 86_400_000

/** The least role that a scope is of use to, written down by hand; null: only who runs the installation. */
const LEAST: Readonly<Record<TokenScope, Role | null>> = {
  'organization:read': 'viewer',
  'organization:write': 'admin',
  'projects:read': 'viewer',
  'projects:write': 'member',
  'keys:read': 'viewer',
  'keys:write': 'member',
  'credentials:read': 'viewer',
  'credentials:write': 'admin',
  'usage:read': 'viewer',
  'billing:read': 'viewer',
  'billing:write': 'admin',
  'alerts:read': 'viewer',
  'alerts:write': 'admin',
  'audit:read': 'admin',
  'bodies:read': 'admin',
  'bodies:write': 'admin',
  'platform:read': null,
  'platform:write': null,
}

let house: ConsoleApp
beforeAll(async () => {
  house = await consoleApp()
}, 120_000)
afterAll(() => house?.close())

describe('access tokens', () => {
  it.each(ROLES)('%s gets tokens for what they can do themselves, and for nothing else', async (role) => {
    const org = await house.organization()
    const { api, person } = await newMember(house, org, role)
    const runner = await as(house, { ...person, operator: true }, { organizationId: org })
    for (const scope of TOKEN_SCOPES) {
      const least = LEAST[scope]
      const may = least !== null && ROLES.indexOf(role) >= ROLES.indexOf(least)
      const input = { name: 'A token', scopes: [scope] }
      expect([scope, await outcome(api.tokens.create(input))]).toEqual([scope, may ? 'ok' : 'insufficient_permissions'])
      const runs = may || least === null
      expect([scope, await outcome(runner.tokens.create(input))]).toEqual([
        scope,
        runs ? 'ok' : 'insufficient_permissions',
      ])
    }
    const mixed = { name: 'A token', scopes: ['usage:read', 'platform:write'] as TokenScope[] }
    expect(await outcome(api.tokens.create(mixed))).toBe('insufficient_permissions')
  })

  it('every scope is of use to some procedure', () => {
    const used = new Set(Object.values<Rule>(ACCESS).map((rule) => rule.scope))
    for (const scope of TOKEN_SCOPES) expect(used.has(scope)).toBe(true)
  })

  it('a token is shown once, and only its hash is kept anywhere', async () => {
    const org = await house.organization()
    const { api, person } = await newMember(house, org, 'member')
    const made = await api.tokens.create({ name: ' Build ', scopes: ['keys:write', 'keys:write', 'usage:read'] })
    expect(made.token).toMatch(/^lgw_pat_[\w-]{43}$/)
    expect(made).toMatchObject({ name: 'Build', scopes: ['keys:write', 'usage:read'] })
    expect(Date.parse(made.expires_at) - Date.parse(made.created_at)).toBe(90 * DAY_MS)
    const found = await house.control.stores.tokens.findBySecretHash(sha256Of(made.token))
    expect(found).toMatchObject({ id: made.id, organizationId: org, person: { id: person.id }, role: 'member' })
    const { data } = await api.tokens.list({})
    expect(data).toMatchObject([{ id: made.id, email: person.email, last_used_at: null, revoked_at: null }])
    expect(made.token.startsWith(data[0]!.display_prefix.slice(0, -1))).toBe(true)
    expect(JSON.stringify(data)).not.toContain(made.token)
    const rows = await house.database.database.db.selectFrom('access_tokens').selectAll().execute()
    expect(JSON.stringify(rows)).not.toContain(made.token)
    const logged = await auditText(house)
    expect(logged).not.toContain(made.token)
    expect(logged).not.toContain(sha256Of(made.token))
    expect(await entriesOf(house, org)).toMatchObject([
      { action: 'tokens.create', target_id: made.id, before: null, after: { name: 'Build' } },
    ])
  })

  it('a token lives 1 to 365 days', async () => {
    const { api } = await newMember(house, await house.organization(), 'viewer')
    const create = (expires_in_days: number) =>
      api.tokens.create({ name: 'A token', scopes: ['usage:read'], expires_in_days })
    for (const days of [0, -1, 366, 1.5, Number.NaN]) expect(await outcome(create(days))).toBe('invalid_request')
    for (const days of [1, 365]) {
      const { created_at, expires_at } = await create(days)
      expect(Date.parse(expires_at) - Date.parse(created_at)).toBe(days * DAY_MS)
    }
  })

  it('bad names and scopes are refused', async () => {
    const { api } = await newMember(house, await house.organization(), 'owner')
    const good = { name: 'A token', scopes: ['usage:read'] as TokenScope[] }
    for (const name of ['', '   ', 'a\u0000b', 'a\nb', 'x'.repeat(101)]) {
      expect(await outcome(api.tokens.create({ ...good, name }))).toBe('invalid_request')
    }
    for (const scopes of [[], ['everything'], ['constructor']]) {
      expect(await outcome(api.tokens.create({ ...good, scopes: scopes as TokenScope[] }))).toBe('invalid_request')
    }
  })

  it.each(ROLES.flatMap((mine) => ROLES.map((theirs) => ({ mine, theirs }))))(
    '$mine sees and revokes a token of $theirs only from admin up',
    async ({ mine, theirs }) => {
      const org = await house.organization()
      const [me, other] = [await newMember(house, org, mine), await newMember(house, org, theirs)]
      const scopes: TokenScope[] = ['usage:read']
      const [own, foreign] = [
        await me.api.tokens.create({ name: 'Mine', scopes }),
        await other.api.tokens.create({ name: 'Theirs', scopes }),
      ]
      const mayAll = mine === 'admin' || mine === 'owner'
      const seen = (await me.api.tokens.list({})).data.map((token) => token.name).sort()
      expect(seen).toEqual(mayAll ? ['Mine', 'Theirs'] : ['Mine'])
      expect(await outcome(me.api.tokens.revoke({ id: foreign.id }))).toBe(mayAll ? 'ok' : 'not_found')
      const found = await house.control.stores.tokens.findBySecretHash(sha256Of(foreign.token))
      expect(found?.revokedAtMs !== null).toBe(mayAll)
      expect(await outcome(me.api.tokens.revoke({ id: own.id }))).toBe('ok')
      expect(await outcome(me.api.tokens.revoke({ id: own.id }))).toBe('not_found')
      const revoked = (await entriesOf(house, org)).filter((entry) => entry.action === 'tokens.revoke')
      expect(revoked).toHaveLength(mayAll ? 2 : 1)
      expect(revoked.every((entry) => entry.after === null && entry.before !== null)).toBe(true)
    },
  )

  it('tokens of another organization are as unknown as none, even to its owner elsewhere', async () => {
    const [org, foreign] = [await house.organization(), await house.organization()]
    const { api } = await newMember(house, org, 'owner')
    const other = await newMember(house, foreign, 'viewer')
    const { id, token } = await other.api.tokens.create({ name: 'Theirs', scopes: ['usage:read'] })
    for (const one of [id, 'tok_none']) expect(await outcome(api.tokens.revoke({ id: one }))).toBe('not_found')
    expect((await api.tokens.list({})).data).toEqual([])
    expect((await house.control.stores.tokens.findBySecretHash(sha256Of(token)))?.revokedAtMs).toBeNull()
  })

  it('a token can not make, see or revoke tokens', async () => {
    const org = await house.organization()
    const { person } = await newMember(house, org, 'owner')
    const caller = { kind: 'token', person, tokenId: 'tok_1', tokenName: 'T', organizationId: org } as const
    const api = await as(house, person, { organizationId: org, caller: { ...caller, scopes: TOKEN_SCOPES } })
    expect(await outcome(api.tokens.create({ name: 'T', scopes: ['usage:read'] }))).toBe('insufficient_permissions')
    expect(await outcome(api.tokens.list({}))).toBe('insufficient_permissions')
    expect(await outcome(api.tokens.revoke({ id: 'tok_1' }))).toBe('insufficient_permissions')
    expect(await outcome(api.members.list({}))).toBe('ok')
  })
})
