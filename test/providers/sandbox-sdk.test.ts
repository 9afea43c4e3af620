import OpenAI from 'openai'
import { zodResponseFormat } from 'openai/helpers/zod'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { createSandbox } from '../../server/providers/sandbox.ts'

const sandbox = createSandbox({ now: () => 1_790_000_000_000, paceMs: 0 })

/** The official client with the sandbox in the place of the network. */
const client = new OpenAI({
  apiKey: 'none',
  baseURL: 'https://sandbox.invalid/v1',
  maxRetries: 0,
  fetch: throughSandbox,
})

function throughSandbox(url: string | URL | Request, init?: RequestInit): Promise<Response> {
  const { origin, pathname } = new URL(String(url))
  return new Promise((resolve, reject) => {
    let sink: ReadableStreamDefaultController<Uint8Array>
    const body = new ReadableStream<Uint8Array>({
      start(controller) {
        sink = controller
      },
    })
    const bytes = new TextEncoder().encode(String(init?.body))
    sandbox.start(
      { origin, path: pathname, method: 'POST', headers: [], body: bytes },
      {
        onHeaders: (status, header) =>
          resolve(new Response(body, { status, headers: { 'content-type': header('content-type')! } })),
        onData: (chunk) => sink.enqueue(chunk),
        onEnd: () => sink.close(),
        onError: (error) => {
          const failure = new TypeError(error.message)
          sink.error(failure)
          reject(failure)
        },
      },
    )
  })
}

const messages = [{ role: 'user' as const, content: 'Book a table for two in Lisbon' }]

describe('the official openai client on the sandbox', () => {
  it('collects a stream into the completion that it gets as JSON', async () => {
    const plain = await client.chat.completions.create({ model: 'gpt-4o-mini', messages })
    const stream = client.chat.completions.stream({
      model: 'gpt-4o-mini',
      messages,
      stream_options: { include_usage: true },
    })
    const final = await stream.finalChatCompletion()
    expect(final.choices[0]!.message.content).toBe(plain.choices[0]!.message.content)
    expect(final.usage).toEqual(plain.usage)
    expect(final.id).toBe(plain.id)
  })

  it('parses a structured answer into the type that was asked for', async () => {
    const Booking = z.object({
      city: z.string(),
      seats: z.number().int().min(1).max(9),
      when: z.iso.date(),
      notes: z.string().nullable(),
    })
    const { choices } = await client.chat.completions.parse({
      model: 'gpt-4o-mini',
      messages,
      response_format: zodResponseFormat(Booking, 'booking'),
    })
    expect(Booking.parse(choices[0]!.message.parsed)).toEqual(choices[0]!.message.parsed)
  })

  it.each([false, true])('runs a tool and brings its result to the answer (stream: %s)', async (stream) => {
    const seen: unknown[] = []
    const tools = [
      {
        type: 'function' as const,
        function: {
          name: 'book_table',
          description: 'Books a table',
          parameters: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] },
          parse: JSON.parse,
          function: (given: unknown) => {
            seen.push(given)
            return 'table 7 is yours'
          },
        },
      },
    ]
    const runner = stream
      ? client.chat.completions.runTools({ model: 'gpt-4o-mini', messages, tools, stream: true })
      : client.chat.completions.runTools({ model: 'gpt-4o-mini', messages, tools })
    expect(await runner.finalContent()).toContain('table 7 is yours')
    expect(seen).toEqual([{ city: expect.any(String) }])
  })

  it('decodes embeddings, whichever format it asks for by itself', async () => {
    const implicit = await client.embeddings.create({ model: 'text-embedding-3-small', input: 'harbour' })
    const floats = await client.embeddings.create({
      model: 'text-embedding-3-small',
      input: 'harbour',
      encoding_format: 'float',
    })
    expect(implicit.data[0]!.embedding).toHaveLength(1536)
    expect(implicit.data[0]!.embedding.map(Math.fround)).toEqual(floats.data[0]!.embedding.map(Math.fround))
  })

  it('streams a legacy completion', async () => {
    let text = ''
    for await (const chunk of await client.completions.create({
      model: 'x',
      prompt: 'Once',
      stream: true,
      max_tokens: 20,
    })) {
      text += chunk.choices[0]?.text ?? ''
    }
    expect(text).toContain('sandbox')
  })

  it('throws its typed errors', async () => {
    const create = (model: string) => client.chat.completions.create({ model, messages })
    await expect(create('sandbox/error-429')).rejects.toBeInstanceOf(OpenAI.RateLimitError)
    await expect(create('sandbox/error-500')).rejects.toBeInstanceOf(OpenAI.InternalServerError)
    await expect(create('sandbox/nothing')).rejects.toBeInstanceOf(OpenAI.NotFoundError)
  })
})
