import { join } from 'node:path'
import type { Log } from '../deps.ts'
import type { Disk } from './disk.ts'

/**
 * One file of the journal. Positions count bytes of one stream that runs through all files that are there, oldest
 * first: a byte's place in its file is its position less `base`.
 */
export interface Segment {
  readonly name: string
  readonly path: string
  /** Made by this process, not found at its start. */
  readonly own: boolean
  base: number
  /** Position after its last byte. */
  end: number
  file: number | null
  /** Written since the last sync began. */
  dirty: boolean
  /** Its name has not been synced yet. */
  fresh: boolean
  syncing: boolean
  /** To be kept under another name: it holds what could be put nowhere else. */
  damaged: boolean
  /** Ids of the prices that it holds. */
  readonly priced: Set<string>
}

const NAME = /^calls-(\d+)\.ndjson$/
const REFUSED = 'refused.ndjson'

function segment(folder: string, sequence: number, base: number, own: boolean): Segment {
  const name = `calls-${String(sequence).padStart(8, '0')}.ndjson`
  return {
    name,
    path: join(folder, name),
    own,
    base,
    end: base,
    file: null,
    dirty: false,
    fresh: own,
    syncing: false,
    damaged: false,
    priced: new Set(),
  }
}

/** The files, oldest first; the last one is written to. One process at a time may have a folder open. */
export class Segments {
  readonly #folder: string
  readonly #disk: Disk
  readonly #log: Log
  readonly #all: Segment[] = []
  readonly #background = new Set<Promise<void>>()
  #sequence = 0

  private constructor(folder: string, disk: Disk, log: Log) {
    this.#folder = folder
    this.#disk = disk
    this.#log = log
  }

  /** @throws the system's error when the folder can't be read or a file can't be made in it. */
  static async open(folder: string, disk: Disk, log: Log): Promise<Segments> {
    const segments = new Segments(folder, disk, log)
    const found = (await disk.list(folder))
      .map(({ name, bytes }) => ({ name, bytes, sequence: Number(NAME.exec(name)?.[1] ?? Number.NaN) }))
      .filter(({ sequence }) => Number.isSafeInteger(sequence))
      .sort((a, b) => a.sequence - b.sequence)
    let base = 0
    for (const { name, bytes, sequence } of found) {
      segments.#sequence = sequence
      const old = { ...segment(folder, sequence, base, false), name, path: join(folder, name), end: base + bytes }
      base += bytes
      segments.#all.push(old)
    }
    segments.#open(base)
    segments.confirm(0)
    return segments
  }

  #open(base: number): void {
    const next = segment(this.#folder, this.#sequence + 1, base, true)
    next.file = this.#disk.create(next.path)
    this.#sequence++
    this.#all.push(next)
  }

  get active(): Segment {
    return this.#all[this.#all.length - 1]!
  }

  get count(): number {
    return this.#all.length
  }

  get isDirty(): boolean {
    return this.#all.some((each) => each.dirty)
  }

  /** The file that holds `position`. */
  at(position: number): Segment {
    return this.#all.find((each) => position < each.end) ?? this.active
  }

  /** Goes on in a new file; where none can be made, stays in this one and says so. */
  rotate(): boolean {
    const old = this.active
    try {
      this.#open(old.end)
    } catch (error) {
      this.#log.warn('Journal could not begin a new file and goes on in the old one', { file: old.name, error })
      return false
    }
    if (!old.dirty) this.#release(old)
    return true
  }

  /** Resolves once all that was written before is on the device. @throws the system's error of the first that failed. */
  async sync(): Promise<void> {
    const dirty = this.#all.filter((each) => each.dirty && each.file !== null)
    const results = await Promise.allSettled(dirty.map((each) => this.#sync(each)))
    const failed = results.find((result) => result.status === 'rejected')
    if (failed !== undefined) throw failed.reason
  }

  async #sync(each: Segment): Promise<void> {
    each.dirty = false
    each.syncing = true
    try {
      await this.#disk.sync(each.file!)
      if (each.fresh) await this.#disk.syncFolder(this.#folder)
      each.fresh = false
    } catch (error) {
      each.dirty = true
      throw error
    } finally {
      each.syncing = false
      if (!this.#all.includes(each) || (each !== this.active && !each.dirty)) this.#release(each)
    }
  }

  /** Removes the files that end at or before `position`, but for the one that is written to. */
  confirm(position: number): void {
    while (this.#all.length > 1 && this.#all[0]!.end <= position) this.#remove(this.#all.shift()!)
  }

  #remove(each: Segment): void {
    each.dirty = false
    if (!each.syncing) this.#release(each)
    const { path } = each
    const gone = each.damaged ? this.#disk.rename(path, `${path}.damaged`) : this.#disk.remove(path)
    this.#track(gone, `Journal could not remove ${each.name}; it will be read again at the next start`)
  }

  #release(each: Segment): void {
    if (each.file === null) return
    const { file } = each
    each.file = null
    this.#track(this.#disk.close(file), `Journal could not close ${each.name}`)
  }

  #track(work: Promise<void>, message: string): void {
    const tracked = work
      .catch((error: unknown) => this.#log.warn(message, { error }))
      .finally(() => this.#background.delete(tracked))
    this.#background.add(tracked)
  }

  /**
   * Puts lines that can't be stored into `refused.ndjson`, one JSON object each. Where that fails, the files from
   * position `from` to `to` are kept as `….damaged`. Never rejects.
   */
  async setAside(lines: readonly Readonly<Record<string, unknown>>[], from: number, to: number): Promise<void> {
    try {
      const text = lines.map((line) => `${JSON.stringify(line)}\n`).join('')
      await this.#disk.append(join(this.#folder, REFUSED), text)
      this.#log.error(`Journal set ${lines.length} lines aside in ${REFUSED}; look at them and keep what counts`)
    } catch (error) {
      this.#log.error('Journal could not set lines aside and keeps their file as .damaged', { error })
      for (const each of this.#all) if (each.base < to && each.end > from) each.damaged = true
    }
  }

  /** Closes all files; those of which everything up to `confirmed` is in the database are removed. */
  async close(confirmed: number): Promise<void> {
    this.confirm(confirmed)
    if (this.active.end <= confirmed) this.#remove(this.#all.pop()!)
    for (const each of this.#all) this.#release(each)
    while (this.#background.size > 0) await Promise.all(this.#background)
  }
}
