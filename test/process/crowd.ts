import { Agent, type IncomingMessage, request } from 'node:http'
import { PROJECT_KEY } from '../helpers/app.ts'
import { chat } from '../helpers/client.ts'

/** One call as its caller saw it end. */
export interface Seen {
  /** Null when not even the head came. */
  readonly id: string | null
  /** The whole answer, down to its last byte; null when the connection broke before. */
  readonly text: string | null
  readonly status: number
}

export interface Crowd {
  /** Resolves when so many answers have come whole. */
  whole(count: number): Promise<void>
  /** Heads that have come. */
  readonly begun: number
  readonly all: Promise<readonly Seen[]>
}

/** Many callers at once, each on a connection of its own; every other one streams. */
export function crowd(url: string, count: number, body: (at: number) => object): Crowd {
  const agent = new Agent({ keepAlive: false, maxSockets: Number.POSITIVE_INFINITY })
  const waiting: { readonly count: number; readonly resolve: () => void }[] = []
  let whole = 0
  let begun = 0
  const calls = Array.from({ length: count }, async (_, at) => {
    const seen = await call(`${url}/v1/chat/completions`, body(at), { agent, onHead: () => begun++ })
    if (seen.text !== null) whole++
    for (const waiter of waiting) if (waiter.count <= whole) waiter.resolve()
    return seen
  })
  return {
    whole: (wanted) => new Promise((resolve) => void waiting.push({ count: wanted, resolve })),
    get begun() {
      return begun
    },
    all: Promise.all(calls).finally(() => agent.destroy()),
  }
}

export const asked = (at: number): object =>
  chat(`Call ${at}`, at % 2 === 0 ? {} : { stream: true, stream_options: { include_usage: true } })

function call(url: string, body: object, { agent, onHead }: { agent: Agent; onHead: () => void }): Promise<Seen> {
  return new Promise((resolve) => {
    const headers = { 'content-type': 'application/json', authorization: `Bearer ${PROJECT_KEY}` }
    const sent = request(url, { method: 'POST', agent, headers })
    sent.on('error', () => resolve({ id: null, text: null, status: 0 }))
    sent.on('response', (response: IncomingMessage) => {
      onHead()
      const id = String(response.headers['x-request-id'])
      const status = response.statusCode!
      let text = ''
      response.setEncoding('utf8').on('data', (part: string) => {
        text += part
      })
      response.on('error', () => {})
      response.on('close', () => resolve({ id, status, text: response.complete ? text : null }))
    })
    sent.end(JSON.stringify(body))
  })
}

/** The usage that an answer, whole or streamed, told its caller. */
export function usageIn(text: string): { prompt_tokens: number; completion_tokens: number } {
  const found = /"usage":(\{.*?\})(?:,"|\})/s.exec(text.slice(text.lastIndexOf('"usage":{')))!
  return JSON.parse(`{${/"prompt_tokens":\d+,"completion_tokens":\d+/.exec(found[0])![0]}}`)
}
