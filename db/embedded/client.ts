import { Worker } from 'node:worker_threads'
import type { Failure, Report, Request, WorkerData } from './protocol.ts'

/** An error of the embedded database. `code` is the SQLSTATE, as with a server's errors. */
export class EmbeddedError extends Error {
  readonly code: string | null
  readonly detail: string | null
  readonly constraint: string | null
  constructor(failure: Failure) {
    super(failure.message)
    this.name = 'EmbeddedError'
    this.code = failure.code
    this.detail = failure.detail
    this.constraint = failure.constraint
  }
}

interface Waiting {
  readonly resolve: (answer: unknown) => void
  readonly reject: (error: Error) => void
}

/**
 * The gateway's end of the database's thread. Should the thread die, what is under way fails and the next `open` starts
 * it again; the database then recovers all that was committed.
 */
export class EmbeddedClient {
  readonly #data: WorkerData
  readonly #onNotification: (channel: string, payload: string) => void
  #worker: Worker | null = null
  #waiting: Waiting | null = null
  #asked = 0
  /** Counts the threads: what was begun in an earlier one is lost. */
  generation = 0

  constructor(data: WorkerData, onNotification: (channel: string, payload: string) => void) {
    this.#data = data
    this.#onNotification = onNotification
  }

  get isOpen(): boolean {
    return this.#worker !== null
  }

  /** Starts the thread and resolves once the database can be asked: 0.4 s, the first time on a folder 1 to 6 s. */
  async open(): Promise<void> {
    const worker = startWorker(this.#data)
    this.#worker = worker
    this.generation++
    worker.on('message', (message: Report) => this.#take(message))
    worker.on('error', (error) => this.#lost(worker, error))
    worker.on('exit', (code) => this.#lost(worker, new Error(`The database's thread ended with code ${code}`)))
    try {
      await new Promise<unknown>((resolve, reject) => {
        this.#waiting = { resolve, reject }
      })
    } catch (error) {
      this.#worker = null
      await worker.terminate()
      throw error
    }
  }

  /** Whether anything was asked since this was last called. */
  isUsed(): boolean {
    const used = this.#asked > 0
    this.#asked = 0
    return used
  }

  /** One at a time: the caller sees to it. */
  ask<Answer>(request: Request): Promise<Answer> {
    const worker = this.#worker
    if (worker === null) return Promise.reject(new Error('The embedded database is closed'))
    if (request.do !== 'upkeep') this.#asked++
    return new Promise<unknown>((resolve, reject) => {
      this.#waiting = { resolve, reject }
      worker.postMessage(request)
    }) as Promise<Answer>
  }

  /** Writes everything out and ends the thread. */
  async close(): Promise<void> {
    const worker = this.#worker
    if (worker === null) return
    try {
      await this.ask({ do: 'close' })
    } finally {
      this.#worker = null
      await worker.terminate()
    }
  }

  #take(message: Report): void {
    if (message.is === 'notification') return this.#onNotification(message.channel, message.payload)
    const waiting = this.#waiting
    this.#waiting = null
    if (message.is === 'failure') waiting?.reject(new EmbeddedError(message.failure))
    else waiting?.resolve(message.is === 'answer' ? message.answer : null)
  }

  #lost(worker: Worker, error: Error): void {
    if (this.#worker !== worker) return
    this.#worker = null
    const waiting = this.#waiting
    this.#waiting = null
    waiting?.reject(error)
  }
}

/** In the bundle the worker is the sibling `embedded-worker.js`; from sources it is worker.ts. */
function startWorker(workerData: WorkerData): Worker {
  const isSource = import.meta.url.endsWith('.ts')
  const file = isSource ? './worker.ts' : './embedded-worker.js'
  const url = new URL(file, import.meta.url)
  const options = { workerData, name: 'watchllm-database', execArgv: [] }
  if (!isSource || readsTypeScript()) return new Worker(url, options)
  // Only tests and `npm run dev` come here. `--import tsx` doesn't reach a worker's own entry on Node 20.
  const entry = `import('tsx/esm/api').then((tsx) => { tsx.register(); return import(${JSON.stringify(url.href)}) })`
  return new Worker(entry, { ...options, eval: true })
}

/** Bun and Deno do; Node does from 22.18 on. */
function readsTypeScript(): boolean {
  if ('bun' in process.versions || 'deno' in process.versions) return true
  const features: object = process.features
  return 'typescript' in features && features.typescript !== false
}
