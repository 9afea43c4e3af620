import type { Random } from '../helpers/random.ts'

/** Something that must not be stored, as people write it. */
export interface Personal {
  readonly kind: string
  readonly make: (random: Random) => string
  /** What of it may not be left anywhere. Default: all of it. */
  readonly core?: (made: string) => string
}

const WORD = 'abcdefghijklmnopqrstuvwxyz'
const TOKEN = `${WORD}${WORD.toUpperCase()}0123456789`

function some(random: Random, of: string, length: number): string {
  return Array.from({ length }, () => of[random.int(of.length)]).join('')
}

const digits = (random: Random, length: number) => some(random, '0123456789', length)
const token = (random: Random, least = 20) => some(random, TOKEN, least + random.int(30))

/** With the last digit that makes it a card's. */
function card(random: Random): string {
  const length = random.pick([13, 14, 15, 16, 16, 16, 17, 18, 19])
  const body = random.pick(['2', '3', '4', '5', '6']) + digits(random, length - 2)
  for (let last = 0; last < 10; last++) if (luhn(body + last)) return body + last
  throw new Error('Some digit is the right one')
}

function luhn(number: string): boolean {
  const doubled = [...number].reverse().map((digit, at) => (at % 2 === 0 ? Number(digit) : Number(digit) * 2))
  return doubled.reduce((sum, value) => sum + (value > 9 ? value - 9 : value), 0) % 10 === 0
}

function grouped(text: string, size: number, by: string): string {
  return text.replace(new RegExp(`(.{${size}})(?=.)`, 'g'), `$1${by}`)
}

/** The lengths that countries have, by the registry of SWIFT. */
const IBANS = { DE: 18, NL: 14, NO: 11, GB: 18, FR: 23, MT: 27, BE: 12, CH: 17, PL: 24, ES: 20 } as const

function iban(random: Random): string {
  const country = random.pick(Object.keys(IBANS) as (keyof typeof IBANS)[])
  const account = random.once(2) ? digits(random, IBANS[country]) : some(random, TOKEN.slice(26), IBANS[country])
  const number = [...`${account}${country}00`].map((one) => Number.parseInt(one, 36)).join('')
  return `${country}${String(98n - (BigInt(number) % 97n)).padStart(2, '0')}${account}`
}

const NAMES = ['bob', 'Ann.Lee', 'o’brien', 'müller', 'x_y+tag', 'a', 'info%x', '李雷', "d'arcy", 'a-b.c-d']
const DOMAINS = ['example.com', 'mail.example.co.uk', 'bücher.example', 'x-y.io', 'EXAMPLE.ORG', '例え.jp']

export const PERSONAL: readonly Personal[] = [
  { kind: 'an e-mail address', make: (random) => `${random.pick(NAMES)}@${random.pick(DOMAINS)}` },
  { kind: 'a card number', make: card },
  { kind: 'a card number in groups', make: (random) => grouped(card(random), 4, random.pick([' ', '-', '\u00a0'])) },
  { kind: 'an IBAN', make: (random) => (random.once(3) ? iban(random).toLowerCase() : iban(random)) },
  { kind: 'an IBAN in groups', make: (random) => grouped(iban(random), 4, random.pick([' ', '-'])) },
  {
    kind: 'a phone number with its country',
    make: (random) => {
      const by = random.pick([' ', '-', '.', '/', ''])
      const country = random.pick(['1', '44', '49', '353', '86'])
      const start = random.once(4) ? `00${country}` : `+${country}`
      const area = random.once(3)
        ? `(${1 + random.int(9)}${digits(random, 2)})`
        : `${1 + random.int(9)}${digits(random, 2)}`
      return [start, area, digits(random, 3), digits(random, 4)].join(by === '' ? '' : by)
    },
  },
  {
    kind: 'a phone number of North America',
    make: (random) => {
      const [area, office, line] = [digits(random, 3), digits(random, 3), digits(random, 4)]
      return random.pick([`(${area}) ${office}-${line}`, `${area}-${office}-${line}`, `${area}.${office}.${line}`])
    },
  },
  {
    kind: 'a national phone number',
    make: (random) => {
      const area = `0${1 + random.int(9)}${digits(random, 1 + random.int(2))}`
      return `${area}${random.pick([' ', '/', '-', ' - '])}${digits(random, 7)}`
    },
  },
  {
    kind: 'a key of a known issuer',
    make: (random) => {
      const prefixes = ['sk-', 'sk-proj-', 'sk-ant-api03-', 'gsk_', 'AIza', 'ghp_', 'github_pat_', 'xoxb-', 'AKIA']
      return random.pick([...prefixes, 'lgw_proj_', 'lgw_pat_', 'hf_', 'sk_live_', 'whsec_', 'glpat-']) + token(random)
    },
  },
  {
    kind: 'a JSON web token',
    make: (random) => `eyJ${token(random)}.eyJ${token(random)}.${token(random)}`,
  },
  {
    kind: 'a bearer token',
    make: (random) => `${random.pick(['Bearer', 'bearer', 'BEARER'])} ${token(random)}`,
    core: (made) => made.split(' ')[1]!,
  },
  {
    kind: 'a password by its name',
    make: (random) => {
      const name = random.pick(['password', 'PASSWORD', 'db_password', 'api_key', 'apiKey', 'API-KEY', 'access_token'])
      return name + random.pick(['=', ': ', '": "', " = '", '\\": \\"']) + some(random, TOKEN, 6 + random.int(20))
    },
    core: (made) => made.split(/[=:]\s?["'\\]*\s?'?/).at(-1)!,
  },
  {
    kind: 'what is signed in with, in a URL',
    make: (random) => `https://${some(random, WORD, 5)}:${some(random, TOKEN, 12)}@db.example.com/x`,
    core: (made) => made.slice(made.lastIndexOf(':') + 1, made.indexOf('@')),
  },
  {
    kind: 'a private key',
    make: (random) => {
      const kind = random.pick(['', 'RSA ', 'EC ', 'OPENSSH '])
      return `-----BEGIN ${kind}PRIVATE KEY-----\n${grouped(token(random, 300), 64, '\n')}\n-----END ${kind}PRIVATE KEY-----`
    },
  },
  {
    kind: 'a picture',
    make: (random) => {
      const data = Buffer.from(random.bytes(200 + random.int(600))).toString('base64')
      return random.once(2) ? `data:image/png;base64,${data}` : `iVBORw0KGgo${data}`
    },
    core: (made) => made.slice(-100),
  },
]

/** What looks a little like it, and must stay. */
export const HARMLESS: readonly string[] = [
  'Meet me at 2026-11-21 19:06, or on 01.02.2026 12:30, or 07/11/2026.',
  'created 1763751960, in ms 1763751960123, in ns 1763751960123456789',
  'It costs 1,299.00 USD, or 12 345 678 yen; pi is 3.14159265358979.',
  'req_01JD3Q9Y8Z, chatcmpl-9xYzAbCdEf, call_abc123, 123e4567-e89b-12d3-a456-426614174000',
  'The password is kept in the safe. A secret. A token: a piece of a word.',
  'Bearer of bad news; basic understanding of bearer shares',
  'task-oriented risk-adjusted disk-utilisation ask-me-anything',
  'max_tokens=1000, temperature: 0.7, top_p: 1, "max_tokens": 256',
  'version 10.4.2, 192.168.100.200:8080, commit 3f786850e387550fdab836ed7e6dc881de23001b',
  'use @types/node@20.11.0 and @me, or a @ b, or name@localhost',
  'https://example.com:8080/path?x=1#y and http://[::1]:3000/',
  '0, 00, 0123, 4111 is short, 1234-5678 too',
  'Grüße, 漢字 👩‍🚀 \u0000 \ud800',
]
