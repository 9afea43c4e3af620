import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import * as fs from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PROJECT_KEY, PROVIDER_KEY } from './app.ts'
import { builtServer, ROOT } from './build.ts'

export type RuntimeName = 'node' | 'node24' | 'bun' | 'deno'

export interface StartOptions {
  readonly runtime?: RuntimeName
  /** Default: a new one, thrown away by `cleanUp`. */
  readonly dataDir?: string
  /** Base URL of a scripted upstream that stands for OpenAI. */
  readonly upstreamUrl?: string
  /** On top of the usual ones; undefined takes one away. Nothing else of this process's environment is handed on. */
  readonly env?: Readonly<Record<string, string | undefined>>
}

export interface Exit {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

/** A gateway in a process of its own. */
export interface TestServer {
  readonly url: string
  readonly pid: number
  readonly dataDir: string
  /** The key of the very first start, null when none was printed. */
  readonly testKey: string | null
  readonly startMs: number
  readonly stdout: string
  readonly stderr: string
  readonly exited: Promise<Exit>
  /** Sends a signal, SIGTERM by default, and resolves when the process has ended. */
  stop(signal?: NodeJS.Signals): Promise<Exit>
  signal(signal: NodeJS.Signals): void
}

/** The process ended before it was ready. */
export class StartFailed extends Error {
  readonly exit: Exit
  readonly stdout: string
  readonly stderr: string
  constructor(exit: Exit, stdout: string, stderr: string) {
    super(`The server ended with ${exit.code ?? exit.signal} before it was ready:\n${stdout}${stderr}`)
    this.exit = exit
    this.stdout = stdout
    this.stderr = stderr
  }
}

/** In our words, in Deno's and in Bun's. */
const READY = /(?:ready at|Listening (?:at|on)|server:) (http:\S+?)\/?$/m
const children = new Set<ChildProcess>()
const folders = new Set<string>()
// A test run that is ended from outside leaves no server behind.
process.on('exit', () => {
  for (const child of children) child.kill('SIGKILL')
})

/** A folder of the test's own, thrown away by `cleanUp`. */
export function temporaryFolder(): string {
  const folder = fs.mkdtempSync(join(tmpdir(), 'watchllm-test-'))
  folders.add(folder)
  return folder
}

/** Starts the command on a free port and waits until it is ready. @throws StartFailed */
export async function startServer(options: StartOptions = {}): Promise<TestServer> {
  const runtime = options.runtime ?? 'node'
  // Node 20 reads no TypeScript, and tsx takes seconds to start the server: Node runs the bundle, as `npm start` does.
  const program = runtime.startsWith('node') ? await builtServer() : 'server/watchllm.ts'
  return launch(commandOf(runtime, program), options)
}

/** Starts another program of the project, from its sources, that prints `Listening at` and its URL. */
export function runProgram(runtime: RuntimeName, path: string): Promise<TestServer> {
  return launch(commandOf(runtime, path), {})
}

/** Has the runtime itself serve the fetch handler that main.ts exports; Node has nothing for that but a program. */
export async function serveHandler(runtime: RuntimeName, options: StartOptions = {}): Promise<TestServer> {
  const path = runtimePath(runtime)!
  const deno = [path, 'serve', '--allow-all', '--node-modules-dir=manual', '--host', '127.0.0.1', '--port', '0']
  if (runtime === 'bun') return launch([path, 'server/main.ts'], options)
  if (runtime === 'deno') return launch([...deno, 'server/main.ts'], options)
  const main = (await builtServer()).replace(/watchllm\.js$/, 'main.js')
  return launch([...commandOf(runtime, 'test/runtime/serve.ts'), main], options)
}

async function launch([command, ...args]: readonly string[], options: StartOptions): Promise<TestServer> {
  const dataDir = options.dataDir ?? join(temporaryFolder(), 'data')
  const env = environment(options, dataDir)
  const began = performance.now()
  const child = spawn(command!, args, { cwd: ROOT, env, stdio: ['ignore', 'pipe', 'pipe'] })
  children.add(child)
  const output = { stdout: '', stderr: '' }
  const exited = once(child, 'close').then(([code, signal]): Exit => {
    children.delete(child)
    return { code, signal }
  })
  const url = await new Promise<string>((resolve, reject) => {
    for (const stream of ['stdout', 'stderr'] as const) {
      child[stream].setEncoding('utf8').on('data', (text: string) => {
        output[stream] += text
        const found = READY.exec(output.stdout) ?? READY.exec(output.stderr)
        if (found !== null) resolve(found[1]!)
      })
    }
    child.once('error', reject)
    void exited.then((exit) => reject(new StartFailed(exit, output.stdout, output.stderr)))
  })
  return {
    url,
    pid: child.pid!,
    dataDir,
    startMs: performance.now() - began,
    exited,
    get testKey() {
      return /lgw_test_[\w-]+/.exec(output.stdout)?.[0] ?? null
    },
    get stdout() {
      return output.stdout
    },
    get stderr() {
      return output.stderr
    },
    stop(signal = 'SIGTERM') {
      child.kill(signal)
      return exited
    },
    signal: (signal) => void child.kill(signal),
  }
}

/** Ends what still runs, by force, and removes the folders. For `afterAll`. */
export async function cleanUp(): Promise<void> {
  const ended = Array.from(children, (child) => once(child, 'close'))
  for (const child of children) child.kill('SIGKILL')
  await Promise.all(ended)
  for (const folder of folders) fs.rmSync(folder, { recursive: true, force: true })
  folders.clear()
}

/** The program that runs a runtime, null when it isn't installed here. */
export function runtimePath(name: RuntimeName): string | null {
  if (name === 'node') return process.execPath
  const path = name === 'node24' ? process.env.WATCHLLM_NODE24 : join(ROOT, 'node_modules/.bin', name)
  return path !== undefined && path !== '' && fs.existsSync(path) ? path : null
}

function commandOf(runtime: RuntimeName, program: string): string[] {
  const path = runtimePath(runtime)
  if (path === null) throw new Error(`${runtime} is not installed: run npm install, or set WATCHLLM_NODE24`)
  if (runtime === 'bun') return [path, program]
  if (runtime === 'deno') return [path, 'run', '--allow-all', '--node-modules-dir=manual', program]
  return [path, '--enable-source-maps', ...(program.endsWith('.ts') ? ['--import', 'tsx'] : []), program]
}

function environment({ env, upstreamUrl }: StartOptions, dataDir: string): Record<string, string> {
  const all: Record<string, string | undefined> = {
    PATH: process.env.PATH,
    HOME: process.env.HOME,
    PORT: '0',
    NO_COLOR: '1',
    WATCHLLM_DATA_DIR: dataDir,
    WATCHLLM_BOOTSTRAP_PLAN: 'unlimited',
    WATCHLLM_BOOTSTRAP_KEY: PROJECT_KEY,
    ...(upstreamUrl === undefined ? {} : { OPENAI_BASE_URL: `${upstreamUrl}/v1`, OPENAI_API_KEY: PROVIDER_KEY }),
    ...env,
  }
  return Object.fromEntries(Object.entries(all).filter((entry): entry is [string, string] => entry[1] !== undefined))
}
