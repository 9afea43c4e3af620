import { type ChildProcess, type SpawnOptions, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { type AddressInfo, connect, createServer } from 'node:net'
import { availableParallelism } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'

/** The servers under test run on core 0, provider and load on core 1: neither takes time from the other. */
export const SERVER_CORE = 0
export const LOAD_CORE = 1
/** Linux counts CPU time in hundredths of a second, whatever the kernel's own tick. */
const TICK_US = 10_000

/** @throws Error naming the Debian packages of whatever is missing on this machine. */
export function requirePrograms(packages: Readonly<Record<string, string>>): void {
  if (process.platform !== 'linux') throw new Error('The bench reads CPU time from /proc: run it on Linux')
  const path = `${process.env.PATH}:/usr/sbin:/sbin`.split(':')
  const missing = Object.keys(packages).filter((program) => !path.some((folder) => existsSync(`${folder}/${program}`)))
  if (missing.length > 0) {
    const names = [...new Set(missing.map((program) => packages[program]))].join(' ')
    throw new Error(`Missing: ${missing.join(', ')}. On Debian: apt-get install ${names}`)
  }
  if (availableParallelism() < 2) throw new Error('The bench needs two cores: one for the server, one for the load')
}

/** Starts a program on one core, in a process group of its own. */
export function startOn(core: number, command: readonly string[], options: SpawnOptions = {}): ChildProcess {
  const words = ['-c', String(core), ...command]
  return spawn('taskset', words, { detached: true, stdio: 'ignore', ...options, env: environment(options.env) })
}

/** Runs a program on one core to its end. @throws Error with what it said when it fails */
export async function runOn(core: number, command: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<string> {
  const child = startOn(core, command, { stdio: ['ignore', 'pipe', 'pipe'], env })
  let out = ''
  let errors = ''
  child.stdout?.on('data', (bytes) => {
    out += bytes
  })
  child.stderr?.on('data', (bytes) => {
    errors += bytes
  })
  const [status] = await once(child, 'close')
  if (status !== 0) throw new Error(`${command[0]} ended with ${status}: ${(errors || out).trim().slice(0, 500)}`)
  return out
}

/** First line of what a program says about itself. */
export function versionOf(program: string, flag: string): string {
  const { stdout, stderr } = spawnSync(program, [flag], { encoding: 'utf8', env: environment() })
  return `${stdout}${stderr}`.trim().split('\n')[0] ?? ''
}

/** Ends the whole group: politely, and after 10 s not. */
export async function stop(child: ChildProcess): Promise<void> {
  const signal = (name: NodeJS.Signals): void => {
    try {
      process.kill(-child.pid!, name)
    } catch {
      // Nothing of the group is left.
    }
  }
  const ended = child.exitCode !== null || child.signalCode !== null ? Promise.resolve() : once(child, 'exit')
  signal('SIGTERM')
  await Promise.race([ended, sleep(10_000, undefined, { ref: false })])
  signal('SIGKILL')
}

/** Milliseconds until something listens on the port. @throws Error when the program ends before, or after 60 s */
export async function listening(port: number, child: ChildProcess): Promise<number> {
  const began = performance.now()
  while (performance.now() - began < 60_000) {
    if (await connects(port)) return performance.now() - began
    if (child.exitCode !== null) throw new Error(`It ended with ${child.exitCode} instead of listening on ${port}`)
    await sleep(10)
  }
  throw new Error(`Nothing listens on ${port} after 60 s`)
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

/** CPU time of a process and all its descendants so far: user and system, in microseconds. */
export function cpuUs(pid: number): number {
  return sumOver(pid, (one) => {
    const stat = readFileSync(`/proc/${one}/stat`, 'utf8')
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return (Number(fields[11]) + Number(fields[12])) * TICK_US
  })
}

/** Resident memory of a process and all its descendants, in kilobytes of 1024 bytes. */
export function memoryKb(pid: number): number {
  return sumOver(pid, (one) => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${one}/status`, 'utf8'))?.[1] ?? 0))
}

function sumOver(pid: number, measure: (pid: number) => number): number {
  try {
    const tasks = readdirSync(`/proc/${pid}/task`)
    const children = tasks.flatMap((task) =>
      readFileSync(`/proc/${pid}/task/${task}/children`, 'utf8').trim().split(' '),
    )
    const below = children.filter((child) => child !== '').map((child) => sumOver(Number(child), measure))
    return below.reduce((sum, one) => sum + one, measure(pid))
  } catch {
    // It ended while we looked.
    return 0
  }
}

function connects(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => resolve(true))
    socket.once('error', () => resolve(false))
    socket.once('connect', () => socket.destroy())
  })
}

function environment(more: NodeJS.ProcessEnv = {}): NodeJS.ProcessEnv {
  return { ...process.env, PATH: `${process.env.PATH}:/usr/sbin:/sbin`, ...more }
}
