import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { BodyFacts, KeptCall } from '../../db/model/call-bodies.ts'
import type { BodyRules } from '../../db/model/settings.ts'
import { createVault } from '../../db/vault.ts'
import { type OpenBodies, openBodies } from '../../server/bodies.ts'
import { addOrganization, newId } from '../db/control.ts'
import { ENGINES, type TestDatabase } from '../db/engines.ts'
import { NOON_MS } from '../db/samples.ts'
import { type HandClock, handClock } from '../helpers/clock.ts'

const VAULT = createVault(['a master secret for these tests'])
const RULES: BodyRules = { days: 3, redact: false, maxBytes: 4096 }
const WRITE_AFTER_MS = 300

describe.each(ENGINES)('openBodies() on $name', (engine) => {
  let on: TestDatabase
  let project: Pick<BodyFacts, 'projectId' | 'organizationId'>
  beforeAll(async () => {
    on = await engine.open()
    const organizationId = await addOrganization(on.database.db)
    project = { organizationId, projectId: newId('prj') }
    const at = new Date(NOON_MS)
    const row = { id: project.projectId, organization_id: organizationId, name: 'P', default_provider: null }
    await on.database.db
      .insertInto('projects')
      .values({ ...row, created_at: at, archived_at: null, settings: {} })
      .execute()
  }, 120_000)
  afterAll(() => on?.dispose())

  let clock: HandClock
  let bodies: OpenBodies
  let isAway: boolean
  let batches: (readonly KeptCall[])[]
  let logs: string[]
  let ended: (() => void)[]
  beforeEach(async () => {
    await on.database.db.deleteFrom('call_bodies').execute()
    bodies = opened()
  })
  afterEach(async () => {
    isAway = false
    await bodies.close()
  })

  function opened(maxHeldBytes?: number): OpenBodies {
    clock = handClock(NOON_MS)
    ;[isAway, batches, logs, ended] = [false, [], [], []]
    const say = (level: string) => (message: string) => void logs.push(`${level}: ${message}`)
    const store = {
      find: on.stores.callBodies.find,
      async insertBatch(calls: readonly KeptCall[]) {
        batches.push(calls)
        try {
          if (isAway) throw new Error('The database is away')
          await on.stores.callBodies.insertBatch(calls)
        } finally {
          setImmediate(() => ended.splice(0).forEach((tell) => void tell()))
        }
      },
    }
    const log = { info: say('info'), warn: say('warn'), error: say('error') }
    return openBodies({ store, vault: VAULT, clock, log, ...(maxHeldBytes === undefined ? {} : { maxHeldBytes }) })
  }

  /** Resolves behind the next try to write. */
  const tried = () => new Promise<void>((resolve) => void ended.push(resolve))

  function factsOf(changes: Partial<BodyFacts> = {}): BodyFacts {
    const facts = { callId: newId('req'), createdAtMs: NOON_MS, endpoint: 'chat.completions', model: 'gpt-4o' }
    return { ...project, ...facts, pinned: null, stream: false, ...changes }
  }

  function keep(request: string, answer: string, changes: Partial<BodyFacts> = {}, rules = RULES): string {
    const facts = factsOf(changes)
    const take = bodies.take(facts, { bytes: Buffer.from(request), contentType: 'application/json' }, rules)
    for (let at = 0; at < answer.length; at += 7) take.push(Buffer.from(answer.slice(at, at + 7)))
    take.end('text/plain; charset=utf-8')
    return facts.callId
  }

  const stored = async () =>
    (await on.database.db.selectFrom('call_bodies').select('call_id').orderBy('call_id').execute()).map(
      ({ call_id }) => call_id,
    )

  it('writes what was said a moment later, sealed, in batches, and gives it back as it was', async () => {
    const ids = Array.from({ length: 250 }, (_, at) => keep(`{"n":${at},"漢":"\0"}`, `answer ${at}`))
    clock.advance(WRITE_AFTER_MS - 1)
    expect(batches).toEqual([])
    const done = tried()
    clock.advance(1)
    await done
    const kept = (await bodies.find(project.projectId, ids[249]!))!
    expect(batches.map((batch) => batch.length)).toEqual([100, 100, 50])
    expect(await stored()).toEqual([...ids].sort())
    expect(kept).toEqual({
      ...factsOf({ callId: ids[249]! }),
      expiresAtMs: NOON_MS + 3 * 86_400_000,
      request: {
        ...{
          text: '{"n":249,"漢":"\0"}',
          contentType: 'application/json',
          bytes: 19,
          truncated: false,
          redacted: false,
        },
      },
      answer: {
        ...{
          text: 'answer 249',
          contentType: 'text/plain; charset=utf-8',
          bytes: 10,
          truncated: false,
          redacted: false,
        },
      },
    })
    const rows = JSON.stringify(await on.database.db.selectFrom('call_bodies').selectAll().execute())
    expect(rows).not.toContain('answer 1')
    expect(await bodies.find('prj_other', ids[0]!)).toBeNull()
  })

  it('finds what has just ended without waiting, and only until it expires', async () => {
    const id = keep('{}', 'yes')
    expect(await bodies.find(project.projectId, id)).toMatchObject({ answer: { text: 'yes' } })
    clock.advance(3 * 86_400_000)
    expect(await bodies.find(project.projectId, id)).toBeNull()
  })

  it('copies: what becomes of the bytes afterwards changes nothing, and only the first end counts', async () => {
    const facts = factsOf()
    const request = Buffer.from('{"a":1}')
    const take = bodies.take(facts, { bytes: request, contentType: null }, RULES)
    const chunk = Buffer.from('said')
    take.push(chunk)
    request.fill(0)
    chunk.fill(0)
    take.end('a/b')
    take.push(Buffer.from('more'))
    take.end('c/d')
    expect(await bodies.find(project.projectId, facts.callId)).toMatchObject({
      request: { text: '{"a":1}', contentType: null },
      answer: { text: 'said', contentType: 'a/b', bytes: 4 },
    })
    expect(batches.flat()).toHaveLength(1)
  })

  it('cuts at the cap, and redacts before anything is written', async () => {
    const long = keep('r'.repeat(5000), 'a'.repeat(5001))
    const rules = { ...RULES, redact: true }
    const personal = keep('{"q":"mail bob@example.com"}', 'Call +49 30 1234567 then', {}, rules)
    const harmless = keep('{"q": "hi"}', 'hi', {}, rules)
    expect(await bodies.find(project.projectId, long)).toMatchObject({
      request: { text: 'r'.repeat(4096), bytes: 5000, truncated: true },
      answer: { text: 'a'.repeat(4096), bytes: 5001, truncated: true },
    })
    expect(await bodies.find(project.projectId, personal)).toMatchObject({
      request: { text: '{"q":"mail [e-mail]"}', truncated: false, redacted: true },
      answer: { text: 'Call [phone] then', redacted: true },
    })
    expect(await bodies.find(project.projectId, harmless)).toMatchObject({
      request: { text: '{"q": "hi"}', redacted: false },
      answer: { text: 'hi', redacted: false },
    })
  })

  it('waits while the database is away, says so once, and writes all when it is back', async () => {
    isAway = true
    const ids = [keep('{}', 'one')]
    for (const afterMs of [WRITE_AFTER_MS, 1_000, 2_000, 4_000]) {
      const done = tried()
      clock.advance(afterMs - 1)
      expect(batches).toHaveLength(ids.length - 1)
      clock.advance(1)
      await done
      ids.push(keep('{}', 'more'))
    }
    expect(logs).toEqual(['warn: Bodies of calls can not be stored: they wait in memory'])
    expect(await stored()).toEqual([])
    isAway = false
    const done = tried()
    clock.advance(8_000)
    await done
    expect(await stored()).toEqual([...ids].sort())
    expect(logs.at(-1)).toBe('info: Bodies of calls are stored again')
  })

  it('holds no more than its bound: the oldest are dropped, which is said once', async () => {
    bodies = opened(10_000)
    isAway = true
    const ids = Array.from({ length: 100 }, () => keep('r'.repeat(500), 'a'.repeat(500)))
    expect(logs).toEqual(['warn: Bodies of calls come faster than they can be stored: the oldest are dropped'])
    isAway = false
    await bodies.find(project.projectId, ids[99]!)
    expect(await stored()).toEqual([...ids.slice(90)].sort())
    expect(logs.at(-1)).toBe('info: Bodies of calls are stored again')
  })

  it('calls under way count: what finds no room is cut or left out, and there is room again when they end', async () => {
    bodies = opened(10_000)
    const begin = () => {
      const facts = factsOf({ stream: true })
      return { facts, take: bodies.take(facts, { bytes: Buffer.alloc(1000, 'r'), contentType: null }, RULES) }
    }
    const calls = Array.from({ length: 12 }, begin)
    for (const { take } of calls) take.push(Buffer.alloc(100, 'a'))
    for (const { take } of calls) take.end(null)
    const found = await Promise.all(calls.map(({ facts }) => bodies.find(project.projectId, facts.callId)))
    expect(found.map((kept) => kept !== null)).toEqual([...Array(10).fill(true), false, false])
    expect(found[0]!.answer).toMatchObject({ text: null, bytes: 100, truncated: true })
    const after = keep('{}', 'there is room')
    expect(await bodies.find(project.projectId, after)).toMatchObject({ answer: { text: 'there is room' } })
  })

  it('never holds up a call, nor throws: not for an answer of any length, nor when it is closed', async () => {
    const take = bodies.take(factsOf(), { bytes: Buffer.from('{}'), contentType: null }, RULES)
    const chunk = Buffer.alloc(1024 * 1024)
    for (let at = 0; at < 2000; at++) take.push(chunk)
    await bodies.close()
    take.end(null)
    const late = bodies.take(factsOf(), { bytes: Buffer.from('{}'), contentType: null }, RULES)
    late.push(chunk)
    late.end(null)
    expect(clock.timers).toBe(0)
  })

  it('writes what waits before it is closed, or says what is lost', async () => {
    const id = keep('{}', 'the last')
    await bodies.close()
    expect(await stored()).toEqual([id])
    bodies = opened()
    isAway = true
    keep('{}', 'too late')
    await bodies.close()
    expect(logs).toContain('warn: Bodies of calls were not stored before the end')
    expect(clock.timers).toBe(0)
  })

  it('what no secret opens is an error, not an answer', async () => {
    const id = keep('{}', 'yes')
    await bodies.find(project.projectId, id)
    const stranger = openBodies({
      ...{ store: on.stores.callBodies, vault: createVault(['another master secret']), clock },
      log: { info() {}, warn() {}, error() {} },
    })
    await expect(stranger.find(project.projectId, id)).rejects.toThrow('No master secret fits')
  })
})
