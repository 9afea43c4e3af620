import { existsSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { openaiEmbeddings } from '../../server/wire/openai-embeddings/wire.ts'
import { fixture, fixtures } from '../helpers/fixture.ts'
import { bytesOf, jsonBytes, textOf } from '../helpers/wire.ts'
import { violations } from '../providers/json-schema.ts'

/** What leaves the gateway is what OpenAI's own description of its API says, whatever the provider gave. */

const SHARED = new URL('../../../shared/', import.meta.url)
const SPEC = new URL('specs/openai.openapi.json', SHARED)
const INDEX = new URL('data/exchanges/index.json', SHARED)

interface Exchange {
  readonly request: { readonly path: string; readonly body: Record<string, unknown> | null }
  readonly response: { readonly status: number; readonly body: string }
}

const spec = existsSync(SPEC) ? JSON.parse(readFileSync(SPEC, 'utf8')) : null

/** Without the one place where the description leaves out what the API does: vectors in base64. */
function faults(text: string): string[] {
  const value = JSON.parse(text)
  for (const item of value.data) if (typeof item.embedding === 'string') item.embedding = [0]
  return violations(spec.components.schemas.CreateEmbeddingResponse, value, spec)
}

function recordings(): Exchange[] {
  if (!existsSync(INDEX)) return []
  const { fixtures: all }: { fixtures: { file: string; api: string }[] } = JSON.parse(readFileSync(INDEX, 'utf8'))
  return all
    .filter(({ api }) => api === 'embeddings')
    .map(({ file }): Exchange => JSON.parse(readFileSync(new URL(`data/exchanges/${file}`, SHARED), 'utf8')))
    .filter(({ request, response }) => request.path.endsWith('/v1/embeddings') && /"data":/.test(response.body))
}

const RECORDED = recordings()

function mended(bytes: Uint8Array, ask: object): string {
  const answer = openaiEmbeddings.readAnswer(bytes, openaiEmbeddings.readAsk(jsonBytes(ask)))
  return Buffer.from(answer.withAdditions(null), 'latin1').toString()
}

describe.skipIf(spec === null || RECORDED.length === 0)('embeddings against the description of the API', () => {
  it('has recordings of more than one provider', () => {
    expect(RECORDED.length).toBeGreaterThanOrEqual(3)
  })

  it.each(RECORDED.map((one, at) => [`${at} ${one.request.body?.model}`, one] as const))(
    'recording %s is valid in both encodings',
    (_, { request, response }) => {
      for (const encoding_format of ['float', 'base64']) {
        expect(faults(mended(bytesOf(response.body), { ...request.body, encoding_format }))).toEqual([])
      }
    },
  )

  it.each(fixtures('openai-embeddings', '.json'))('%s is valid in both encodings', (name) => {
    const { data } = JSON.parse(textOf(fixture(name)))
    for (const encoding_format of ['float', 'base64']) {
      const ask = { model: 'm', input: Array(data.length).fill('Hi'), encoding_format }
      expect(faults(mended(fixture(name), ask))).toEqual([])
    }
  })

  it('is valid for an answer that has nothing but vectors', () => {
    const text = mended(jsonBytes({ data: [{ embedding: [3, 4] }] }), { model: 'm', input: 'Hi' })
    expect(faults(text)).toEqual([])
    expect(JSON.parse(text)).toEqual({
      object: 'list',
      model: 'm',
      data: [{ object: 'embedding', index: 0, embedding: [0.6, 0.8] }],
      usage: { prompt_tokens: 1, total_tokens: 1 },
    })
  })
})
