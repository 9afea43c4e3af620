import { afterEach, describe, expect, it } from 'vitest'
import { memoryKv } from '../../db/kv/memory.ts'
import { handClock } from '../helpers/clock.ts'
import { fail, type Instance, instance } from './kit.ts'

const PROVIDER = 'openai'
const ACCOUNT = 'env'

let opened: Instance[] = []
afterEach(() => {
  for (const one of opened) one.close()
  opened = []
})

/** Three instances of one installation that all know an account to be open. */
async function threeOpen(): Promise<Instance[]> {
  const [kv, clock] = [memoryKv(), handClock()]
  opened = [0, 1, 2].map(() => instance({ kv, clock }))
  await fail(opened[0]!, 3)
  await new Promise((resolve) => setImmediate(resolve))
  for (const one of opened) expect(one.isOpen(PROVIDER, ACCOUNT)).toBe(true)
  return opened
}

describe('an open account when nothing else is left', () => {
  const last = async (one: Instance): Promise<boolean> => one.mayTry(PROVIDER, ACCOUNT, true)

  it('is tried by one of 200 at once over 3 instances, and by nobody who has others left', async () => {
    const all = await threeOpen()
    expect(await all[1]!.mayTry(PROVIDER, ACCOUNT)).toBe(false)
    const said = await Promise.all(Array.from({ length: 200 }, (_, at) => last(all[at % 3]!)))
    expect(said.filter((may) => may)).toHaveLength(1)
    expect(await all[1]!.mayTry(PROVIDER, ACCOUNT)).toBe(false)
  })

  it('closes everywhere when that one succeeds', async () => {
    const all = await threeOpen()
    expect(await last(all[2]!)).toBe(true)
    all[2]!.succeeded(PROVIDER, ACCOUNT)
    await new Promise((resolve) => setImmediate(resolve))
    for (const one of all) expect(one.isOpen(PROVIDER, ACCOUNT)).toBe(false)
  })

  it('stays as it is when that one fails: no new alert, no longer rest, another try two seconds later', async () => {
    const all = await threeOpen()
    const { clock } = all[0]!
    const alerts = all.flatMap((one) => one.raised).length
    for (let round = 0; round < 5; round++) {
      expect(await last(all[round % 3]!)).toBe(true)
      all[round % 3]!.failed(PROVIDER, ACCOUNT, 'provider')
      expect(await last(all[(round + 1) % 3]!)).toBe(false)
      clock.advance(2_000)
    }
    expect(all.flatMap((one) => one.raised)).toHaveLength(alerts)
    clock.advance(600_000 - 10_000)
    expect(await all[0]!.mayTry(PROVIDER, ACCOUNT)).toBe(true)
  })
})
