import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { scopeOf } from '../../db/model/access.ts'
import { makeId } from '../../db/model/ids.ts'
import { auditCsv } from '../../server/console/audit.ts'
import { csvLine } from '../../server/console/csv.ts'
import { type ConsoleApp, consoleApp } from '../helpers/console.ts'
import { Random } from '../helpers/random.ts'
import { as, newMember, outcome } from './callers.ts'

let house: ConsoleApp
beforeAll(async () => {
  house = await consoleApp()
}, 120_000)
afterAll(() => house?.close())

const random = new Random(1)
const AT_MS = Date.UTC(2026, 4, 17, 12)

async function addEntries(org: string, count: number, actorName = 'someone@example.com'): Promise<readonly string[]> {
  const rows = Array.from({ length: count }, (_, n) => ({
    id: makeId('aud', AT_MS + n, random.bytes(16)),
    organization_id: org,
    created_at: new Date(AT_MS + n),
    actor_kind: 'user' as const,
    actor_id: 'usr_1',
    actor_name: actorName,
    action: 'keys.create',
    target_type: 'key',
    target_id: `key_${n}`,
    before: null,
    after: { n, name: '=1+1,"x"\n' },
    request_id: null,
    address: null,
  }))
  for (let at = 0; at < rows.length; at += 500) {
    const some = rows.slice(at, at + 500)
    await house.database.database.db.insertInto('audit_log').values(some).execute()
  }
  return rows.map((row) => row.id).reverse()
}

/** The cells of CSV, read by a reader of our own. */
function readCsv(text: string): string[][] {
  const lines: string[][] = [[]]
  for (const [, quoted, plain, end] of text.matchAll(/(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r\n|$)/g)) {
    lines.at(-1)!.push(quoted?.replaceAll('""', '"') ?? plain ?? '')
    if (end === '\r\n') lines.push([])
    if (end === '') break
  }
  return lines.slice(0, -1)
}

describe('the audit log', () => {
  it('lists by pages, newest first, to admins only', async () => {
    const org = await house.organization()
    const ids = await addEntries(org, 7)
    const { api } = await newMember(house, org, 'admin')
    const first = await api.audit.list({ limit: 4 })
    expect(first.data.map((entry) => entry.id)).toEqual(ids.slice(0, 4))
    const second = await api.audit.list({ limit: 4, cursor: first.next_cursor! })
    expect(second.data.map((entry) => entry.id)).toEqual(ids.slice(4))
    expect(second.next_cursor).toBeNull()
    expect(second.data.at(-1)).toEqual({
      id: ids.at(-1),
      organization_id: org,
      created_at: '2026-05-17T12:00:00.000Z',
      actor: { kind: 'user', id: 'usr_1', name: 'someone@example.com' },
      action: 'keys.create',
      target: { type: 'key', id: 'key_0' },
      before: null,
      after: { n: 0, name: '=1+1,"x"\n' },
      request_id: null,
      address: null,
    })
    const member = await newMember(house, org, 'member')
    expect(await outcome(member.api.audit.list({}))).toBe('insufficient_permissions')
  })

  it('filters by who, what and when; a filter that can not be is refused', async () => {
    const org = await house.organization()
    await addEntries(org, 5)
    const { api } = await newMember(house, org, 'owner')
    const from = '2026-05-17T12:00:00.001Z'
    const found = await api.audit.list({ from, to: '2026-05-17T12:00:00.003Z', action: 'keys', actor: 'usr_1' })
    expect(found.data.map((entry) => entry.target.id)).toEqual(['key_2', 'key_1'])
    expect((await api.audit.list({ target: 'key_4' })).data).toHaveLength(1)
    expect((await api.audit.list({ actor: 'usr_2' })).data).toEqual([])
    for (const bad of [{ from: 'yesterday' }, { to: '2026-02-30T00:00:00Z' }, { actor: 'a\u0000' }, { limit: 101 }]) {
      expect(await outcome(api.audit.list(bad))).toBe('invalid_request')
    }
  })

  it('shows nothing of another organization, whatever is asked for', async () => {
    const [org, foreign] = [await house.organization(), await house.organization()]
    const [theirs] = await addEntries(foreign, 3)
    const { api } = await newMember(house, org, 'owner')
    for (const filters of [{}, { cursor: theirs! }, { actor: 'usr_1' }, { target: 'key_1' }]) {
      expect((await api.audit.list(filters)).data).toEqual([])
    }
  })

  it('who runs the installation sees what belongs to no organization, too', async () => {
    const runner = await house.person({ operator: true })
    const api = await as(house, runner)
    const { id } = await api.organizations.create({ name: 'Short-lived' })
    await (await as(house, runner, { organizationId: id })).organizations.delete({})
    const { data } = await api.platform.audit({ organization_id: id })
    expect(data.map((entry) => entry.action).sort()).toEqual(['organizations.create', 'organizations.delete'])
  })
})

describe('the audit log as CSV', () => {
  it('holds each entry once, whole, in pages that are made only when they are asked for', async () => {
    const org = await house.organization()
    const ids = await addEntries(org, 1_003)
    let asked = 0
    const { auditLog } = house.control.stores
    const list: typeof auditLog.list = (...of) => {
      asked++
      return auditLog.list(...of)
    }
    const counted = { ...auditLog, list }
    const control = { ...house.control, stores: { ...house.control.stores, auditLog: counted } }
    let text = ''
    let chunks = 0
    for await (const chunk of auditCsv(control, scopeOf(org), {})) {
      expect(asked).toBe(chunks)
      expect(chunk.endsWith('\r\n')).toBe(true)
      text += chunk
      chunks++
    }
    const [head, ...lines] = readCsv(text)
    expect(head).toContain('actor_name')
    const column = (name: string) => head!.indexOf(name)
    expect(lines.map((line) => line[column('id')])).toEqual(ids)
    expect(lines.every((line) => line.length === head!.length)).toBe(true)
    expect(lines.at(-1)![column('after')]).toBe(JSON.stringify({ n: 0, name: '=1+1,"x"\n' }))
    const filtered = []
    for await (const chunk of auditCsv(house.control, scopeOf(org), { target: 'key_7' })) filtered.push(chunk)
    expect(readCsv(filtered.join(''))).toHaveLength(2)
  })

  it('runs no formula that somebody called themselves', async () => {
    const org = await house.organization()
    await addEntries(org, 1, '=HYPERLINK("http://evil.test")')
    const chunks = []
    for await (const chunk of auditCsv(house.control, scopeOf(org), {})) chunks.push(chunk)
    const [head, line] = readCsv(chunks.join(''))
    expect(line![head!.indexOf('actor_name')]).toBe(`'=HYPERLINK("http://evil.test")`)
  })

  it.each(['=1', '+1+1', '-1-1', '@x', '\tx', '\rx', '+', '-'])('csvLine() makes %j text', (cell) => {
    expect(readCsv(csvLine(['a', cell]))).toEqual([['a', `'${cell}`]])
  })

  it('csvLine() leaves numbers and all other text as they are', () => {
    const cells = [-1, -1.5, 0, '-3', 'a=b', '', ' =1', 'a,b', '"', 'x\r\ny', true, null]
    expect(readCsv(csvLine(cells))).toEqual([cells.map((cell) => (cell === null ? '' : String(cell)))])
  })
})
