import type { ChildProcess } from 'node:child_process'
import { closeSync, existsSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { cpus, release, tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import {
  cpuUs,
  freePort,
  LOAD_CORE,
  listening,
  memoryKb,
  requirePrograms,
  runOn,
  SERVER_CORE,
  startOn,
  stop,
  versionOf,
} from './processes.ts'

const HELP = `npm run bench -- [json] [big] [sse] [mem] [--seconds 4] [--start 'npm start'] [--against nginx | none]

What a call costs in WatchLLM, side by side with nginx as a plain proxy in front of the same provider.
  json  CPU a call, 32 callers at once            big  the same with prompts of 100 kB
  sse   CPU a frame, 100 streams of 64 frames     mem  memory a waiting stream, 1 000 streams
CPU is user and system time of the whole process tree, the embedded database included, with keys, limits, metering and
journal on. Times depend on the machine: the ratio to nginx in the same run is what to compare.`

const KEY = 'lgw_proj_0123456789abcdef0123456789abcdef'
const PATH = '/v1/chat/completions'
const MODES = ['json', 'big', 'sse', 'mem'] as const
type Mode = (typeof MODES)[number]

interface Server {
  readonly name: string
  readonly port: number
  readonly child: ChildProcess
  readonly bootMs: number
}

interface Figures {
  /** What is compared: microseconds of CPU a call or frame, or kilobytes a stream. */
  readonly cost: number
  readonly unit: string
  readonly rest: string
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    seconds: { type: 'string', default: '4' },
    start: { type: 'string', default: 'npm start' },
    against: { type: 'string', default: 'nginx' },
    help: { type: 'boolean', default: false },
  },
})
const seconds = Number(values.seconds)
const modes = positionals.length === 0 ? MODES : MODES.filter((mode) => positionals.includes(mode))
const work = mkdtempSync(join(tmpdir(), 'watchllm-bench-'))
const peer = join(work, 'peer')

/** A chat request; `seed` and `max_tokens` are the provider's orders, see peer.c. */
function requestBody(mode: Mode): string {
  const question =
    'What does a gateway for language models do, and when does a team need one? Answer in five sentences. '
  const content = mode === 'big' ? question.repeat(Math.ceil(100_000 / question.length)) : question.repeat(3)
  const messages = [
    { role: 'system', content: 'You answer in short, plain English and say so when you do not know.' },
    { role: 'user', content: 'What is a reverse proxy?' },
    { role: 'assistant', content: 'A server that accepts requests for others and passes them on.' },
    { role: 'user', content },
  ]
  const orders = { json: {}, big: {}, sse: { max_tokens: 64, seed: 20_000 }, mem: { max_tokens: 1, seed: 6_000_000 } }[
    mode
  ]
  const stream = { stream: true, stream_options: { include_usage: true } }
  const streams = mode === 'sse' || mode === 'mem'
  return JSON.stringify({ model: 'gpt-4o-mini', messages, temperature: 0.2, ...orders, ...(streams ? stream : {}) })
}

const HEADERS = `content-type: application/json\nauthorization: Bearer ${KEY}\nx-watchllm-cache: off`

async function startServer(name: string, providerPort: number): Promise<Server> {
  const port = await freePort()
  const log = openSync(join(work, `${name}.log`), 'w')
  const command = name === 'nginx' ? ['nginx', '-c', nginxConfig(port, providerPort)] : ['sh', '-c', values.start]
  const env = {
    NODE_ENV: 'production',
    PORT: String(port),
    HOST: '127.0.0.1',
    WATCHLLM_DATA_DIR: join(work, 'data'),
    WATCHLLM_BOOTSTRAP_KEY: KEY,
    WATCHLLM_BOOTSTRAP_PLAN: 'unlimited',
    OPENAI_API_KEY: 'sk-bench',
    OPENAI_BASE_URL: `http://127.0.0.1:${providerPort}/v1`,
    BUN_CONFIG_MAX_HTTP_REQUESTS: '16384',
  }
  const child = startOn(SERVER_CORE, command, { stdio: ['ignore', log, log], env })
  closeSync(log)
  try {
    return { name, port, child, bootMs: await listening(port, child) }
  } catch (error) {
    await stop(child)
    const said = readFileSync(join(work, `${name}.log`), 'utf8')
      .trim()
      .split('\n')
      .slice(-5)
      .join('\n')
    throw new Error(`${name} did not start. ${(error as Error).message}\n${said}`)
  }
}

function nginxConfig(port: number, providerPort: number): string {
  const path = join(work, 'nginx.conf')
  const folders = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (kind) => `${kind}_temp_path ${work}/${kind};`,
  )
  writeFileSync(
    path,
    `worker_processes 1; daemon off; master_process off; pid ${work}/nginx.pid; error_log ${work}/nginx.err;
events { worker_connections 8192; }
http { access_log off; ${folders.join(' ')} keepalive_requests 1000000000;
  upstream provider { server 127.0.0.1:${providerPort}; keepalive 2048; keepalive_requests 1000000000; }
  server { listen 127.0.0.1:${port}; client_body_buffer_size 1m; client_max_body_size 50m;
    location / { proxy_pass http://provider; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_buffering off; } } }\n`,
  )
  return path
}

/** One call by hand, so that nothing is measured that answers wrongly. */
async function check(server: Server, mode: Mode): Promise<void> {
  const body = requestBody(mode).replace('"seed":6000000', '"seed":0')
  const headers = Object.fromEntries(HEADERS.split('\n').map((line) => line.split(': ') as [string, string]))
  const response = await fetch(`http://127.0.0.1:${server.port}${PATH}`, { method: 'POST', headers, body })
  const text = await response.text()
  const right = mode === 'sse' || mode === 'mem' ? text.includes('[DONE]') : text.includes('"total_tokens"')
  if (response.status !== 200 || !right)
    throw new Error(`${server.name} answered ${response.status}: ${text.slice(0, 300)}`)
}

async function wrk(server: Server, callers: number, forSeconds: number): Promise<Record<string, number>> {
  const url = `http://127.0.0.1:${server.port}${PATH}`
  const script = join(import.meta.dirname, 'post.lua')
  const words = ['wrk', '-t1', `-c${callers}`, `-d${forSeconds}s`, '--latency', '-s', script, url]
  const out = await runOn(LOAD_CORE, words, { HEADERS, BODY_FILE: join(work, 'body') })
  return JSON.parse(/RESULT (.*)/.exec(out)?.[1] ?? '')
}

/** @param load streams at once, for how long, and microseconds between two connects. */
async function streams(
  server: Server,
  load: { count: number; seconds: number; rampUs: number },
): Promise<Record<string, number>> {
  const { count, seconds: forSeconds, rampUs } = load
  const file = join(work, 'request')
  const words = [peer, 'streams', String(server.port), file, String(forSeconds), String(count), String(rampUs)]
  return JSON.parse(await runOn(LOAD_CORE, words))
}

async function measure(server: Server, mode: Mode): Promise<Figures> {
  const pid = server.child.pid!
  const body = requestBody(mode)
  const head = `POST ${PATH} HTTP/1.1\nhost: 127.0.0.1\n${HEADERS}\ncontent-length: ${Buffer.byteLength(body)}\n\n`
  writeFileSync(join(work, 'body'), body)
  writeFileSync(join(work, 'request'), head.replaceAll('\n', '\r\n') + body)
  await check(server, mode)
  if (mode === 'mem') {
    await streams(server, { count: 50, seconds: 0.1, rampUs: 300 })
    const before = memoryKb(pid)
    const waiting = streams(server, { count: 1000, seconds: 0.1, rampUs: 1000 })
    await sleep(4000)
    const kb = (memoryKb(pid) - before) / 1000
    const { errors = 0 } = await waiting
    return { cost: kb, unit: 'kB', rest: `${errors} errors` }
  }
  if (mode === 'sse') {
    await streams(server, { count: 100, seconds: 1, rampUs: 300 })
    const before = cpuUs(pid)
    const load = await streams(server, { count: 100, seconds, rampUs: 300 })
    const { frames = 0, errors = 0, firstP50Us = 0, maxGapUs = 0 } = load
    const rest = `first frame after ${(firstP50Us / 1000).toFixed(2)} ms, longest gap ${(maxGapUs / 1000).toFixed(0)} ms`
    return { cost: (cpuUs(pid) - before) / frames, unit: 'µs', rest: `${rest}, ${errors} errors` }
  }
  await wrk(server, 32, 2)
  const before = cpuUs(pid)
  const { requests = 0, us = 0, errors = 0 } = await wrk(server, 32, seconds)
  // What is written behind the answers belongs to them.
  await sleep(1500)
  const cost = (cpuUs(pid) - before) / requests
  const alone = await wrk(server, 1, 2)
  const rest = `${Math.round((requests / us) * 1e6)} calls/s, alone ${((alone.p50Us ?? 0) / 1000).toFixed(2)} ms`
  return { cost, unit: 'µs', rest: `${rest}, ${errors + (alone.errors ?? 0)} errors` }
}

async function main(): Promise<void> {
  requirePrograms({ wrk: 'wrk', nginx: 'nginx-light', cc: 'gcc libc6-dev', taskset: 'util-linux' })
  if (values.start === 'npm start' && !existsSync(join(import.meta.dirname, '../../dist/server/watchllm.js'))) {
    throw new Error('There is no build: run npm install or npm run build first')
  }
  await runOn(LOAD_CORE, ['cc', '-O2', '-o', peer, join(import.meta.dirname, 'peer.c')])
  const wrkVersion = versionOf('wrk', '-v').split(' [')[0]
  const programs = [versionOf('nginx', '-v').replace('nginx version: ', ''), wrkVersion, `Node ${process.version}`]
  console.log(`${HELP.split('\n\n')[1]}\n`)
  console.log(`Machine: ${cpus().length} × ${cpus()[0]?.model.trim()}, Linux ${release()}; ${programs.join(', ')}`)
  console.log(
    `Server on core ${SERVER_CORE}, provider and load on core ${LOAD_CORE}; ${seconds} s a run; ${values.start}\n`,
  )
  const providerPort = await freePort()
  const provider = startOn(LOAD_CORE, [peer, 'provider', String(providerPort)])
  try {
    await listening(providerPort, provider)
    for (const mode of modes) await compare(mode, providerPort)
  } finally {
    await stop(provider)
  }
}

async function compare(mode: Mode, providerPort: number): Promise<void> {
  const costs = new Map<string, number>()
  for (const name of [values.against, 'watchllm'].filter((one) => one !== 'none')) {
    rmSync(join(work, 'data'), { recursive: true, force: true })
    mkdirSync(join(work, 'data'), { mode: 0o700 })
    const server = await startServer(name, providerPort)
    try {
      const { cost, unit, rest } = await measure(server, mode)
      costs.set(name, cost)
      const boot = name === 'nginx' ? '' : `, listening after ${Math.round(server.bootMs)} ms`
      console.log(`${mode.padEnd(5)}${name.padEnd(9)}${cost.toFixed(1).padStart(7)} ${unit}  ${rest}${boot}`)
    } finally {
      await stop(server.child)
    }
  }
  const ratio = (costs.get('watchllm') ?? Number.NaN) / (costs.get('nginx') ?? Number.NaN)
  if (mode !== 'mem' && !Number.isNaN(ratio)) console.log(`${mode.padEnd(5)}watchllm / nginx = ${ratio.toFixed(2)}\n`)
}

if (values.help || positionals.some((word) => !MODES.includes(word as Mode))) {
  console.log(HELP)
} else {
  try {
    await main()
  } catch (error) {
    console.error((error as Error).message)
    process.exitCode = 1
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
}
