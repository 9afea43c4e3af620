import type { Kv, Verdict, Wish } from '../../db/kv/kv.ts'
import type { Deps, Timer } from '../deps.ts'
import type { Live } from './standing.ts'
import type { Tally } from './tally.ts'

/** For how long a call waits for others to give back what they don't need. */
export const WAIT_MS = 10_000
/** How often is looked for what other processes gave back, and for windows that began anew. */
const LOOK_MS = 250

export interface Waited extends Verdict {
  /** Of these it counts as a call under way until `decided` is told. */
  readonly decides?: readonly Tally[]
}

/** Whoever waited holds what it was granted; or it has taken what is left, or has been refused. */
export function decided({ allowed, decides }: Waited, deps: Deps): void {
  if (decides === undefined) return
  for (const tally of decides) tally.calls--
  if (!allowed) moveOn(deps)
}

/** A call that waits until it fits. */
interface Waiter {
  readonly lives: readonly Live[]
  readonly wishes: readonly Wish[]
  readonly untilMs: number
  readonly resolve: (waited: Waited) => void
  /** Of what it lacked at first, how much was left. */
  readonly firstLeft: number
  isOver: boolean
}

interface Line {
  waiters: Waiter[]
  timer: Timer | null
  isMoving: boolean
  /** Something was given back while the line moved. */
  isDue: boolean
}

const lines = new WeakMap<Kv, Line>()

function lineOf(kv: Kv): Line {
  const known = lines.get(kv)
  if (known !== undefined) return known
  const line = { waiters: [], timer: null, isMoving: false, isDue: false }
  lines.set(kv, line)
  return line
}

/** Somebody waits for one of these counters: who comes later must not be served before. */
export function isAwaited(lives: readonly Live[], kv: Kv): boolean {
  const waiters = lines.get(kv)?.waiters
  if (waiters === undefined || waiters.length === 0) return false
  return waiters.some((waiter) => waiter.lives.some(({ key }) => lives.some((live) => live.key === key)))
}

/**
 * Waits in the order of coming until all of the wishes can be taken, at most WAIT_MS; less when nobody can give anything
 * back, or a window has ended. @returns a verdict that grants them, or the last that didn't. @param onLeave called with what ends the wait
 */
export function wait(
  want: { readonly lives: readonly Live[]; readonly wishes: readonly Wish[]; readonly refused: Verdict },
  deps: Deps,
  onLeave: (leave: () => void) => void,
): Promise<Waited> {
  const line = lineOf(deps.kv)
  const { lives, wishes, refused } = want
  return new Promise((resolve) => {
    const waiter: Waiter = {
      ...{ lives, wishes, resolve, isOver: false },
      untilMs: deps.clock.now() + WAIT_MS,
      firstLeft: refused.remaining[refused.refused] ?? 0,
    }
    line.waiters.push(waiter)
    onLeave(() => end(line, waiter, { ...refused, allowed: false }))
    move(line, deps)
  })
}

/** Something was given back, or is over: who waits may be served. */
export function moveOn(deps: Deps): void {
  const line = lines.get(deps.kv)
  if (line !== undefined && line.waiters.length > 0) move(line, deps)
}

function end(line: Line, waiter: Waiter, verdict: Waited): void {
  if (waiter.isOver) return
  waiter.isOver = true
  line.waiters = line.waiters.filter((one) => one !== waiter)
  waiter.resolve(verdict)
}

function move(line: Line, deps: Deps): void {
  line.isDue = true
  if (line.isMoving) return
  line.isMoving = true
  queueMicrotask(() => {
    void serve(line, deps).finally(() => {
      line.isMoving = false
      if (line.isDue) move(line, deps)
      else arm(line, deps)
    })
  })
}

function arm(line: Line, deps: Deps): void {
  line.timer?.cancel()
  line.timer = line.waiters.length === 0 ? null : deps.clock.timer(LOOK_MS, () => move(line, deps))
}

/** Everybody once, in their order. What the first lacks isn't given to those behind it. */
async function serve(line: Line, deps: Deps): Promise<void> {
  line.isDue = false
  const lacking = new Set<string>()
  for (const waiter of [...line.waiters]) {
    if (waiter.isOver) continue
    const nowMs = deps.clock.now()
    const isLate = nowMs >= waiter.untilMs || waiter.lives.some(({ endMs }) => nowMs >= endMs)
    if (!isLate && waiter.lives.some(({ key }) => lacking.has(key))) continue
    const verdict = await deps.kv.takeAll(waiter.wishes, nowMs)
    const lack = waiter.lives[verdict.refused]
    if (waiter.isOver) giveBack(waiter, verdict, deps)
    else if (lack === undefined) grant(line, waiter, verdict)
    else {
      lacking.add(lack.key)
      if (!isLate && !isVain(lack, verdict, deps)) continue
      // Nothing has moved all the time: who comes next need not wait for it.
      if (isLate && verdict.remaining[verdict.refused] === waiter.firstLeft) lack.tally.vainLeft = waiter.firstLeft
      // It may take all that is left: those behind it wait for what it decides.
      lack.tally.calls++
      end(line, waiter, { ...verdict, decides: [lack.tally] })
    }
  }
}

function grant(line: Line, waiter: Waiter, verdict: Verdict): void {
  const decides = waiter.lives.map(({ tally }) => tally)
  for (const tally of decides) tally.calls++
  end(line, waiter, { ...verdict, decides })
}

/** Its caller left while the store was asked. */
function giveBack({ wishes }: Waiter, { allowed }: Verdict, { kv, clock }: Deps): void {
  if (!allowed) return
  const nowMs = clock.now()
  for (const wish of wishes) if (nowMs < wish.endMs) void kv.add(wish, -wish.amount, nowMs)
}

/** Nobody is there who could give back what it lacks. */
function isVain({ tally }: Live, { refused, remaining }: Verdict, { kv }: Deps): boolean {
  if (tally.calls > 0) return false
  return kv.isAlone === true || tally.vainLeft === remaining[refused]
}
