import { connect } from 'node:net'
import { PROJECT_KEY } from './app.ts'

/** What tests of a listening gateway have in common as its callers. */

export const DEADLINE_MS = 10_000

export interface Answer {
  readonly status: number
  readonly headers: Headers
  readonly text: string
  /** The body as JSON. @throws SyntaxError */
  json<T = Record<string, unknown>>(): T
}

export interface AskOptions {
  readonly key?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly signal?: AbortSignal
}

/** Posts JSON, or a text as it is, with the project's key. */
export function post(url: string, body: unknown, options: AskOptions = {}): Promise<Response> {
  return fetch(url, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      authorization: `Bearer ${options.key ?? PROJECT_KEY}`,
      ...options.headers,
    },
    body: typeof body === 'string' ? body : JSON.stringify(body),
    signal: options.signal ?? null,
  })
}

/** `post`, and reads the answer to its end. */
export async function ask(url: string, body: unknown, options: AskOptions = {}): Promise<Answer> {
  return whole(await post(url, body, options))
}

export async function get(url: string, key = PROJECT_KEY): Promise<Answer> {
  return whole(await fetch(url, { headers: { authorization: `Bearer ${key}` } }))
}

async function whole(response: Response): Promise<Answer> {
  const text = await response.text()
  return { status: response.status, headers: response.headers, text, json: () => JSON.parse(text) }
}

/** The data of each event of a stream. Comments are left out. */
export function eventsOf(text: string): string[] {
  return Array.from(text.matchAll(/^data: ?(.*)$/gm), (line) => line[1]!)
}

export function chat(content: string, more: object = {}): object {
  return { model: 'gpt-4o-mini', messages: [{ role: 'user', content }], ...more }
}

/** Resolves with the first truthy value. @throws after 10 s, naming what it waited for */
export async function until<T>(
  what: string,
  look: () => T | Promise<T>,
): Promise<Exclude<T, null | false | undefined>> {
  const deadline = performance.now() + DEADLINE_MS
  for (;;) {
    const found = await look()
    if (found) return found as Exclude<T, null | false | undefined>
    if (performance.now() > deadline) throw new Error(`Waited ${DEADLINE_MS} ms for ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

/** The error's code when nothing listens there, null when something does. */
export function refused(url: string): Promise<string | null> {
  const { hostname, port } = new URL(url)
  return new Promise((resolve) => {
    const socket = connect(Number(port), hostname)
    socket.once('connect', () => {
      socket.destroy()
      resolve(null)
    })
    socket.once('error', (error: Error & { code?: string }) => resolve(error.code ?? error.message))
  })
}
