import { createAnthropic } from '@ai-sdk/anthropic'
import { createAnthropic as createAnthropic6 } from '@ai-sdk/anthropic-3'
import { createGoogle } from '@ai-sdk/google'
import { createOpenAI } from '@ai-sdk/openai'
import { createOpenAI as createOpenAI6 } from '@ai-sdk/openai-3'
import * as ai7 from 'ai'
import * as ai6 from 'ai-6'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Provider } from '../../server/providers/provider.ts'
import { PROJECT_KEY, type TestApp, testApp } from '../helpers/app.ts'
import { type ScriptedUpstream, startUpstream } from '../helpers/upstream.ts'
import { answer } from '../helpers/upstream-plan.ts'
import type { ProviderEnd } from '../matrix/provider-end.ts'
import { PROVIDERS } from '../matrix/providers.ts'
import { CALLS, COUNTED, type Scene, TEXT, THOUGHT, TOOL } from '../matrix/scenes.ts'

/**
 * The AI SDK, versions 7 and 6, as judge: each of its own providers, unmodified, on a provider of every wire. It checks
 * what it reads against schemas of its own, and puts streams together itself.
 */

let upstream: ScriptedUpstream
let app: TestApp
let url: string
beforeAll(async () => {
  upstream = await startUpstream()
  const rows = new Map(PROVIDERS.map((end) => [`p-${end.wire}`, rowOf(end)]))
  app = testApp({ upstreamUrl: upstream.url, deps: { providerOf: (id) => rows.get(id) ?? null } })
  url = (await app.listen()).url
})
afterAll(async () => {
  await app.close()
  await upstream.close()
})

function rowOf(end: ProviderEnd): Provider {
  return {
    id: `p-${end.wire}`,
    name: end.name,
    baseUrl: null,
    keyVariable: 'NONE',
    baseUrlVariable: 'NONE',
    wires: { [end.wire]: end.path },
    auth: (key) => ['authorization', `Bearer ${key}`],
  }
}

/* biome-ignore lint/suspicious/noExplicitAny: two versions of the same package, whose types don't mix */
type Any = any

interface Judge {
  readonly name: string
  readonly ai: Any
  model(headers: Record<string, string>): Any
}

const at = (path: string, headers: Record<string, string>) => ({ baseURL: url + path, apiKey: PROJECT_KEY, headers })
const JUDGES: readonly Judge[] = [
  { name: 'ai 7, openai chat', ai: ai7, model: (headers) => createOpenAI(at('/v1', headers)).chat('gpt-5') },
  { name: 'ai 7, openai Responses', ai: ai7, model: (headers) => createOpenAI(at('/v1', headers)).responses('gpt-5') },
  { name: 'ai 7, anthropic', ai: ai7, model: (headers) => createAnthropic(at('/v1', headers))('claude-sonnet-4-5') },
  { name: 'ai 7, google', ai: ai7, model: (headers) => createGoogle(at('/v1beta', headers))('gemini-2.5-flash') },
  { name: 'ai 6, openai chat', ai: ai6, model: (headers) => createOpenAI6(at('/v1', headers)).chat('gpt-5') },
  { name: 'ai 6, openai Responses', ai: ai6, model: (headers) => createOpenAI6(at('/v1', headers)).responses('gpt-5') },
  { name: 'ai 6, anthropic', ai: ai6, model: (headers) => createAnthropic6(at('/v1', headers))('claude-sonnet-4-5') },
]

for (const judge of JUDGES) {
  describe.each(PROVIDERS)(`${judge.name} on a provider of $name`, (end) => {
    const ask = (more: object) => ({
      model: judge.model({ 'x-watchllm-route': `p-${end.wire}` }),
      system: 'Be brief.',
      prompt: 'What is the weather?',
      maxRetries: 0,
      // Without it OpenAI shows no thoughts, and the SDK reads none but summaries.
      providerOptions: { openai: { reasoningSummary: 'auto' } },
      ...more,
    })
    const tools = () => ({
      [TOOL.name]: judge.ai.tool({
        description: TOOL.description,
        inputSchema: judge.ai.jsonSchema(TOOL.schema),
      }),
    })

    it('reads a whole text', async () => {
      whole(end, 'text')
      const { text, usage, finishReason } = await judge.ai.generateText(ask({}))
      expect([text, finishReason]).toEqual([TEXT, 'stop'])
      expect(usage).toMatchObject({ inputTokens: COUNTED.input, outputTokens: COUNTED.output })
    })

    it('reads a streamed text', async () => {
      stream(end, 'text')
      const result = judge.ai.streamText(ask({ onError: fail }))
      expect(await textOf(result)).toBe(TEXT)
      expect(await result.finishReason).toBe('stop')
      expect(await result.usage).toMatchObject({ inputTokens: COUNTED.input, outputTokens: COUNTED.output })
    })

    it('reads streamed thoughts', async () => {
      stream(end, 'reasoning')
      const result = judge.ai.streamText(ask({ onError: fail }))
      expect(await textOf(result)).toBe(TEXT)
      // Its chat provider has no word for thoughts.
      expect(await result.reasoningText).toBe(judge.name.endsWith('chat') ? undefined : THOUGHT)
    })

    it.each(['whole', 'streamed'])('reads parallel calls of tools, %s', async (how) => {
      const isWhole = how === 'whole'
      if (isWhole) whole(end, 'parallel tools')
      else stream(end, 'parallel tools')
      const asked = ask({ tools: tools(), onError: fail })
      const result = isWhole ? await judge.ai.generateText(asked) : judge.ai.streamText(asked)
      if (!isWhole) await textOf(result)
      const calls: { toolName: string; input: unknown }[] = await result.toolCalls
      expect(calls.map(({ toolName, input }) => [toolName, input])).toEqual(
        CALLS.map((call) => [TOOL.name, JSON.parse(call.arguments)]),
      )
      expect(await result.finishReason).toBe('tool-calls')
    })

    it('raises what the provider refuses', async () => {
      upstream.script(answer({ status: 400, body: JSON.stringify(end.refusal('Too long')), headers: JSON_TYPE }))
      await expect(judge.ai.generateText(ask({}))).rejects.toMatchObject({ statusCode: 400, message: 'Too long' })
    })
  })
}

const JSON_TYPE = { 'content-type': 'application/json' }

function whole(end: ProviderEnd, scene: Scene): void {
  upstream.script(answer({ body: JSON.stringify(end.whole(scene)), headers: JSON_TYPE }))
}

function stream(end: ProviderEnd, scene: Scene): void {
  upstream.script(answer({ body: end.stream(scene), headers: { 'content-type': 'text/event-stream' } }))
}

function fail({ error }: { error: unknown }): void {
  throw error
}

async function textOf(result: { readonly textStream: AsyncIterable<string> }): Promise<string> {
  let text = ''
  for await (const piece of result.textStream) text += piece
  return text
}
