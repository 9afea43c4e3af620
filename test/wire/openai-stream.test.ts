import { describe, expect, it } from 'vitest'
import { TokenEstimator } from '../../server/wire/estimate.ts'
import { openaiChat } from '../../server/wire/openai-chat/wire.ts'
import { openaiCompletions } from '../../server/wire/openai-completions/wire.ts'
import type { Ask, Wire } from '../../server/wire/wire.ts'
import { fixture, fixtures } from '../helpers/fixture.ts'
import { Random } from '../helpers/random.ts'
import { ADDITIONS, chunksOf, cutAt, eventsOf, follow, jsonBytes, lateWords, textOf } from '../helpers/wire.ts'

interface Expected {
  readonly usage: Record<string, number> | null
  readonly finished?: boolean
  readonly failure: string | null
}

type Chunk = Record<string, unknown>

const EXPECTED: Record<string, Expected> = JSON.parse(textOf(fixture('expected.json')))
const STREAMS = ['openai-chat', 'openai-completions'].flatMap((wire) => fixtures(wire, '.sse'))

function wireOf(name: string): Wire {
  return name.startsWith('openai-chat') ? openaiChat : openaiCompletions
}

function askOf(name: string, wantsUsage: boolean): Ask {
  const head = { model: 'm', stream: true, ...(wantsUsage ? { stream_options: { include_usage: true } } : {}) }
  return wireOf(name).readAsk(jsonBytes({ ...head, messages: [{ role: 'user', content: 'Say hi' }], prompt: 'Say hi' }))
}

function followed(name: string, options: { wantsUsage: boolean; pieces?: Iterable<Uint8Array>; additions?: boolean }) {
  const pieces = options.pieces ?? [fixture(name)]
  const additions = options.additions === true ? ADDITIONS : null
  return follow(wireOf(name), askOf(name, options.wantsUsage), { pieces, additions })
}

const byteText = (name: string) => Buffer.from(fixture(name)).toString('latin1')
const bothAsks = [
  ['asked for usage', true],
  ['did not ask for usage', false],
] as const

describe.each(STREAMS)('%s', (name) => {
  const expected = EXPECTED[name]!

  it.each(bothAsks)('says what the provider used and how it ended, when the caller %s', (_, wantsUsage) => {
    const { metered, finished, failure, begun } = followed(name, { wantsUsage })
    expect(metered.source).toBe(expected.usage === null ? 'estimated' : 'provider')
    if (expected.usage !== null) expect(metered.usage).toEqual(expected.usage)
    if (expected.finished !== undefined) expect(finished).toBe(expected.finished)
    if (expected.failure === null) expect(failure).toBeNull()
    else expect(failure).toContain(expected.failure)
    expect(begun).toBe(name !== 'openai-chat/error-event-first.sse')
  })

  it.each(bothAsks)(
    'gives the same bytes and the same result wherever it is cut, when the caller %s',
    (_, wantsUsage) => {
      const bytes = fixture(name)
      const whole = followed(name, { wantsUsage })
      const outcome = JSON.stringify({ ...whole, passed: '' })
      const same = (pieces: Uint8Array[], where: string) => {
        const result = followed(name, { wantsUsage, pieces })
        if (result.passed === whole.passed && JSON.stringify({ ...result, passed: '' }) === outcome) return
        expect(result, where).toEqual(whole)
      }
      for (let at = 0; at <= bytes.length; at++) same(cutAt(bytes, [at]), `cut at ${at}`)
      same(
        Array.from(bytes, (byte) => Uint8Array.of(byte)),
        'byte by byte',
      )
      const random = new Random(bytes.length)
      for (let round = 0; round < 20; round++) {
        const places = Array.from({ length: 1 + random.int(12) }, () => random.int(bytes.length)).sort((a, b) => a - b)
        same(cutAt(bytes, places), `cut at ${places.join(', ')}`)
      }
    },
  )

  it('shows a caller who asked every chunk of the provider, and usage once at the end if no chunk had it', () => {
    const { passed, last, metered } = followed(name, { wantsUsage: true })
    const shown = chunksOf(passed + last)
    const provided = chunksBeforeFailure(name)
    if (!isComplete(name)) return expect(shown).toEqual(provided)
    expect(shown.pop()).toBe('[DONE]')
    if (!provided.some(hasUsage)) {
      expect(shown.pop()).toMatchObject({ choices: [], usage: { prompt_tokens: expect.any(Number) } })
      expect(metered.usage.output).toBeGreaterThan(0)
    }
    expect(shown).toEqual(provided)
  })

  it('shows a caller who did not ask every chunk of the provider without usage', () => {
    const { passed, last } = followed(name, { wantsUsage: false })
    const provided = chunksBeforeFailure(name)
      .filter((chunk) => !isUsageOnly(chunk))
      .map(({ usage: _, ...rest }) => rest)
    expect(chunksOf(passed + last)).toEqual(isComplete(name) ? [...provided, '[DONE]'] : provided)
  })

  it.each(bothAsks)('puts the additions in once, where they belong, when the caller %s', (_, wantsUsage) => {
    if (!isComplete(name)) return
    const { passed, last, metered } = followed(name, { wantsUsage, additions: true })
    const bare = followed(name, { wantsUsage })
    expect(passed).toBe(bare.passed)
    const inChunk = wantsUsage && !chunksBeforeFailure(name).some((chunk) => hasUsage(chunk) && !isUsageOnly(chunk))
    const words = inChunk ? [chunksOf(last)[0] as Chunk] : lateWords(last)
    expect(words).toHaveLength(1)
    expect(words[0]).toMatchObject(IN_BODY)
    expect(last.match(/x-WatchLLM-cost-usd/g)).toHaveLength(1)
    if (!inChunk) return expect(last.endsWith(bare.last)).toBe(true)
    const mark = metered.source === 'estimated' ? { watchllm_source: 'estimated' } : {}
    expect(words[0]!.usage).toEqual({ ...usageIn(bare.last), ...mark, watchllm_tokens: 35 })
    expect(Object.keys(words[0]!)).toEqual(expect.arrayContaining(Object.keys(chunksOf(bare.last)[0] as Chunk)))
  })

  it('counts the text, in whatever JSON it is written, as one count of all of it', () => {
    const chunks = chunksBeforeFailure(name).map(({ usage: _, x_groq: __, ...chunk }) => chunk)
    const estimator = new TokenEstimator()
    for (const text of chunks.flatMap(textsOf)) estimator.add(Buffer.from(text))
    const random = new Random(chunks.length)
    for (const write of [compact, spaced, escaped]) {
      const bytes = Buffer.from(chunks.map((chunk) => `data: ${write(chunk)}\n\n`).join(''))
      const places = Array.from({ length: 9 }, () => random.int(bytes.length)).sort((a, b) => a - b)
      for (const pieces of [[bytes], cutAt(bytes, places)]) {
        const { metered } = follow(wireOf(name), askOf(name, false), { pieces })
        expect(metered.source).toBe('estimated')
        expect(metered.usage.output).toBe(estimator.tokens)
      }
    }
  })
})

const IN_BODY = {
  'x-WatchLLM-cached': false,
  'x-WatchLLM-cost-usd': '0.0000345',
  'x-WatchLLM-latency-ms': 12.3,
  watchllm: {
    provider: 'openai',
    model_used: 'gpt-4o-mini',
    routing_rule: 'pinned',
    cost_usd: '0.0000345',
    cached: false,
  },
}

function isComplete(name: string): boolean {
  return EXPECTED[name]!.failure === null && EXPECTED[name]!.finished === true
}

function hasUsage(chunk: Chunk): boolean {
  return typeof chunk.usage === 'object' && chunk.usage !== null
}

function isUsageOnly(chunk: Chunk): boolean {
  return hasUsage(chunk) && (chunk.choices as unknown[]).length === 0
}

function usageIn(text: string): object {
  return (chunksOf(text)[0] as Chunk).usage as object
}

/** What the provider sent in whole events before it failed, its terminator aside. */
function chunksBeforeFailure(name: string): Chunk[] {
  const chunks = chunksOf(byteText(name)).filter((chunk) => chunk !== '[DONE]') as Chunk[]
  const failed = chunks.findIndex((chunk) => chunk.error !== undefined)
  return failed < 0 ? chunks : chunks.slice(0, failed)
}

/** Everything the model wrote, by a plain reading of the chunk. */
function textsOf(chunk: Chunk): string[] {
  const texts: unknown[] = []
  for (const choice of (chunk.choices ?? []) as Chunk[]) {
    const delta = (choice.delta ?? {}) as Record<string, string | { transcript?: string } | Chunk[] | null>
    texts.push(choice.text, delta.content, delta.refusal, delta.reasoning_content ?? delta.reasoning)
    texts.push((delta.audio as { transcript?: string } | undefined)?.transcript)
    for (const call of (delta.tool_calls ?? []) as { function: { name?: string; arguments?: string } }[]) {
      texts.push(call.function.name, call.function.arguments)
    }
  }
  return texts.filter((text) => typeof text === 'string')
}

const compact = (chunk: Chunk) => JSON.stringify(chunk)
const spaced = (chunk: Chunk) => JSON.stringify(chunk, null, 1).replaceAll(/\n\s*/g, ' ')
const escaped = (chunk: Chunk) =>
  compact(chunk).replaceAll(/[^\n -~]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)

/** Streams in which something is mended or made up; all others reach a caller who asked byte for byte. */
const MENDED = new Set([
  'openai-chat/cut-inside-a-frame.sse',
  'openai-chat/error-event-first.sse',
  'openai-chat/error-in-the-middle.sse',
  'openai-chat/groq-usage-in-x-groq.sse',
  'openai-chat/no-done.sse',
  'openai-chat/no-last-blank-line.sse',
  'openai-chat/no-usage.sse',
  'openai-chat/openrouter-error-in-a-chunk.sse',
  'openai-completions/error-in-the-middle.sse',
  'openai-completions/no-usage.sse',
  'openai-completions/usage-in-last-chunk-no-done.sse',
])

describe('byte for byte', () => {
  it.each(STREAMS.filter((name) => !MENDED.has(name)))('%s passes whole to a caller who asked', (name) => {
    const { passed, last } = followed(name, { wantsUsage: true })
    expect(passed + last).toBe(byteText(name))
  })

  it.each(STREAMS.filter((name) => !byteText(name).includes('"usage"')))(
    '%s has no usage to hide: it passes whole',
    (name) => {
      const { passed, last } = followed(name, { wantsUsage: false })
      const text = byteText(name)
      if (isComplete(name))
        expect(passed + last.replace('data: [DONE]\n\n', '')).toBe(text.replace('data: [DONE]\n\n', ''))
      else expect(text.startsWith(passed)).toBe(true)
    },
  )

  it('keeps comments, fields and line ends of other events where they were', () => {
    const { passed } = followed('openai-chat/openrouter-keep-alives.sse', { wantsUsage: false })
    expect(passed.match(/^: OPENROUTER PROCESSING$/gm)).toEqual(
      byteText('openai-chat/openrouter-keep-alives.sse').match(/^: OPENROUTER PROCESSING$/gm),
    )
    const crlf = followed('openai-chat/crlf.sse', { wantsUsage: false })
    expect(crlf.passed).not.toMatch(/[^\r]\n/)
    const lines = followed('openai-chat/multi-line-data.sse', { wantsUsage: false })
    expect(eventsOf(lines.passed)[0]).toMatchObject({ event: 'message' })
    expect(lines.passed).toContain('id:2\n')
  })
})

describe('the end of a stream', () => {
  it('does not pass half a frame on, and is no end', () => {
    const name = 'openai-chat/cut-inside-a-frame.sse'
    const { passed, finished, begun } = followed(name, { wantsUsage: true })
    expect(byteText(name).startsWith(passed)).toBe(true)
    expect(passed.endsWith('\n\n')).toBe(true)
    expect(passed.length).toBeLessThan(byteText(name).length)
    expect([finished, begun]).toEqual([false, true])
  })

  it('is the terminator for a provider that sends none, and a blank line for one that forgot it', () => {
    expect(followed('openai-chat/no-done.sse', { wantsUsage: false }).last).toBe('data: [DONE]\n\n')
    expect(followed('openai-chat/no-last-blank-line.sse', { wantsUsage: false }).last).toBe('data: [DONE]\n\n')
  })

  it('drops whatever follows the terminator', () => {
    const extra = Buffer.concat([fixture('openai-chat/text.sse'), Buffer.from('data: {"late":1}\n\n')])
    const whole = followed('openai-chat/text.sse', { wantsUsage: false })
    expect(followed('openai-chat/text.sse', { wantsUsage: false, pieces: [extra] })).toEqual(whole)
  })

  it('is not reached when every proper prefix of a plain stream ends before its finish reason', () => {
    const name = 'openai-chat/text.sse'
    const bytes = fixture(name)
    const decisive = byteText(name).indexOf('"finish_reason":"')
    for (let length = 0; length < decisive; length++) {
      expect(
        followed(name, { wantsUsage: true, pieces: [bytes.subarray(0, length)] }).finished,
        `${length} bytes`,
      ).toBe(false)
    }
  })
})

describe('damaged streams', () => {
  it('give the same bytes and the same result wherever they are cut, and never throw', () => {
    for (let seed = 1; seed <= 1500; seed++) {
      const random = new Random(seed)
      const name = random.pick(STREAMS)
      const bytes = Uint8Array.from(fixture(name))
      for (let damage = random.int(6); damage >= 0; damage--) {
        bytes[random.int(bytes.length)] = random.once(2)
          ? random.int(256)
          : random.pick([10, 13, 32, 34, 58, 92, 123, 125])
      }
      const options = { wantsUsage: random.once(2), additions: random.once(2) }
      const whole = followed(name, { ...options, pieces: [bytes] })
      for (let round = 0; round < 4; round++) {
        const places = Array.from({ length: 1 + random.int(9) }, () => random.int(bytes.length)).sort((a, b) => a - b)
        const result = followed(name, { ...options, pieces: cutAt(bytes, places) })
        if (JSON.stringify(result) !== JSON.stringify(whole)) expect(result, `seed ${seed} at ${places}`).toEqual(whole)
      }
    }
  })
})
