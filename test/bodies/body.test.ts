import { describe, expect, it } from 'vitest'
import type { BodyRules } from '../../db/model/settings.ts'
import { bodyStepsOf, copied, mostOf } from '../../server/bodies/body.ts'
import { saidIn } from '../../server/bodies/said.ts'
import { finished } from '../../server/bodies/steps.ts'
import { Random } from '../helpers/random.ts'
import { PERSONAL } from './personal.ts'

const KEPT: BodyRules = { days: 1, redact: false, maxBytes: 1024 }
const REDACTED: BodyRules = { ...KEPT, redact: true }

function body(text: string | Uint8Array, rules: BodyRules, isStream = false) {
  const all = Buffer.from(text as string)
  const taken = copied(all, mostOf(rules, isStream), rules.redact)
  return finished(bodyStepsOf({ ...taken, length: all.length, contentType: 'application/json', isStream }, rules))
}

describe('a body', () => {
  it('is kept byte for byte up to the cap, and beyond it cut between characters', () => {
    for (let seed = 0; seed < 300; seed++) {
      const random = new Random(seed)
      const text = Array.from({ length: random.int(900) }, () => random.pick(['a', 'é', '漢', '👩', '\0', '"'])).join(
        '',
      )
      const kept = body(text, KEPT)
      const isCut = Buffer.byteLength(text) > KEPT.maxBytes
      expect(kept.truncated).toBe(isCut)
      expect(kept.bytes).toBe(Buffer.byteLength(text))
      if (!isCut) expect(kept.text ?? '').toBe(text)
      else {
        expect(text.startsWith(kept.text!)).toBe(true)
        expect(Buffer.byteLength(kept.text!)).toBeGreaterThan(KEPT.maxBytes - 4)
        expect(Buffer.byteLength(kept.text!)).toBeLessThanOrEqual(KEPT.maxBytes)
      }
    }
  })

  it.each([true, false])('that is no text is not kept, only how long it is (redacted: %s)', (redact) => {
    const sound = Uint8Array.from({ length: 5000 }, (_, at) => at * 7)
    const { text, bytes, truncated, redacted } = body(sound, { ...KEPT, redact })
    expect({ text, bytes, truncated, redacted }).toEqual({
      ...{ text: null, bytes: 5000, truncated: false, redacted: false },
    })
    expect(body('', { ...KEPT, redact })).toMatchObject({ text: null, bytes: 0, truncated: false })
  })

  it('of which something is cut never holds a part of what would have been taken out', () => {
    for (const { kind, make, core = (made: string) => made } of PERSONAL) {
      if (kind === 'a picture' || kind === 'a private key') continue
      for (let seed = 0; seed < 60; seed++) {
        const random = new Random(seed)
        const made = make(random)
        const secret = core(made)
        // So that the cut is somewhere in it.
        const before = 'word '.repeat(2000).slice(0, mostOf(REDACTED, false) - random.int(made.length) - 13)
        const kept = body(`{"a":"${before} ${made} ${'more '.repeat(50)}"}`, REDACTED)
        expect(kept.truncated).toBe(true)
        expect(kept.text, `${kind}, seed ${seed}`).not.toContain(secret.slice(0, Math.min(secret.length, 6)))
      }
    }
  })

  it('with a picture first is kept behind it, when pictures are taken out', () => {
    const data = Buffer.alloc(3_000_000, 7).toString('base64')
    const image = { type: 'image', source: { type: 'base64', media_type: 'image/png', data: `iVBORw0KGgo${data}` } }
    const url = { type: 'image_url', image_url: { url: `data:image/gif;base64,${data}` } }
    const text = JSON.stringify({ content: [image, url, { type: 'text', text: 'What is it?' }] })
    const kept = body(text, REDACTED)
    expect(JSON.parse(kept.text!).content[2].text).toBe('What is it?')
    expect(kept.text).toMatch(/"data":"\[image\/png, 30000\d\d bytes]".*"url":"\[image\/gif, 30000\d\d bytes]"/)
    expect(kept).toMatchObject({ bytes: text.length, redacted: true })
    expect(body(text, KEPT)).toMatchObject({ truncated: true, redacted: false })
  })
})

/** How each dialect streams a text, a few letters at a time. */
const DIALECTS: Readonly<Record<string, (pieces: readonly string[]) => string>> = {
  'OpenAI chat': (pieces) =>
    events(pieces.map((content) => ({ id: 'c', choices: [{ index: 0, delta: { content }, finish_reason: null }] }))),
  'OpenAI completions': (pieces) => events(pieces.map((text) => ({ choices: [{ index: 1, text }] }))),
  'arguments of tools': (pieces) =>
    events(
      pieces.map((text) => ({ choices: [{ delta: { tool_calls: [{ index: 3, function: { arguments: text } }] } }] })),
    ),
  Responses: (pieces) =>
    events(pieces.map((delta) => ({ type: 'response.output_text.delta', output_index: 1, content_index: 0, delta }))),
  Messages: (pieces) =>
    events(pieces.map((text) => ({ type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text } }))),
  'Messages, thinking': (pieces) =>
    events(pieces.map((thinking) => ({ type: 'content_block_delta', index: 2, delta: { thinking } }))),
  Gemini: (pieces) => events(pieces.map((text) => ({ candidates: [{ content: { parts: [{ text }] } }] }))),
  'Gemini in arrays': (pieces) =>
    `[${pieces.map((text) => JSON.stringify({ candidates: [{ content: { parts: [{ text }] } }] })).join('\n,\n')}\n]`,
}

function events(all: readonly object[]): string {
  return `${all.map((event) => `event: x\r\ndata: ${JSON.stringify(event)}\r\n\r\n`).join('')}: {"cost":1}\n\ndata: [DONE]\n\n`
}

/** In pieces of one to four letters. */
function spread(text: string, random: Random): string[] {
  const pieces: string[] = []
  for (let at = 0; at < text.length; ) {
    const length = 1 + random.int(4)
    pieces.push(text.slice(at, at + length))
    at += length
  }
  return pieces
}

describe.each(Object.entries(DIALECTS))('a stream of %s', (_dialect, write) => {
  it('is put together as it was said', () => {
    const text = 'Hello there, 漢字 and “quotes”.'
    const said = saidIn(write(spread(text, new Random(1))))!
    expect(said.said.map((part) => part.text)).toContain(text)
    expect(saidIn(write(spread(text, new Random(1))).slice(0, -40))!.said[0]!.text.length).toBeGreaterThan(10)
  })

  it('is redacted as a whole: what is spread over its events is found', () => {
    for (const { kind, make, core = (made: string) => made } of PERSONAL) {
      for (let seed = 0; seed < 20; seed++) {
        const random = new Random(seed)
        const made = make(random)
        const kept = body(write(spread(`It is ${made} as I said`, random)), { ...REDACTED, maxBytes: 65_536 }, true)
        expect(kept.text, kind).not.toContain(core(made))
        expect(JSON.parse(kept.text!)).toMatchObject({ object: 'watchllm.stream' })
        expect(kept.text).toContain('as I said')
        // Nor piece by piece.
        for (const piece of core(made).match(/[A-Za-z0-9]{9,}/g) ?? []) expect(kept.text, kind).not.toContain(piece)
      }
    }
  })

  it('says whether anything was taken out', () => {
    const rules = { ...REDACTED, maxBytes: 65_536 }
    expect(body(write(['Hello ', 'there, ', 'it is 42']), rules, true).redacted).toBe(false)
    expect(body(write(['Hello ', 'bob@', 'example.com']), rules, true).redacted).toBe(true)
  })

  it('is kept as it came where nothing is to be taken out', () => {
    const text = write(['Hi ', 'bob@', 'example.com'])
    expect(body(text, KEPT, true).text).toBe(text.slice(0, 1024))
  })
})
