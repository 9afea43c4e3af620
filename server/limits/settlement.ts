import type { Verdict, Wish } from '../../db/kv/kv.ts'
import { chargePico, OWN_KEY_CHARGE, writeCharge } from '../../db/model/charge.ts'
import { PICO_PER_NANO } from '../../db/model/money.ts'
import type { Call, Routed } from '../call.ts'
import type { Deps } from '../deps.ts'
import type { Holding } from './held.ts'
import { moveOn } from './queue.ts'
import { type Live, wishOf } from './standing.ts'
import { countNano, nanoFor } from './tally.ts'
import { watch } from './watch.ts'

/** What a call has used in the end. */
export interface Used {
  readonly tokens: number
  /** What its provider asks for it; null: unknown. */
  readonly costPico: number | null
  /** The call was refused. */
  readonly isRefused: boolean
}

/** The part of a call's record that says who paid. */
export interface Paid {
  readonly chargedPico: number | null
  readonly charge: string | null
}

const NOBODY: Paid = { chargedPico: null, charge: null }
const OWN: Paid = { chargedPico: null, charge: OWN_KEY_CHARGE }

/**
 * Counts what a call has used in the place of what it held. What it is charged never exceeds what was held and what is
 * left then: the rest is waived. @returns a promise only when the store must be asked whether more is left
 */
export function settleUse(call: Call, used: Used, deps: Deps): Paid | Promise<Paid> {
  const { holding, target } = call
  if (holding === undefined) {
    if (target === undefined && used.isRefused) giveRequestBack(call, deps)
    return target?.account.own === true ? OWN : NOBODY
  }
  const { charge } = holding.need
  const cost = used.costPico ?? 0
  if (charge === null) {
    count(call, holding, { tokens: used.tokens, pico: cost }, deps)
    return target?.account.own === true ? OWN : NOBODY
  }
  const owed = chargePico(cost, charge)
  const finish = (): Paid => {
    const reservedPico = heldPico(holding)
    const pico = holding.lives.reduce((most, live, at) => Math.min(most, payable(holding, live, at)), owed)
    count(call, holding, { tokens: used.tokens, pico }, deps)
    const facts = { paidBy: 'credits', multipliers: charge, reservedPico, waivedPico: owed - pico } as const
    return { chargedPico: pico, charge: writeCharge(facts) }
  }
  const lacks = lacksOf(holding, owed)
  return lacks.length === 0 ? finish() : takeMore({ holding, lacks, finish }, call, deps)
}

/** Lets go of all that a call holds: it has used nothing, and may hold anew. */
export function giveBack(call: Routed, deps: Deps): void {
  if (call.holding !== undefined) count(call, call.holding, { tokens: 0, pico: 0 }, deps)
}

interface Lack {
  readonly at: number
  readonly wish: Wish
}

/** What of the charge nothing is held for. */
function lacksOf({ lives, amounts }: Holding, pico: number): Lack[] {
  const lacks: Lack[] = []
  for (const [at, live] of lives.entries()) {
    if (live.rule.what !== 'spend') continue
    const amount = nanoFor(live.tally, pico) - amounts[at]!
    if (amount > 0) lacks.push({ at, wish: wishOf(live, amount) })
  }
  return lacks
}

interface More {
  readonly holding: Holding
  readonly lacks: readonly Lack[]
  readonly finish: () => Paid
}

/** All of it, or what is left. A store that fails gives nothing. */
function takeMore({ holding, lacks, finish }: More, call: Call, deps: Deps): Paid | Promise<Paid> {
  const nowMs = deps.clock.now()
  const add = (taken: readonly Lack[]): void => {
    for (const { at, wish } of taken) {
      holding.amounts[at]! += wish.amount
      holding.lives[at]!.tally.held += wish.amount
    }
  }
  const first = (verdict: Verdict): Paid | Promise<Paid> => {
    if (verdict.allowed) {
      add(lacks)
      return finish()
    }
    const rest = lacks.map(({ at, wish }, i) => ({
      at,
      wish: wishOf(wish, Math.min(wish.amount, verdict.remaining[i]!)),
    }))
    const some = rest.filter(({ wish }) => wish.amount > 0)
    if (some.length < lacks.length) return finish()
    return then(
      deps.kv.takeAll(
        some.map(({ wish }) => wish),
        nowMs,
      ),
      (second) => {
        if (second.allowed) add(some)
        return finish()
      },
    )
  }
  const paid = then(
    deps.kv.takeAll(
      lacks.map(({ wish }) => wish),
      nowMs,
    ),
    first,
  )
  if (!(paid instanceof Promise)) return paid
  return paid.catch((cause: unknown) => {
    deps.log.warn('What a call used beyond its hold could not be taken', { request: call.id, cause })
    return finish()
  })
}

function then<T, U>(value: T | Promise<T>, go: (value: T) => U | Promise<U>): U | Promise<U> {
  return value instanceof Promise ? value.then(go) : go(value)
}

/** What one of them can pay, with what was counted ahead. */
function payable({ amounts }: Holding, { rule, tally }: Live, at: number): number {
  if (rule.what !== 'spend') return Number.POSITIVE_INFINITY
  return amounts[at]! * PICO_PER_NANO + tally.aheadPico
}

/** What is held of the credits, before more was taken. */
function heldPico({ lives, amounts }: Holding): number {
  const at = lives.findIndex(({ rule }) => rule.by === 'credits')
  return at < 0 ? 0 : Math.min(Number.MAX_SAFE_INTEGER, amounts[at]! * PICO_PER_NANO)
}

/** The books: what was used goes in the place of what was held. */
function count(
  call: Call,
  { lives, amounts, before, soft }: Holding,
  { tokens, pico }: { readonly tokens: number; readonly pico: number },
  deps: Deps,
): void {
  const nowMs = deps.clock.now()
  let isBack = false
  for (let at = 0; at < lives.length; at++) {
    const live = lives[at]!
    const held = amounts[at]!
    const used = live.rule.what === 'tokens' ? tokens : countNano(live.tally, pico)
    live.tally.calls--
    live.tally.held -= held
    live.tally.counted += used
    isBack ||= used < held
    if (used !== held) add(call, live, used - held, deps)
    watch(live, call.principal!, { used: before[at]! + used, nowMs }, deps)
  }
  for (const live of soft) {
    add(call, live, live.rule.what === 'tokens' ? tokens : countNano(live.tally, pico), deps)
    watch(live, call.principal!, { used: Number.MAX_SAFE_INTEGER, nowMs }, deps)
  }
  if (isBack || lives.length > 0) moveOn(deps)
}

/** A window that is over has its books closed: another of the same name must not get them. */
function add(call: Call, live: Live, amount: number, { kv, clock, log }: Deps): void {
  const nowMs = clock.now()
  if (amount === 0 || nowMs >= live.endMs) return
  const added = kv.add(live, amount, nowMs)
  if (added instanceof Promise) {
    added.catch((cause: unknown) => log.warn('What a call used could not be counted', { request: call.id, cause }))
  }
}

/** Who never came to a provider has used nothing of a day's or month's requests; a minute's stay taken. */
function giveRequestBack(call: Call, deps: Deps): void {
  if (call.windows === undefined) return
  for (const live of [...call.windows.requests, ...call.windows.softRequests]) {
    if (live.rule.period !== 'minute') add(call, live, -1, deps)
  }
}
