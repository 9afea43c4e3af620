import { Buffer } from 'node:buffer'
import type { Clock } from '../deps.ts'
import type { Upstream, UpstreamError } from '../upstream.ts'
import { line } from './words.ts'

/** How a message was answered, or why not; `response` is the beginning of the answer's body, in one line. */
export type PostResult =
  | { readonly status: number; readonly response: string }
  | { readonly status: null; readonly error: string }

export interface Message {
  readonly url: string
  /** Name, value, name, value. */
  readonly headers: readonly string[]
  readonly body: string
}

export const POST_LIMIT_MS = 15_000
const MAX_RESPONSE_BYTES = 4_096
const MAX_RESPONSE_CHARS = 500
const MAX_ERROR_CHARS = 300

/**
 * Posts a message to where a tenant wants it: to public addresses only, following no redirect, within 15 s, reading
 * little of what comes back. Never rejects.
 */
export function postMessage(
  { url, headers, body }: Message,
  { upstream, clock }: { readonly upstream: Upstream; readonly clock: Clock },
): Promise<PostResult> {
  if (!URL.canParse(url)) return Promise.resolve({ status: null, error: 'The URL can not be read' })
  const { origin, pathname, search } = new URL(url)
  return new Promise((resolve) => {
    const chunks: Uint8Array[] = []
    let bytes = 0
    let status: number | null = null
    const end = (result: PostResult): void => {
      timer.cancel()
      exchange.abort()
      resolve(result)
    }
    const answered = (code: number): PostResult => ({
      status: code,
      response: line(Buffer.concat(chunks).subarray(0, MAX_RESPONSE_BYTES).toString('utf8'), MAX_RESPONSE_CHARS),
    })
    const exchange = upstream.start(
      {
        origin,
        path: pathname + search,
        method: 'POST',
        headers: [...COMMON, ...headers],
        body: Buffer.from(body),
        publicOnly: true,
      },
      {
        onHeaders(code) {
          status = code
        },
        onData(chunk) {
          chunks.push(chunk)
          bytes += chunk.length
          if (bytes >= MAX_RESPONSE_BYTES) end(answered(status ?? 0))
        },
        onEnd: () => end(answered(status ?? 0)),
        // Once the status is there, it is the answer: what is missing of the body is only for reading.
        onError: (error) => end(status === null ? { status: null, error: saidOf(error) } : answered(status)),
      },
    )
    const timer = clock.timer(POST_LIMIT_MS, () => {
      if (status !== null) end(answered(status))
      else end({ status: null, error: `There was no answer within ${POST_LIMIT_MS / 1000} s` })
    })
  })
}

const COMMON = [
  'content-type',
  'application/json',
  'accept',
  '*/*',
  'accept-encoding',
  'identity',
  'user-agent',
  'WatchLLM-Webhooks/1',
]

/** In words for whoever gave the URL: of what went wrong inside they learn nothing. */
function saidOf({ kind, message }: UpstreamError): string {
  const refused = /^HostRefused: (.*)$/s.exec(message)
  if (refused !== null) return line(refused[1]!, MAX_ERROR_CHARS)
  if (kind === 'connect') return 'The host can not be reached'
  return kind === 'network' ? 'The connection broke before there was an answer' : 'The answer is no HTTP'
}
