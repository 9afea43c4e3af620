import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { inputTotal, outputTotal } from '../../db/model/usage.ts'
import type { Provider } from '../../server/providers/provider.ts'
import { post, type TestApp, testApp } from '../helpers/app.ts'
import { type ScriptedUpstream, startUpstream } from '../helpers/upstream.ts'
import { answer } from '../helpers/upstream-plan.ts'
import { eventsOf } from '../matrix/scenes.ts'
import { bodyOf, type Json, pathOf, type Recording, recordings } from './recordings.ts'
import { streamTotalsOf, type Totals, totalsOf } from './usage.ts'

/**
 * Every recorded exchange goes through the whole gateway, from a provider that replays it, to a caller of the same
 * wire: what was asked arrives as it was sent, what was answered comes back whole, and the record says what the
 * provider counted.
 */

const REPLAY: Provider = {
  id: 'replay',
  name: 'The recording',
  baseUrl: null,
  keyVariable: 'NONE',
  baseUrlVariable: 'NONE',
  wires: {
    'openai-chat': '/chat/completions',
    'openai-completions': '/completions',
    'openai-embeddings': '/embeddings',
    'openai-responses': '/responses',
    'anthropic-messages': '/messages',
    gemini: { whole: '/models/{model}:generateContent', stream: '/models/{model}:streamGenerateContent?alt=sse' },
  },
  auth: (key) => ['authorization', `Bearer ${key}`],
  followsOpenai: true,
}

/** Others who speak OpenAI's dialect stray from its schema, and are mended. */
const STRAYING: Provider = { ...REPLAY, id: 'straying', followsOpenai: false }
const FOLLOWS = new Set(['openai', 'azure'])

let upstream: ScriptedUpstream
let app: TestApp

beforeAll(async () => {
  upstream = await startUpstream()
  // The files that recordings name are the project's own.
  const owned = async (_: unknown, ids: readonly string[]) => new Set(ids)
  const providerObjects = { add: async () => {}, remove: async () => {}, owned }
  const providerOf = (id: string) => (id === 'straying' ? STRAYING : REPLAY)
  app = testApp({ upstreamUrl: upstream.url, deps: { providerOf, providerObjects } })
})

afterAll(async () => {
  await app.close()
  await upstream.close()
})

const ALL = recordings()
const apis = [...new Set(ALL.map(({ api }) => api))]

it.skipIf(ALL.length === 0)('recordings are at hand for every dialect', () => {
  expect([...apis].sort()).toEqual(['chat', 'completions', 'embeddings', 'gemini', 'messages', 'responses'])
})

describe.each(apis)('recordings of %s', (api) => {
  const ours = ALL.filter((recording) => recording.api === api)

  it('come back whole from JSON answers', async () => {
    await through(
      ours.filter(({ response, stream }) => response.status === 200 && !stream),
      async (recording, text) => {
        expectWhole(JSON.parse(text), JSON.parse(recording.response.body), recording.id)
      },
    )
  })

  it('come back whole from streams', async () => {
    await through(
      ours.filter(({ response, stream }) => response.status === 200 && stream),
      async (recording, text) => {
        const got = untilFailure(chunksOf(text))
        const said = untilFailure(chunksOf(recording.response.body))
        // A caller who asked for usage gets it, also where the provider has none.
        const isMade = got.length === said.length + 1 && got.at(-1)?.usage !== undefined
        expectWhole(isMade ? got.slice(0, -1) : got, said, recording.id)
      },
    )
  })

  it('are metered as the provider counted', async () => {
    for (const recording of ours.filter(({ response }) => response.status === 200)) {
      await send(recording)
      const said = totals(recording)
      const { usage, usageSource } = app.records.at(-1)!
      expect(usageSource, recording.id).toBe(said === null ? 'estimated' : 'provider')
      if (said !== null) {
        expect({ input: inputTotal(usage), output: outputTotal(usage) }, recording.id).toEqual(said)
      }
    }
  })

  it('are refused as the provider refused them', async () => {
    for (const recording of ours.filter(({ response }) => response.status >= 400)) {
      const { status, text } = await send(recording)
      // An unknown model is 404 here, whoever says it and how (CONTRACT 7).
      const isNoModel = recording.response.body.includes('model_not_found')
      expect(status, recording.id).toBe(isNoModel ? 404 : recording.response.status)
      expect(JSON.parse(text), recording.id).toHaveProperty('error.message', expect.stringMatching(/\w/))
    }
  })
})

async function through(
  chosen: readonly Recording[],
  check: (recording: Recording, text: string) => Promise<void>,
): Promise<void> {
  for (const recording of chosen) {
    const { status, text } = await send(recording)
    expect(status, `${recording.id}: ${text}`).toBe(200)
    expectSent(upstream.requests.at(-1)!.json(), bodyOf(recording), recording.id)
    await check(recording, text)
  }
}

async function send(recording: Recording): Promise<{ status: number; text: string }> {
  const { status, headers, body } = recording.response
  const isStream = recording.stream && status === 200
  const type = isStream ? 'text/event-stream' : (headers['content-type'] ?? 'application/json')
  upstream.script(answer({ status, body, headers: { 'content-type': type } }))
  const asked = post(pathOf(recording), bodyOf(recording), {
    'x-watchllm-route': FOLLOWS.has(recording.provider) ? 'replay' : 'straying',
    'x-watchllm-body': 'off',
    'anthropic-version': '2023-06-01',
  })
  const response = await app.fetch(asked)
  return { status: response.status, text: await response.text() }
}

/** The provider is asked for usage in any case; all else is as it was sent. */
function expectSent(got: Json, sent: Json, id: string): void {
  const { stream_options, ...rest } = got
  const { stream_options: _, ...expected } = sent
  expect(rest, id).toEqual(expected)
}

/** Everything that the provider said is there; what more there is was added to make it valid. */
function expectWhole(got: unknown, said: unknown, id: string): void {
  const lost = lostFrom(got, said, '')
  expect(lost, id).toEqual([])
}

function lostFrom(got: unknown, said: unknown, path: string): string[] {
  // Mistral's parts are mended to text, and thoughts beside it.
  if (
    path.endsWith('.content') &&
    Array.isArray(said) &&
    (typeof got === 'string' || got === undefined || got === null)
  ) {
    const text = said.map((part: Json) => (part.type === 'text' ? part.text : '')).join('')
    return text === (got ?? '') ? [] : [`${path}: ${JSON.stringify(got)}`]
  }
  if (Array.isArray(said)) {
    if (!Array.isArray(got) || got.length !== said.length) return [`${path}: ${said.length} entries`]
    return said.flatMap((item, at) => lostFrom(got[at], item, `${path}[${at}]`))
  }
  if (typeof said === 'object' && said !== null) {
    if (typeof got !== 'object' || got === null) return [path]
    return Object.entries(said).flatMap(([name, item]) => lostFrom((got as Json)[name], item, `${path}.${name}`))
  }
  // What is mended: a null that the schema has no room for, a tier of a provider's own, what is empty where it must not be.
  if (said === null && got === undefined) return []
  if (said === '' && /\.(id|model|finish_reason|service_tier)$/.test(path)) return []
  if (path.endsWith('.service_tier') && got === 'default') return []
  return Object.is(got, said) ? [] : [`${path}: ${JSON.stringify(said)} became ${JSON.stringify(got)}`]
}

const ENDS = new Set<unknown>(['message_stop', 'response.completed', 'response.incomplete', 'response.failed'])

/** Up to the end of the first answer: some recordings hold two in a row. */
function chunksOf(stream: string): Json[] {
  const chunks = eventsOf(stream.replaceAll('\r\n', '\n'))
    .filter(({ data }) => data !== '[DONE]')
    .map(({ data }): Json => JSON.parse(data))
  const last = chunks.findIndex(({ type }) => ENDS.has(type))
  return last < 0 ? chunks : chunks.slice(0, last + 1)
}

/** What a failed stream said of its failure is not passed on. */
function untilFailure(chunks: readonly Json[]): readonly Json[] {
  const failed = chunks.findIndex(({ error }) => error !== undefined && error !== null)
  return failed < 0 ? chunks : chunks.slice(0, failed)
}

function totals({ api, stream, response }: Recording): Totals | null {
  return stream ? streamTotalsOf(api, chunksOf(response.body)) : totalsOf(api, JSON.parse(response.body))
}
