/** Repeatable numbers for generated cases (mulberry32): a failure names its seed, and the seed brings it back. */
export class Random {
  #state: number

  constructor(seed: number) {
    this.#state = seed >>> 0
  }

  /** At least 0, below 1. */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0
    let mixed = this.#state
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }

  /** A whole number from 0 to `below - 1`. */
  int(below: number): number {
    return Math.floor(this.next() * below)
  }

  pick<T>(list: readonly T[]): T {
    return list[this.int(list.length)]!
  }

  /** True once in `often` times. */
  once(often: number): boolean {
    return this.int(often) === 0
  }

  bytes(length: number): Uint8Array {
    return Uint8Array.from({ length }, () => this.int(256))
  }

  /** The same things in another order. */
  shuffle<T>(list: readonly T[]): T[] {
    const rest = [...list]
    return Array.from(list, () => rest.splice(this.int(rest.length), 1)[0]!)
  }
}

const TEXTS = [
  '',
  'a',
  'model',
  'Grüße',
  '漢字 👩‍🚀',
  '"',
  '\\',
  '\n\r\t',
  '\u0000\u001f',
  '\ud800',
  '}]{[',
  '__proto__',
  '/',
  'é'.repeat(30),
  'x'.repeat(70),
]
const NUMBERS = [0, -0, 1, -1, 1.5, 1e5, 1e-7, 1e300, -123456789.25, Number.MAX_SAFE_INTEGER]

/** Any JSON value, at most `depth` levels deep. */
export function jsonValue(random: Random, depth: number): unknown {
  const kind = random.int(depth > 0 ? 7 : 4)
  if (kind === 0) return random.pick([true, false, null])
  if (kind === 1) return random.pick(NUMBERS)
  if (kind < 4) return random.pick(TEXTS)
  if (kind === 4) return Array.from({ length: random.int(5) }, () => jsonValue(random, depth - 1))
  return jsonObject(random, depth - 1)
}

export function jsonObject(random: Random, depth: number): Record<string, unknown> {
  const names = Array.from({ length: random.int(6) }, () => random.pick(TEXTS) + random.pick(['', '1', '2']))
  return Object.fromEntries(names.map((name) => [name, jsonValue(random, depth)]))
}

/** JSON with spaces of all kinds where they may stand, and characters escaped that needn't be. */
export function looseJson(random: Random, value: unknown): string {
  const space = () => (random.once(3) ? random.pick([' ', '\n', '\r\n', '\t', '   ']) : '')
  const write = (item: unknown): string => {
    if (typeof item === 'string') return looseString(random, item)
    if (Array.isArray(item)) return `[${space()}${item.map((part) => write(part) + space()).join(`,${space()}`)}]`
    if (typeof item !== 'object' || item === null) return JSON.stringify(item)
    const members = Object.entries(item).map(([k, v]) => `${write(k)}${space()}:${space()}${write(v)}${space()}`)
    return `{${space()}${members.join(`,${space()}`)}}`
  }
  return space() + write(value) + space()
}

function looseString(random: Random, text: string): string {
  const plain = JSON.stringify(text)
  if (!random.once(3)) return plain
  const unit = (at: number) => `\\u${text.charCodeAt(at).toString(16).padStart(4, '0')}`
  return `"${Array.from({ length: text.length }, (_, at) => unit(at)).join('')}"`
}
