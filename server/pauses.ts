import type { Kv } from '../db/kv/kv.ts'
import type { AlertEvent } from '../db/model/alerts.ts'
import { makeId } from '../db/model/ids.ts'
import { formatUsd, PICO_PER_NANO } from '../db/model/money.ts'
import { periodOf } from '../db/model/periods.ts'
import type { ProviderLimit, ProviderLimitStore } from '../db/stores/provider-limits.ts'
import type { UsageSeedStore } from '../db/stores/usage-seeds.ts'
import type { Clock, Log, Pauses, Random, Timer } from './deps.ts'

export interface PauseOptions {
  readonly limits: Pick<ProviderLimitStore, 'list' | 'pauseReached'>
  readonly seeds: Pick<UsageSeedStore, 'platformSpend'>
  readonly kv: Pick<Kv, 'takeAll' | 'add' | 'read' | 'atLeast'>
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  /** Hears of each pause once, over all instances; must not throw. */
  readonly raise?: (event: AlertEvent) => void
}

export interface OpenPauses extends Pauses {
  /** Reads the stops and what is paused: until then nothing is. @throws when the database is away */
  load(): Promise<void>
  /** Reads them again; what is known holds while the database is away. Never rejects. */
  reload(): Promise<void>
  close(): void
}

/** After this it is tried again what the database could not be asked or told. */
const RETRY_MS = 5_000
/** How often the counters of stops are held against what is stored, in case the kv has lost what it knew. */
const SEED_MS = 60_000

/** Counter in kv of what a day's calls with the platform's accounts at a provider have cost, in nano-dollars. */
export function spendCounterOf(provider: string, { stopNano, nowMs }: { stopNano: number; nowMs: number }) {
  const { endMs } = periodOf({ period: 'day', anchorMs: null }, nowMs)
  return { key: `prov:${provider}`, limit: stopNano, endMs }
}

interface Stop {
  readonly stopNano: number
  readonly freeUntilMs: number
  /** Less than a nano-dollar, spent and not counted yet. */
  restPico: number
}

/**
 * Providers at which the platform's accounts are paused, in memory, and the sums that pause them. A stop that is reached
 * pauses here at once, and everywhere by NOTIFY; calls under way go on.
 */
export function openPauses(options: PauseOptions): OpenPauses {
  const { limits, seeds, kv, clock, random, log } = options
  const stops = new Map<string, Stop>()
  /** As the table has it. */
  let paused: ReadonlySet<string> = new Set()
  /** Reached here, and the table doesn't know yet. */
  const reached = new Map<string, Promise<void> | null>()
  let asked = 0
  let latest: Promise<void> = Promise.resolve()
  let retry: Timer | null = null
  let seeding: Timer | null = null
  let closed = false

  function load(): Promise<void> {
    latest = read(++asked)
    return latest
  }

  async function read(mine: number): Promise<void> {
    const rows = await limits.list()
    // A later question has the fresher answer, whichever comes first: who asked this one waits for that.
    if (mine !== asked) return latest
    take(rows)
    await seed()
  }

  function take(rows: readonly ProviderLimit[]): void {
    paused = new Set(rows.filter((row) => row.pausedAtMs !== null).map((row) => row.provider))
    const rests = new Map(Array.from(stops, ([provider, { restPico }]) => [provider, restPico]))
    stops.clear()
    for (const { provider, stopNano, stopFreeUntilMs } of rows) {
      if (stopNano === null) continue
      stops.set(provider, { stopNano, freeUntilMs: stopFreeUntilMs ?? 0, restPico: rests.get(provider) ?? 0 })
    }
  }

  /** Raises the counters to what is stored, looks whether that is enough, and does so again after a while. */
  async function seed(): Promise<void> {
    try {
      if (stops.size > 0) await raiseCounters()
    } finally {
      seeding?.cancel()
      seeding = stops.size === 0 || closed ? null : clock.timer(SEED_MS, () => void seed().catch(warn))
    }
  }

  async function raiseCounters(): Promise<void> {
    const nowMs = clock.now()
    const { startMs } = periodOf({ period: 'day', anchorMs: null }, nowMs)
    const spent = await seeds.platformSpend([...stops.keys()], startMs)
    for (const [provider, stop] of [...stops]) {
      const used = Number((spent.get(provider) ?? 0n) / BigInt(PICO_PER_NANO))
      await kv.atLeast(spendCounterOf(provider, { ...stop, nowMs }), used, nowMs)
      await check(provider, nowMs)
    }
  }

  async function reload(): Promise<void> {
    retry?.cancel()
    retry = null
    try {
      await load()
      for (const [provider, underWay] of [...reached]) if (underWay === null) void pause(provider)
    } catch (cause) {
      warn(cause)
      again()
    }
  }

  function again(): void {
    if (!closed) retry ??= clock.timer(RETRY_MS, () => void reload())
  }

  function warn(cause: unknown): void {
    log.warn('What providers may cost a day could not be looked up or noted', { cause })
  }

  async function count(provider: string, nano: number, atMs: number): Promise<void> {
    const stop = stops.get(provider)
    if (stop === undefined) return
    const counter = spendCounterOf(provider, { ...stop, nowMs: atMs })
    if (stop.freeUntilMs > atMs || isPaused(provider)) return kv.add(counter, nano, atMs)
    const taken = kv.takeAll([{ ...counter, amount: nano }], atMs)
    const { allowed, remaining } = taken instanceof Promise ? await taken : taken
    if (allowed && remaining[0]! > 0) return
    if (!allowed) await kv.add(counter, nano, atMs)
    await check(provider, atMs)
  }

  /** Pauses a provider whose stop is reached, by what all instances have spent. */
  async function check(provider: string, nowMs: number): Promise<void> {
    const known = stops.get(provider)
    if (known === undefined) return
    const [used = 0] = await kv.read([spendCounterOf(provider, { ...known, nowMs })], nowMs)
    // As it is by now.
    const stop = stops.get(provider)
    if (stop === undefined || stop.freeUntilMs > nowMs || isPaused(provider)) return
    if (used >= stop.stopNano) await pause(provider)
  }

  function pause(provider: string): Promise<void> {
    const underWay = reached.get(provider) ?? tellTable(provider)
    reached.set(provider, underWay)
    return underWay
  }

  async function tellTable(provider: string): Promise<void> {
    const stopNano = stops.get(provider)?.stopNano ?? null
    try {
      if (stopNano !== null) {
        const reason = `The platform's accounts have reached their daily stop of ${formatUsd(BigInt(stopNano) * 1000n)} USD`
        const isMine = await limits.pauseReached(changeOf(), { provider, stopNano, reason })
        if (isMine) {
          paused = new Set([...paused, provider])
          log.warn('A provider is paused: its daily stop is reached', { provider })
          options.raise?.({ kind: 'provider_paused', organizationId: null, provider, reason })
        }
      }
      await load()
      reached.delete(provider)
    } catch (cause) {
      // It stays paused here until the table can be told.
      reached.set(provider, null)
      warn(cause)
      again()
    }
  }

  function changeOf() {
    const atMs = clock.now()
    const actor = { kind: 'system', id: 'gateway', name: 'The gateway' } as const
    const auditId = makeId('aud', atMs, random.bytes(16))
    return { actor, action: 'platform.pauseProvider', atMs, auditId, requestId: null, address: null }
  }

  function isPaused(provider: string): boolean {
    return paused.has(provider) || reached.has(provider)
  }

  return {
    isPaused,
    spent(provider, costPico, atMs) {
      const stop = stops.get(provider)
      if (stop === undefined) return
      const pico = stop.restPico + costPico
      const nano = Math.floor(pico / PICO_PER_NANO)
      stop.restPico = pico - nano * PICO_PER_NANO
      if (nano > 0) count(provider, nano, atMs).catch(warn)
    },
    load,
    reload,
    close() {
      closed = true
      retry?.cancel()
      seeding?.cancel()
    },
  }
}
