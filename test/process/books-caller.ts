import { Agent, type IncomingMessage, request } from 'node:http'
import { PROJECT_KEY } from '../helpers/app.ts'
import type { Wanted } from './books-plan.ts'
import { WORD } from './books-provider.ts'

/** How one request ended for its caller. */
export interface Seen {
  /** `req_…`; null when not even the head came. */
  readonly id: string | null
  /** 0: there was no head. */
  readonly status: number
  /** All of the answer came, be it an error. */
  readonly isWhole: boolean
  readonly text: string
  /** Words of the answer that had come by then. */
  readonly words: number
  /** It left, rather than being left. */
  readonly left: boolean
  readonly endedAt: number
}

export interface Caller {
  ask(url: string, number: number, more?: { readonly key?: string; readonly idempotencyKey?: string }): Promise<Seen>
  close(): void
}

export const POOR_KEY = 'lgw_proj_poor0123456789abcdef0123456789ab'

/** Asks what was planned, and leaves where that was planned. */
export function callerOf(plans: ReadonlyMap<number, Wanted>): Caller {
  const agent = new Agent({ keepAlive: true, maxSockets: Number.POSITIVE_INFINITY })
  return {
    ask(url, number, { idempotencyKey } = {}) {
      const plan = plans.get(number)!
      const { path, body } = requestOf(number, plan)
      const key = plan.ending === 'refused-credits' ? POOR_KEY : PROJECT_KEY
      const headers = {
        'content-type': 'application/json',
        authorization: `Bearer ${plan.ending === 'refused-key' ? `${PROJECT_KEY}x` : key}`,
        'x-watchllm-metadata': JSON.stringify({ number }),
        ...(plan.kind === 'messages' ? { 'anthropic-version': '2023-06-01' } : {}),
        ...(idempotencyKey === undefined ? {} : { 'idempotency-key': idempotencyKey }),
      }
      return exchange({ url: url + path, headers, body, plan, agent })
    },
    close: () => agent.destroy(),
  }
}

function requestOf(number: number, plan: Wanted): { path: string; body: string } {
  const { kind, stream, ending, inputs, provider } = plan
  const model = ending === 'refused-model' ? 'no-such-model-anywhere' : `${provider}/${plan.model}`
  const content = `Call #${number}# of many`
  const path = { chat: '/v1/chat/completions', messages: '/v1/messages', embeddings: '/v1/embeddings' }[kind]
  if (ending === 'refused-body') return { path, body: JSON.stringify({ model, messages: 'none' }) }
  if (kind === 'embeddings') {
    const input = Array.from({ length: inputs }, (_, at) => `${content}, input ${at}`)
    return { path, body: JSON.stringify({ model, input }) }
  }
  const messages = [{ role: 'user', content }]
  const more =
    kind === 'messages' ? { max_tokens: 500 } : stream ? { stream_options: { include_usage: number % 3 > 0 } } : {}
  return { path, body: JSON.stringify({ model, messages, ...(stream ? { stream } : {}), ...more }) }
}

interface Exchange {
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
  readonly plan: Wanted
  readonly agent: Agent
}

/** How long after asking a caller leaves that gets no answer. */
const PATIENCE_MS = 30

function exchange({ url, headers, body, plan, agent }: Exchange): Promise<Seen> {
  const { ending, leaveAfter } = plan
  return new Promise((resolve) => {
    let id: string | null = null
    let status = 0
    let text = ''
    let left = false
    const sent = request(url, { method: 'POST', agent, headers })
    const end = (isWhole: boolean): void => {
      resolve({ id, status, text, isWhole, words: text.split(WORD).length - 1, left, endedAt: performance.now() })
    }
    const leave = (): void => {
      left = true
      sent.destroy()
    }
    sent.on('error', () => end(false))
    sent.on('close', () => end(false))
    if (ending === 'gone-before') sent.on('finish', () => setTimeout(leave, PATIENCE_MS))
    sent.on('response', (response: IncomingMessage) => {
      id = String(response.headers['x-request-id'])
      status = response.statusCode!
      response.setEncoding('utf8').on('data', (part: string) => {
        text += part
        if (ending === 'abort' && text.split(WORD).length > leaveAfter) leave()
      })
      response.on('error', () => {})
      response.on('end', () => end(true))
      response.on('close', () => end(response.complete))
    })
    sent.end(body)
  })
}
