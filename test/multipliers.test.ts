import { describe, expect, it } from 'vitest'
import type { ModelMultiplier } from '../db/model/multipliers.ts'
import { openMultipliers } from '../server/multipliers.ts'
import { HandClock, memoryLog, turns } from './journal/kit.ts'

function rig() {
  const clock = new HandClock()
  const log = memoryLog()
  const answers: (readonly ModelMultiplier[] | Error)[] = []
  let asked = 0
  const models = async () => {
    asked++
    const answer = answers.shift() ?? []
    if (answer instanceof Error) throw answer
    return answer
  }
  const multipliers = openMultipliers({ store: { models }, clock, log })
  return { clock, log, answers, multipliers, asked: () => asked }
}
const all = (multiplier: number): readonly ModelMultiplier[] => [{ provider: '*', model: '*', multiplier }]

describe('the multipliers of models in memory', () => {
  it('are 1.0 until they are loaded, and from then on what was loaded last', async () => {
    const { multipliers, answers } = rig()
    expect(multipliers.of('openai', 'gpt-4o')).toBe(10_000)
    answers.push(all(1), all(2), [])
    await multipliers.load()
    expect(multipliers.of('openai', 'gpt-4o')).toBe(1)
    await multipliers.reload()
    expect(multipliers.of('openai', 'gpt-4o')).toBe(2)
    await multipliers.reload()
    expect(multipliers.of('openai', 'gpt-4o')).toBe(10_000)
  })

  it('stay as they are while the database is away, and are asked for again', async () => {
    const { multipliers, answers, clock, log, asked } = rig()
    answers.push(all(1), new Error('away'), new Error('away'), all(3))
    await multipliers.load()
    await multipliers.reload()
    expect(multipliers.of('openai', 'gpt-4o')).toBe(1)
    expect(log.count('warn', 'could not be loaded')).toBe(1)
    await clock.advance(5_000)
    await clock.advance(5_000)
    expect(asked()).toBe(4)
    expect(multipliers.of('openai', 'gpt-4o')).toBe(3)
    expect(clock.timers).toBe(0)
  })

  it('are not asked for any more once they are closed', async () => {
    const { multipliers, answers, clock, asked } = rig()
    answers.push(new Error('away'), new Error('away'))
    await multipliers.reload()
    multipliers.close()
    await clock.advance(60_000)
    await turns()
    expect([asked(), clock.timers]).toEqual([1, 0])
  })

  it('know however many models callers name', async () => {
    const { multipliers, answers } = rig()
    answers.push([{ provider: 'openai', model: 'a*', multiplier: 7 }])
    await multipliers.load()
    for (let i = 0; i < 5_000; i++) {
      expect(multipliers.of('openai', `a${i}`)).toBe(7)
      expect(multipliers.of('openai', `b${i}`)).toBe(10_000)
    }
  })
})
