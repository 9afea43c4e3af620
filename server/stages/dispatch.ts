import { promisify } from 'node:util'
import { brotliDecompress, inflate, unzip } from 'node:zlib'
import {
  type Answered,
  grow,
  type Prepared,
  type RawAnswer,
  type StreamReader,
  type StreamSource,
  type Timing,
} from '../call.ts'
import type { Deps, Timer } from '../deps.ts'
import { GatewayError } from '../errors.ts'
import { brokenConnection, CallerGone, nonsense, refusalOf, tooLate } from '../failure.ts'
import { unframed } from '../unframe.ts'
import type { Upstream, UpstreamError, UpstreamExchange, UpstreamHandler } from '../upstream.ts'

/** A whole answer larger than this is no answer: 64 MiB. */
const MAX_ANSWER_BYTES = 64 * 1024 * 1024
/** What is read of a refusal. */
const MAX_REFUSAL_BYTES = 64 * 1024

/**
 * Target -> answer: whole, or from its first byte on where it streams.
 * @throws GatewayError when the provider fails or is late; CallerGone when nobody waits any more
 */
export function dispatch(call: Prepared, deps: Deps): Promise<Answered> {
  return new Promise((resolve, reject) => {
    const attempt = new Attempt(call, deps, { resolve, reject })
    attempt.start(call.target.provider.inProcess ?? deps.upstream)
    call.incoming.onGone(() => attempt.gone())
  })
}

interface Settle {
  readonly resolve: (call: Answered) => void
  readonly reject: (error: Error) => void
}

/** One exchange with one provider. Its phases: head, then either a body collected whole or a stream handed over. */
class Attempt implements UpstreamHandler, StreamSource {
  readonly kind = 'stream'
  raw: RawAnswer | null = null
  readonly #call: Prepared
  readonly #deps: Deps
  readonly #settle: Settle
  readonly #sentAt: number
  #exchange: UpstreamExchange | null = null
  #phase: 'head' | 'body' | 'first' | 'stream' | 'over' = 'head'
  #status = 0
  #encoding: string | null = null
  /** Of an answer that is passed on as it is. */
  #contentType: string | null = null
  #retryAfter: string | null = null
  /** The call from the provider's head on. */
  #timed: (Prepared & { readonly timing: Timing }) | null = null
  #lastAt: number
  #chunks: Uint8Array[] = []
  #bytes = 0
  #reader: StreamReader | null = null
  /** What happened before a reader was there to hear it. */
  #early: ((reader: StreamReader) => void) | null = null
  #timer: Timer | null = null
  #paused = false

  constructor(call: Prepared, deps: Deps, settle: Settle) {
    this.#call = call
    this.#deps = deps
    this.#settle = settle
    this.#sentAt = deps.clock.monotonic()
    this.#lastAt = this.#sentAt
  }

  start(upstream: Upstream): void {
    const { framing } = this.#call.target.provider
    const handler = framing === undefined ? this : unframed(this, () => this.#exchange?.abort())
    this.#exchange = upstream.start(this.#call.request, handler)
    this.#arm()
  }

  onHeaders(status: number, header: (name: string) => string | null): void {
    this.#lastAt = this.#deps.clock.monotonic()
    this.#status = status
    const upstreamId = header('x-request-id') ?? header('request-id')
    this.#timed = grow(this.#call, { timing: { sentAt: this.#sentAt, firstByteAt: this.#lastAt, upstreamId } })
    const encoding = header('content-encoding')
    this.#encoding = encoding === null || encoding === 'identity' || encoding === '' ? null : encoding
    if (status >= 300) {
      this.#retryAfter = header('retry-after')
      this.#phase = 'body'
      return
    }
    const type = header('content-type')
    const streams = type?.includes('text/event-stream') ?? false
    this.#phase = streams ? 'first' : 'body'
    const { pass } = this.#call.target.wire
    if (pass !== undefined) {
      const contentType = type ?? 'application/octet-stream'
      this.#contentType = contentType
      const tap = streams || this.#encoding !== null ? null : pass.tapBytes(contentType)
      if (tap !== null) {
        this.#phase = 'first'
        this.raw = { contentType, length: lengthOf(header('content-length')), tap }
      }
      if (!streams || this.#encoding === null) return
    }
    if (streams === this.#call.ask.stream && (!streams || this.#encoding === null)) return
    const what = streams ? 'a stream' : (type ?? 'no content type')
    this.#fail(nonsense(this.#provider, `Unexpected answer: ${what}, encoding ${this.#encoding ?? 'none'}`))
  }

  onData(chunk: Uint8Array): void {
    this.#lastAt = this.#deps.clock.monotonic()
    if (this.#reader !== null) return this.#reader.onData(chunk)
    this.#chunks.push(chunk)
    this.#bytes += chunk.length
    if (this.#phase === 'first') {
      this.#phase = 'stream'
      this.#settle.resolve(grow(this.#timed!, { answer: this }))
    } else if (this.#phase === 'body') {
      if (this.#status >= 300) {
        if (this.#bytes > MAX_REFUSAL_BYTES) this.#refuse()
      } else if (this.#bytes > MAX_ANSWER_BYTES) {
        this.#fail(nonsense(this.#provider, `The answer exceeds ${MAX_ANSWER_BYTES} bytes`))
      }
    }
  }

  onEnd(): void {
    this.#stop()
    if (this.#phase === 'stream') this.#tell((reader) => reader.onEnd())
    else if (this.#phase === 'first' && this.raw !== null) this.#complete()
    else if (this.#phase === 'body' && this.#status < 300) this.#complete()
    else if (this.#phase === 'body') this.#refuse()
    else this.#fail(nonsense(this.#provider, 'The stream ended before its first byte'))
  }

  onError(error: UpstreamError): void {
    this.#fail(brokenConnection(this.#provider, error))
  }

  /** The caller went away. */
  gone(): void {
    if (this.#phase === 'over') return
    const streaming = this.#phase === 'stream'
    this.abort()
    if (streaming) this.#tell((reader) => reader.onGone())
    else this.#settle.reject(new CallerGone())
  }

  attach(reader: StreamReader): void {
    this.#reader = reader
    const chunks = this.#chunks
    this.#chunks = []
    for (const chunk of chunks) reader.onData(chunk)
    this.#early?.(reader)
  }

  abort(): void {
    this.#stop()
    this.#phase = 'over'
    this.#exchange?.abort()
  }

  pause(): void {
    this.#paused = true
    this.#exchange?.pause()
  }

  resume(): void {
    this.#paused = false
    this.#lastAt = this.#deps.clock.monotonic()
    this.#exchange?.resume()
  }

  get #provider(): string {
    return this.#call.target.provider.name
  }

  #complete(): void {
    const chunks = this.#chunks
    const encoding = this.#encoding
    const endedAt = this.#deps.clock.monotonic()
    this.#phase = 'over'
    const whole = chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks)
    const contentType = this.#contentType
    const resolve = (bytes: Uint8Array) =>
      this.#settle.resolve(grow(this.#timed!, { answer: { kind: 'whole', bytes, endedAt, contentType } as const }))
    if (encoding === null) return resolve(whole)
    decompress(whole, encoding).then(resolve, (error: Error) =>
      this.#settle.reject(nonsense(this.#provider, `Can not decompress ${encoding}: ${error.message}`)),
    )
  }

  #refuse(): void {
    const { provider, account, model, wire } = this.#call.target
    const error = refusalOf({
      provider: provider.name,
      model,
      status: this.#status,
      body: Buffer.concat(this.#chunks).toString(),
      retryAfter: this.#retryAfter,
      apiKey: account.apiKey,
    })
    // A path of a provider's own objects may really lead nowhere.
    const isMissing = this.#status === 404 && wire.pass !== undefined && error.code === 'invalid_request'
    this.#fail(isMissing ? new GatewayError('not_found', error.message, { details: error.details! }) : error)
  }

  #fail(error: GatewayError): void {
    if (this.#phase === 'over') return
    const streaming = this.#phase === 'stream'
    this.abort()
    if (streaming) this.#tell((reader) => reader.onBroken(error))
    else this.#settle.reject(error)
  }

  #tell(what: (reader: StreamReader) => void): void {
    this.#phase = 'over'
    if (this.#reader === null) this.#early = what
    else what(this.#reader)
  }

  /**
   * One timer for all limits: when it rings it looks at what is due and is set again for the next, so that a chunk
   * costs no timer at all. It is never set for longer than the idle limit, which may begin to count at any time.
   */
  #arm(): void {
    const { firstByteTimeoutMs, idleTimeoutMs, totalTimeoutMs } = this.#deps.settings
    const now = this.#deps.clock.monotonic()
    const waiting = this.#phase === 'head' || this.#phase === 'first'
    const limitMs = waiting ? firstByteTimeoutMs : idleTimeoutMs
    // A caller who reads slowly is not a provider that stalls.
    const since = waiting ? this.#sentAt : this.#paused ? now : this.#lastAt
    // Of the whole call, however many targets were asked before this one.
    const endsAt = this.#call.startedAt + totalTimeoutMs
    const leftMs = Math.min(since + limitMs, endsAt) - now
    if (leftMs > 0) this.#timer = this.#deps.clock.timer(Math.min(leftMs, idleTimeoutMs), () => this.#arm())
    else if (now >= endsAt) this.#fail(tooLate(this.#provider, 'no end', totalTimeoutMs))
    else this.#fail(tooLate(this.#provider, waiting ? 'nothing' : 'nothing more', limitMs))
  }

  #stop(): void {
    this.#timer?.cancel()
    this.#timer = null
  }
}

/** What is no whole number was refused with the head. */
function lengthOf(header: string | null): number | null {
  return header === null || !/^\d{1,15}$/.test(header) ? null : Number(header)
}

const unpack = promisify(unzip)
const DECODERS: ReadonlyMap<string, typeof unpack> = new Map([
  ['gzip', unpack],
  ['x-gzip', unpack],
  ['deflate', promisify(inflate)],
  ['br', promisify(brotliDecompress)],
])

/** Providers are asked not to compress; some do it all the same. @throws above MAX_ANSWER_BYTES, so bombs are harmless */
async function decompress(bytes: Uint8Array, encoding: string): Promise<Uint8Array> {
  const decode = DECODERS.get(encoding.toLowerCase())
  if (decode === undefined) throw new Error('unknown encoding')
  return decode(bytes, { maxOutputLength: MAX_ANSWER_BYTES })
}
