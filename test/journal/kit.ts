import { Buffer } from 'node:buffer'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import type { CallRecord } from '../../db/model/calls.ts'
import type { Price, Rates } from '../../db/model/money.ts'
import { NO_USAGE } from '../../db/model/usage.ts'
import type { Clock, Log } from '../../server/deps.ts'
import type { Disk } from '../../server/journal/disk.ts'
import { type JournalOptions, type OpenJournal, openJournal, type Sink } from '../../server/journal.ts'

export const STARTED_MS = 1_800_000_000_000

/** The nth call: ids sort by n. */
export function call(n: number, changes: Partial<CallRecord> = {}): CallRecord {
  return {
    id: `req_${String(n).padStart(26, '0')}`,
    createdAtMs: STARTED_MS + n,
    organizationId: 'org_1',
    projectId: 'prj_1',
    keyId: 'key_1',
    endpoint: 'chat.completions',
    modelRequested: 'gpt-4o-mini',
    model: 'gpt-4o-mini-2024-07-18',
    provider: 'openai',
    stream: n % 2 === 0,
    status: 200,
    outcome: 'done',
    errorCode: null,
    usage: { ...NO_USAGE, input: n, output: 7 },
    usageSource: 'provider',
    priceId: 'price_1',
    costPico: 123_456_789_012 + n,
    chargedPico: null,
    latencyUs: 812_345,
    overheadUs: 210,
    firstByteUs: null,
    attempts: 1,
    route: 'only',
    adapted: null,
    upstreamId: `chatcmpl-${n}`,
    clientRequestId: null,
    endUser: null,
    metadata: null,
    charge: null,
    tries: null,
    ...changes,
  }
}

const RATES: Rates = {
  input: 150_000,
  cacheRead: 75_000,
  cacheWrite5m: 0,
  cacheWrite1h: 0,
  output: 600_000,
  audioInput: 0,
  audioOutput: 0,
  imageInput: 0,
  imageOutput: 0,
}

export function price(id: string): Price {
  return { id, provider: 'openai', model: 'gpt-4o-mini', source: 'override', perCall: 0, rates: RATES, tiers: [] }
}

export interface MemoryLog extends Log {
  readonly lines: { readonly level: string; readonly message: string }[]
  count(level: string, part: string): number
}

export function memoryLog(): MemoryLog {
  const lines: { level: string; message: string }[] = []
  const at = (level: string) => (message: string) => void lines.push({ level, message })
  return {
    lines,
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
    count: (level, part) => lines.filter((line) => line.level === level && line.message.includes(part)).length,
  }
}

/** A few turns of the event loop, for what needs no time to happen. */
export async function turns(count = 6): Promise<void> {
  for (let i = 0; i < count; i++) await new Promise<void>((resolve) => setImmediate(resolve))
}

/** Lets the event loop turn until something is so, or fails after some thousand turns. */
export async function until(condition: () => boolean): Promise<void> {
  for (let i = 0; i < 5_000; i++) {
    if (condition()) return
    await turns(1)
  }
  throw new Error(`Never came true: ${condition}`)
}

/** Time that passes when the test says so. */
export class HandClock implements Clock {
  #nowMs = 0
  readonly #timers = new Set<{ readonly atMs: number; readonly callback: () => void }>()

  now(): number {
    return STARTED_MS + this.#nowMs
  }

  monotonic(): number {
    return this.#nowMs
  }

  timer(afterMs: number, callback: () => void) {
    const timer = { atMs: this.#nowMs + afterMs, callback }
    this.#timers.add(timer)
    return { cancel: () => void this.#timers.delete(timer) }
  }

  get timers(): number {
    return this.#timers.size
  }

  /** Fires what is due on the way, in order, each followed by a few turns of the event loop. */
  async advance(byMs: number): Promise<void> {
    const untilMs = this.#nowMs + byMs
    await turns()
    for (;;) {
      const due = [...this.#timers].filter(({ atMs }) => atMs <= untilMs).sort((a, b) => a.atMs - b.atMs)[0]
      if (due === undefined) break
      this.#nowMs = Math.max(this.#nowMs, due.atMs)
      this.#timers.delete(due)
      due.callback()
      await turns()
    }
    this.#nowMs = untilMs
  }
}

/** A database that inserts by request id, or fails as told. */
export class Books {
  /** Numbers of the calls in the order of their first arrival. */
  readonly numbers: number[] = []
  readonly prices: string[] = []
  readonly calls = new Map<string, CallRecord>()
  readonly batchSizes: number[] = []
  tries = 0
  repeated = 0
  underWay = 0
  mostUnderWay = 0
  failure: unknown = null

  readonly sink: Sink = async ({ callsJson, prices }) => {
    this.tries++
    this.mostUnderWay = Math.max(this.mostUnderWay, ++this.underWay)
    await turns(1)
    this.underWay--
    const calls: CallRecord[] = JSON.parse(callsJson)
    if (this.failure !== null) throw this.failure
    this.batchSizes.push(calls.length)
    for (const { id } of prices) if (!this.prices.includes(id)) this.prices.push(id)
    for (const each of calls) {
      if (this.calls.has(each.id)) this.repeated++
      else this.numbers.push(Number(each.id.slice(4)))
      this.calls.set(each.id, each)
    }
  }

  /** What arrived first to last, such as `0-99 105`: all of it in order is one range. */
  get ranges(): string {
    return rangesOf(this.numbers)
  }
}

export function rangesOf(numbers: readonly number[]): string {
  const ranges: [number, number][] = []
  for (const n of numbers) {
    const last = ranges.at(-1)
    if (last !== undefined && n === last[1] + 1) last[1] = n
    else ranges.push([n, n])
  }
  return ranges.map(([from, to]) => (from === to ? `${from}` : `${from}-${to}`)).join(' ')
}

/** A disk in memory that fails as told; what was written survives a crash, as the page cache does. */
export class FakeDisk implements Disk {
  readonly files = new Map<string, { bytes: Buffer; length: number }>()
  readonly #open = new Map<number, string>()
  #next = 3
  syncs = 0
  writes = 0
  /** Bytes that still fit. */
  free = Number.POSITIVE_INFINITY
  failCreate = false
  failSync = false
  failAppend = false
  failRead: RegExp | null = null
  /** Set to make syncs wait; call the functions to let them end. */
  heldSyncs: (() => void)[] | null = null

  async list(folder: string) {
    const inside = [...this.files].filter(([path]) => path.startsWith(`${folder}/`))
    return inside.map(([path, { length }]) => ({ name: path.slice(folder.length + 1), bytes: length }))
  }

  create(path: string): number {
    if (this.failCreate) throw new Error('EMFILE: too many open files')
    if (this.files.has(path)) throw new Error('EEXIST: file already exists')
    this.put(path, Buffer.alloc(0))
    this.#open.set(this.#next, path)
    return this.#next++
  }

  write(file: number, bytes: Buffer, offset: number, length: number, position: number): number {
    this.writes++
    const path = this.#open.get(file)
    if (path === undefined) throw new Error('EBADF: bad file descriptor')
    if (position < 0 || position > (this.files.get(path)?.length ?? 0)) throw new Error(`A hole at ${position}`)
    const target = this.files.get(path) ?? { bytes: Buffer.alloc(0), length: 0 }
    const grown = Math.max(0, position + length - target.length)
    const taken = grown > this.free ? length - (grown - this.free) : length
    if (taken <= 0) throw new Error('ENOSPC: no space left on device')
    const end = position + taken
    if (end > target.bytes.length) {
      const larger = Buffer.alloc(Math.max(end, target.bytes.length * 2))
      target.bytes.copy(larger, 0, 0, target.length)
      target.bytes = larger
    }
    this.free -= Math.max(0, end - target.length)
    bytes.copy(target.bytes, position, offset, offset + taken)
    target.length = Math.max(target.length, end)
    return taken
  }

  truncate(file: number, length: number): void {
    const target = this.files.get(this.#open.get(file)!)!
    if (length < 0 || length > target.length) throw new Error(`EINVAL: length ${length}`)
    this.free += target.length - length
    target.bytes.fill(0, length)
    target.length = length
  }

  async sync(file: number): Promise<void> {
    if (!this.#open.has(file)) throw new Error('EBADF: bad file descriptor')
    this.syncs++
    if (this.heldSyncs !== null) await new Promise<void>((resolve) => this.heldSyncs?.push(resolve))
    if (this.failSync) throw new Error('EIO: i/o error')
  }

  async syncFolder(): Promise<void> {}

  async close(file: number): Promise<void> {
    if (!this.#open.delete(file)) throw new Error('EBADF: bad file descriptor')
  }

  get openFiles(): number {
    return this.#open.size
  }

  async read(path: string, into: Buffer, position: number): Promise<number> {
    await turns(1)
    if (this.failRead?.test(path)) throw new Error('EIO: i/o error')
    const file = this.files.get(path)
    if (file === undefined) throw new Error('ENOENT: no such file')
    return file.bytes.copy(into, 0, position, Math.min(file.length, position + into.length))
  }

  async append(path: string, text: string): Promise<void> {
    if (this.failAppend) throw new Error('ENOSPC: no space left on device')
    this.put(path, Buffer.concat([this.bytes(path), Buffer.from(text)]))
  }

  async rename(from: string, to: string): Promise<void> {
    this.files.set(to, this.files.get(from)!)
    this.files.delete(from)
  }

  async remove(path: string): Promise<void> {
    const file = this.files.get(path)
    if (file === undefined) throw new Error('ENOENT: no such file')
    this.free += file.length
    this.files.delete(path)
  }

  put(path: string, bytes: Buffer): void {
    this.files.set(path, { bytes, length: bytes.length })
  }

  bytes(path: string): Buffer {
    const file = this.files.get(path)
    return file === undefined ? Buffer.alloc(0) : Buffer.from(file.bytes.subarray(0, file.length))
  }

  text(path: string): string {
    return this.bytes(path).toString('utf8')
  }

  /** The disk as a process finds it that starts after this one was killed. */
  afterCrash(): FakeDisk {
    const next = new FakeDisk()
    for (const path of this.files.keys()) next.put(path, this.bytes(path))
    return next
  }
}

export interface Rig {
  readonly journal: OpenJournal
  readonly books: Books
  readonly clock: HandClock
  readonly log: MemoryLog
  readonly disk: FakeDisk
  /** Appends the calls from `from` up to, not including, `to` in one tick, all with price_1. */
  append(from: number, to: number): void
  /** Numbers of the calls whose `written` was called, in order. */
  readonly written: number[]
}

/** A journal on a disk in memory and time by hand, closed when the test ends. */
export async function rig(options: Partial<JournalOptions> & { disk?: FakeDisk; books?: Books } = {}): Promise<Rig> {
  const { disk = new FakeDisk(), books = new Books(), ...rest } = options
  const clock = new HandClock()
  const log = memoryLog()
  const given = { folder: '/j', sink: books.sink, log, clock, fsync: 'interval' as const, ...rest, disk }
  const journal = await openJournal(given)
  const written: number[] = []
  onTestFinished(async () => {
    const closing = journal.close(0)
    await clock.advance(0)
    await closing
  })
  return {
    journal,
    books,
    clock,
    log,
    disk,
    written,
    append(from, to) {
      const cost = price('price_1')
      for (let n = from; n < to; n++) journal.append(call(n), cost, () => written.push(n))
    },
  }
}

/** An empty folder of the real file system, removed when the test ends. */
export function emptyFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'journal-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}
