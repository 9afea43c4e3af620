import { existsSync, readFileSync } from 'node:fs'

/** Real exchanges with providers, as they were recorded; none where the recordings are not at hand. */
const ROOT = new URL('../../../shared/data/exchanges/', import.meta.url)

export type Json = Record<string, unknown>

export type Api = 'chat' | 'completions' | 'embeddings' | 'responses' | 'messages' | 'gemini'

export interface Recording {
  readonly id: string
  readonly provider: string
  readonly api: Api
  readonly stream: boolean
  readonly request: { readonly path: string; readonly body: Json | null }
  readonly response: {
    readonly status: number
    readonly headers: Readonly<Record<string, string>>
    readonly body: string
  }
}

/** Where each dialect lives at the providers that were recorded. Other paths are dialects of their own. */
const PATHS: Readonly<Record<Api, RegExp>> = {
  chat: /\/chat\/completions$/,
  completions: /\/completions$/,
  embeddings: /\/v1\/embeddings$/,
  responses: /\/responses$/,
  messages: /\/messages$/,
  gemini: /:(generateContent|streamGenerateContent)$/,
}

/** Answers that were to be fetched later: ours come when they are done. */
const isLater = ({ request }: Recording) => request.body?.background === true

/** What was recorded at these paths is no answer of their dialect. */
const OTHERS: Readonly<Record<string, string>> = {
  'vercel-ai__google_google-live-speech-translation.stream': 'the Live API, over a WebSocket',
  'vercel-ai__cohere_cohere-embedding': "Cohere's own dialect",
  'pydantic-ai__test_openai_test_invalid_response': 'a server that echoes',
  'vercel-ai__openai_parallel-tool-call-wrapper.1.stream': 'its first event is cut in the recording',
}

/** All recordings of calls that a gateway's caller can make. */
export function recordings(): Recording[] {
  if (!existsSync(ROOT)) return []
  const { fixtures }: { fixtures: { file: string; api: string; provider: string; stream: boolean }[] } = JSON.parse(
    readFileSync(new URL('index.json', ROOT), 'utf8'),
  )
  return fixtures
    .filter(({ api }) => api in PATHS)
    .map(({ file, api, provider, stream }) => ({
      ...JSON.parse(readFileSync(new URL(file, ROOT), 'utf8')),
      api,
      provider,
      stream,
    }))
    .filter((recording: Recording) => OTHERS[recording.id] === undefined && !isLater(recording))
    .filter((recording: Recording) => PATHS[recording.api].test(recording.request.path.split('?')[0]!))
}

/** The body that was sent, or one in its place where it was too long to keep. */
export function bodyOf({ api, request, stream }: Recording): Json {
  if (request.body !== null && request.body._omitted === undefined) {
    // What is kept is kept by us, under ids of ours: what goes on from the provider's own can't be replayed.
    const { previous_response_id: _, ...body } = request.body
    return api === 'responses' ? { ...body, store: false } : body
  }
  const streams = stream && api !== 'gemini' ? { stream: true } : {}
  const options = stream && (api === 'chat' || api === 'completions') ? { stream_options: { include_usage: true } } : {}
  const standIns: Record<Api, Json> = {
    chat: { model: 'm', messages: [{ role: 'user', content: 'Hi' }] },
    completions: { model: 'm', prompt: 'Hi' },
    embeddings: { model: 'm', input: ['Hi', 'you'] },
    responses: { model: 'm', input: 'Hi', store: false },
    messages: { model: 'm', max_tokens: 100, messages: [{ role: 'user', content: 'Hi' }] },
    gemini: { contents: [{ role: 'user', parts: [{ text: 'Hi' }] }] },
  }
  return { ...standIns[api], ...streams, ...options }
}

/** Where a caller of the gateway sends it. */
export function pathOf({ api, request, stream }: Recording): string {
  if (api === 'gemini') {
    // All that were recorded are events; some recorders kept no query.
    return `/v1beta/models/${/models\/([^?]+)/.exec(request.path)![1]}${stream ? '?alt=sse' : ''}`
  }
  return (
    { chat: '/v1/chat/completions', completions: '/v1/completions', embeddings: '/v1/embeddings' }[api as 'chat'] ??
    `/v1/${api}`
  )
}
