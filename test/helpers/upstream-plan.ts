/** What the scripted provider does with one request: a list of steps, and builders for the answers good and bad. */

/** One thing done on the socket. Each ends early when the client has gone. */
export type Step =
  | { readonly do: 'write'; readonly bytes: Uint8Array }
  /** Goes on when the gate is open. */
  | { readonly do: 'wait'; readonly gate: Gate }
  | { readonly do: 'pause'; readonly ms: number }
  /** `close`: a clean FIN; `reset`: RST, as a crashed provider or a middlebox does. */
  | { readonly do: 'cut'; readonly how: 'close' | 'reset' }

/** Steps are made anew for each request, so one plan serves any number of them. */
export interface Plan {
  steps(): Iterable<Step>
}

/** A point at which a plan stops until the test says go. */
export interface Gate {
  open(): void
  readonly opened: Promise<void>
  /** Resolves when a plan first stands here: everything before it has been handed to the kernel. */
  readonly reached: Promise<void>
  /** For the one who runs the plan. */
  reach(): void
}

export function gate(): Gate {
  const opened = resolvers()
  const reached = resolvers()
  return { open: opened.resolve, opened: opened.promise, reached: reached.promise, reach: reached.resolve }
}

export type HeaderList = Readonly<Record<string, string | readonly string[]>>

export interface AnswerOptions {
  readonly status?: number
  readonly headers?: HeaderList
  /** An iterable is generated as fast as the client reads, and no faster. */
  readonly body?: string | Uint8Array | (() => Iterable<Uint8Array>)
  /** How the client learns where the body ends. Default: `length` for known bytes, `chunked` for generated ones. */
  readonly framing?: 'length' | 'chunked' | 'close'
  /** Declares this content-length, whatever the body's is; the connection closes after the body. */
  readonly declaredLength?: number
  /** Pieces of the body, each written by itself and, when chunked, a chunk of its own: at these offsets, after every
   * byte, or after every SSE frame. */
  readonly split?: readonly number[] | 'bytes' | 'frames'
  /** Milliseconds between pieces. */
  readonly paceMs?: number
  /** Statuses of 1xx answers that come first. */
  readonly interim?: readonly number[]
  readonly delayMs?: number
  /** Stands still here until the gate opens: before the status line, after the headers, or at this offset of the body. */
  readonly stall?: { readonly at: 'start' | 'headers' | number; readonly gate: Gate }
  /** Ends the connection here: before or inside the headers, or at this offset of the body, which is inside a chunk
   * unless `split` has a piece end there. */
  readonly cut?: { readonly at: 'start' | 'headers' | number; readonly how?: 'close' | 'reset' }
}

/** One HTTP answer with whatever is to go wrong in it. */
export function answer(options: AnswerOptions = {}): Plan {
  return { steps: () => answerSteps(options) }
}

/** A plan of given steps, for what no option of `answer` can do. */
export function steps(...list: readonly Step[]): Plan {
  return { steps: () => list }
}

function* answerSteps(options: AnswerOptions): Generator<Step> {
  const { stall, cut, delayMs } = options
  const stop = cut === undefined ? null : ({ do: 'cut', how: cut.how ?? 'close' } as const)
  if (delayMs !== undefined) yield { do: 'pause', ms: delayMs }
  if (stall?.at === 'start') yield { do: 'wait', gate: stall.gate }
  if (stop !== null && cut?.at === 'start') return yield stop
  for (const status of options.interim ?? []) yield write(`HTTP/1.1 ${status} Interim\r\nx-interim: 1\r\n\r\n`)
  const framing = options.framing ?? (typeof options.body === 'function' ? 'chunked' : 'length')
  const head = headBytes(options, framing)
  if (stop !== null && cut?.at === 'headers') {
    yield write(head.subarray(0, head.length - 12))
    return yield stop
  }
  yield write(head)
  if (stall?.at === 'headers') yield { do: 'wait', gate: stall.gate }
  yield* bodySteps(options, framing === 'chunked')
  if (framing === 'close' || options.declaredLength !== undefined) yield { do: 'cut', how: 'close' }
}

function* bodySteps(options: AnswerOptions, chunked: boolean): Generator<Step> {
  const cutAt = typeof options.cut?.at === 'number' ? options.cut.at : Infinity
  const stallAt = typeof options.stall?.at === 'number' ? options.stall.at : Infinity
  let offset = 0
  let stalled = false
  for (const piece of pieces(options)) {
    if (offset > 0 && options.paceMs !== undefined) yield { do: 'pause', ms: options.paceMs }
    if (chunked && offset < cutAt) yield write(`${piece.length.toString(16)}\r\n`)
    let from = 0
    if (!stalled && options.stall !== undefined && stallAt <= offset + piece.length) {
      from = stallAt - offset
      if (from > 0) yield write(piece.subarray(0, from))
      stalled = true
      yield { do: 'wait', gate: options.stall.gate }
    }
    if (cutAt < offset + piece.length) {
      if (cutAt > offset + from) yield write(piece.subarray(from, cutAt - offset))
      return yield { do: 'cut', how: options.cut?.how ?? 'close' }
    }
    const tail = piece.subarray(from)
    yield write(chunked ? Buffer.concat([tail, CRLF]) : tail)
    offset += piece.length
    if (cutAt === offset) return yield { do: 'cut', how: options.cut?.how ?? 'close' }
  }
  if (chunked) yield write('0\r\n\r\n')
}

function* pieces(options: AnswerOptions): Generator<Uint8Array> {
  if (typeof options.body === 'function') return yield* options.body()
  const body = bytesOf(options.body ?? '')
  let from = 0
  for (const to of splitPoints(body, options.split)) {
    if (to > from) yield body.subarray(from, to)
    from = Math.max(from, to)
  }
  if (from < body.length) yield body.subarray(from)
}

function splitPoints(body: Uint8Array, split: AnswerOptions['split']): readonly number[] {
  if (split === undefined) return []
  if (split === 'bytes') return Array.from(body, (_, index) => index + 1)
  if (split !== 'frames') return [...split].sort((a, b) => a - b)
  const text = Buffer.from(body).toString('latin1')
  return Array.from(text.matchAll(/\r\n\r\n|\n\n|\r\r/g), (end) => end.index + end[0].length)
}

function headBytes(options: AnswerOptions, framing: 'length' | 'chunked' | 'close'): Buffer {
  const lines = [`HTTP/1.1 ${options.status ?? 200} Scripted`]
  for (const [name, value] of Object.entries(options.headers ?? {})) {
    for (const one of typeof value === 'string' ? [value] : value) lines.push(`${name}: ${one}`)
  }
  if (options.declaredLength !== undefined) lines.push(`content-length: ${options.declaredLength}`)
  else if (framing === 'chunked') lines.push('transfer-encoding: chunked')
  else if (framing === 'close') lines.push('connection: close')
  else if (typeof options.body !== 'function') lines.push(`content-length: ${bytesOf(options.body ?? '').length}`)
  return Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1')
}

const CRLF = Buffer.from('\r\n')

function write(bytes: string | Uint8Array): Step {
  return { do: 'write', bytes: bytesOf(bytes) }
}

function bytesOf(body: string | Uint8Array): Uint8Array {
  return typeof body === 'string' ? Buffer.from(body) : body
}

/** Node 20 has no Promise.withResolvers. */
function resolvers(): { promise: Promise<void>; resolve: () => void } {
  let resolve = (): void => {}
  const promise = new Promise<void>((done) => {
    resolve = done
  })
  return { promise, resolve }
}
