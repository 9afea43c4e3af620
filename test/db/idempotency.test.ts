import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { IdempotencyClaim, KeptAnswer } from '../../db/model/idempotency.ts'
import { type IdempotencyStore, idempotencyStore } from '../../db/stores/idempotency.ts'
import { createVault } from '../../db/vault.ts'
import { changeOf } from './control.ts'
import { ENGINES, type TestDatabase } from './engines.ts'
import { NOON_MS } from './samples.ts'

const DAY_MS = 86_400_000
const DEAD_MS = 30_000
const SECRET = 'a master secret for these tests'
const VAULT = createVault([SECRET])
const ANSWER: KeptAnswer = {
  provider: 'openai',
  model: 'gpt-4o-mini',
  contentType: 'text/event-stream; charset=utf-8',
  headers: ['cache-control', 'no-cache'],
  body: `data: what nobody else may read ${Array.from({ length: 256 }, (_, at) => String.fromCharCode(at)).join('')}\n\n`,
}

let count = 0
function claimOf(changes: Partial<IdempotencyClaim> & { readonly atMs?: number } = {}): IdempotencyClaim {
  const { atMs = NOON_MS, ...more } = changes
  count++
  return {
    id: `id_${count}`,
    projectId: 'prj_a',
    fingerprint: 'asked',
    requestId: `req_${count}`,
    nowMs: atMs,
    deadBeforeMs: atMs - DEAD_MS,
    expiresAtMs: atMs + DAY_MS,
    ...more,
  }
}

describe.each(ENGINES)('idempotency keys on $name', (engine) => {
  let on: TestDatabase
  let store: IdempotencyStore
  beforeAll(async () => {
    on = await engine.open()
    store = idempotencyStore(on.database.db, VAULT)
  }, 120_000)
  afterAll(() => on?.dispose())

  it('of fifty that claim one at once exactly one holds it, and the others are told who', async () => {
    const first = claimOf()
    const claims = Array.from({ length: 50 }, (_, at) => ({ ...first, requestId: `req_of_fifty_${at}` }))
    const claimed = await Promise.all(claims.map((claim) => store.claim(claim)))
    const holder = claims[claimed.findIndex(({ state }) => state === 'held')]!
    expect(claimed.filter(({ state }) => state === 'held')).toHaveLength(1)
    const told = { state: 'running', requestId: holder.requestId, fingerprint: 'asked' }
    expect(claimed.filter(({ state }) => state !== 'held')).toEqual(Array(49).fill(told))
    expect(await store.isRunning({ ...first })).toBe(true)
  })

  it('give back the answer byte for byte, until it expires', async () => {
    const claim = claimOf()
    await store.claim(claim)
    expect(await store.finish(claim, ANSWER, NOON_MS + DAY_MS)).toBe(true)
    const again = claimOf({ id: claim.id, fingerprint: 'another', atMs: NOON_MS + DAY_MS - 1 })
    const told = { state: 'answered', requestId: claim.requestId, fingerprint: 'asked', answer: ANSWER }
    expect(await store.claim(again)).toEqual(told)
    expect(await store.isRunning(again)).toBe(false)
    expect(await store.claim(claimOf({ id: claim.id, atMs: NOON_MS + DAY_MS }))).toEqual({ state: 'held' })
  })

  it('an answer that is too large to be kept leaves the key used', async () => {
    const claim = claimOf()
    await store.claim(claim)
    await store.finish(claim, null, NOON_MS + DAY_MS)
    expect(await store.claim(claimOf({ id: claim.id }))).toMatchObject({ state: 'answered', answer: null })
  })

  it('are unreadable in the table, in no other row than their own, and to who has another secret', async () => {
    const [one, other] = [claimOf(), claimOf()]
    for (const claim of [one, other]) {
      await store.claim(claim)
      await store.finish(claim, ANSWER, NOON_MS + DAY_MS)
    }
    const rows = await on.database.db.selectFrom('idempotency_keys').selectAll().execute()
    expect(JSON.stringify(rows)).not.toContain('nobody else')
    expect(JSON.stringify(rows)).not.toContain('gpt-4o')
    const { head, body } = rows.find((row) => row.id === one.id)!
    await on.database.db.updateTable('idempotency_keys').set({ head, body }).where('id', '=', other.id).execute()
    expect(await store.claim(claimOf({ id: other.id }))).toMatchObject({ state: 'answered', answer: null })
    const stranger = idempotencyStore(on.database.db, createVault(['another master secret of others']))
    expect(await stranger.claim(claimOf({ id: one.id }))).toMatchObject({ state: 'answered', answer: null })
  })

  it('are sealed again with a new secret, and are still the same', async () => {
    await on.database.db.deleteFrom('idempotency_keys').execute()
    const [kept, large, running] = [claimOf(), claimOf(), claimOf()]
    for (const claim of [kept, large, running]) await store.claim(claim)
    await store.finish(kept, ANSWER, NOON_MS + DAY_MS)
    await store.finish(large, null, NOON_MS + DAY_MS)
    const both = createVault(['a newer master secret of these tests', SECRET])
    const { columns, done } = await on.stores.sealed.reseal(changeOf(), both, 100)
    const ours = columns.filter(({ table }) => table === 'idempotency_keys')
    expect([done, ours.map(({ column, resealed, unreadable }) => [column, resealed, unreadable])]).toEqual([
      true,
      [
        ['head', 1, 0],
        ['body', 1, 0],
      ],
    ])
    const newest = idempotencyStore(on.database.db, createVault(['a newer master secret of these tests']))
    expect(await newest.claim(claimOf({ id: kept.id }))).toMatchObject({ state: 'answered', answer: ANSWER })
  })

  it('release() frees a key for its holder only, and never an answered one', async () => {
    const claim = claimOf()
    await store.claim(claim)
    await store.release({ ...claim, requestId: 'req_stranger' })
    await store.release({ ...claim, projectId: 'prj_b' })
    expect(await store.isRunning(claim)).toBe(true)
    await store.release(claim)
    expect(await store.isRunning(claim)).toBe(false)
    const next = claimOf({ id: claim.id })
    expect(await store.claim(next)).toEqual({ state: 'held' })
    await store.finish(next, ANSWER, NOON_MS + DAY_MS)
    await store.release(next)
    expect(await store.claim(claimOf({ id: claim.id }))).toMatchObject({ state: 'answered' })
  })

  it('of a dead holder are taken over after its term, once; it can neither end nor free them any more', async () => {
    const dead = claimOf()
    await store.claim(dead)
    const early = claimOf({ id: dead.id, atMs: NOON_MS + DEAD_MS })
    expect(await store.claim(early)).toMatchObject({ state: 'running', requestId: dead.requestId })
    const heirs = [1, 2, 3].map(() => claimOf({ id: dead.id, fingerprint: 'new', atMs: NOON_MS + DEAD_MS + 1 }))
    const claimed = await Promise.all(heirs.map((heir) => store.claim(heir)))
    expect(claimed.map(({ state }) => state).sort()).toEqual(['held', 'running', 'running'])
    const heir = heirs[claimed.findIndex(({ state }) => state === 'held')]!
    expect(await store.finish(dead, ANSWER, NOON_MS + DAY_MS)).toBe(false)
    await store.release(dead)
    expect(await store.finish(heir, ANSWER, NOON_MS + 2 * DAY_MS)).toBe(true)
    expect(await store.finish(heir, null, NOON_MS + 2 * DAY_MS)).toBe(false)
  })

  it('beat() keeps those of a living process, and no other’s', async () => {
    const [one, other, theirs] = [claimOf(), claimOf(), claimOf()]
    for (const claim of [one, other, theirs]) await store.claim(claim)
    await store.beat([], NOON_MS)
    await store.beat([one, other, { ...theirs, requestId: 'req_before' }], NOON_MS + DEAD_MS)
    const later = { nowMs: NOON_MS + DEAD_MS + 1, deadBeforeMs: NOON_MS + 1 }
    const alive = await Promise.all([one, other, theirs].map((claim) => store.isRunning({ ...claim, ...later })))
    expect(alive).toEqual([true, true, false])
  })

  it('sweep() deletes what has expired, however much, and nothing else', async () => {
    await on.database.db.deleteFrom('idempotency_keys').execute()
    const kept = claimOf({ expiresAtMs: NOON_MS + 1 })
    await store.claim(kept)
    const rows = Array.from({ length: 601 }, (_, at) => ({
      ...{ id: `old_${at}`, project_id: 'prj_a', fingerprint: 'f', request_id: 'req_old', answered: at % 2 === 0 },
      ...{ head: null, body: null, alive_at: new Date(0), expires_at: new Date(NOON_MS - at) },
    }))
    await on.database.db.insertInto('idempotency_keys').values(rows).execute()
    expect(await store.sweep(NOON_MS)).toBe(601)
    const left = await on.database.db.selectFrom('idempotency_keys').select('id').execute()
    expect(left).toEqual([{ id: kept.id }])
  })
})
