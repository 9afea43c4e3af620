import { Redis } from '@upstash/redis'
import type { SharedKv } from './kv.ts'
import { type Client, sharedKv } from './shared.ts'

export interface UpstashOptions {
  readonly url: string
  readonly token: string
  /** A request that isn't answered by then has failed; default 250. */
  readonly timeoutMs?: number
  /** Goes before every key and channel; default `watchllm:`. */
  readonly prefix?: string
}

/** Pause before a broken subscription is made again. */
const AGAIN_MS = 500

/** A store on Upstash's REST API: one HTTPS request a round trip, subscriptions as server-sent events. */
export function upstashKv(options: UpstashOptions): SharedKv {
  return sharedKv(upstashClient(options, options.timeoutMs ?? 250), options.prefix)
}

function upstashClient({ url, token }: UpstashOptions, timeoutMs: number): Client {
  const redis = new Redis({
    ...{ url, token },
    // A try a request: what is sent twice would count twice.
    retry: { retries: 0 },
    enableTelemetry: false,
    automaticDeserialization: false,
    signal: () => AbortSignal.timeout(timeoutMs),
  })
  const scripts = new Map<string, ReturnType<typeof redis.createScript<unknown>>>()
  const closed = new AbortController()

  return {
    async run(text, keys, args) {
      const script = scripts.get(text) ?? redis.createScript<unknown>(text)
      scripts.set(text, script)
      return clearly(script.exec([...keys], [...args]))
    },
    async publish(channel, text) {
      await clearly(redis.publish(channel, text))
    },
    subscribe: (channel, hear, missed) =>
      listen(`${url.replace(/\/$/, '')}/subscribe/${encodeURIComponent(channel)}`, {
        ...{ token, hear, missed, closed: closed.signal },
      }),
    async ping() {
      // A database that takes no writes answers PING all the same.
      await clearly(redis.set('watchllm:ping', '1', { px: 60_000 }))
    },
    async close() {
      closed.abort()
    },
  }
}

/** Its errors carry the whole command and hide what went wrong below fetch. */
async function clearly<T>(answer: Promise<T>): Promise<T> {
  try {
    return await answer
  } catch (error) {
    const { message, cause } = error as Error
    const below = cause instanceof Error ? `: ${cause.message || (cause as { code?: string }).code}` : ''
    throw new Error(`Upstash: ${message.split(', command was: ')[0]}${below}`)
  }
}

interface Listening {
  readonly token: string
  readonly hear: (text: string) => void
  readonly missed: () => void
  readonly closed: AbortSignal
}

/** The package's own subscriber doesn't tell when its stream has ended, so this reads the stream itself. */
function listen(url: string, { token, hear, missed, closed }: Listening): Promise<() => void> {
  const ended = new AbortController()
  const signal = AbortSignal.any([ended.signal, closed])
  const headers = { authorization: `Bearer ${token}`, accept: 'text/event-stream' }
  return new Promise((resolve) => {
    let before = false
    const onData = (data: string): void => {
      // `subscribe,channel,1`, then `message,channel,text`; no channel of ours has a comma.
      const [kind, , ...rest] = data.split(',')
      if (kind === 'message') hear(rest.join(','))
      if (kind !== 'subscribe') return
      if (before) missed()
      before = true
      resolve(() => ended.abort())
    }
    const go = async (): Promise<void> => {
      while (!signal.aborted) {
        try {
          const response = await fetch(url, { method: 'POST', headers, signal })
          if (response.ok && response.body !== null) await readEvents(response.body, onData)
          else await response.body?.cancel()
        } catch {
          // Gone: again in a moment.
        }
        if (!signal.aborted) await pause(AGAIN_MS, signal)
      }
    }
    void go()
  })
}

async function readEvents(body: ReadableStream<Uint8Array>, onData: (data: string) => void): Promise<void> {
  const decoder = new TextDecoder()
  const reader = body.getReader()
  let rest = ''
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    const lines = (rest + decoder.decode(part.value, { stream: true })).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) if (line.startsWith('data:')) onData(line.slice(5).trim())
  }
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms)
    signal.addEventListener(
      'abort',
      () => {
        clearTimeout(timer)
        resolve()
      },
      { once: true },
    )
  })
}
