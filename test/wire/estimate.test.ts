import { describe, expect, it } from 'vitest'
import { TokenEstimator } from '../../server/wire/estimate.ts'
import { Random } from '../helpers/random.ts'

/** Texts with the number of tokens that o200k_base, the encoding of GPT-4o and later, makes of them. */
const COUNTED: [string, number, string][] = [
  [
    'English prose',
    55,
    'The quick brown fox jumps over the lazy dog. It was the best of times, it was the worst of times, it was the age of wisdom, it was the age of foolishness, it was the epoch of belief, it was the epoch of incredulity.',
  ],
  [
    'old English prose',
    79,
    "When in the Course of human events, it becomes necessary for one people to dissolve the political bands which have connected them with another, and to assume among the powers of the earth, the separate and equal station to which the Laws of Nature and of Nature's God entitle them, a decent respect to the opinions of mankind requires that they should declare the causes which impel them to the separation.",
  ],
  ['a greeting', 4, 'Hello, world!'],
  [
    'TypeScript',
    75,
    'export function fibonacci(n: number): number {\n  if (n < 2) return n\n  let previous = 0\n  let current = 1\n  for (let i = 2; i <= n; i++) {\n    const next = previous + current\n    previous = current\n    current = next\n  }\n  return current\n}\n',
  ],
  [
    'Python',
    84,
    'def quicksort(items):\n    if len(items) <= 1:\n        return items\n    pivot = items[len(items) // 2]\n    left = [x for x in items if x < pivot]\n    middle = [x for x in items if x == pivot]\n    right = [x for x in items if x > pivot]\n    return quicksort(left) + middle + quicksort(right)\n',
  ],
  [
    'compact JSON',
    62,
    '{"id":42,"name":"Ada Lovelace","email":"ada@example.org","tags":["math","poetry"],"active":true,"address":{"street":"12 St James Square","city":"London","zip":"SW1Y"},"scores":[98.5,87.25,91]}',
  ],
  [
    'pretty JSON',
    83,
    '{\n  "id": 42,\n  "name": "Ada Lovelace",\n  "email": "ada@example.org",\n  "tags": [\n    "math",\n    "poetry"\n  ],\n  "active": true,\n  "address": {\n    "street": "12 St James Square",\n    "city": "London",\n    "zip": "SW1Y"\n  }\n}',
  ],
  [
    'Markdown',
    64,
    '# Title\n\n- First item\n- Second item with **bold** text\n- Third item with `code`\n\n| Name | Value |\n|------|-------|\n| one  | 1     |\n| two  | 2     |\n\nSee [the docs](https://example.com/docs/start) for more.\n',
  ],
  [
    'HTML',
    83,
    '<!DOCTYPE html>\n<html lang="en">\n  <head>\n    <meta charset="utf-8">\n    <title>Hello</title>\n  </head>\n  <body>\n    <h1 class="title">Hello, world</h1>\n    <p>This is a paragraph with a <a href="https://example.com">link</a>.</p>\n  </body>\n</html>\n',
  ],
  [
    'SQL',
    70,
    "SELECT u.id, u.name, COUNT(o.id) AS orders\nFROM users u\nLEFT JOIN orders o ON o.user_id = u.id\nWHERE u.created_at > '2024-01-01'\nGROUP BY u.id, u.name\nHAVING COUNT(o.id) > 5\nORDER BY orders DESC\nLIMIT 10;",
  ],
  ['digits', 29, '3.14159265358979323846264338327950288419716939937510582097494459230781640628620899'],
  [
    'German',
    38,
    'Alle Menschen sind frei und gleich an Würde und Rechten geboren. Sie sind mit Vernunft und Gewissen begabt und sollen einander im Geist der Brüderlichkeit begegnen.',
  ],
  [
    'French',
    41,
    'Tous les êtres humains naissent libres et égaux en dignité et en droits. Ils sont doués de raison et de conscience et doivent agir les uns envers les autres dans un esprit de fraternité.',
  ],
  [
    'Chinese',
    73,
    '人人生而自由，在尊严和权利上一律平等。他们赋有理性和良心，并应以兄弟关系的精神相对待。人人有资格享有本宣言所载的一切权利和自由，不分种族、肤色、性别、语言、宗教、政治或其他见解。',
  ],
  [
    'Japanese',
    72,
    'すべての人間は、生まれながらにして自由であり、かつ、尊厳と権利とについて平等である。人間は、理性と良心とを授けられており、互いに同胞の精神をもって行動しなければならない。',
  ],
  [
    'Korean',
    51,
    '모든 인간은 태어날 때부터 자유로우며 그 존엄과 권리에 있어 동등하다. 인간은 천부적으로 이성과 양심을 부여받았으며 서로 형제애의 정신으로 행동하여야 한다.',
  ],
  [
    'Russian',
    66,
    'Все люди рождаются свободными и равными в своем достоинстве и правах. Они наделены разумом и совестью и должны поступать в отношении друг друга в духе братства. Каждый человек должен обладать всеми правами и всеми свободами, провозглашенными настоящей Декларацией.',
  ],
  [
    'Hindi',
    38,
    'सभी मनुष्यों को गौरव और अधिकारों के मामले में जन्मजात स्वतन्त्रता और समानता प्राप्त है। उन्हें बुद्धि और अन्तरात्मा की देन प्राप्त है।',
  ],
  ['emoji', 18, 'Great job! 🎉🎉 Keep going 🚀🔥 and have fun 😀😃'],
]

function estimate(text: string): number {
  const estimator = new TokenEstimator()
  estimator.add(Buffer.from(text))
  return estimator.tokens
}

describe('TokenEstimator', () => {
  it.each(COUNTED)('comes within 25 %% of a tokenizer on %s (%i tokens)', (_, tokens, text) => {
    expect(Math.abs(estimate(text) / tokens - 1)).toBeLessThanOrEqual(0.25)
  })

  it('comes within 6 % over all of them together', () => {
    const tokens = COUNTED.reduce((sum, [, count]) => sum + count, 0)
    const estimated = COUNTED.reduce((sum, [, , text]) => sum + estimate(text), 0)
    expect(Math.abs(estimated / tokens - 1)).toBeLessThan(0.06)
  })

  it('does not care how the bytes are cut, not even within a character', () => {
    const bytes = Buffer.from(COUNTED.map(([, , text]) => text).join(' '))
    const whole = estimate(bytes.toString())
    for (let seed = 1; seed <= 50; seed++) {
      const random = new Random(seed)
      const estimator = new TokenEstimator()
      for (let from = 0; from < bytes.length; ) {
        const to = Math.min(bytes.length, from + random.int(20))
        if (random.once(2)) estimator.add(bytes.subarray(from, to))
        else estimator.add(bytes, from, to)
        from = to
      }
      expect(estimator.tokens, `seed ${seed}`).toBe(whole)
    }
  })

  it.each(['a', ' ', '\n', '1', '-', 'é', 'ж', '漢', '👩‍🚀', 'a '])(
    'grows in step with a text of nothing but %j',
    (unit) => {
      const short = estimate(unit.repeat(1000))
      const long = estimate(unit.repeat(100_000))
      expect(long / short).toBeGreaterThan(95)
      expect(long / short).toBeLessThan(105)
    },
  )

  it('takes 1 MB of one letter in a time that grows with its length only', () => {
    const letters = Buffer.alloc(8 << 20, 'a')
    const timeOf = (length: number) => {
      const times = [1, 2, 3].map(() => {
        const from = process.hrtime.bigint()
        new TokenEstimator().add(letters, 0, length)
        return Number(process.hrtime.bigint() - from)
      })
      return Math.min(...times)
    }
    timeOf(1 << 20)
    // Linear is 8, quadratic is 64.
    expect(timeOf(8 << 20) / timeOf(1 << 20)).toBeLessThan(30)
  })

  it('takes any bytes at all', () => {
    const random = new Random(3)
    for (let round = 0; round < 200; round++) {
      const estimator = new TokenEstimator()
      const bytes = random.bytes(random.int(500))
      estimator.add(bytes)
      expect(estimator.tokens).toBeGreaterThanOrEqual(bytes.length === 0 ? 0 : 1)
      expect(estimator.tokens).toBeLessThanOrEqual(bytes.length)
    }
    expect(estimate('')).toBe(0)
  })
})
