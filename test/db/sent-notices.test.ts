import { sql } from 'kysely'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openDatabase } from '../../db/open.ts'
import { KEYS_CHANNEL, notifyKeys } from '../../db/stores/keys.ts'
import { addOrganization, changeIn, changeOf } from './control.ts'
import { ENGINES, type TestDatabase } from './engines.ts'

describe.each(ENGINES)('onSent() on $name', (engine) => {
  let on: TestDatabase
  const heard: string[] = []
  beforeAll(async () => {
    on = await engine.open()
    on.database.onSent(KEYS_CHANNEL, (id) => heard.push(id))
  }, 120_000)
  afterAll(() => on?.dispose())

  async function during(work: () => Promise<unknown>): Promise<string[]> {
    heard.length = 0
    await work()
    return [...heard]
  }

  it('tells of what a store has sent, when its promise resolves', async () => {
    const id = await addOrganization(on.database.db)
    const { organizations } = on.stores
    expect(await during(() => organizations.setPlan(changeOf(), id, 'pro'))).toEqual([id])
    expect(await during(() => organizations.setPlan(changeOf(), id, 'pro'))).toEqual([])
    expect(await during(() => organizations.rename(changeIn(id), 'New'))).toEqual([])
  })

  it('tells of what was sent outside of a transaction', async () => {
    expect(await during(() => notifyKeys(on.database.db, 'key_1'))).toEqual(['key_1'])
  })

  it('tells of all that a transaction has sent, in order, and only when it is committed', async () => {
    const { db } = on.database
    const within = await during(() =>
      db.transaction().execute(async (trx) => {
        await notifyKeys(trx, 'one')
        await notifyKeys(trx, '')
        expect(heard).toEqual([])
      }),
    )
    expect(within).toEqual(['one', ''])
  })

  it('tells nothing of what was rolled back, nor of what failed', async () => {
    const { db } = on.database
    const rolledBack = db.transaction().execute(async (trx) => {
      await notifyKeys(trx, 'never')
      throw new Error('no')
    })
    expect(await during(() => expect(rolledBack).rejects.toThrow('no'))).toEqual([])
    const failed = db.transaction().execute(async (trx) => {
      await notifyKeys(trx, 'never')
      await sql`select nonsense`.execute(trx)
    })
    expect(await during(() => expect(failed).rejects.toThrow('nonsense'))).toEqual([])
    // The connection that the failure was on is used again.
    expect(await during(() => Promise.all([notifyKeys(db, 'a'), notifyKeys(db, 'a')]))).toEqual(['a', 'a'])
  })

  it('tells nothing of other channels', async () => {
    expect(await during(() => sql`select pg_notify(${'other'}, ${'x'})`.execute(on.database.db))).toEqual([])
  })

  it.runIf(engine.name === 'postgres')('tells nothing of what other processes have sent', async () => {
    const other = await openDatabase(on.options)
    try {
      const notified: string[] = []
      await on.database.listen(KEYS_CHANNEL, (id) => notified.push(id))
      expect(
        await during(async () => {
          await notifyKeys(other.db, 'theirs')
          await expect.poll(() => notified).toEqual(['theirs'])
        }),
      ).toEqual([])
    } finally {
      await other.close()
    }
  })
})
