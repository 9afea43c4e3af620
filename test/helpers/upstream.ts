import { once } from 'node:events'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { setImmediate as tick } from 'node:timers/promises'
import { type RequestHead, RequestReader } from './upstream-http.ts'
import { answer, type Gate, type Plan, type Step } from './upstream-plan.ts'

/** A provider that does what a test tells it, over a real socket. Nothing in it waits for a clock unless a plan says so. */
export interface ScriptedUpstream {
  /** Scheme, host and port, without a trailing slash. */
  readonly url: string
  readonly port: number
  /** Every request whose headers arrived, in that order. */
  readonly requests: readonly RecordedRequest[]
  /** Connections that are open now. */
  readonly openConnections: number
  /** What to do from now on: one plan for all, or a choice per request once its body is read. Without: 200 `{}`. */
  script(plan: Plan | Chooser, options?: ScriptOptions): void
  /** What clients sent that is no HTTP, and what choosers threw: a test that expects nothing odd expects none. */
  readonly faults: readonly unknown[]
  /** The next request that no earlier call of `next` has answered with, waiting for it if need be. */
  next(): Promise<RecordedRequest>
  /** Destroys what is open and stops listening. */
  close(): Promise<void>
}

/** `index` counts all requests from 0. */
export type Chooser = (request: RecordedRequest, index: number) => Plan | Promise<Plan>

export interface ScriptOptions {
  /** Answers as soon as the headers are read, while the body may still be under way. */
  readonly early?: boolean
  /** Reads nothing after the headers until this gate opens: a slow reader. What came with them is recorded. */
  readonly holdBody?: Gate
}

export interface RecordedRequest extends RequestHead {
  /** What has arrived so far: all of it once `received` has resolved. */
  readonly body: Uint8Array
  /** The body as JSON. @throws SyntaxError */
  json(): Record<string, unknown>
  /** The client's connection, counted from 0: shows whether one is used again. */
  readonly connection: number
  readonly received: Promise<void>
  /** Resolves with `performance.now()` when the client closed before the answer was whole. */
  readonly aborted: Promise<number>
  /** How the exchange ended: the answer was sent, the client went away first, or the plan cut it. */
  readonly ended: Promise<Ending>
}

export type Ending = 'sent' | 'aborted' | 'cut'

/** Listens on a free port of 127.0.0.1. */
export async function startUpstream(): Promise<ScriptedUpstream> {
  const requests: Exchange[] = []
  const sockets = new Set<Socket>()
  const faults: unknown[] = []
  const waiting: ((request: RecordedRequest) => void)[] = []
  let claimed = 0
  let connections = 0
  let script: { choose: Chooser; options: ScriptOptions } = { choose: () => answer({ body: '{}' }), options: {} }

  const server = createServer({ noDelay: true }, (socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
    serve(socket, { connection: connections++, faults }, (exchange) => {
      const index = requests.push(exchange) - 1
      if (waiting.length > 0) {
        claimed++
        waiting.shift()?.(exchange)
      }
      return { choose: () => script.choose(exchange, index), options: script.options }
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}`,
    port,
    requests,
    faults,
    get openConnections() {
      return sockets.size
    },
    script(plan, options = {}) {
      script = { choose: typeof plan === 'function' ? plan : () => plan, options }
    },
    next() {
      const request = requests[claimed]
      if (request === undefined) return new Promise((resolve) => waiting.push(resolve))
      claimed++
      return Promise.resolve(request)
    },
    close: () => shut(server, sockets),
  }
}

type Begin = (exchange: Exchange) => { choose: () => Plan | Promise<Plan>; options: ScriptOptions }

function serve(socket: Socket, { connection, faults }: { connection: number; faults: unknown[] }, begin: Begin): void {
  let exchange: Exchange | null = null
  const gone = new Promise<'gone'>((resolve) => {
    socket.once('end', () => resolve('gone'))
    socket.once('close', () => resolve('gone'))
  })
  // Bytes that are no request, or a mistake in a test's chooser: neither may look like a provider that hangs.
  const fail = (error: unknown): void => {
    faults.push(error)
    exchange?.end('cut')
    socket.destroy()
  }
  const reader = new RequestReader({
    onHead(head) {
      const current = new Exchange(head, connection)
      exchange = current
      const { choose, options } = begin(current)
      if (options.holdBody !== undefined) {
        socket.pause()
        options.holdBody.reach()
        void options.holdBody.opened.then(() => socket.resume())
      }
      void (options.early === true ? Promise.resolve() : current.received)
        .then(choose)
        .then((plan) => run(socket, plan, gone))
        .then((ending) => current.end(ending))
        .then(() => current.received)
        .then(() => (current.keepAlive && socket.writable ? reader.next() : socket.end()))
        .catch(fail)
    },
    onBody: (bytes) => exchange?.add(bytes),
    onEnd: () => exchange?.whole(),
  })
  socket.on('data', (bytes) => {
    try {
      reader.push(bytes)
    } catch (error) {
      fail(error)
    }
  })
  socket.on('end', () => exchange?.end('aborted'))
  socket.on('close', () => exchange?.end('aborted'))
  // ECONNRESET and EPIPE are what clients that leave look like: `close` follows and tells it.
  socket.on('error', () => {})
}

/** Walks the plan; ends early when the client has gone. */
async function run(socket: Socket, plan: Plan, gone: Promise<'gone'>): Promise<Ending> {
  for (const step of plan.steps()) {
    if (step.do === 'cut') {
      if (step.how === 'reset') socket.resetAndDestroy()
      else socket.destroy()
      return 'cut'
    }
    if ((await Promise.race([perform(socket, step), gone])) === 'gone') return 'aborted'
  }
  return 'sent'
}

async function perform(socket: Socket, step: Exclude<Step, { do: 'cut' }>): Promise<void> {
  if (step.do === 'wait') {
    step.gate.reach()
    return step.gate.opened
  }
  if (step.do === 'pause') return new Promise((resolve) => setTimeout(resolve, step.ms).unref())
  // Each write is handed to the kernel before the next one and the loop turns once, so that a client in this process
  // reads it as a chunk of its own; over TCP nobody can promise more.
  await new Promise<void>((resolve) => socket.write(step.bytes, () => resolve()))
  await tick()
}

class Exchange implements RecordedRequest {
  readonly method: string
  readonly path: string
  readonly rawHeaders: readonly string[]
  readonly headers: Readonly<Record<string, string>>
  readonly connection: number
  readonly received: Promise<void>
  readonly aborted: Promise<number>
  readonly ended: Promise<Ending>
  private readonly parts: Uint8Array[] = []
  private resolveReceived = (): void => {}
  private resolveAborted: (atMs: number) => void = () => {}
  private resolveEnded: (ending: Ending) => void = () => {}
  private over = false

  constructor(head: RequestHead, connection: number) {
    this.method = head.method
    this.path = head.path
    this.rawHeaders = head.rawHeaders
    this.headers = head.headers
    this.connection = connection
    this.received = new Promise((resolve) => {
      this.resolveReceived = resolve
    })
    this.aborted = new Promise((resolve) => {
      this.resolveAborted = resolve
    })
    this.ended = new Promise((resolve) => {
      this.resolveEnded = resolve
    })
  }

  get body(): Uint8Array {
    return Buffer.concat(this.parts)
  }

  json(): Record<string, unknown> {
    return JSON.parse(Buffer.concat(this.parts).toString('utf8'))
  }

  get keepAlive(): boolean {
    return this.headers.connection?.toLowerCase() !== 'close'
  }

  add(bytes: Uint8Array): void {
    this.parts.push(bytes)
  }

  whole(): void {
    this.resolveReceived()
  }

  /** The first ending counts. */
  end(ending: Ending): void {
    if (this.over) return
    this.over = true
    if (ending === 'aborted') this.resolveAborted(performance.now())
    this.resolveEnded(ending)
  }
}

async function shut(server: Server, sockets: Set<Socket>): Promise<void> {
  const closed = once(server, 'close')
  server.close()
  for (const socket of sockets) socket.destroy()
  await closed
}
