import { BodyBroken, BodyTooLarge, type Handle, type Incoming, type Reply, type Sink, type StreamBody } from './http.ts'

/** Serves the web's own Request and Response: in tests, and wherever a fetch handler is mounted. */
export function fetchFace(handle: Handle): (request: Request) => Promise<Response> {
  return async (request) => {
    const incoming = new FetchIncoming(request)
    return toResponse(await handle(incoming), incoming)
  }
}

class FetchIncoming implements Incoming {
  readonly method: string
  readonly path: string
  readonly query: string
  readonly #request: Request
  #gone: (() => void)[] = []
  #isGone = false

  constructor(request: Request) {
    const { url } = request
    const start = url.indexOf('/', url.indexOf('//') + 2)
    const mark = url.indexOf('?', start)
    this.#request = request
    this.method = request.method
    this.path = start < 0 ? '/' : url.slice(start, mark < 0 ? undefined : mark)
    this.query = mark < 0 ? '' : url.slice(mark + 1)
  }

  /** A request of the web doesn't tell where it comes from. */
  get remoteAddress(): null {
    return null
  }

  header(name: string): string | null {
    return this.#request.headers.get(name)
  }

  async body(limitBytes: number): Promise<Uint8Array> {
    const length = this.#request.headers.get('content-length')
    if (length !== null && Number(length) > limitBytes) throw new BodyTooLarge()
    return length === null ? this.#collect(limitBytes) : readAll(this.#request).catch(broken)
  }

  onGone(callback: () => void): void {
    if (this.#isGone) return callback()
    if (this.#gone.push(callback) > 1) return
    const { signal } = this.#request
    // Who left while its key was looked up is no event any more.
    if (signal.aborted) this.leave()
    else signal.addEventListener('abort', () => this.leave())
  }

  /** The caller went away. On Deno this is also heard after a success; whoever has answered by then ignores it. */
  leave(): void {
    this.#isGone = true
    const callbacks = this.#gone
    this.#gone = []
    for (const callback of callbacks) callback()
  }

  async #collect(limitBytes: number): Promise<Uint8Array> {
    if (this.#request.body === null) return new Uint8Array(0)
    const chunks: Uint8Array[] = []
    let bytes = 0
    const reader = this.#request.body.getReader()
    for (;;) {
      const { done, value } = await reader.read().catch(broken)
      if (done) return Buffer.concat(chunks, bytes)
      bytes += value.length
      if (bytes > limitBytes) {
        void reader.cancel()
        throw new BodyTooLarge()
      }
      chunks.push(value)
    }
  }
}

/** Bun's own way is a third cheaper; Node 20 hasn't got it. */
async function readAll(request: Request): Promise<Uint8Array> {
  return 'bytes' in request ? request.bytes() : new Uint8Array(await (request as Request).arrayBuffer())
}

function broken(): never {
  throw new BodyBroken()
}

function toResponse(reply: Reply, incoming: FetchIncoming): Response {
  const { body, status } = reply
  const headers = toHeaders(reply.headers)
  if (typeof body === 'function') return new Response(toStream(body, incoming), { status, headers })
  return new Response(toBytes(body), { status, headers })
}

/** As an object where names are unique, which costs half of what pairs do. */
function toHeaders(list: readonly string[]): HeadersInit {
  const headers: Record<string, string> = {}
  for (let i = 0; i < list.length; i += 2) {
    if (headers[list[i]!] !== undefined) return toPairs(list)
    headers[list[i]!] = list[i + 1]!
  }
  return headers
}

function toPairs(list: readonly string[]): [string, string][] {
  return Array.from({ length: list.length / 2 }, (_, at) => [list[2 * at]!, list[2 * at + 1]!])
}

function toBytes(body: Uint8Array | string): BodyInit {
  return (typeof body === 'string' ? Buffer.from(body, 'latin1') : body) as BodyInit
}

/** Above this the provider is told to wait: a caller who reads slowly holds no more of our memory. */
const HIGH_WATER_BYTES = 64 * 1024

function toStream(body: StreamBody, incoming: FetchIncoming): ReadableStream<Uint8Array> {
  let drained: (() => void) | null = null
  return new ReadableStream<Uint8Array>(
    {
      start(controller) {
        let over = false
        const sink: Sink = {
          write(chunk) {
            if (over) return true
            controller.enqueue(chunk)
            return (controller.desiredSize ?? 1) > 0
          },
          end(last) {
            if (over) return
            over = true
            if (last !== undefined && last.length > 0) controller.enqueue(last)
            controller.close()
          },
          cut() {
            if (over) return
            over = true
            controller.error(new Error('The provider broke off'))
          },
          onDrain(callback) {
            drained = callback
          },
        }
        incoming.onGone(() => {
          if (over) return
          over = true
          // Does nothing to a stream that was cancelled, and breaks off one whose caller is still there.
          controller.error(new Error('The caller is gone'))
        })
        body(sink)
      },
      pull() {
        const callback = drained
        drained = null
        callback?.()
      },
      cancel() {
        incoming.leave()
      },
    },
    { highWaterMark: HIGH_WATER_BYTES, size: (chunk) => chunk.length },
  )
}
