import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { FolderLockedError, lockFolder } from '../../db/embedded/lock.ts'
import { temporaryFolder } from './engines.ts'

const hasProc = existsSync('/proc/self/stat')

describe('lockFolder()', () => {
  let folder: string
  let path: string
  beforeEach(() => {
    folder = join(temporaryFolder(), 'data')
    path = join(folder, 'lock')
  })
  afterEach(() => rmSync(join(folder, '..'), { recursive: true, force: true }))

  /** Writes the lock as another process would have. */
  async function lockOf(changes: Readonly<Record<string, unknown>>): Promise<void> {
    const lock = await lockFolder(folder)
    const own = JSON.parse(readFileSync(path, 'utf8')) as object
    lock.release()
    writeFileSync(path, JSON.stringify({ ...own, ...changes }))
  }

  async function deadPid(): Promise<number> {
    const child = spawn(process.execPath, ['-e', ''])
    await once(child, 'exit')
    return child.pid!
  }

  it('makes the folder for its owner only, and closes one that was open to others', async () => {
    const lock = await lockFolder(folder)
    expect(statSync(folder).mode & 0o777).toBe(0o700)
    lock.release()
    chmodSync(folder, 0o755)
    ;(await lockFolder(folder)).release()
    expect(statSync(folder).mode & 0o777).toBe(0o700)
  })

  it('refuses a folder that a living process has, in one line that says which', async () => {
    const lock = await lockFolder(folder)
    const error = await lockFolder(folder).catch((thrown: unknown) => thrown)
    expect(error).toBeInstanceOf(FolderLockedError)
    expect((error as Error).message).toMatch(
      new RegExp(`^Process ${process.pid} uses the data folder ${folder}; stop it`),
    )
    expect((error as Error).message).not.toContain('\n')
    lock.release()
    lock.release()
    ;(await lockFolder(folder)).release()
    expect(existsSync(path)).toBe(false)
  })

  it('of many at once exactly one gets it, also when they find a dead one’s lock', async () => {
    await lockOf({ pid: await deadPid() })
    const asked = await Promise.allSettled(Array.from({ length: 20 }, () => lockFolder(folder)))
    expect(asked.filter((one) => one.status === 'fulfilled')).toHaveLength(1)
    for (const one of asked) if (one.status === 'rejected') expect(one.reason).toBeInstanceOf(FolderLockedError)
  })

  it('takes over from a dead process, and only from that: never by age', async () => {
    await lockOf({ pid: await deadPid() })
    ;(await lockFolder(folder)).release()
    await lockOf({})
    utimesSync(path, new Date(0), new Date(0))
    await expect(lockFolder(folder)).rejects.toThrow(FolderLockedError)
  })

  it('takes over from a process that was killed', async () => {
    const child = await lockingChild(folder)
    await expect(lockFolder(folder)).rejects.toThrow(`Process ${child.pid} uses`)
    child.kill('SIGKILL')
    await once(child, 'exit')
    ;(await lockFolder(folder)).release()
  })

  it.runIf(hasProc)('takes over when another process got the dead one’s pid', async () => {
    await lockOf({ pid: process.ppid, startedTicks: '1' })
    ;(await lockFolder(folder)).release()
  })

  it.runIf(hasProc)('doesn’t trust pids of another container: asks its socket', async () => {
    await lockOf({ pid: process.pid, startedTicks: '1', namespace: 'pid:[1]' })
    const server = createServer((socket) => socket.destroy())
    server.listen(join(folder, 'lock.sock'))
    await once(server, 'listening')
    await expect(lockFolder(folder)).rejects.toThrow('in another container')
    server.close()
    await once(server, 'close')
    // Nothing there to ask: it may be a file system without sockets.
    await expect(lockFolder(folder)).rejects.toThrow(`delete ${path}`)
  })

  it.runIf(hasProc)('takes over from another container that was killed', async () => {
    const child = await lockingChild(folder)
    child.kill('SIGKILL')
    await once(child, 'exit')
    const left = JSON.parse(readFileSync(path, 'utf8')) as object
    writeFileSync(path, JSON.stringify({ ...left, pid: process.pid, namespace: 'pid:[1]' }))
    ;(await lockFolder(folder)).release()
  })

  it.runIf(hasProc)('takes over after the machine was started again, but not from another machine', async () => {
    await lockOf({ pid: process.pid, startedTicks: '1', boot: 'earlier' })
    ;(await lockFolder(folder)).release()
    await lockOf({ pid: process.pid, boot: 'other', host: 'elsewhere' })
    await expect(lockFolder(folder)).rejects.toThrow('locked on elsewhere; delete')
  })

  it.each(['', 'nonsense', '{}', '[]', 'null', '{"pid":0}', '{"pid":"1"}'])(
    'refuses when the lock can’t be read (%j), naming the file',
    async (text) => {
      mkdirSync(folder)
      writeFileSync(path, text)
      await expect(lockFolder(folder)).rejects.toThrow(`The lock file ${path} can't be read; delete it`)
    },
  )

  it('release() leaves a successor’s lock alone', async () => {
    const lock = await lockFolder(folder)
    writeFileSync(path, 'of another')
    lock.release()
    expect(readFileSync(path, 'utf8')).toBe('of another')
  })
})

async function lockingChild(folder: string): Promise<ChildProcess> {
  const code = `import { lockFolder } from ${JSON.stringify(join(import.meta.dirname, '../../db/embedded/lock.ts'))}
    await lockFolder(process.argv[1])
    console.log('locked')
    setInterval(() => {}, 1000)`
  const child = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', code, folder], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  await once(child.stdout!, 'data')
  return child
}
