import { describe, expect, it } from 'vitest'
import { redactBody, redactJson, redactText } from '../../server/bodies/redact.ts'
import { jsonValue, Random } from '../helpers/random.ts'
import { HARMLESS, PERSONAL } from './personal.ts'

const CASES = 400
const AROUND: readonly (readonly [string, string])[] = [
  ['', ''],
  ['My ', ' please'],
  ['(', ')'],
  ['Say: ', '.'],
  ['first line\n', '\nlast line'],
  ['"', '"'],
  ['x, ', ', y'],
  ['<b> ', ' </b>'],
  ['\t', '\r\n'],
]

/** The same whatever stands between the parts of a number. */
const bare = (text: string) => text.replace(/[\s\u00a0./()\\-]/g, '')

describe.each(PERSONAL)('$kind', ({ make, core = (made) => made }) => {
  it('is nowhere left of a text, whatever stands around it', () => {
    for (let seed = 0; seed < CASES; seed++) {
      const random = new Random(seed)
      const made = make(random)
      const [before, after] = random.pick(AROUND)
      const redacted = redactText(before + made + after)
      expect(bare(redacted), `seed ${seed}: ${made}`).not.toContain(bare(core(made)))
      // Rather too much than too little: a sign next to it may go with it.
      const isWhole = redacted.startsWith(before.slice(0, -1)) && redacted.endsWith(after.slice(1))
      expect(isWhole, `seed ${seed}: ${redacted}`).toBe(true)
    }
  })

  it('is found several times, and redacting again changes nothing', () => {
    for (let seed = 0; seed < CASES; seed++) {
      const random = new Random(seed)
      const all = [make(random), make(random), make(random)]
      const redacted = redactText(all.join(' and then '))
      for (const made of all) expect(bare(redacted), `seed ${seed}`).not.toContain(bare(core(made)))
      expect(redactText(redacted), `seed ${seed}`).toBe(redacted)
    }
  })

  it('is found in JSON, in names and values, however deep and however escaped, and JSON it stays', () => {
    for (let seed = 0; seed < CASES; seed++) {
      const random = new Random(seed)
      const made = make(random)
      const value = { messages: [{ content: `Hi\n${made}\nbye` }], args: JSON.stringify({ x: made }), [made]: 1 }
      const text = random.once(2) ? JSON.stringify(value) : escaped(JSON.stringify(value))
      const redacted = JSON.parse(redactBody(text)) as typeof value
      expect(bare(JSON.stringify(redacted)), `seed ${seed}: ${made}`).not.toContain(bare(core(made)))
      expect(redacted.messages[0]!.content).toMatch(/^Hi\n.*\nbye$/s)
    }
  })

  it('is found in JSON that was cut', () => {
    for (let seed = 0; seed < CASES; seed++) {
      const made = make(new Random(seed))
      const text = JSON.stringify({ messages: [{ content: `Hi\n${made}\nbye` }, { content: 'and more' }] })
      const redacted = redactBody(text.slice(0, -5))
      expect(bare(redacted), `seed ${seed}: ${made}`).not.toContain(bare(core(made)))
    }
  })
})

/** Every character by its number, where that is in a string. */
function escaped(json: string): string {
  return json.replace(/"((?:[^"\\]|\\.)*)"/g, (whole) => {
    const text = JSON.parse(whole) as string
    const units = Array.from({ length: text.length }, (_, at) => text.charCodeAt(at).toString(16).padStart(4, '0'))
    return `"${units.map((unit) => `\\u${unit}`).join('')}"`
  })
}

describe('what is nobody’s', () => {
  it.each(HARMLESS)('stays: %j', (text) => {
    expect(redactText(text)).toBe(text)
  })

  it('a body in which nothing has to go stays as it was, byte for byte', () => {
    for (let seed = 0; seed < CASES; seed++) {
      const text = JSON.stringify(jsonValue(new Random(seed), 4), null, seed % 3)
      if (redactText(text) === text) expect(redactBody(text)).toBe(text)
    }
    expect(redactBody('{"a" : 1.0e2,\n"b":"\\u0041"}')).toBe('{"a" : 1.0e2,\n"b":"\\u0041"}')
    expect(redactBody('not JSON \\n at all')).toBe('not JSON \\n at all')
  })
})

describe('redactJson()', () => {
  it('takes out what a member’s name says is a secret, and numbers that are cards', () => {
    const value = { password: 'x', client_secret: 'y', 'API-Key': 'z', card: 4111111111111111, n: 12, ok: null }
    expect(redactJson(value)).toEqual({
      ...{ password: '[secret]', client_secret: '[secret]', 'API-Key': '[secret]', card: '[card]', n: 12, ok: null },
    })
    const schema = { properties: { password: { type: 'string' } }, logprobs: [{ token: 'Hello' }] }
    expect(redactJson(schema)).toEqual(schema)
  })

  it('tells the type and length of media', () => {
    const data = Buffer.alloc(3000).toString('base64')
    expect(redactText(`data:image/webp;base64,${data}`)).toBe('[image/webp, 3000 bytes]')
    expect(redactText(`/9j/${data}`)).toBe('[image/jpeg, 3003 bytes]')
    expect(redactText(data)).toBe('[base64, 3000 bytes]')
  })

  it('bears any nesting', () => {
    const depth = 5000
    expect(redactBody(`${'['.repeat(depth)}"bob@example.com"${']'.repeat(depth)}`)).not.toContain('bob@')
  })
})

describe('time grows with the length and no faster', () => {
  const LENGTH = 400_000
  const PIECES = [
    ...['a', '1', '@', 'a@', 'a.', '-', 'eyJ', 'eyJ.', 'sk-', 'Bearer ', 'basic a', '1 ', '4 ', '+1', '0', '00', '(1'],
    ...['://', '://a:', 'password', 'password=', 'DE11', 'DE11 ', 'A', 'data:', ';base64,', 'data:a/b;base64,', '\\'],
    ...[
      '-----BEGIN PRIVATE KEY-----',
      '-----BEGIN ',
      '"',
      '{"a":',
      '[',
      ' ',
      '\n',
      'é',
      '4111 1111 1111 ',
      'a@b.',
      '=:',
    ],
    ...['secret":"', '_', '/', 'ghp_', 'AKIA', '1-', '0123-', '11111', 'a'.repeat(255).concat(' '), 'x@y-', '[card]'],
  ]

  it.each(PIECES)('%j again and again', (piece) => {
    const text = piece.repeat(Math.ceil(LENGTH / piece.length))
    const startedAt = performance.now()
    redactBody(text)
    redactBody(`${text}bob@example.com`)
    // A second for each would be slow; what goes by the square of the length takes minutes.
    expect(performance.now() - startedAt).toBeLessThan(4000)
  })
})
