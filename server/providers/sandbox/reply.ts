/** One answer of the sandbox, ready to be sent at whatever pace. */
export interface Reply {
  readonly status: number
  readonly headers: ReadonlyMap<string, string>
  readonly chunks: Iterable<Uint8Array>
  /** The chunks are a stream and come with pauses. */
  readonly paced: boolean
}

/** What OpenAI would refuse, with its words; becomes the answer's status and body. */
export class Refusal extends Error {
  readonly param: string | null
  readonly code: string | null
  readonly status: number
  readonly type: string

  constructor(message: string, param: string | null, code: string | null, kind: RefusalKind = {}) {
    super(message)
    this.name = 'Refusal'
    this.param = param
    this.code = code
    this.status = kind.status ?? 400
    this.type = kind.type ?? 'invalid_request_error'
  }
}

export interface RefusalKind {
  readonly status?: number
  readonly type?: string
}

const encoder = new TextEncoder()

/** @param seed names the request in its headers. */
export function jsonReply(status: number, body: object, seed: number): Reply {
  const bytes = encoder.encode(`${JSON.stringify(body)}\n`)
  return { status, headers: headersOf('application/json', seed), chunks: [bytes], paced: false }
}

/** As `jsonReply`, for a body that is written piece by piece while it is sent. */
export function jsonPiecesReply(pieces: Iterable<string>, seed: number): Reply {
  return { status: 200, headers: headersOf('application/json', seed), chunks: encoded(pieces), paced: false }
}

function* encoded(pieces: Iterable<string>): Generator<Uint8Array> {
  for (const piece of pieces) yield encoder.encode(piece)
}

/** An SSE stream of JSON events, closed by `[DONE]`. */
export function streamReply(events: Iterable<object>, seed: number): Reply {
  return {
    status: 200,
    headers: headersOf('text/event-stream; charset=utf-8', seed),
    chunks: frames(events),
    paced: true,
  }
}

export function refusalReply(refusal: Refusal, seed: number): Reply {
  const { message, type, param, code, status } = refusal
  const reply = jsonReply(status, { error: { message, type, param, code } }, seed)
  return status === 429 ? { ...reply, headers: new Map(reply.headers).set('retry-after', '1') } : reply
}

function* frames(events: Iterable<object>): Generator<Uint8Array> {
  for (const event of events) yield encoder.encode(`data: ${JSON.stringify(event)}\n\n`)
  yield encoder.encode('data: [DONE]\n\n')
}

function headersOf(type: string, seed: number): Map<string, string> {
  return new Map([
    ['content-type', type],
    ['x-request-id', `req_sandbox${seed.toString(16).padStart(8, '0')}`],
    ['openai-version', '2020-10-01'],
    ['openai-processing-ms', '1'],
  ])
}
