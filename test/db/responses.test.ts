import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { KeptResponse } from '../../db/model/responses.ts'
import { type ResponseStore, responseStore } from '../../db/stores/responses.ts'
import { createVault } from '../../db/vault.ts'
import { ENGINES, type TestDatabase } from './engines.ts'
import { NOON_MS } from './samples.ts'

const DAY_MS = 86_400_000
const SECRET = 'a master secret for these tests'
const WORDS = 'what nobody else may read, \u0000 and \ud800 and “quotes” \u{1f600}'

let count = 0
function sample(changes: Partial<KeptResponse> = {}): KeptResponse {
  const id = changes.id ?? `resp_${++count}`
  return {
    id,
    projectId: 'prj_a',
    organizationId: 'org_a',
    keyId: 'key_a',
    conversation: null,
    previousId: null,
    model: 'gpt-4o-mini',
    status: 'completed',
    inputJson: JSON.stringify([{ role: 'user', content: WORDS }]),
    answerJson: JSON.stringify({ id, output: [{ type: 'message', id: `msg_${id}` }] }),
    itemIds: [`msg_${id}`],
    createdAtMs: NOON_MS,
    expiresAtMs: NOON_MS + 30 * DAY_MS,
    aliveAtMs: null,
    ...changes,
  }
}

describe.each(ENGINES)('kept responses on $name', (engine) => {
  let on: TestDatabase
  let store: ResponseStore
  beforeAll(async () => {
    on = await engine.open()
    store = responseStore(on.database.db, createVault([SECRET]))
  }, 120_000)
  afterAll(() => on?.dispose())

  it('are read back as they were given, by their own project only, until they expire', async () => {
    const given = sample({ model: 'modèle 模型', aliveAtMs: NOON_MS + 5, status: 'in_progress' })
    await store.save(given)
    expect(await store.find('prj_a', given.id, NOON_MS)).toEqual(given)
    expect(await store.find('prj_b', given.id, NOON_MS)).toBeNull()
    expect(await store.find('prj_a', 'resp_none', NOON_MS)).toBeNull()
    expect(await store.find('prj_a', given.id, given.expiresAtMs - 1)).not.toBeNull()
    expect(await store.find('prj_a', given.id, given.expiresAtMs)).toBeNull()
  })

  it('are unreadable in the table, and in no other row than their own', async () => {
    const [one, other] = [sample(), sample()]
    await store.save(one)
    await store.save(other)
    const rows = await on.database.db.selectFrom('responses').selectAll().execute()
    expect(JSON.stringify(rows)).not.toContain('nobody else')
    expect(JSON.stringify(rows)).not.toContain('"output"')
    const { answer, input } = rows.find((row) => row.id === one.id)!
    await on.database.db.updateTable('responses').set({ answer, input }).where('id', '=', other.id).execute()
    await expect(store.find('prj_a', other.id, NOON_MS)).rejects.toThrow('changed')
  })

  it('saving the same again changes nothing', async () => {
    const given = sample()
    await Promise.all([store.save(given), store.save(given)])
    await store.save({ ...given, answerJson: '{"output":[]}', projectId: 'prj_b' })
    expect(await store.find('prj_a', given.id, NOON_MS)).toEqual(given)
    expect(await store.find('prj_b', given.id, NOON_MS)).toBeNull()
  })

  it('a chain has every turn in order, of one project, and says when its beginning is gone', async () => {
    const turns: KeptResponse[] = []
    for (let at = 0; at < 5; at++) turns.push(sample({ previousId: turns[at - 1]?.id ?? null, createdAtMs: NOON_MS }))
    for (const turn of turns) await store.save(turn)
    const { id } = turns[4]!
    const chain = await store.chain('prj_a', id, NOON_MS)
    expect(chain?.whole).toBe(true)
    expect(chain?.turns).toEqual(turns.map(({ id, inputJson, answerJson }) => ({ id, inputJson, answerJson })))
    expect(await store.chain('prj_b', id, NOON_MS)).toBeNull()
    expect(await store.delete('prj_a', turns[1]!.id)).toBe(true)
    const rest = await store.chain('prj_a', id, NOON_MS)
    expect(rest?.whole).toBe(false)
    expect(rest?.turns.map((turn) => turn.id)).toEqual(turns.slice(2).map((turn) => turn.id))
    // Another project's response is no part of a chain, whatever a row says.
    const theirs = sample({ projectId: 'prj_b', previousId: id })
    await store.save(theirs)
    expect((await store.chain('prj_b', theirs.id, NOON_MS))?.turns).toHaveLength(1)
  })

  it('an item is found by its id in the youngest response that has it, in its project', async () => {
    const old = sample({ itemIds: ['rs_1', 'msg_same'], createdAtMs: NOON_MS - 5 })
    const young = sample({ itemIds: ['msg_same', 'msg_"quoted"'] })
    await store.save(old)
    await store.save(young)
    expect((await store.findItem('prj_a', 'msg_same', NOON_MS))?.id).toBe(young.id)
    expect((await store.findItem('prj_a', 'rs_1', NOON_MS))?.id).toBe(old.id)
    expect((await store.findItem('prj_a', 'msg_"quoted"', NOON_MS))?.id).toBe(young.id)
    expect(await store.findItem('prj_b', 'rs_1', NOON_MS)).toBeNull()
    expect(await store.findItem('prj_a', 'rs_', NOON_MS)).toBeNull()
  })

  it('finish() ends one that runs, once, and never brings back what was deleted', async () => {
    const running = sample({ status: 'in_progress', aliveAtMs: NOON_MS })
    await store.save(running)
    const end = { ...running, status: 'completed' as const, answerJson: '{"output":[1]}', itemIds: ['msg_end'] }
    expect(await store.finish({ ...end, projectId: 'prj_b' })).toBe(false)
    expect(await store.finish(end)).toBe(true)
    expect(await store.finish({ ...end, status: 'cancelled' })).toBe(false)
    expect(await store.find('prj_a', running.id, NOON_MS)).toEqual(end)
    await store.delete('prj_a', running.id)
    expect(await store.finish(end)).toBe(false)
    expect(await store.find('prj_a', running.id, NOON_MS)).toBeNull()
  })

  it('beat() says what became of it', async () => {
    const running = sample({ status: 'in_progress', aliveAtMs: NOON_MS })
    await store.save(running)
    expect(await store.beat('prj_a', running.id, NOON_MS + 9)).toBe('in_progress')
    expect((await store.find('prj_a', running.id, NOON_MS))?.aliveAtMs).toBe(NOON_MS + 9)
    await store.finish({ ...running, status: 'cancelled' })
    expect(await store.beat('prj_a', running.id, NOON_MS)).toBe('cancelled')
    expect(await store.beat('prj_b', running.id, NOON_MS)).toBeNull()
  })

  it('delete() leaves no row behind, and no other project can', async () => {
    const given = sample()
    await store.save(given)
    expect(await store.delete('prj_b', given.id)).toBe(false)
    expect(await store.delete('prj_a', given.id)).toBe(true)
    expect(await store.delete('prj_a', given.id)).toBe(false)
    const left = await on.database.db.selectFrom('responses').select('id').where('id', '=', given.id).execute()
    expect(left).toEqual([])
  })

  it('prolong() keeps a chain for as long as its end, in steps of a day', async () => {
    const given = sample()
    await store.save(given)
    const end = async () => (await store.find('prj_a', given.id, NOON_MS))?.expiresAtMs
    await store.prolong('prj_a', [], 0)
    await store.prolong('prj_a', [given.id], given.expiresAtMs + DAY_MS)
    expect(await end()).toBe(given.expiresAtMs)
    await store.prolong('prj_b', [given.id], given.expiresAtMs + 2 * DAY_MS)
    expect(await end()).toBe(given.expiresAtMs)
    await store.prolong('prj_a', [given.id], given.expiresAtMs + 2 * DAY_MS)
    expect(await end()).toBe(given.expiresAtMs + 2 * DAY_MS)
  })

  it('sweep() deletes what has expired, however much, and nothing else', async () => {
    await on.database.db.deleteFrom('responses').execute()
    const kept = sample({ expiresAtMs: NOON_MS + 1 })
    await store.save(kept)
    const { input, answer } = await on.database.db.selectFrom('responses').selectAll().executeTakeFirstOrThrow()
    const old = sample({ expiresAtMs: NOON_MS })
    await store.save(old)
    for (let at = 0; at < 2; at++) {
      const rows = Array.from({ length: 300 }, (_, n) => ({
        ...{
          id: `resp_old_${at}_${n}`,
          project_id: 'prj_a',
          organization_id: 'o',
          key_id: 'k',
          model: 'm',
          input,
          answer,
        },
        ...{ conversation: null, previous_id: null, status: 'completed' as const, item_ids: [], alive_at: null },
        ...{ created_at: new Date(0), expires_at: new Date(NOON_MS - n) },
      }))
      await on.database.db.insertInto('responses').values(rows).execute()
    }
    expect(await store.sweep(NOON_MS)).toBe(601)
    const left = await on.database.db.selectFrom('responses').select('id').execute()
    expect(left).toEqual([{ id: kept.id }])
  })
})
