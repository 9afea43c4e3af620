import { type IdempotencyStore, idempotencyStore } from '../../db/stores/idempotency.ts'
import { responseStore } from '../../db/stores/responses.ts'
import { createVault } from '../../db/vault.ts'
import type { Deps } from '../../server/deps.ts'
import { providersWith } from '../../server/providers/index.ts'
import type { Provider } from '../../server/providers/provider.ts'
import { createSandbox } from '../../server/providers/sandbox.ts'
import type { Engine } from '../db/engines.ts'
import { PROJECT_KEY, post, type TestApp, type TestAppOptions, testApp } from '../helpers/app.ts'
import { type ScriptedUpstream, startUpstream } from '../helpers/upstream.ts'
import { json, sse } from '../helpers/upstream-answers.ts'
import { type AnswerOptions, answer, type Plan } from '../helpers/upstream-plan.ts'
import { CLIENTS } from '../matrix/clients.ts'
import type { ProviderEnd } from '../matrix/provider-end.ts'
import { PROVIDERS } from '../matrix/providers.ts'

/** A kind of call: how it is asked, and what a provider answers. */
export interface Kind {
  readonly name: string
  readonly streams: boolean
  /** @param say changes the body */
  ask(headers?: Record<string, string>, say?: string): Request
  /** The provider's good answer; `stall` and `cut` as in its options. */
  plan(options?: AnswerOptions): Plan
}

const ENDS: Readonly<Record<string, ProviderEnd>> = Object.fromEntries(PROVIDERS.map((end) => [end.name, end]))

/** Each caller's wire on a provider of the same one, and across wires, whole and as a stream. */
const WIRES: readonly Kind[] = CLIENTS.flatMap((client) => {
  const own = ENDS[client.name] ?? ENDS.chat!
  const other = own === ENDS.chat ? ENDS.Messages! : ENDS.chat!
  return [own, other].flatMap((end) => [false, true].map((streams) => wireKind(client, end, streams)))
})

function wireKind(client: (typeof CLIENTS)[number], end: ProviderEnd, streams: boolean): Kind {
  return {
    name: `${client.name} on ${end.name}, ${streams ? 'stream' : 'JSON'}`,
    streams,
    ask(headers = {}, say = 'one') {
      const all = { ...client.headers, 'x-watchllm-route': `p-${end.wire}`, ...headers }
      const body = { ...client.body('text'), user: say, ...(streams ? { stream: true } : {}) }
      if (typeof client.path === 'string') return post(client.path, { model: 'some-model', ...body }, all)
      const { stream, user, ...said } = body as Record<string, unknown>
      return post(streams ? client.path.stream : client.path.whole, { ...said, labels: { user } }, all)
    },
    plan: (options = {}) => (streams ? sse(end.stream('text'), options) : json(end.whole('text'), options)),
  }
}

const USAGE = { prompt_tokens: 3, total_tokens: 3 }
const VECTOR = {
  object: 'list',
  model: 'm',
  data: [{ object: 'embedding', index: 0, embedding: [0.6, 0.8] }],
  usage: USAGE,
}
const SOUND = Buffer.from(Array.from({ length: 3000 }, (_, at) => (at * 31) & 0xff))
const SPEECH = { model: 'gpt-4o-mini-tts', voice: 'alloy', input: 'Hi' }

function simple(name: string, path: string, body: object, plan: Kind['plan']): Kind {
  const ask: Kind['ask'] = (headers = {}, say = 'one') => post(path, { ...body, user: say }, headers)
  return { name, streams: name.includes('sound'), ask, plan }
}

/** A form has another boundary each time. */
function form(headers: Record<string, string> = {}, say = 'one'): Request {
  const body = new FormData()
  body.set('model', 'whisper-1')
  body.set('prompt', say)
  body.set('file', new Blob([SOUND]), 'sound.mp3')
  const all = { authorization: `Bearer ${PROJECT_KEY}`, ...headers }
  return new Request('http://gateway.test/v1/audio/transcriptions', { method: 'POST', headers: all, body })
}

const OTHERS: readonly Kind[] = [
  simple('embeddings', '/v1/embeddings', { model: 'text-embedding-3-small', input: 'x' }, (o) => json(VECTOR, o)),
  simple('images', '/v1/images/generations', { model: 'gpt-image-1', prompt: 'x' }, (o) =>
    json({ created: 1, data: [{ b64_json: 'QUJD' }] }, o),
  ),
  simple('moderations', '/v1/moderations', { model: 'omni-moderation-latest', input: 'x' }, (o) =>
    json({ id: 'modr-1', model: 'm', results: [] }, o),
  ),
  simple('sound of a known length', '/v1/audio/speech', SPEECH, (o) =>
    answer({ headers: { 'content-type': 'audio/mpeg' }, body: SOUND, ...o }),
  ),
  simple('sound in chunks', '/v1/audio/speech', SPEECH, (o) =>
    answer({ headers: { 'content-type': 'audio/mpeg' }, body: SOUND, framing: 'chunked', split: [1000, 2000], ...o }),
  ),
  { name: 'a form', streams: false, ask: form, plan: (o = {}) => json({ text: 'said' }, o) } satisfies Kind,
  simple('stored responses, JSON', '/v1/responses', { model: 'some-model', input: 'x' }, (o) =>
    json(ENDS.Responses!.whole('text'), o),
  ),
  {
    ...simple('stored responses, stream', '/v1/responses', { model: 'some-model', input: 'x', stream: true }, (o) =>
      sse(ENDS.Responses!.stream('text'), o),
    ),
    streams: true,
  },
  simple('compacted responses', '/v1/responses/compact', { model: 'some-model', input: 'x' }, (o) =>
    json(ENDS.Responses!.whole('text'), o),
  ),
].map((kind) => (kind.name.includes('responses') ? routed(kind, 'p-openai-responses') : kind))

function routed(kind: Kind, provider: string): Kind {
  return { ...kind, ask: (headers = {}, say) => kind.ask({ 'x-watchllm-route': provider, ...headers }, say) }
}

export const KINDS: readonly Kind[] = [...WIRES, ...OTHERS]
export const STREAMS = KINDS.filter(({ streams }) => streams)
export const CHAT = KINDS.find(({ name }) => name === 'chat on chat, JSON')!
export const CHAT_STREAM = KINDS.find(({ name }) => name === 'chat on chat, stream')!

const ROWS: ReadonlyMap<string, Provider> = new Map(
  PROVIDERS.map((end) => [
    `p-${end.wire}`,
    {
      id: `p-${end.wire}`,
      name: `The ${end.name} provider`,
      baseUrl: null,
      keyVariable: 'NONE',
      baseUrlVariable: 'NONE',
      wires: { [end.wire]: end.path },
      auth: (key) => ['authorization', `Bearer ${key}`],
    },
  ]),
)

export interface IdempotencyBench {
  readonly store: IdempotencyStore
  readonly upstream: ScriptedUpstream
  /** One more instance on the same database. */
  instance(options?: TestAppOptions): TestApp
  /** A key that was never used. */
  newKey(): { 'idempotency-key': string }
  close(): Promise<void>
}

/** Instances of the gateway on one database, before one scripted provider. */
export async function openIdempotency(engine: Engine): Promise<IdempotencyBench> {
  const on = await engine.open()
  const vault = createVault(['a master secret for these tests'])
  const stores = {
    idempotency: idempotencyStore(on.database.db, vault),
    responses: responseStore(on.database.db, vault),
  } satisfies Partial<Deps>
  const upstream = await startUpstream()
  const apps: TestApp[] = []
  const others = providersWith(createSandbox({ now: Date.now, paceMs: 0, slowMs: 1 }))
  let keys = 0
  return {
    store: stores.idempotency,
    upstream,
    instance(options = {}) {
      const providerOf = (id: string) => ROWS.get(id) ?? others(id)
      const app = testApp({ upstreamUrl: upstream.url, ...options, deps: { ...stores, providerOf, ...options.deps } })
      apps.push(app)
      return app
    },
    newKey: () => ({ 'idempotency-key': `key-${++keys}-${'k'.repeat(keys % 50)}` }),
    async close() {
      for (const app of apps) await app.close()
      await upstream.close()
      await on.dispose()
    },
  }
}

/** Lets everything that is under way in this process arrive. */
export async function quiet(): Promise<void> {
  for (let turns = 0; turns < 20; turns++) await new Promise((resolve) => setImmediate(resolve))
}
