import { createSandbox, type SandboxOptions } from '../../server/providers/sandbox.ts'
import type { UpstreamError } from '../../server/upstream.ts'

export const NOW_MS = 1_790_000_000_123

export interface Outcome {
  readonly status: number | null
  readonly header: (name: string) => string | null
  readonly chunks: readonly Uint8Array[]
  readonly text: string
  /** The body's JSON; throws when it is none. */
  // biome-ignore lint/suspicious/noExplicitAny: tests look into answers of many shapes
  readonly json: any
  /** The `data:` of a stream, without `[DONE]`. */
  // biome-ignore lint/suspicious/noExplicitAny: as above
  readonly events: any[]
  readonly error: UpstreamError | null
}

export type Path = '/chat/completions' | '/completions' | '/embeddings'

/** One request to a sandbox without pauses, to its end. */
export function ask(path: string, body: unknown, options: Partial<SandboxOptions> = {}): Promise<Outcome> {
  const sandbox = createSandbox({ now: () => NOW_MS, paceMs: 0, ...options })
  const bytes = body instanceof Uint8Array ? body : new TextEncoder().encode(JSON.stringify(body))
  const chunks: Uint8Array[] = []
  let status: number | null = null
  let header: Outcome['header'] = () => null
  return new Promise((resolve) => {
    const finish = (error: UpstreamError | null) => {
      const text = new TextDecoder().decode(Buffer.concat(chunks))
      resolve({
        status,
        header: (name) => header(name),
        chunks,
        text,
        error,
        get json() {
          return JSON.parse(text)
        },
        get events() {
          const frames = text.split('\n\n').filter((frame) => frame !== '')
          return frames.filter((frame) => frame !== 'data: [DONE]').map((frame) => JSON.parse(frame.slice(6)))
        },
      })
    }
    sandbox.start(
      { origin: 'sandbox:', path, method: 'POST', headers: ['content-type', 'application/json'], body: bytes },
      {
        onHeaders(given, read) {
          status = given
          header = read
        },
        onData: (chunk) => void chunks.push(chunk),
        onEnd: () => finish(null),
        onError: finish,
      },
    )
  })
}

export function chat(body: object, options: Partial<SandboxOptions> = {}): Promise<Outcome> {
  const messages = [{ role: 'user', content: 'Say hello to the harbour' }]
  return ask('/chat/completions', { model: 'sandbox/chat', messages, ...body }, options)
}
