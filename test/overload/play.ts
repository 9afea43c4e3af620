import { type OpenOverload, openOverload } from '../../server/overload.ts'
import { Random } from '../helpers/random.ts'
import { Loop } from './loop.ts'

/** What a slow gateway's thread spends, in milliseconds: on a call in two halves, on a refusal a fifth of it. */
export const IN_MS = 0.24
export const OUT_MS = 0.21
export const FRAME_MS = 0.1
export const REFUSE_MS = 0.09

/** Who calls, and what. */
export interface Caller {
  readonly tenant: string
  /** Calls a second, whatever becomes of them. */
  readonly rate?: number
  /** So many programs that call again as soon as they are answered, or after the time that they are told. */
  readonly programs?: number
  readonly fromMs?: number
  readonly untilMs?: number
  /** Its provider's time, evenly between these. */
  readonly takesMs: readonly [number, number]
  /** Frames of a stream, spread over that time. */
  readonly frames?: number
}

export interface Done {
  readonly tenant: string
  readonly cameMs: number
  /** From its coming to its end. */
  readonly tookMs: number
  /** Of that, what the provider hasn't taken. */
  readonly overheadMs: number
}

export interface Played {
  readonly loop: Loop
  readonly door: OpenOverload
  readonly done: Done[]
  readonly refused: { readonly tenant: string; readonly atMs: number; readonly retryAfterS: number }[]
  readonly came: Map<string, number>
  readonly said: { readonly level: string; readonly refused: number }[]
}

export interface PlayOptions {
  readonly forMs: number
  readonly seed?: number
  /** Lets everybody in, to see what would happen. */
  readonly open?: boolean
  readonly limitBytes?: number
  readonly warmUpMs?: number
  readonly memory?: (atMs: number) => number
  /** The thread does something else at times. */
  readonly pauses?: { readonly everyMs: number; readonly pauseMs: number }
}

/** Calls come by chance (Poisson), or from programs that wait for their answers, to the door of a simulated gateway. */
export function play(callers: readonly Caller[], options: PlayOptions): Played {
  const { forMs, warmUpMs = 0, seed = 1, memory = () => 0.1, limitBytes = 4 * 1024 ** 3, pauses } = options
  const loop = new Loop()
  const random = new Random(seed)
  const said: Played['said'] = []
  const say = (level: string) => (_message: string, facts?: unknown) =>
    void said.push({ level, refused: (facts as { refused: number }).refused })
  const log = { info: say('info'), warn: say('warn') }
  const door = openOverload({
    clock: loop,
    log,
    warmUpMs,
    memory: { limitBytes, inUse: () => memory(loop.monotonic()) },
  })
  const played: Played = { loop, door, done: [], refused: [], came: new Map(), said }
  const nobody = { leave() {} }

  function come(caller: Caller, cameMs: number): void {
    const ticket = options.open === true ? nobody : door.enter(caller.tenant)
    if (ticket === null) {
      loop.spend(REFUSE_MS)
      const retryAfterS = door.retryAfterS()
      played.refused.push({ tenant: caller.tenant, atMs: loop.monotonic(), retryAfterS })
      return again(caller, loop.monotonic() + retryAfterS * 1000)
    }
    loop.spend(IN_MS)
    const [least, most] = caller.takesMs
    const takesMs = least + random.next() * (most - least)
    const sentMs = loop.monotonic()
    const { frames = 0 } = caller
    for (let at = 1; at <= frames; at++) loop.at(sentMs + (takesMs * at) / (frames + 1), () => loop.spend(FRAME_MS))
    loop.at(sentMs + takesMs, () => {
      loop.spend(OUT_MS)
      ticket.leave('done')
      const tookMs = loop.monotonic() - cameMs
      played.done.push({ tenant: caller.tenant, cameMs, tookMs, overheadMs: tookMs - takesMs })
      again(caller, loop.monotonic())
    })
  }

  function again(caller: Caller, atMs: number): void {
    if (caller.programs !== undefined && atMs < forMs) loop.at(atMs, () => come(caller, atMs))
  }

  function next(caller: Caller & { readonly rate: number }, afterMs: number): void {
    const atMs = afterMs - (Math.log(1 - random.next()) / caller.rate) * 1000
    if (atMs >= Math.min(forMs, caller.untilMs ?? forMs)) return
    loop.at(atMs, () => {
      next(caller, atMs)
      played.came.set(caller.tenant, (played.came.get(caller.tenant) ?? 0) + 1)
      come(caller, atMs)
    })
  }

  for (let atMs = pauses?.everyMs ?? forMs; atMs < forMs; atMs += pauses!.everyMs) {
    loop.at(atMs, () => loop.spend(pauses!.pauseMs))
  }
  for (const caller of callers) {
    const { rate, programs = 0, fromMs = 0 } = caller
    if (rate !== undefined) next({ ...caller, rate }, fromMs)
    for (let at = 0; at < programs; at++) again(caller, fromMs + random.next() * 10_000)
  }
  loop.run(forMs)
  return played
}

export function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN
}
