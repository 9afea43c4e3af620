import type { Dice } from './random.ts'

const CITIES = ['Paris', 'London', 'Berlin', 'Tokyo', 'Lisbon', 'Oslo']
const NAMES = ['Ada Lovelace', 'Alan Turing', 'Grace Hopper', 'Edsger Dijkstra', 'Barbara Liskov']
const WORDS = ['alpha', 'river', 'copper', 'lantern', 'meadow', 'orbit', 'pebble', 'signal', 'timber', 'violet']

/** Texts for a property by what its name says, the first that fits. */
const BY_NAME: readonly (readonly [RegExp, (dice: Dice) => string])[] = [
  [/e-?mail/i, (dice) => textOfFormat('email', dice)!],
  [/(^|_)(url|uri|link|website)s?$/i, (dice) => textOfFormat('uri', dice)!],
  [/datetime|timestamp|_at$/i, (dice) => textOfFormat('date-time', dice)!],
  [/date|day|birthday/i, (dice) => textOfFormat('date', dice)!],
  [/time/i, (dice) => textOfFormat('time', dice)!],
  [/uuid|guid/i, (dice) => textOfFormat('uuid', dice)!],
  [/country/i, (dice) => dice.pick(['France', 'Japan', 'Norway', 'Portugal'])],
  [/city|town|location|place|address|destination|origin/i, (dice) => dice.pick(CITIES)],
  [/file|path/i, (dice) => `${dice.pick(WORDS)}.txt`],
  [/name|author|person|user|participant|attendee/i, (dice) => dice.pick(NAMES)],
  [/phone/i, (dice) => `+1555${dice.int(1_000_000, 9_999_999)}`],
  [/currency/i, (dice) => dice.pick(['USD', 'EUR', 'JPY'])],
  [/colou?r/i, (dice) => dice.pick(['red', 'green', 'blue'])],
  [/language|lang|locale/i, (dice) => dice.pick(['en', 'fr', 'de'])],
  [/title|query|question|subject|topic|search|keyword/i, (dice) => `${dice.pick(WORDS)} ${dice.pick(WORDS)}`],
  [/text|content|body|message|description|summary|explanation|answer|reason|note|output/i, (dice) => sentence(dice)],
  [/(^|_)id$/i, (dice) => `${dice.pick(WORDS)}-${dice.int(100, 999)}`],
]

export function sentence(dice: Dice): string {
  const words = Array.from({ length: dice.int(4, 8) }, () => dice.pick(WORDS)).join(' ')
  return `A ${words}.`
}

export function plausibleText(name: string, dice: Dice): string {
  for (const [pattern, write] of BY_NAME) if (pattern.test(name)) return write(dice)
  return dice.pick(WORDS)
}

/** A text of a format that JSON Schema knows; null for one that it doesn't. */
export function textOfFormat(format: string, dice: Dice): string | null {
  const two = (low: number, high: number) => String(dice.int(low, high)).padStart(2, '0')
  const hex = (length: number) => Array.from({ length }, () => dice.int(0, 15).toString(16)).join('')
  const date = () => `20${two(20, 30)}-${two(1, 12)}-${two(1, 28)}`
  const time = () => `${two(0, 23)}:${two(0, 59)}:${two(0, 59)}Z`
  switch (format) {
    case 'date-time':
      return `${date()}T${time()}`
    case 'date':
      return date()
    case 'time':
      return time()
    case 'duration':
      return `PT${dice.int(1, 59)}M`
    case 'email':
    case 'idn-email':
      return `${dice.pick(WORDS)}@example.com`
    case 'hostname':
    case 'idn-hostname':
      return `${dice.pick(WORDS)}.example.com`
    case 'ipv4':
      return `192.0.2.${dice.int(1, 254)}`
    case 'ipv6':
      return `2001:db8::${dice.int(1, 9999)}`
    case 'uuid':
      return `${hex(8)}-${hex(4)}-4${hex(3)}-8${hex(3)}-${hex(12)}`
    case 'uri':
    case 'url':
    case 'iri':
    case 'uri-reference':
    case 'iri-reference':
      return `https://example.com/${dice.pick(WORDS)}`
    default:
      return null
  }
}

const LONGEST = 16_384

/** The text filled up or cut until its length, in code points, is within the limits. */
export function sized(text: string, least: number, most: number): string {
  const chars = [...text]
  const filled = chars.length < least ? text + 'x'.repeat(Math.min(least, LONGEST) - chars.length) : text
  return filled.length > most ? [...filled].slice(0, Math.max(0, most)).join('') : filled
}
