import type { Buffer } from 'node:buffer'
import * as fs from 'node:fs'
import { mkdir, open, readdir, rename, stat, unlink } from 'node:fs/promises'
import { join } from 'node:path'

/**
 * The few things the journal asks of a file system; a test passes one that fails. Everything throws or rejects with
 * the system's own error.
 */
export interface Disk {
  /** Makes the folder, for its owner only, and lists its files with their sizes in bytes. */
  list(folder: string): Promise<{ readonly name: string; readonly bytes: number }[]>
  /** Makes a new file for writing. @throws when there is one already. */
  create(path: string): number
  /** Writes at `position` and returns how many bytes were taken, which may be fewer. Blocks: 7 µs for 7 kB. */
  write(file: number, bytes: Buffer, offset: number, length: number, position: number): number
  truncate(file: number, length: number): void
  /** Resolves once what was written is on the device. */
  sync(file: number): Promise<void>
  /** Makes new names in the folder lasting, where the system can. */
  syncFolder(folder: string): Promise<void>
  close(file: number): Promise<void>
  /** Fills `into` from `position` on and resolves with the bytes read, fewer only at the end of the file. */
  read(path: string, into: Buffer, position: number): Promise<number>
  /** Appends and waits for the device. */
  append(path: string, text: string): Promise<void>
  rename(from: string, to: string): Promise<void>
  remove(path: string): Promise<void>
}

function settle(resolve: () => void, reject: (error: Error) => void): (error: Error | null | undefined) => void {
  return (error) => (error === null || error === undefined ? resolve() : reject(error))
}

export const realDisk: Disk = {
  async list(folder) {
    await mkdir(folder, { recursive: true, mode: 0o700 })
    const names = await readdir(folder)
    return Promise.all(names.map(async (name) => ({ name, bytes: (await stat(join(folder, name))).size })))
  },
  create: (path) => fs.openSync(path, 'wx', 0o600),
  write: (file, bytes, offset, length, position) => fs.writeSync(file, bytes, offset, length, position),
  truncate: (file, length) => fs.ftruncateSync(file, length),
  sync: (file) => new Promise((resolve, reject) => fs.fdatasync(file, settle(resolve, reject))),
  async syncFolder(folder) {
    // Windows has no such thing: it is enough there to have tried.
    const handle = await open(folder, 'r').catch(() => null)
    if (handle === null) return
    await handle.sync().catch(() => {})
    await handle.close()
  },
  close: (file) => new Promise((resolve, reject) => fs.close(file, settle(resolve, reject))),
  async read(path, into, position) {
    const handle = await open(path, 'r')
    try {
      let filled = 0
      while (filled < into.length) {
        const { bytesRead } = await handle.read(into, filled, into.length - filled, position + filled)
        if (bytesRead === 0) break
        filled += bytesRead
      }
      return filled
    } finally {
      await handle.close()
    }
  },
  async append(path, text) {
    const handle = await open(path, 'a', 0o600)
    try {
      await handle.appendFile(text)
      await handle.datasync()
    } finally {
      await handle.close()
    }
  },
  rename: (from, to) => rename(from, to),
  remove: (path) => unlink(path),
}
