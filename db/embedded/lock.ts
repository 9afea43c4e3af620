import { Buffer } from 'node:buffer'
import { chmodSync, closeSync, mkdirSync, openSync, readFileSync, readlinkSync, unlinkSync, writeSync } from 'node:fs'
import { connect, createServer, type Server } from 'node:net'
import { hostname } from 'node:os'
import { join, resolve } from 'node:path'

/** Another process uses the folder, or may. The message is one line that says what to do. */
export class FolderLockedError extends Error {
  constructor(message: string) {
    super(message)
    this.name = 'FolderLockedError'
  }
}

export interface FolderLock {
  /** Gives the folder free; harmless when repeated. */
  release(): void
}

/** Who holds the folder, as its lock file says. */
interface Holder {
  readonly pid: number
  /** When the process started, in ticks since the boot: another process with the same pid has another. */
  readonly startedTicks: string | null
  /** Only within one boot and one pid namespace does a pid say anything; null where there is no /proc. */
  readonly boot: string | null
  readonly namespace: string | null
  readonly host: string
}

const LOCK_FILE = 'lock'
const SOCKET_FILE = 'lock.sock'
/** The longest path that every system takes for a socket. */
const SOCKET_PATH_BYTES = 100
const TRIES = 3

/**
 * Takes the data folder for this process, for two on one embedded database lose rows in silence. Makes the folder, for
 * its owner only. A lock is taken over only from a process that is dead, however old it is.
 * @throws FolderLockedError when another process has it, or it can't be told; the system's error when it isn't writable
 */
export async function lockFolder(dir: string): Promise<FolderLock> {
  const folder = resolve(dir)
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  chmodSync(folder, 0o700)
  const path = join(folder, LOCK_FILE)
  const own: Holder = { pid: process.pid, startedTicks: startedTicks('self'), ...place() }
  const text = `${JSON.stringify(own)}\n`
  for (let tries = 0; tries < TRIES; tries++) {
    if (create(path, text)) return hold(folder, path, text)
    const found = read(path)
    if (found === null) continue
    await refuseLiving(folder, path, found)
    takeOver(path, found)
  }
  throw new FolderLockedError(`Another process is taking the data folder ${folder}; start again when it has ended`)
}

async function hold(folder: string, path: string, text: string): Promise<FolderLock> {
  const server = await answerOn(join(folder, SOCKET_FILE))
  let isHeld = true
  return {
    release() {
      if (!isHeld) return
      isHeld = false
      server?.close()
      // Not if somebody deleted it by hand and a successor made its own.
      if (read(path) === text) unlinkSync(path)
    },
  }
}

function create(path: string, text: string): boolean {
  let file: number
  try {
    file = openSync(path, 'wx', 0o600)
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return false
    throw error
  }
  writeSync(file, text)
  closeSync(file)
  return true
}

function read(path: string): string | null {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return null
    throw error
  }
}

/** Returns only when the holder is dead. */
async function refuseLiving(folder: string, path: string, text: string): Promise<void> {
  const holder = parse(text)
  if (holder === null) {
    throw new FolderLockedError(`The lock file ${path} can't be read; delete it when no WatchLLM uses the folder`)
  }
  const advice = 'stop it, or set WATCHLLM_DATA_DIR to another folder'
  const here = place()
  if (
    holder.boot === here.boot &&
    holder.namespace === here.namespace &&
    (here.boot !== null || holder.host === here.host)
  ) {
    if (isAlive(holder)) throw new FolderLockedError(`Process ${holder.pid} uses the data folder ${folder}; ${advice}`)
    return
  }
  // The machine was started again since: nothing of that time lives.
  if (holder.host === here.host && holder.boot !== here.boot) return
  // Another container on this machine: its pid means nothing here, but its socket would answer.
  const answer = holder.boot === here.boot && here.boot !== null ? await knock(join(folder, SOCKET_FILE)) : 'unknown'
  if (answer === 'dead') return
  throw new FolderLockedError(
    answer === 'answered'
      ? `A process in another container uses the data folder ${folder}; ${advice}`
      : `The data folder ${folder} was locked on ${holder.host}; delete ${path} if nothing there uses it any more`,
  )
}

/** Only one of several takes over what they all found dead: the guard is held for some microseconds. */
function takeOver(path: string, found: string): void {
  const guard = `${path}.takeover`
  if (!create(guard, `${process.pid}\n`)) {
    const pid = Number(read(guard))
    if (Number.isInteger(pid) && pid > 0 && !exists(pid)) unlinkSync(guard)
    return
  }
  try {
    if (read(path) === found) unlinkSync(path)
  } finally {
    unlinkSync(guard)
  }
}

function parse(text: string): Holder | null {
  try {
    const value = JSON.parse(text) as Partial<Holder> | null
    const { pid, host, startedTicks = null, boot = null, namespace = null } = value ?? {}
    if (!Number.isInteger(pid) || pid === undefined || pid <= 0 || typeof host !== 'string') return null
    return { pid, startedTicks, boot, namespace, host }
  } catch {
    return null
  }
}

function isAlive(holder: Holder): boolean {
  if (!exists(holder.pid)) return false
  const now = startedTicks(holder.pid)
  return now === null || holder.startedTicks === null || now === holder.startedTicks
}

function exists(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    // EPERM: it is there and another user's.
    return codeOf(error) !== 'ESRCH'
  }
}

/** Null where there is no /proc. */
function startedTicks(pid: number | 'self'): string | null {
  try {
    // The name of the program stands in parentheses and may hold anything; field 22 counts from there.
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? null
  } catch {
    return null
  }
}

function place(): Pick<Holder, 'boot' | 'namespace' | 'host'> {
  try {
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
    return { boot, namespace: readlinkSync('/proc/self/ns/pid'), host: hostname() }
  } catch {
    return { boot: null, namespace: null, host: hostname() }
  }
}

/** A socket in the folder answers across containers on one machine, and dies with its process. */
async function answerOn(path: string): Promise<Server | null> {
  if (process.platform === 'win32' || Buffer.byteLength(path) > SOCKET_PATH_BYTES) return null
  try {
    unlinkSync(path)
  } catch {}
  const server = createServer((socket) => socket.destroy())
  return new Promise((done) => {
    // A file system without sockets: then the pid has to do.
    server.once('error', () => done(null))
    server.listen(path, () => {
      server.unref()
      done(server)
    })
  })
}

function knock(path: string): Promise<'answered' | 'dead' | 'unknown'> {
  return new Promise((done) => {
    const socket = connect(path)
    socket.once('connect', () => {
      socket.destroy()
      done('answered')
    })
    socket.once('error', (error) => done(codeOf(error) === 'ECONNREFUSED' ? 'dead' : 'unknown'))
  })
}

function codeOf(error: unknown): string | null {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : null
}
