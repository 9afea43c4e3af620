import { Buffer } from 'node:buffer'
import { describe, expect, it } from 'vitest'
import { providerOf } from '../../server/providers/index.ts'
import type { BodyQuirk } from '../../server/providers/provider.ts'
import { shaped } from '../../server/providers/request.ts'
import { WireError } from '../../server/wire/wire.ts'

const QUIRK = providerOf('bedrock')!.quirks!.body!['anthropic-messages']!
const none = () => null

function shape(body: string, header: (name: string) => string | null = none, quirk: BodyQuirk = QUIRK): string {
  return Buffer.from(shaped(Buffer.from(body), quirk, header)).toString()
}

describe('shaped()', () => {
  it('makes a Messages body what InvokeModel takes, and leaves all else byte by byte', () => {
    const body =
      '{ "model":"claude", "max_tokens" : 5,\n "stream": true, "messages":[ {"role":"user","content":"\\u00e9 é"} ] }'
    expect(shape(body)).toBe(
      '{ "anthropic_version":"bedrock-2023-05-31","max_tokens" : 5,\n "messages":[ {"role":"user","content":"\\u00e9 é"} ] }',
    )
    expect(JSON.parse(shape(body))).toEqual({
      anthropic_version: 'bedrock-2023-05-31',
      max_tokens: 5,
      messages: [{ role: 'user', content: 'é é' }],
    })
  })

  it.each([
    '{}',
    ' { } ',
    '{"model":"m"}',
    '{"stream":false,"model":"m"}',
    '{"model":{"stream":1},"x":{"model":"kept"}}',
    '{"anthropic_version":"2023-06-01","x":1}',
    '{"x":1,"anthropic_version":"2023-06-01"}',
    '{"x":[1,2],"stream":true,"y":"}"}',
  ])('gives %s its version and nothing else', (body) => {
    const { model: _, stream: __, ...rest } = JSON.parse(body)
    expect(JSON.parse(shape(body))).toEqual({ ...rest, anthropic_version: 'bedrock-2023-05-31' })
  })

  it('moves the beta header into the body, in place of the caller’s own list', () => {
    const header = (name: string) => (name === 'anthropic-beta' ? ' a-2025-01-01, b ,, ' : null)
    expect(JSON.parse(shape('{"anthropic_beta":["old"],"x":1}', header))).toMatchObject({
      anthropic_beta: ['a-2025-01-01', 'b'],
      x: 1,
    })
    expect(JSON.parse(shape('{"anthropic_beta":["own"]}')).anthropic_beta).toEqual(['own'])
    expect(JSON.parse(shape('{}', () => ' , '))).not.toHaveProperty('anthropic_beta')
  })

  it('gives the same bytes back where there is nothing to edit', () => {
    const body = '{"x":1}'
    expect(shape(body, none, { without: ['model'], plus: {}, lists: {}, why: '' })).toBe(body)
  })

  it.each(['', '[]', '"x"', '{"a":1', 'null'])('refuses %s, which is no object', (body) => {
    expect(() => shape(body)).toThrow(WireError)
  })
})
