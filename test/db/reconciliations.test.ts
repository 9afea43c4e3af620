import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { OWN_KEY_CHARGE } from '../../db/model/charge.ts'
import { adminCredentialContext, dayMs, MAX_ADMIN_CREDENTIALS, NO_FIGURES } from '../../db/model/reconcile.ts'
import { NO_USAGE } from '../../db/model/usage.ts'
import type { NewReconciliation } from '../../db/stores/reconciliations.ts'
import { createVault } from '../../db/vault.ts'
import { changeOf, newId } from './control.ts'
import { ENGINES, type TestDatabase } from './engines.ts'
import { NOON_MS, sampleCall } from './samples.ts'

const DAY = '2026-05-17'
const DAY_MS = 86_400_000

describe.each(ENGINES)('reconciliations on $name', { timeout: 60_000 }, (engine) => {
  let test: TestDatabase
  beforeAll(async () => {
    test = await engine.open()
  }, 60_000)
  afterAll(() => test?.dispose())

  it('our side is what went with the platform’s accounts, by UTC day and model, however it was stored', async () => {
    const { calls, reconciliations } = test.stores
    const usage = { ...NO_USAGE, input: 100, cacheRead: 20, cacheWrite5m: 3, cacheWrite1h: 4, output: 50, reasoning: 7 }
    const media = {
      ...NO_USAGE,
      input: 1,
      audioInput: 10,
      imageInput: 100,
      output: 2,
      audioOutput: 20,
      imageOutput: 200,
    }
    const one = { model: 'gpt-4o-mini', usage, costPico: 5_000_000_000_000 }
    const batch = [
      sampleCall({ ...one, createdAtMs: dayMs(DAY) }),
      sampleCall({ ...one, createdAtMs: dayMs(DAY) + DAY_MS - 1, projectId: 'prj_b', usage: media }),
      sampleCall({ ...one, chargedPico: 1, charge: '{"paidBy":"credits"}' }),
      sampleCall({ ...one, charge: OWN_KEY_CHARGE }),
      sampleCall({ ...one, charge: OWN_KEY_CHARGE, outcome: 'error' }),
      sampleCall({ ...one, outcome: 'cut' }),
      sampleCall({ ...one, costPico: null, model: 'unpriced' }),
      sampleCall({ ...one, model: 'own-only', charge: OWN_KEY_CHARGE }),
      sampleCall({ ...one, provider: 'groq' }),
      sampleCall({ ...one, createdAtMs: dayMs(DAY) - 1 }),
      sampleCall({ ...one, createdAtMs: dayMs(DAY) + DAY_MS }),
    ]
    await calls.insertBatch(JSON.stringify(batch))
    // The other way in: what is there already is left, the rest is added.
    const late = sampleCall(one)
    await calls.insertBatch(JSON.stringify([...batch, late]))
    const ours = await reconciliations.ours('openai', { fromMs: dayMs(DAY), toMs: dayMs(DAY) + DAY_MS })
    const zero = { requests: 0, input: 0, cacheRead: 0, cacheWrite5m: 0, cacheWrite1h: 0, output: 0, costPico: 0n }
    expect(ours).toEqual([
      {
        ...{ day: DAY, model: 'gpt-4o-mini' },
        figures: {
          ...{ requests: 4, input: 4 * 100 + 111, cacheRead: 80, cacheWrite5m: 12, cacheWrite1h: 16 },
          ...{ output: 4 * 50 + 222, costPico: 25_000_000_000_000n },
        },
      },
      { day: DAY, model: 'own-only', figures: zero },
      {
        ...{ day: DAY, model: 'unpriced' },
        figures: { requests: 1, input: 100, cacheRead: 20, cacheWrite5m: 3, cacheWrite1h: 4, output: 50, costPico: 0n },
      },
    ])
    const days = await reconciliations.ours('openai', { fromMs: dayMs(DAY) - DAY_MS, toMs: dayMs(DAY) + 2 * DAY_MS })
    expect([...new Set(days.map(({ day }) => day))]).toEqual(['2026-05-16', DAY, '2026-05-18'])
  })

  function sample(more: Partial<NewReconciliation> = {}): NewReconciliation {
    // More than a bigint holds.
    const theirs = {
      ...NO_FIGURES,
      requests: 0,
      input: 9_007_199_254_740_991,
      costPico: 12_345_678_901_234_567_890_123n,
    }
    const both = { ours: { ...theirs, costPico: -1n }, theirs }
    return {
      ...{ id: newId('rec'), provider: 'openai', day: DAY, createdAtMs: NOON_MS, createdBy: 'test', tolerancePpm: 5 },
      ...{ status: 'off', models: 1, modelsOff: 1, ...both },
      rows: [{ model: 'gpt-4o', status: 'off', ...both }],
      ...more,
    }
  }

  it('gives back what was saved, to the last digit, model by model', async () => {
    const store = test.stores.reconciliations
    const names = Array.from({ length: 1_234 }, (_, at) => `model-${String(at).padStart(4, '0')}`)
    const made = sample()
    const rows = names.map((model) => ({ ...made.rows[0]!, model }))
    await store.save(changeOf(), [{ ...made, rows }])
    const { rows: _, ...rest } = made
    expect(await store.find(made.id)).toEqual({ ...rest, latest: true })
    const pages: string[] = []
    for (let after: string | null = null; ; ) {
      const page = await store.rows(made.id, { limit: 500, after })
      if (page.length === 0) break
      pages.push(...page.map(({ model }) => model))
      expect(page[0]).toEqual({ ...made.rows[0], model: page[0]!.model })
      after = page.at(-1)!.model
    }
    expect(pages).toEqual(names)
    expect(await store.find('rec_nobodys')).toBeNull()
  })

  it('has one latest comparison a day, whoever saves at the same time', async () => {
    const store = test.stores.reconciliations
    const provider = 'anthropic'
    const days = ['2026-05-01', '2026-05-02']
    await Promise.all(
      Array.from({ length: 8 }, () =>
        store.save(
          changeOf(),
          days.map((day) => sample({ provider, day })),
        ),
      ),
    )
    const page = { provider, status: null, limit: 100, after: null }
    expect(await store.list({ ...page, history: true })).toHaveLength(16)
    const latest = await store.list({ ...page, history: false })
    expect(latest.map(({ day }) => day).sort()).toEqual(days)
  })

  it('saves all days or none', async () => {
    const store = test.stores.reconciliations
    const provider = 'half'
    const twice = sample({ provider })
    await expect(
      store.save(changeOf(), [sample({ provider }), twice, { ...twice, day: '2026-05-03' }]),
    ).rejects.toThrow()
    expect(await store.list({ provider, status: null, history: true, limit: 9, after: null })).toEqual([])
  })

  const OLD = 'an older master secret of these tests'
  const NEW = 'the newest master secret of these tests'

  it('admin keys are sealed anew with the other secrets', async () => {
    const { adminCredentials, sealed } = test.stores
    const id = newId('adk')
    const envelope = createVault([OLD]).seal('sk-admin-secret', adminCredentialContext(id))
    await adminCredentials.create(changeOf(), adminKey({ id, sealed: envelope }))
    const { columns, done } = await sealed.reseal(changeOf(), createVault([NEW, OLD]), 100)
    expect(done).toBe(true)
    expect(columns).toContainEqual({ table: 'admin_credentials', column: 'sealed', resealed: 1, unreadable: 0 })
    const now = (await adminCredentials.find(id))!.sealed
    expect(createVault([NEW]).open(now, adminCredentialContext(id))).toBe('sk-admin-secret')
    await adminCredentials.delete(changeOf(), id)
  })

  it('there is room for so many admin keys, also for many that come at once', async () => {
    const { adminCredentials } = test.stores
    const made = await Promise.all(
      Array.from({ length: MAX_ADMIN_CREDENTIALS + 5 }, () => adminCredentials.create(changeOf(), adminKey())),
    )
    expect(made.filter(Boolean)).toHaveLength(MAX_ADMIN_CREDENTIALS)
    const listed = await adminCredentials.list(null)
    expect(listed).toHaveLength(MAX_ADMIN_CREDENTIALS)
    expect(await adminCredentials.list('openai')).toEqual(listed)
    expect(await adminCredentials.list('anthropic')).toEqual([])
    const noted = await adminCredentials.noteCheck(listed[0]!.id, { atMs: NOON_MS + 1, result: 'Refused' })
    expect(noted).toMatchObject({ checkedAtMs: NOON_MS + 1, checkResult: 'Refused', onlyProjects: ['a', 'b'] })
    expect(await adminCredentials.delete(changeOf({ atMs: NOON_MS + 1 }), listed[0]!.id)).toBe(true)
    expect(await adminCredentials.delete(changeOf(), listed[0]!.id)).toBe(false)
    const told = await test.stores.auditLog.listAll({ limit: 100, after: null, target: listed[0]!.id })
    expect(told.map(({ before, after }) => [before !== null, after !== null])).toEqual([
      [true, false],
      [false, true],
    ])
    expect(JSON.stringify(told)).not.toContain('envelope')
  })

  function adminKey(more: { readonly id?: string; readonly sealed?: string } = {}) {
    const check = { atMs: NOON_MS, result: 'ok' }
    const where = { baseUrl: null, onlyProjects: ['a', 'b'], check }
    return { id: newId('adk'), provider: 'openai', name: 'Ours', sealed: 'envelope', hint: '', ...where, ...more }
  }
})
