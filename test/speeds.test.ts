import { describe, expect, it } from 'vitest'
import { openSpeeds } from '../server/speeds.ts'
import { handClock } from './helpers/clock.ts'

const HALF = 60_000
const START = { halfLifeMs: HALF }

describe('the speed of a model', () => {
  it('is unknown until it was measured, and then of that provider and model alone', () => {
    const speeds = openSpeeds({ clock: handClock(), ...START })
    expect(speeds.firstByteMs('openai', 'gpt-4o')).toBeNull()
    speeds.note('openai', 'gpt-4o', 120)
    expect(speeds.firstByteMs('openai', 'gpt-4o')).toBe(120)
    expect([speeds.firstByteMs('openai', 'gpt-5'), speeds.firstByteMs('azure-openai', 'gpt-4o')]).toEqual([null, null])
  })

  it('is the average of what was measured at one time', () => {
    const speeds = openSpeeds({ clock: handClock(), ...START })
    for (const ms of [100, 200, 600]) speeds.note('openai', 'gpt-4o', ms)
    expect(speeds.firstByteMs('openai', 'gpt-4o')).toBe(300)
  })

  it('forgets by time, not by number: after a half-life what was before counts half', () => {
    const clock = handClock()
    const speeds = openSpeeds({ clock, ...START })
    for (let n = 0; n < 1000; n++) speeds.note('openai', 'gpt-4o', 100)
    clock.advance(HALF)
    for (let n = 0; n < 1000; n++) speeds.note('openai', 'gpt-4o', 1000)
    expect(speeds.firstByteMs('openai', 'gpt-4o')).toBeCloseTo((100 + 2 * 1000) / 3, 6)
    clock.advance(10 * HALF)
    speeds.note('openai', 'gpt-4o', 50)
    const now = speeds.firstByteMs('openai', 'gpt-4o')!
    expect(now).toBeGreaterThan(50)
    expect(now).toBeLessThan(700)
  })

  it('keeps still while nothing comes, and is unknown after twelve half-lives', () => {
    const clock = handClock()
    const speeds = openSpeeds({ clock, ...START })
    speeds.note('openai', 'gpt-4o', 5000)
    clock.advance(12 * HALF)
    expect(speeds.firstByteMs('openai', 'gpt-4o')).toBe(5000)
    clock.advance(1)
    expect(speeds.firstByteMs('openai', 'gpt-4o')).toBeNull()
    speeds.note('openai', 'gpt-4o', 70)
    expect(speeds.firstByteMs('openai', 'gpt-4o')).toBe(70)
  })

  it('can’t be spoilt by what is no time', () => {
    const speeds = openSpeeds({ clock: handClock(), ...START })
    for (const ms of [Number.NaN, Infinity, -1]) speeds.note('openai', 'gpt-4o', ms)
    expect(speeds.firstByteMs('openai', 'gpt-4o')).toBeNull()
    speeds.note('openai', 'gpt-4o', 0)
    for (const ms of [Number.NaN, Infinity, -1]) speeds.note('openai', 'gpt-4o', ms)
    expect(speeds.firstByteMs('openai', 'gpt-4o')).toBe(0)
  })

  it('of however many models takes no more memory: the one measured longest ago goes', () => {
    const clock = handClock()
    const speeds = openSpeeds({ clock, ...START, most: 10 })
    const known = () =>
      Array.from({ length: 100 }, (_, n) => n).filter((n) => speeds.firstByteMs(`p${n % 3}`, `m${n}`) !== null)
    for (let n = 0; n < 100; n++) {
      clock.advance(1)
      speeds.note(`p${n % 3}`, `m${n}`, n)
      if (n >= 4) speeds.note('p1', 'm4', 4)
    }
    // The one that is in use stays, with the nine newest.
    expect(known()).toEqual([4, 91, 92, 93, 94, 95, 96, 97, 98, 99])
  })
})
