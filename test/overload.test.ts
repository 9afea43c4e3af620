import { afterEach, describe, expect, it } from 'vitest'
import { FLOOR } from '../server/overload/limit.ts'
import { openOverload } from '../server/overload.ts'
import { handClock } from './helpers/clock.ts'
import { type Caller, FRAME_MS, IN_MS, OUT_MS, type Played, percentile, play } from './overload/play.ts'

const CALLS_A_SECOND = 1000 / (IN_MS + OUT_MS)
const FRAMES = 50
const KINDS = [
  { kind: 'chat', takesMs: [300, 600], callsASecond: CALLS_A_SECOND },
  { kind: 'long answers', takesMs: [500, 8000], callsASecond: CALLS_A_SECOND },
  { kind: 'streams', takesMs: [1000, 4000], frames: FRAMES, callsASecond: 1000 / (IN_MS + OUT_MS + FRAMES * FRAME_MS) },
] as const

/** Several tenants who together bring so many times what the thread can do. */
function crowd(kind: (typeof KINDS)[number], load: number, more: Partial<Caller> = {}) {
  const shares = [0.55, 0.3, 0.13, 0.02]
  const { callsASecond, ...rest } = kind
  return shares.map((share, at) => ({ tenant: `t${at}`, rate: callsASecond * load * share, ...rest, ...more }))
}

const tookMs = ({ done }: Played, share: number) =>
  percentile(
    done.map((one) => one.tookMs),
    share,
  )
const overheadMs = ({ done }: Played, share: number) =>
  percentile(
    done.map((one) => one.overheadMs),
    share,
  )

function shareOf(played: Played, tenant: string): number {
  const refused = played.refused.filter((one) => one.tenant === tenant).length
  return 1 - refused / played.came.get(tenant)!
}

describe.each(KINDS)('$kind', (kind) => {
  const unloaded = play(crowd(kind, 0.5), { forMs: 20_000 })

  it('at half of what the thread can do are all let in', () => {
    expect(unloaded.refused).toHaveLength(0)
    expect(overheadMs(unloaded, 0.99)).toBeLessThan(5)
  })

  it('at nine tenths are all let in', () => {
    const played = play(crowd(kind, 0.9), { forMs: 20_000 })
    expect(played.refused).toHaveLength(0)
  })

  it('at just what it can do are nearly all let in', () => {
    const played = play(crowd(kind, 1), { forMs: 20_000 })
    expect(played.refused.length).toBeLessThan(0.08 * played.done.length)
    expect(tookMs(played, 0.99)).toBeLessThan(2 * tookMs(unloaded, 0.99))
  })

  it.each([1, 2, 3])('at three times that much the p99 of those let in is at most doubled (seed %i)', (seed) => {
    const played = play(crowd(kind, 3), { forMs: 30_000, seed })
    expect(tookMs(played, 0.99)).toBeLessThan(2 * tookMs(unloaded, 0.99))
    expect(overheadMs(played, 0.99)).toBeLessThan(1000)
    expect(played.refused.length).toBeGreaterThan(played.done.length)
    expect(played.refused.every(({ retryAfterS }) => retryAfterS >= 1 && retryAfterS <= 10)).toBe(true)
    // Nobody starves: who brings less than a fair share is nearly always served, but for the first second of the flood.
    expect(shareOf(played, 't3')).toBeGreaterThan(0.85)
    for (const tenant of ['t0', 't1', 't2']) expect(shareOf(played, tenant)).toBeGreaterThan(0.03)
  })

  it('without a door three times that much would ruin everybody', () => {
    const played = play(crowd(kind, 3), { forMs: 15_000, open: true })
    expect(tookMs(played, 0.99)).toBeGreaterThan(2 * tookMs(unloaded, 0.99))
  })

  it('ten times that much, from programs that come back when they are told, keeps that too', () => {
    const [least, most] = kind.takesMs
    // As many as the thread can still refuse.
    const programs = Math.min(25_000, Math.ceil((10 * kind.callsASecond * (least + most)) / 2000))
    const { callsASecond, ...rest } = kind
    const tenants = Array.from({ length: 4 }, (_, at) => ({ tenant: `t${at}`, programs: programs >> 2, ...rest }))
    const played = play(tenants, { forMs: 30_000 })
    expect(tookMs(played, 0.99)).toBeLessThan(2 * tookMs(unloaded, 0.99))
    expect(played.done.length).toBeGreaterThan(unloaded.done.length / 2)
    for (const { tenant } of tenants) {
      expect(played.done.filter((one) => one.tenant === tenant).length).toBeGreaterThan(played.done.length / 8)
    }
  })

  it('after a flood all are let in again within seconds', () => {
    const flood = crowd(kind, 3, { untilMs: 10_000 })
    const after = crowd(kind, 0.5, { fromMs: 10_000 })
    const played = play([...flood, ...after], { forMs: 40_000 })
    const [, longestMs] = kind.takesMs
    expect(played.refused.filter(({ atMs }) => atMs > 14_000 + longestMs)).toHaveLength(0)
    expect(played.door.state.limit).toBeGreaterThan(10_000)
  })
})

describe('fairness', () => {
  const takesMs = [300, 600] as const

  it.each([1, 2, 3, 4, 5])('one who floods does not touch those who bring little (seed %i)', (seed) => {
    const small = Array.from({ length: 20 }, (_, at) => ({ tenant: `small${at}`, rate: 5, takesMs }))
    const played = play([{ tenant: 'hog', rate: 3 * CALLS_A_SECOND, takesMs }, ...small], { forMs: 15_000, seed })
    expect(shareOf(played, 'hog')).toBeLessThan(0.4)
    for (const { tenant } of small) expect(shareOf(played, tenant)).toBeGreaterThan(0.85)
  })

  it('equals are served alike', () => {
    const callers = Array.from({ length: 8 }, (_, at) => ({
      tenant: `t${at}`,
      rate: (3 * CALLS_A_SECOND) / 8,
      takesMs,
    }))
    const played = play(callers, { forMs: 20_000 })
    const served = callers.map(({ tenant }) => shareOf(played, tenant))
    expect(Math.max(...served) / Math.min(...served)).toBeLessThan(1.3)
  })

  it('a tenant who comes while another holds all places gets some at once', () => {
    const hog = { tenant: 'hog', rate: 3 * CALLS_A_SECOND, takesMs: [20_000, 30_000] as const }
    const late = { tenant: 'late', rate: 20, takesMs, fromMs: 10_000 }
    const played = play([hog, late], { forMs: 20_000, limitBytes: 256 * 1024 ** 2 })
    expect(shareOf(played, 'late')).toBeGreaterThan(0.95)
    expect(played.door.state.inFlight).toBeLessThan(3000)
  })
})

describe('what is no overload', () => {
  it('thousands of calls that wait for their providers', () => {
    const played = play([{ tenant: 'a', rate: 1000, takesMs: [20_000, 40_000] }], { forMs: 30_000 })
    expect(played.refused).toHaveLength(0)
    expect(played.door.state.inFlight).toBeGreaterThan(19_000)
  })

  it.each([100, 250, 500, 1000])('a pause of %i ms, as of a garbage collector, at half load', (pauseMs) => {
    const callers = [{ tenant: 'a', rate: CALLS_A_SECOND / 2, takesMs: [300, 3000] as const }]
    const { refused } = play(callers, { forMs: 10_000, pauses: { everyMs: 4000, pauseMs } })
    expect(refused).toHaveLength(0)
  })

  it('few calls, however late the loop', () => {
    const callers = [{ tenant: 'a', rate: 100, takesMs: [300, 600] as const }]
    const { refused } = play(callers, { forMs: 10_000, pauses: { everyMs: 210, pauseMs: 200 } })
    expect(refused).toHaveLength(0)
  })
})

describe('memory', () => {
  const caller: Caller = { tenant: 'a', rate: 1000, takesMs: [2000, 3000] }

  it('no more calls are in flight than fit into it, and one tenant more finds a place', () => {
    const limitBytes = 128 * 1024 ** 2
    const played = play([caller], { forMs: 10_000, limitBytes })
    expect(played.refused.length).toBeGreaterThan(1000)
    expect(played.door.state.inFlight).toBeLessThanOrEqual(1024)
    expect(played.door.state.inFlight).toBeGreaterThan(1000)
    expect(played.door.enter('b')).not.toBeNull()
  })

  it('fewer and fewer are let in while it is nearly used up, and all again when it is not', () => {
    const played = play([caller], { forMs: 30_000, memory: (atMs) => (atMs > 5000 && atMs < 15_000 ? 0.95 : 0.5) })
    const during = played.done.filter(({ cameMs }) => cameMs > 10_000 && cameMs < 15_000)
    expect(during.length).toBeLessThan(1000)
    expect(during.length).toBeGreaterThan(100)
    expect(played.refused.filter(({ atMs }) => atMs < 5000 || atMs > 25_000)).toHaveLength(0)
  })
})

it('a flood is told once in ten seconds, with how many were refused, and once when it is over', () => {
  const [chat] = KINDS
  const { said, refused } = play([...crowd(chat, 3, { untilMs: 25_000 }), ...crowd(chat, 0.5, { fromMs: 25_000 })], {
    forMs: 45_000,
  })
  const warned = said.filter(({ level }) => level === 'warn')
  expect(warned.length).toBeGreaterThanOrEqual(3)
  expect(warned.length).toBeLessThanOrEqual(4)
  expect(said.at(-1)!.level).toBe('info')
  expect(said.filter(({ level }) => level === 'info')).toHaveLength(1)
  expect(said.reduce((sum, one) => sum + one.refused, 0)).toBe(refused.length)
})

describe('places', () => {
  let door = openDoor().door
  afterEach(() => door.close())

  function openDoor() {
    const clock = handClock()
    const log = { info() {}, warn() {} }
    return { clock, door: openOverload({ clock, log, memory: { limitBytes: 4 * 1024 ** 3, inUse: () => 0 } }) }
  }

  it('a call leaves once, however often it is said', () => {
    door = openDoor().door
    const [one, two] = [door.enter('a')!, door.enter('a')!]
    one.leave('done')
    one.leave('failed')
    expect(door.state.inFlight).toBe(1)
    two.leave('gone')
    expect(door.state.inFlight).toBe(0)
  })

  it('no timer runs when nothing is in flight, and one for all calls while something is', () => {
    const opened = openDoor()
    door = opened.door
    expect(opened.clock.timers).toBe(0)
    const tickets = Array.from({ length: 1000 }, (_, at) => door.enter(`t${at % 7}`)!)
    expect(opened.clock.timers).toBe(1)
    opened.clock.advance(60_000)
    expect(opened.clock.timers).toBe(1)
    for (const ticket of tickets) ticket.leave('done')
    opened.clock.advance(1000)
    expect(opened.clock.timers).toBe(0)
  })

  it('those who are told to come back are spread evenly', () => {
    const { door: full } = play([{ tenant: 'a', rate: 3 * CALLS_A_SECOND, takesMs: [300, 600] }], { forMs: 10_000 })
    const times = Array.from({ length: 1000 }, () => full.retryAfterS())
    const counts = Array.from({ length: 10 }, (_, at) => times.filter((time) => time === at + 1).length)
    expect(Math.min(...times)).toBe(1)
    expect(Math.max(...times)).toBeGreaterThan(5)
    expect(Math.max(...times)).toBeLessThanOrEqual(10)
    expect(Math.max(...counts)).toBeLessThan(250)
  })

  it('is not judged by its loop while it is warming up, and is as soon as it is warm', () => {
    const flood: Caller[] = [{ tenant: 'a', rate: 3 * CALLS_A_SECOND, takesMs: [300, 600] }]
    expect(play(flood, { forMs: 5_000 }).refused.length).toBeGreaterThan(0)
    expect(play(flood, { forMs: 5_000, warmUpMs: 5_000 }).refused).toHaveLength(0)
    expect(play(flood, { forMs: 10_000, warmUpMs: 5_000 }).refused.length).toBeGreaterThan(0)
  })

  it(`so many as ${FLOOR} are always let in`, () => {
    const opened = openDoor()
    door = opened.door
    for (let at = 0; at < FLOOR; at++) expect(door.enter('a')).not.toBeNull()
  })
})
