import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Provider } from '../../server/providers/provider.ts'
import { PROVIDER_KEY, post, type TestApp, testApp } from '../helpers/app.ts'
import { type ScriptedUpstream, startUpstream } from '../helpers/upstream.ts'
import { answer } from '../helpers/upstream-plan.ts'
import type { Client } from './client.ts'
import { CLIENTS } from './clients.ts'
import type { ProviderEnd } from './provider-end.ts'
import { PROVIDERS } from './providers.ts'
import {
  CALLS,
  COUNTED,
  callsOf,
  EARLIER,
  FORMAT,
  type Heard,
  type Json,
  PIXEL,
  QUESTION,
  RESULT,
  SCENES,
  type Scene,
  SYSTEM,
  THOUGHT,
  TOOL,
  textOf,
} from './scenes.ts'

/** Every caller's wire on every provider's wire: what is asked arrives, what is answered is understood. */

let upstream: ScriptedUpstream
let app: TestApp

beforeAll(async () => {
  upstream = await startUpstream()
  const rows = new Map(PROVIDERS.map((end) => [`p-${end.wire}`, rowOf(end)]))
  app = testApp({ upstreamUrl: upstream.url, deps: { providerOf: (id) => rows.get(id) ?? null } })
})

afterAll(async () => {
  await app.close()
  await upstream.close()
})

function rowOf(end: ProviderEnd): Provider {
  return {
    id: `p-${end.wire}`,
    name: `The ${end.name} provider`,
    baseUrl: null,
    keyVariable: 'NONE',
    baseUrlVariable: 'NONE',
    wires: { [end.wire]: end.path },
    auth: (key) => ['authorization', `Bearer ${key}`],
  }
}

function send(client: Client, end: ProviderEnd, body: Json): Promise<Response> {
  const headers = { ...client.headers, 'x-watchllm-route': `p-${end.wire}`, 'x-watchllm-body': 'off' }
  if (typeof client.path === 'string') return app.fetch(post(client.path, { model: 'some-model', ...body }, headers))
  const { stream, ...said } = body
  return app.fetch(post(stream === true ? client.path.stream : client.path.whole, said, headers))
}

for (const client of CLIENTS) {
  for (const end of PROVIDERS) {
    describe(`a caller of ${client.name} on a provider of ${end.name}`, () => {
      for (const scene of SCENES) {
        const why = client.cannot(scene)
        if (why !== null) {
          it(`${scene}: can't be said, ${why}`, () => expect(why).toMatch(/^a text completion has no /))
          continue
        }
        for (const stream of [false, true]) {
          it(`${scene}, ${stream ? 'stream' : 'JSON'}`, () => play(client, end, { scene, stream }))
        }
      }
      it('a refusal, in its own words and face', () => refused(client, end))
      it('a failure in the middle of a stream', () => failsInside(client, end))
    })
  }
}

async function play(client: Client, end: ProviderEnd, { scene, stream }: { scene: Scene; stream: boolean }) {
  upstream.script(
    stream
      ? answer({ body: end.stream(scene), headers: { 'content-type': 'text/event-stream' } })
      : answer({ body: JSON.stringify(end.whole(scene)), headers: { 'content-type': 'application/json' } }),
  )
  const response = await send(client, end, { ...client.body(scene), ...(stream ? { stream: true } : {}) })
  const text = await response.text()
  expect(response.status, text).toBe(200)

  const request = upstream.requests.at(-1)!
  expect(request.headers.authorization).toBe(`Bearer ${PROVIDER_KEY}`)
  expectHeard(end.hears(request.json(), request.path), { client, scene, stream })

  const understood = stream ? client.stream(text) : client.whole(JSON.parse(text))
  expect(understood.error).toBeNull()
  expect(understood.text).toBe(textOf(scene))
  expect(understood.thought).toBe(scene === 'reasoning' ? THOUGHT : '')
  expect(understood.calls).toEqual(
    callsOf(scene).map((call) => ({ name: TOOL.name, arguments: JSON.parse(call.arguments) })),
  )
  expect(understood.finish).toBe(callsOf(scene).length > 0 ? 'tool_calls' : 'stop')
  expect(understood.usage).toEqual({ input: COUNTED.input, cached: COUNTED.cached, output: COUNTED.output })

  const record = app.records.at(-1)!
  expect(record).toMatchObject({ status: 200, outcome: 'done', usageSource: 'provider', stream })
  expect(record.usage).toMatchObject({ cacheRead: COUNTED.cached, output: COUNTED.output })
}

interface Said {
  readonly client: Client
  readonly scene: Scene
  readonly stream: boolean
}

function expectHeard(heard: Heard, { client, scene, stream }: Said): void {
  expect(heard.stream).toBe(stream)
  if (client.name === 'completions') {
    expect(heard.turns).toEqual([`user: ${QUESTION}`])
    return
  }
  expect(heard.system).toBe(SYSTEM)
  const last = scene === 'image' ? `${QUESTION}[image ${PIXEL}]` : QUESTION
  const tool = scene === 'tool result' ? [`[call ${TOOL.name} ${CALLS[0]!.arguments}]`] : []
  const spoken = [`user: ${EARLIER.user}`, `assistant: ${EARLIER.assistant}`, `user: ${last}`, ...tool]
  expect(heard.turns.slice(0, spoken.length)).toEqual(spoken)
  const rest = heard.turns.slice(spoken.length)
  // Some providers take an object only: what the tool said must be in it.
  if (scene === 'tool result') expect(rest.join('').replaceAll('\\', '')).toContain(RESULT.slice(1, -1))
  else expect(rest).toEqual([])
  const toolsSent = ['tool', 'parallel tools', 'tool result'].includes(scene)
  // Schemas arrive with their members in the order in which they were sent.
  expect(JSON.stringify(heard.tools)).toBe(JSON.stringify(toolsSent ? [{ name: TOOL.name, schema: TOOL.schema }] : []))
  expect(JSON.stringify(heard.format)).toBe(JSON.stringify(scene === 'json schema' ? FORMAT.schema : null))
  expect(heard.thinks).toBe(scene === 'reasoning')
}

async function refused(client: Client, end: ProviderEnd): Promise<void> {
  const words = 'The prompt is too long: 9 tokens'
  upstream.script(
    answer({ status: 400, body: JSON.stringify(end.refusal(words)), headers: { 'content-type': 'application/json' } }),
  )
  const response = await send(client, end, client.body('text'))
  expect(response.status).toBe(400)
  expect(client.whole((await response.json()) as Json).error).toBe(words)
}

async function failsInside(client: Client, end: ProviderEnd): Promise<void> {
  upstream.script(answer({ body: end.failing('Overloaded'), headers: { 'content-type': 'text/event-stream' } }))
  const response = await send(client, end, { ...client.body('text'), stream: true })
  expect(client.stream(await response.text()).error).toMatch(/sent an answer that can not be used/)
  expect(app.records.at(-1)).toMatchObject({ outcome: 'cut', errorCode: 'provider_error' })
}
