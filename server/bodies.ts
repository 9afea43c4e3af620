import { Buffer } from 'node:buffer'
import { setImmediate } from 'node:timers'
import {
  type BodyFacts,
  type BodySide,
  callBodyContext,
  type KeptBody,
  type KeptCall,
} from '../db/model/call-bodies.ts'
import type { BodyRules } from '../db/model/settings.ts'
import type { CallBodyStore } from '../db/stores/call-bodies.ts'
import type { Vault } from '../db/vault.ts'
import { bodyStepsOf, type Copied, copied, mostOf } from './bodies/body.ts'
import { inSlices } from './bodies/steps.ts'
import type { Bodies, BodyTake, Clock, Log, Timer } from './deps.ts'

export interface BodiesOptions {
  readonly store: Pick<CallBodyStore, 'insertBatch' | 'find'>
  readonly vault: Pick<Vault, 'seal' | 'open'>
  readonly clock: Clock
  readonly log: Log
  /** Held in memory at most, of calls under way and of those that wait to be written. */
  readonly maxHeldBytes?: number
}

export interface OpenBodies extends Bodies {
  /** Writes what waits, for 5 s at most; what can't be written is lost. */
  close(): Promise<void>
}

const MAX_HELD_BYTES = 64 * 1024 * 1024
const WRITE_AFTER_MS = 300
const BATCH_BYTES = 2 * 1024 * 1024
const BATCH_CALLS = 100
const FIRST_RETRY_MS = 1_000
const LAST_RETRY_MS = 30_000
const CLOSE_MS = 5_000
const DAY_MS = 86_400_000

/** What is taken of a body. */
interface Taken extends Copied {
  readonly contentType: string | null
  /** Of all that was sent. */
  readonly length: number
}

interface Raw {
  readonly rules: BodyRules
  readonly taken: Readonly<Record<BodySide, Taken>>
}

/** A call that has ended, and waits to be written. */
interface Waiting {
  readonly facts: BodyFacts
  /** As it was taken, or redacted and sealed. */
  content: Raw | KeptCall
  bytes: number
}

/**
 * What is said in calls, on its way to the database. Calls only copy bytes into memory: they are redacted, sealed and
 * written behind them, a few at a time. Memory is bounded: where the database doesn't take them as fast as they come, or
 * is away, the oldest are dropped, which the log is told once; and calls under way stop being taken when that isn't enough.
 */
export function openBodies(options: BodiesOptions): OpenBodies {
  const { store, vault, clock, log, maxHeldBytes = MAX_HELD_BYTES } = options
  /** The oldest first. */
  const waiting = new Set<Waiting>()
  let held = 0
  let dropped = 0
  let timer: Timer | null = null
  let writing: Promise<void> | null = null
  let failures = 0
  let closed = false

  /** Makes room, of what waits. @returns whether there is */
  function hold(bytes: number): boolean {
    for (const oldest of waiting) {
      if (held + bytes <= maxHeldBytes) break
      drop(oldest)
    }
    if (held + bytes > maxHeldBytes) return false
    held += bytes
    return true
  }

  function drop(oldest: Waiting): void {
    waiting.delete(oldest)
    held -= oldest.bytes
    if (dropped++ > 0) return
    log.warn('Bodies of calls come faster than they can be stored: the oldest are dropped', { held_bytes: held })
  }

  function wait(): void {
    if (timer !== null || writing !== null || closed || waiting.size === 0) return
    const afterMs =
      failures === 0 ? WRITE_AFTER_MS : Math.min(FIRST_RETRY_MS * 2 ** Math.min(failures - 1, 10), LAST_RETRY_MS)
    timer = clock.timer(afterMs, () => {
      timer = null
      void write()
    })
  }

  /** All that waits by now, or until something fails. Never rejects; one at a time. */
  function write(): Promise<void> {
    timer?.cancel()
    timer = null
    writing ??= writeAll().then(() => {
      writing = null
      wait()
    })
    return writing
  }

  async function writeAll(): Promise<void> {
    while (waiting.size > 0) {
      const batch = await nextBatch()
      try {
        await store.insertBatch(batch.map(({ content }) => content as KeptCall))
      } catch (cause) {
        if (failures++ === 0) log.warn('Bodies of calls can not be stored: they wait in memory', { cause })
        return
      }
      for (const one of batch) if (waiting.delete(one)) held -= one.bytes
      if (failures > 0 || dropped > 0) log.info('Bodies of calls are stored again', { dropped })
      failures = 0
      dropped = 0
    }
  }

  async function nextBatch(): Promise<Waiting[]> {
    const batch: Waiting[] = []
    let bytes = 0
    for (const one of waiting) {
      if (batch.length > 0 && (bytes >= BATCH_BYTES || batch.length === BATCH_CALLS)) break
      if ('taken' in one.content) {
        await pause()
        // It may have been dropped meanwhile.
        if (!(await trySeal(one, one.content)) || !waiting.has(one)) continue
      }
      batch.push(one)
      bytes += one.bytes
    }
    return batch
  }

  /** @returns false when it never will be */
  async function trySeal(one: Waiting, raw: Raw): Promise<boolean> {
    let content: KeptCall
    try {
      content = await sealed(one.facts, raw)
    } catch (cause) {
      log.error('What was said in a call can not be kept', { request: one.facts.callId, cause })
      if (waiting.delete(one)) held -= one.bytes
      return false
    }
    const bytes = (content.request.text?.length ?? 0) + (content.answer.text?.length ?? 0)
    one.content = content
    if (waiting.has(one)) held += bytes - one.bytes
    one.bytes = bytes
    return true
  }

  async function sealed(facts: BodyFacts, { rules, taken }: Raw): Promise<KeptCall> {
    const side = async (name: BodySide, isStream: boolean): Promise<KeptBody> => {
      const body = await inSlices(bodyStepsOf({ ...taken[name], isStream }, rules), pause)
      const context = callBodyContext(facts.projectId, facts.callId, name)
      return body.text === null ? body : { ...body, text: vault.seal(body.text, context) }
    }
    const expiresAtMs = facts.createdAtMs + rules.days * DAY_MS
    return { ...facts, expiresAtMs, request: await side('request', false), answer: await side('answer', facts.stream) }
  }

  return {
    take(facts, { bytes, contentType }, rules) {
      const sent = copied(bytes, mostOf(rules, false), rules.redact)
      const isHeld = hold(sent.bytes.length)
      const request = { ...sent, contentType, length: bytes.length }
      const ended = (answer: Taken): void => {
        const size = (isHeld ? request.bytes.length : 0) + answer.bytes.length
        if (isHeld && !closed) {
          waiting.add({ facts, content: { rules, taken: { request, answer } }, bytes: size })
          return wait()
        }
        held -= size
        if (dropped++ === 0) log.warn('Bodies of calls take too much memory: some are not kept', { held_bytes: held })
      }
      return new Take({ most: mostOf(rules, facts.stream), hold, ended })
    },

    async find(projectId, callId) {
      // What has just ended may still be on its way.
      for (const { facts } of waiting) {
        if (facts.callId !== callId) continue
        await write()
        break
      }
      const kept = await store.find({ projectId, callId }, clock.now())
      if (kept === null) return null
      const open = (name: BodySide, body: KeptBody): KeptBody =>
        body.text === null ? body : { ...body, text: vault.open(body.text, callBodyContext(projectId, callId, name)) }
      return { ...kept, request: open('request', kept.request), answer: open('answer', kept.answer) }
    },

    async close() {
      let late: Timer | undefined
      const tooLate = new Promise<void>((resolve) => {
        late = clock.timer(CLOSE_MS, resolve)
      })
      await Promise.race([write(), tooLate])
      late?.cancel()
      closed = true
      timer?.cancel()
      if (waiting.size > 0) log.warn('Bodies of calls were not stored before the end', { calls: waiting.size })
    },
  }
}

interface TakeParts {
  /** Bytes kept at most. */
  readonly most: number
  /** @returns whether there is room for them */
  hold(bytes: number): boolean
  ended(answer: Taken): void
}

/** Calls go before: between two slices of work they get their turn. */
function pause(): Promise<void> {
  return new Promise((resolve) => void setImmediate(resolve))
}

/** One call's answer, while it comes. */
class Take implements BodyTake {
  readonly #of: TakeParts
  readonly #parts: Buffer[] = []
  #taken = 0
  #length = 0
  #isFull = false
  #isOver = false

  constructor(of: TakeParts) {
    this.#of = of
  }

  push(chunk: Uint8Array): void {
    if (this.#isOver) return
    this.#length += chunk.length
    if (this.#isFull) return
    const part = chunk.subarray(0, this.#of.most - this.#taken)
    this.#isFull = part.length < chunk.length
    if (part.length === 0) return
    if (!this.#of.hold(part.length)) {
      this.#isFull = true
      return
    }
    this.#parts.push(Buffer.from(part))
    this.#taken += part.length
  }

  end(contentType: string | null): void {
    if (this.#isOver) return
    this.#isOver = true
    const isCut = this.#taken < this.#length
    this.#of.ended({ bytes: Buffer.concat(this.#parts), isCut, isChanged: false, contentType, length: this.#length })
  }
}
