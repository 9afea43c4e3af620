import type { Verdict, Wish } from '../../db/kv/kv.ts'
import { type Call, grow, type Routed } from '../call.ts'
import type { Deps } from '../deps.ts'
import { GatewayError } from '../errors.ts'
import { CallerGone } from '../failure.ts'
import { asBuffer } from '../wire/bytes.ts'
import { canCap } from '../wire/output-cap.ts'
import { boundOf } from './bound.ts'
import type { Bound, Holding, Need } from './held.ts'
import { needOf, outputWithin, wishesOf } from './need.ts'
import { decided, isAwaited, moveOn, type Waited, wait } from './queue.ts'
import { refusalOf } from './refusal.ts'
import { type Live, type Windows, windowsOf } from './standing.ts'
import { watch } from './watch.ts'

/** An answer shorter than so many tokens helps nobody. */
const LEAST_OUTPUT = 16

interface Want {
  readonly lives: readonly Live[]
  readonly wishes: readonly Wish[]
}

/**
 * Takes what the call may use at most, so that no call begins that could overdraw. Near a cap: a better bound by
 * counting, then waiting for others, then a shorter answer, and a refusal only when not even a short one fits.
 * @throws GatewayError `insufficient_credits`, `quota_exceeded`, `rate_limit_exceeded`, `unknown_model_pricing`
 */
export function hold(call: Routed, windows: Windows, deps: Deps): Routed | Promise<Routed> {
  const need = needOf(call, windows, deps)
  const { softUses } = windows
  if (need === null) return softUses.length === 0 ? call : grow(call, { holding: softOnly(softUses) })
  if (need.lives.length === 0) return call
  const bound = boundOf(call, false)
  const want = wantOf(need, bound)
  const done = (verdict: Verdict): Routed => held(call, { need, want, bound, verdict, soft: softUses })
  if (want.wishes.length === 0) return done(GRANTED)
  if (!isAwaited(want.lives, deps.kv)) {
    const asked = deps.kv.takeAll(want.wishes, deps.clock.now())
    if (asked instanceof Promise) {
      return asked.then((verdict) => (verdict.allowed ? done(verdict) : near(call, { need, soft: softUses }, deps)))
    }
    if (asked.allowed) return done(asked)
  }
  return near(call, { need, soft: softUses }, deps)
}

const GRANTED: Verdict = { allowed: true, refused: -1, resetMs: null, remaining: [] }
const NO_NEED: Need = { lives: [], price: null, charge: null, mayWrite: false }
const NO_BOUND: Bound = { input: 0, output: 0, answers: 1, isAssumed: false }

function softOnly(soft: readonly Live[]): Holding {
  return { need: NO_NEED, lives: [], amounts: [], before: [], soft, bound: NO_BOUND }
}

/** What costs nothing isn't asked for: it needs nothing to be left. */
function wantOf(need: Need, bound: Pick<Bound, 'input' | 'output'>): Want {
  const wishes = wishesOf(need, bound)
  if (wishes.every(({ amount }) => amount > 0)) return { lives: need.lives, wishes }
  const isTaken = (_: unknown, at: number): boolean => wishes[at]!.amount > 0
  return { lives: need.lives.filter(isTaken), wishes: wishes.filter(isTaken) }
}

interface Granted {
  readonly need: Need
  readonly want: Want
  readonly bound: Bound
  readonly verdict: Verdict
  readonly soft: readonly Live[]
  /** The answer was made shorter than it might be. */
  readonly isClamped?: boolean
}

function held(call: Routed, { need, want, bound, verdict, soft, isClamped = false }: Granted): Routed {
  const { lives, wishes } = want
  const amounts: number[] = []
  const before: number[] = []
  for (let at = 0; at < lives.length; at++) {
    const { tally, limit } = lives[at]!
    const { amount } = wishes[at]!
    tally.calls++
    tally.held += amount
    amounts.push(amount)
    before.push(limit - verdict.remaining[at]! - amount)
  }
  const holding: Holding = { need, lives, amounts, before, soft, bound }
  const isTold = isClamped || (bound.isAssumed && !call.ask.stream)
  if (!isTold || bound.output === 0) return grow(call, { holding })
  const grown = grow(call, { holding, maxOutput: Math.floor(bound.output / bound.answers) })
  if (!isClamped && call.options.strict) throw unsaid(call)
  return grown
}

function unsaid({ target }: Routed): GatewayError {
  return new GatewayError(
    'invalid_request',
    `How long an answer of ${target.model} may get is not known here: send max_tokens, or leave x-watchllm-strict out`,
    { param: 'max_tokens' },
  )
}

/** Little is left, or others wait for it. */
async function near(
  call: Routed,
  { need: first, soft }: { readonly need: Need; readonly soft: readonly Live[] },
  deps: Deps,
): Promise<Routed> {
  const need = { ...first, mayWrite: mayWriteCache(call) }
  const bound = boundOf(call, true)
  const least = wantOf(need, { input: bound.input, output: Math.min(bound.output, LEAST_OUTPUT * bound.answers) })
  const never = least.wishes.findIndex(({ amount, limit }) => amount > limit)
  if (never >= 0) throw refused(call, least.lives[never]!, 0, deps)
  const want = wantOf(need, bound)
  const verdict = await takeOrWait(call, want, deps)
  try {
    if (verdict.allowed) return held(call, { need, want, bound, verdict, soft })
    const nowMs = deps.clock.now()
    // A window began anew meanwhile: all of it is there.
    if (want.lives.some(({ endMs }) => nowMs >= endMs)) return await again(call, deps)
    return await clamp(call, { need, want, bound, verdict, soft }, deps)
  } finally {
    decided(verdict, deps)
  }
}

async function takeOrWait(call: Routed, want: Want, deps: Deps): Promise<Waited> {
  if (!isAwaited(want.lives, deps.kv)) {
    const asked = deps.kv.takeAll(want.wishes, deps.clock.now())
    const verdict = asked instanceof Promise ? await asked : asked
    if (verdict.allowed) return verdict
    return waited(call, { ...want, refused: verdict }, deps)
  }
  const remaining = want.wishes.map(() => -1)
  return waited(call, { ...want, refused: { allowed: false, refused: 0, resetMs: null, remaining } }, deps)
}

async function waited(call: Routed, want: Want & { readonly refused: Verdict }, deps: Deps): Promise<Waited> {
  let isGone = false
  const verdict = await wait(want, deps, (leave) =>
    call.incoming.onGone(() => {
      isGone = true
      leave()
    }),
  )
  if (!isGone) return verdict
  decided(verdict, deps)
  const nowMs = deps.clock.now()
  for (const wish of want.wishes) if (verdict.allowed && nowMs < wish.endMs) void deps.kv.add(wish, -wish.amount, nowMs)
  moveOn(deps)
  throw new CallerGone()
}

function again(call: Routed, deps: Deps): Promise<Routed> {
  const windows = windowsOf(call.principal, deps.kv, deps.clock.now())
  return Promise.resolve(hold(call, windows, deps))
}

const TRIES = 4

/** As long an answer as what is left allows. */
async function clamp(call: Routed, granted: Granted, deps: Deps): Promise<Routed> {
  const { need, bound } = granted
  let { want, verdict } = granted
  const least = LEAST_OUTPUT * bound.answers
  const canClamp = canCap(call.target.wireId) && bound.output > least && !call.options.strict
  for (let tries = 0; canClamp && tries < TRIES; tries++) {
    const most = outputWithin({ ...need, lives: want.lives }, bound.input, verdict.remaining)
    const output = Math.min(bound.output, most)
    if (output < least) break
    const clamped = { ...bound, output }
    want = wantOf(need, clamped)
    verdict = await deps.kv.takeAll(want.wishes, deps.clock.now())
    if (verdict.allowed)
      return held(call, { ...granted, want, bound: clamped, verdict, isClamped: output < bound.output })
  }
  throw refused(call, want.lives[verdict.refused]!, verdict.remaining[verdict.refused]!, deps)
}

function refused(call: Call & Routed, live: Live, left: number, deps: Deps): GatewayError {
  const nowMs = deps.clock.now()
  const { limit, tally, rule } = live
  // What is left helps nobody any more: it is used up, as people see it.
  const isSpent = tally.calls <= 1 && left * 20 < limit
  const used = rule.by === 'credits' || !isSpent ? limit - left : limit
  watch(live, call.principal, { used, nowMs, isExact: isSpent }, deps)
  return refusalOf(call.principal, live, nowMs)
}

function mayWriteCache({ ask, options }: Routed): boolean {
  return options.promptCache === 'auto' || asBuffer(ask.body).includes('cache_control')
}
