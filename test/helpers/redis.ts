import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'

/** A Redis of our own on a free port, which keeps nothing on disk. */
export interface TestRedis {
  readonly url: string
  readonly port: number
  /** Stops it for good, as kill -9 does. */
  kill(): Promise<void>
  /** On the same port, with nothing in it. @param more such as `--maxmemory 1` */
  start(more?: readonly string[]): Promise<void>
  /** Stops answering without closing connections, until told to go on. */
  hang(): void
  goOn(): void
}

/** Whether there is a redis-server on this machine. @throws when there must be one, as WATCHLLM_REQUIRE_REDIS=1 says */
export function hasRedis(): boolean {
  const isThere = spawnSync('redis-server', ['--version']).status === 0
  if (!isThere && process.env.WATCHLLM_REQUIRE_REDIS === '1')
    throw new Error('No redis-server found; install one (apt-get install redis-server) or unset WATCHLLM_REQUIRE_REDIS')
  return isThere
}

const children = new Set<ChildProcess>()
// A test run that is ended from outside leaves no Redis behind.
process.on('exit', () => {
  for (const child of children) child.kill('SIGKILL')
})

export async function startRedis(): Promise<TestRedis> {
  const port = await freePort()
  let child: ChildProcess | null = null

  async function start(more: readonly string[] = []): Promise<void> {
    const plain = ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no']
    const started = spawn('redis-server', [...plain, ...more], { stdio: ['ignore', 'pipe', 'inherit'], cwd: '/' })
    children.add(started)
    child = started
    await new Promise<void>((resolve, reject) => {
      let said = ''
      started.stdout.setEncoding('utf8').on('data', (text: string) => {
        said += text
        if (said.includes('Ready to accept connections')) resolve()
      })
      started.on('exit', () => reject(new Error(`redis-server ended:\n${said}`)))
    })
  }

  await start()
  return {
    ...{ url: `redis://127.0.0.1:${port}`, port, start },
    async kill() {
      const dying = child
      child = null
      if (dying === null || dying.exitCode !== null) return
      const ended = once(dying, 'exit')
      dying.kill('SIGKILL')
      await ended
      children.delete(dying)
    },
    hang: () => void child?.kill('SIGSTOP'),
    goOn: () => void child?.kill('SIGCONT'),
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  if (address === null || typeof address === 'string') throw new Error('No port')
  return address.port
}
