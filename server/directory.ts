import { createHash } from 'node:crypto'
import type { Clock, Directory, Log, Principal, Timer } from './deps.ts'

/** A key as the store knows it. */
export interface KeyEntry extends Principal {
  /** Epoch milliseconds, null: never. Of a secret that was rotated out, the end of its grace. */
  readonly expiresAtMs: number | null
  readonly revokedAtMs: number | null
}

export interface DirectoryOptions {
  /** Asks the store. @throws when it can't be reached */
  readonly find: (secretSha256: string) => Promise<KeyEntry | null>
  /** Notes in the store that keys were used. @throws when it can't be reached. Absent: nobody wants to know */
  readonly touch?: (keyIds: readonly string[], nowMs: number) => Promise<void>
  readonly clock: Clock
  readonly log: Log
}

export interface OpenDirectory extends Directory {
  /**
   * Looks up again what is known of a key, or of the keys of a project, an organization or a plan, by its id; without an
   * id, all. Something of it has changed.
   */
  invalidate(id?: string): void
  /** Notes what was used since the last time, and nothing from then on. Never rejects. */
  close(): Promise<void>
}

/** A known key is looked up again after this, behind the answer; until it is known to be gone it keeps working. */
const FRESH_MS = 60_000
/** An unknown secret is not asked for again for this long, so that guessing costs us no database. */
const UNKNOWN_MS = 5_000
const MAX_UNKNOWN = 10_000
/** Unknown secrets that the store is asked for at a time: a flood of them leaves room for all else. */
const MAX_GUESSES = 64
/** How long uses are gathered before they are noted. */
const TOUCH_MS = 15_000

interface Held {
  readonly entry: KeyEntry
  freshUntilMs: number
  /** Since the last time that uses were noted. */
  isUsed: boolean
}

/**
 * Keys in memory, by their secrets: hashing each call's secret would cost as much as all else that admits it. A key known
 * here is answered without a promise and without the database, which may be away; a change reaches every instance by
 * `invalidate` (NOTIFY), at the latest after FRESH_MS.
 */
export function openDirectory(options: DirectoryOptions): OpenDirectory {
  const { clock, log, touch } = options
  const known = new Map<string, Held>()
  const unknown = new Map<string, number>()
  const asking = new Map<string, Promise<Principal | null>>()
  let guesses = 0
  /** Used, and not noted as such yet. */
  const used = new Set<string>()
  let timer: Timer | null = null
  let closed = false

  function usable({ revokedAtMs, expiresAtMs }: KeyEntry, nowMs: number): boolean {
    return revokedAtMs === null && (expiresAtMs === null || expiresAtMs > nowMs)
  }

  function answer(held: Held, nowMs: number): Principal | null {
    if (!usable(held.entry, nowMs)) return null
    if (!held.isUsed) noteUse(held)
    return held.entry
  }

  /** Once for a key between two writes. */
  function noteUse(held: Held): void {
    held.isUsed = true
    if (touch === undefined || closed) return
    used.add(held.entry.keyId)
    timer ??= clock.timer(TOUCH_MS, () => void flush())
  }

  async function flush(): Promise<void> {
    timer?.cancel()
    timer = null
    if (touch === undefined || used.size === 0) return
    const ids = [...used].sort()
    used.clear()
    for (const held of known.values()) held.isUsed = false
    try {
      await touch(ids, clock.now())
    } catch (cause) {
      log.warn('The last use of keys could not be noted', { keys: ids.length, cause })
      if (closed) return
      for (const id of ids) used.add(id)
      timer ??= clock.timer(TOUCH_MS, () => void flush())
    }
  }

  /** One question at a time for a secret, until `invalidate` makes its answer one of yesterday. */
  function ask(secret: string): Promise<Principal | null> {
    const underWay = asking.get(secret)
    if (underWay !== undefined) return underWay
    const isCurrent = () => asking.get(secret) === question
    const question: Promise<Principal | null> = fetch(secret, isCurrent).finally(() => {
      if (isCurrent()) asking.delete(secret)
    })
    asking.set(secret, question)
    return question
  }

  async function fetch(secret: string, isCurrent: () => boolean): Promise<Principal | null> {
    const entry = await options.find(sha256(secret))
    const nowMs = clock.now()
    if (!isCurrent()) return again(secret, nowMs)
    if (entry !== null) {
      const held = { entry, freshUntilMs: nowMs + FRESH_MS, isUsed: known.get(secret)?.isUsed ?? false }
      known.set(secret, held)
      return usable(entry, nowMs) ? entry : null
    }
    known.delete(secret)
    if (unknown.size >= MAX_UNKNOWN) unknown.delete(unknown.keys().next().value!)
    unknown.set(secret, nowMs + UNKNOWN_MS)
    return null
  }

  /** For who has waited already: what is known by now, or one more question. */
  function again(secret: string, nowMs: number): Principal | null | Promise<Principal | null> {
    const held = known.get(secret)
    return held === undefined ? ask(secret) : answer(held, nowMs)
  }

  function refresh(secret: string, held: Held): void {
    held.freshUntilMs = clock.now() + UNKNOWN_MS
    ask(secret).catch((cause: unknown) => log.warn('A known key could not be looked up again', { cause }))
  }

  function lookup(secret: string): Principal | null | Promise<Principal | null> {
    const held = known.get(secret)
    const nowMs = clock.now()
    if (held !== undefined) {
      if (held.freshUntilMs < nowMs) refresh(secret, held)
      return answer(held, nowMs)
    }
    const unknownUntilMs = unknown.get(secret)
    if (unknownUntilMs !== undefined && unknownUntilMs > nowMs) return null
    return guess(secret, nowMs)
  }

  /** @throws when too many are being asked for: their callers may try again, and those of known keys notice nothing */
  async function guess(secret: string, nowMs: number): Promise<Principal | null> {
    const isNew = !asking.has(secret)
    if (isNew && guesses >= MAX_GUESSES) throw new Error('Too many unknown keys are looked up at once')
    if (isNew) guesses++
    try {
      const principal = await ask(secret)
      const held = known.get(secret)
      if (principal !== null && held !== undefined) answer(held, nowMs)
      return principal
    } finally {
      if (isNew) guesses--
    }
  }

  return {
    lookup,
    invalidate(id) {
      unknown.clear()
      asking.clear()
      for (const [secret, held] of known) if (id === undefined || isOf(held.entry, id)) refresh(secret, held)
    },
    close() {
      closed = true
      return flush()
    },
  }
}

function isOf({ keyId, projectId, organizationId, plan }: KeyEntry, id: string): boolean {
  return keyId === id || projectId === id || organizationId === id || plan.id === id
}

export function sha256(secret: string): string {
  return createHash('sha256').update(secret).digest('hex')
}
