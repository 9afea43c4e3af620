import type { Dice } from './random.ts'

/** The longest repeat that an open quantifier (`+`, `*`, `{2,}`) adds. */
const EXTRA = 3
/** Members taken from a range such as `[一-龥]`. */
const WIDEST_RANGE = 128
const CLASSES: Readonly<Record<string, string>> = {
  d: '0123456789',
  w: 'abcdefghijklmnopqrstuvwxyz0123456789_',
  s: ' ',
}
const PRINTABLE = Array.from({ length: 95 }, (_, i) => String.fromCharCode(32 + i)).join('')

/** Atoms written for one pattern: nested repeats multiply. */
const MOST_ATOMS = 5_000

/**
 * A text that matches a regular expression as JSON schemas have them (literals, classes, groups, alternatives,
 * quantifiers, anchors at the ends); null when the expression is invalid or beyond that (lookaround,
 * back-references, word boundaries). What is written matches by construction: the expression itself, which a caller
 * chose, is never run, for it could run for ever.
 */
export function matchingText(pattern: string, dice: Dice): string | null {
  try {
    new RegExp(pattern, 'u')
    return new Writer(pattern, dice).write()
  } catch {
    return null
  }
}

class Writer {
  readonly #pattern: string
  readonly #dice: Dice
  #at = 0
  #depth = 0
  #atoms = 0

  constructor(pattern: string, dice: Dice) {
    this.#pattern = pattern
    this.#dice = dice
  }

  write(): string {
    const text = this.#alternatives()
    if (this.#at < this.#pattern.length) throw new Error('Unbalanced group')
    return text
  }

  #alternatives(): string {
    const options = [this.#sequence()]
    while (this.#peek() === '|') {
      this.#at++
      options.push(this.#sequence())
    }
    return this.#dice.pick(options)
  }

  #sequence(): string {
    let text = ''
    while (this.#at < this.#pattern.length && this.#peek() !== '|' && this.#peek() !== ')') text += this.#repeated()
    return text
  }

  #repeated(): string {
    const start = this.#at
    const first = this.#atom()
    const end = this.#at
    const [low, high] = this.#quantifier()
    const times = this.#dice.int(low, high)
    if (times === 0) return ''
    let text = first
    for (let i = 1; i < times; i++) {
      const after = this.#at
      this.#at = start
      text += this.#atom()
      if (this.#at !== end) throw new Error('Unreachable: an atom ends where it ended before')
      this.#at = after
    }
    return text
  }

  #quantifier(): [low: number, high: number] {
    const rest = this.#pattern.slice(this.#at)
    const match = /^(?:([?*+])|\{(\d+)(,?)(\d*)\})\??/.exec(rest)
    if (match === null) return [1, 1]
    this.#at += match[0].length
    if (match[1] === '?') return [0, 1]
    if (match[1] === '*') return [0, EXTRA]
    if (match[1] === '+') return [1, 1 + EXTRA]
    const low = Number(match[2])
    if (match[3] === '') return [low, low]
    return [low, match[4] === '' ? low + EXTRA : Math.min(Number(match[4]), low + 20)]
  }

  #atom(): string {
    if (++this.#atoms > MOST_ATOMS) throw new Error('Too long')
    const char = this.#pattern[this.#at++]!
    if (char === '^' || char === '$') return this.#anchor(char)
    if (char === '.') return this.#dice.pick([...CLASSES.w!])
    if (char === '\\') return this.#pickFrom(this.#escaped())
    if (char === '[') return this.#pickFrom(this.#class())
    if (char !== '(') return char
    const group = /^\?(?::|<\w+>)/.exec(this.#pattern.slice(this.#at))
    if (group !== null) this.#at += group[0].length
    else if (this.#peek() === '?') throw new Error('Lookaround')
    this.#depth++
    const text = this.#alternatives()
    this.#depth--
    if (this.#pattern[this.#at++] !== ')') throw new Error('Unclosed group')
    return text
  }

  /** Elsewhere than at the ends an anchor may make the match impossible. */
  #anchor(char: string): string {
    const neighbour = this.#pattern[char === '^' ? this.#at - 2 : this.#at]
    if (this.#depth === 0 && (neighbour === undefined || neighbour === '|')) return ''
    throw new Error('Anchor inside')
  }

  #escaped(): string {
    const char = this.#pattern[this.#at++]!
    if (char in CLASSES) return CLASSES[char]!
    if ('DWS'.includes(char)) return char === 'W' ? '-' : 'x'
    if (/[0-9bBpPukxc]/.test(char)) throw new Error('Beyond what this writes')
    return { n: '\n', t: '\t', r: '\r', f: '\f', v: '\v' }[char] ?? char
  }

  #class(): string {
    const negated = this.#peek() === '^'
    if (negated) this.#at++
    let members = ''
    while (this.#peek() !== ']') {
      let from = this.#pattern[this.#at++]!
      if (from === '\\') from = this.#escaped()
      if (from.length === 1 && this.#peek() === '-' && this.#pattern[this.#at + 1] !== ']') {
        this.#at++
        let to = this.#pattern[this.#at++]!
        if (to === '\\') to = this.#escaped()
        const last = Math.min(to.charCodeAt(0), from.charCodeAt(0) + WIDEST_RANGE)
        for (let code = from.charCodeAt(0); code <= last; code++) members += String.fromCharCode(code)
      } else members += from
    }
    this.#at++
    return negated ? [...PRINTABLE].filter((char) => !members.includes(char)).join('') : members
  }

  #peek(): string | undefined {
    return this.#pattern[this.#at]
  }

  #pickFrom(members: string): string {
    return members === '' ? '' : this.#dice.pick([...members])
  }
}
