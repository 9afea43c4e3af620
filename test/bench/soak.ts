import { type ChildProcess, spawnSync } from 'node:child_process'
import { closeSync, existsSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs'
import { cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { Callers, type Tally } from './callers.ts'
import {
  freePort,
  LOAD_CORE,
  listening,
  memoryKb,
  requirePrograms,
  runOn,
  SERVER_CORE,
  startOn,
  stop,
} from './processes.ts'

const HELP = `npx tsx test/bench/soak.ts [--minutes 10] [--times 3] [--start 'npm start']

Three times what the gateway can do, for ten minutes: calls come at that rate whatever becomes of them, to a provider that
takes half a second. Told are the p99 of calls that were let in, against that of a gateway at a fifth of its capacity; the
share refused with 503; and resident memory over time, the embedded database included.`

const KEY = 'lgw_proj_0123456789abcdef0123456789abcdef'
const PATH = '/v1/chat/completions'
/** The provider streams so many frames, so many microseconds apart (see peer.c). */
const ORDERS = { stream: true, max_tokens: 4, seed: 120_000 }
const CALM = 0.2
const LOOK_EVERY_MS = 10_000

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '10' },
    times: { type: 'string', default: '3' },
    start: { type: 'string', default: 'npm start' },
    help: { type: 'boolean', default: false },
  },
})
const work = mkdtempSync(join(tmpdir(), 'watchllm-soak-'))

async function main(): Promise<boolean> {
  requirePrograms({ cc: 'gcc libc6-dev', taskset: 'util-linux' })
  if (values.start === 'npm start' && !existsSync(join(import.meta.dirname, '../../dist/server/watchllm.js'))) {
    throw new Error('There is no build: run npm install or npm run build first')
  }
  // This program is the callers: it must not take time from the gateway.
  spawnSync('taskset', ['-acp', String(LOAD_CORE), String(process.pid)])
  const peer = join(work, 'peer')
  await runOn(LOAD_CORE, ['cc', '-O2', '-o', peer, join(import.meta.dirname, 'peer.c')])
  const providerPort = await freePort()
  const provider = startOn(LOAD_CORE, [peer, 'provider', String(providerPort)])
  let server: ChildProcess | null = null
  try {
    await listening(providerPort, provider)
    const port = await freePort()
    server = startServer(port, providerPort)
    await listening(port, server)
    return await soak(port, server.pid!)
  } finally {
    if (server !== null) await stop(server)
    await stop(provider)
  }
}

function startServer(port: number, providerPort: number): ChildProcess {
  mkdirSync(join(work, 'data'), { mode: 0o700 })
  const log = openSync(join(work, 'gateway.log'), 'w')
  const env = {
    NODE_ENV: 'production',
    PORT: String(port),
    HOST: '127.0.0.1',
    WATCHLLM_DATA_DIR: join(work, 'data'),
    WATCHLLM_BOOTSTRAP_KEY: KEY,
    WATCHLLM_BOOTSTRAP_PLAN: 'unlimited',
    OPENAI_API_KEY: 'sk-bench',
    OPENAI_BASE_URL: `http://127.0.0.1:${providerPort}/v1`,
  }
  const child = startOn(SERVER_CORE, ['sh', '-c', values.start], { stdio: ['ignore', log, log], env })
  closeSync(log)
  return child
}

function requestBytes(): Buffer {
  const messages = [{ role: 'user', content: 'What does a gateway for language models do? '.repeat(5) }]
  const body = JSON.stringify({ model: 'gpt-4o-mini', messages, ...ORDERS })
  const head = [
    `POST ${PATH} HTTP/1.1`,
    'host: 127.0.0.1',
    'content-type: application/json',
    `authorization: Bearer ${KEY}`,
    `content-length: ${Buffer.byteLength(body)}`,
  ]
  return Buffer.from(`${head.join('\r\n')}\r\n\r\n${body}`)
}

async function soak(port: number, pid: number): Promise<boolean> {
  console.log(`${HELP.split('\n\n')[1]}\n\n${cpus().length} × ${cpus()[0]?.model.trim()}, Node ${process.version}`)
  const callers = new Callers(port, requestBytes())
  await callers.run(200, 5000)
  const capacity = await measureCapacity(callers)
  console.log(`Capacity: ${Math.round(capacity)} calls a second`)
  await settled(callers)
  const calm = await callers.run(CALM * capacity, 15_000)
  tell('calm', calm, 15, pid)
  await settled(callers)

  const overloaded: Tally[] = []
  const memory: number[] = []
  const rate = Number(values.times) * capacity
  const untilMs = performance.now() + Number(values.minutes) * 60_000
  while (performance.now() < untilMs) {
    const tally = await callers.run(rate, Math.min(LOOK_EVERY_MS, untilMs - performance.now()))
    overloaded.push(tally)
    memory.push(memoryKb(pid))
    tell(`${values.times} times`, tally, LOOK_EVERY_MS / 1000, pid)
  }
  await settled(callers)
  const after = await callers.run(CALM * capacity, 15_000)
  tell('after', after, 15, pid)
  await settled(callers)
  callers.close()
  await sleep(5000)
  console.log(`Memory at rest: ${megabytes(memoryKb(pid))}; said by the gateway:\n${said()}`)
  return judge({ calm, overloaded, after, memory })
}

/** The most calls that it answers a second, whatever else it is asked. */
async function measureCapacity(callers: Callers): Promise<number> {
  let best = 0
  for (const programs of [250, 500, 1000, 2000, 4000]) {
    const { tookMs } = await callers.saturate(programs, 4000)
    await settled(callers)
    best = Math.max(best, tookMs.length / 4)
  }
  return best
}

/** Until all calls have ended: what comes late is not put down to the next run. */
async function settled(callers: Callers): Promise<void> {
  for (let waited = 0; callers.busy > 0 && waited < 20_000; waited += 100) await sleep(100)
  await sleep(1000)
}

interface Seen {
  readonly calm: Tally
  readonly overloaded: readonly Tally[]
  readonly after: Tally
  /** Kilobytes, over time. */
  readonly memory: readonly number[]
}

function judge({ calm, overloaded, after, memory }: Seen): boolean {
  const took = overloaded.flatMap(({ tookMs }) => tookMs)
  const ratio = percentile(took, 0.99) / percentile(calm.tookMs, 0.99)
  const half = memory.length >> 1
  const growth = Math.max(...memory.slice(half)) / Math.max(...memory.slice(0, Math.max(1, half)))
  const errors = [calm, ...overloaded, after].reduce((sum, one) => sum + one.errors, 0)
  const verdicts: [good: boolean, said: string][] = [
    [ratio <= 2, `p99 of calls let in: ${ratio.toFixed(2)} × that of a calm gateway (at most 2)`],
    [growth <= 1.1, `memory of the second half against the first: ${growth.toFixed(2)} (flat: at most 1.10)`],
    [errors === 0, `${errors} errors`],
    [after.refused === 0, `${after.refused} refused when the flood was over`],
  ]
  for (const [good, words] of verdicts) console.log(`${good ? 'good' : 'BAD '}  ${words}`)
  return verdicts.every(([good]) => good)
}

function tell(name: string, tally: Tally, seconds: number, pid: number): void {
  const { tookMs, refused, errors, unsent, sent } = tally
  const share = (100 * refused) / Math.max(1, refused + tookMs.length)
  const p = (part: number) => `${percentile(tookMs, part).toFixed(0)}`.padStart(5)
  console.log(
    `${name.padEnd(8)} sent ${Math.round(sent / seconds)}/s, answered ${Math.round(tookMs.length / seconds)}/s, ` +
      `503 ${share.toFixed(1)} %, p50 ${p(0.5)} ms, p99 ${p(0.99)} ms, memory ${megabytes(memoryKb(pid))}, ` +
      `${errors} errors, ${unsent} unsent`,
  )
}

function percentile(values: readonly number[], part: number): number {
  const sorted = Float64Array.from(values).sort()
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? Number.NaN
}

function megabytes(kb: number): string {
  return `${Math.round(kb / 1024)} MB`
}

function said(): string {
  return readFileSync(join(work, 'gateway.log'), 'utf8').trim().split('\n').slice(-8).join('\n')
}

if (values.help) {
  console.log(HELP)
} else {
  try {
    if (!(await main())) process.exitCode = 1
  } catch (error) {
    console.error((error as Error).message)
    process.exitCode = 1
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
}
