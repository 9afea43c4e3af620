/** Numbers that name somebody: IBANs, cards and phones. Each digit is looked at a bounded number of times. */
export const NUMBER_PASSES: readonly ((text: string) => string)[] = [withoutIbans, withoutGroups]

/** What has fewer digits in a row of groups is none of them. */
const MIN_DIGITS = /(?:\d[^\d]{0,3}){7}/

interface Found {
  readonly start: number
  /** Exclusive. */
  readonly end: number
  readonly mark: string
}

function replaced(text: string, found: readonly Found[]): string {
  if (found.length === 0) return text
  let out = ''
  let from = 0
  for (const { start, end, mark } of found) {
    out += text.slice(from, start) + mark
    from = end
  }
  return out + text.slice(from)
}

const IBAN_START = /(?<![A-Za-z0-9])[A-Za-z]{2}\d{2}(?=[ -]?[A-Za-z0-9])/g
const MIN_IBAN = 15
const MAX_IBAN = 34

function withoutIbans(text: string): string {
  const found: Found[] = []
  let from = 0
  for (const { index: start } of text.matchAll(IBAN_START)) {
    const end = start < from ? -1 : ibanEnd(text, start)
    if (end < 0) continue
    found.push({ start, end, mark: '[IBAN]' })
    from = end
  }
  return replaced(text, found)
}

/** The longest that its check digits confirm. @returns index behind it, -1: there is none */
function ibanEnd(text: string, start: number): number {
  const country = (isoValue(text.charCodeAt(start)) * 100 + isoValue(text.charCodeAt(start + 1))) * 100
  const check = country + Number(text.slice(start + 2, start + 4))
  let [at, length, rest, end] = [start + 4, 4, 0, -1]
  while (length < MAX_IBAN) {
    if (isSeparator(text.charCodeAt(at)) && length % 4 === 0) at++
    const value = isoValue(text.charCodeAt(at))
    if (value < 0) break
    rest = (value > 9 ? rest * 100 + value : rest * 10 + value) % 97
    length++
    at++
    const isWhole = length >= MIN_IBAN && isoValue(text.charCodeAt(at)) < 0
    if (isWhole && (rest * 1_000_000 + check) % 97 === 1) end = at
  }
  return end
}

/** As ISO 7064 counts: digits as they are, letters from 10 on; -1: neither. */
function isoValue(code: number): number {
  if (code >= 0x30 && code <= 0x39) return code - 0x30
  const lower = code | 0x20
  return lower >= 0x61 && lower <= 0x7a ? lower - 0x57 : -1
}

function isSeparator(code: number): boolean {
  return code === 0x20 || code === 0x2d || code === 0xa0
}

interface Group {
  readonly start: number
  readonly digits: string
}

const MIN_CARD = 13
const MAX_CARD = 19
const MIN_PHONE = 8
const MAX_PHONE = 17
const MAX_GROUP = 24

/** Digits in groups, as people write cards and phones. */
function withoutGroups(text: string): string {
  if (!MIN_DIGITS.test(text)) return text
  const groups: Group[] = []
  for (const found of text.matchAll(/\d+/g)) {
    // What is longer is neither; it only parts its neighbours.
    groups.push({ start: found.index, digits: found[0].length > MAX_GROUP ? ''.padEnd(MAX_GROUP, 'x') : found[0] })
  }
  const found: Found[] = []
  for (let at = 0; at < groups.length; ) {
    const card = cardFrom(text, groups, at)
    const count = card > 0 ? card : phoneFrom(text, groups, at)
    if (count === 0) {
      at++
      continue
    }
    const last = groups[at + count - 1]!
    const start = card > 0 ? groups[at]!.start : phoneStart(text, groups[at]!.start)
    found.push({ start, end: last.start + last.digits.length, mark: card > 0 ? '[card]' : '[phone]' })
    at += count
  }
  return replaced(text, found)
}

/** @returns how many groups from this one on are a card's number, the most that are; 0: none */
function cardFrom(text: string, groups: readonly Group[], first: number): number {
  let digits = ''
  let count = 0
  if (!/^[2-6]/.test(groups[first]!.digits)) return 0
  for (let at = first; at < groups.length; at++) {
    const { start, digits: more } = groups[at]!
    if (at > first && !(start - endOf(groups[at - 1]!) === 1 && isSeparator(text.charCodeAt(start - 1)))) break
    digits += more
    if (digits.length > MAX_CARD) break
    if (digits.length >= MIN_CARD && isLuhn(digits)) count = at - first + 1
  }
  return count
}

function endOf({ start, digits }: Group): number {
  return start + digits.length
}

function isLuhn(digits: string): boolean {
  let sum = 0
  for (let at = 0; at < digits.length; at++) {
    const digit = digits.charCodeAt(digits.length - 1 - at) - 0x30
    sum += at % 2 === 0 ? digit : digit > 4 ? digit * 2 - 9 : digit * 2
  }
  return sum % 10 === 0
}

/** What may stand between the groups of a phone's number. */
const GAP = /^[ \u00a0.\-/()\u2010-\u2015]{1,3}$/

/** @returns how many groups from this one on are a phone's number, the most that are; 0: none */
function phoneFrom(text: string, groups: readonly Group[], first: number): number {
  const { start, digits: begins } = groups[first]!
  const before = text[start - 1] ?? ''
  if (/[A-Za-z0-9.,]/.test(before)) return 0
  const plus = before === '+'
  // Most numbers are none by their first group.
  if (!plus && begins[0] !== '0' && begins.length !== 3 && begins !== '1') return 0
  let digits = ''
  let lengths = ''
  let count = 0
  for (let at = first; at < groups.length; at++) {
    const group = groups[at]!
    if (at > first && !GAP.test(text.slice(endOf(groups[at - 1]!), group.start).slice(0, 4))) break
    digits += group.digits
    lengths += `${group.digits.length} `
    if (digits.length > MAX_PHONE || (begins === '1' && !plus && at > first + 3)) break
    if (digits.length >= MIN_PHONE && isPhone(digits, lengths, plus)) count = at - first + 1
  }
  return count
}

/** International with a plus or two zeros, of North America by its groups, or national with its zero. */
function isPhone(digits: string, lengths: string, plus: boolean): boolean {
  const { length } = digits
  if (plus) return length <= 15
  if (/^00[1-9]/.test(digits)) return length >= 10
  if (/^(?:1 )?3 3 4 $/.test(lengths)) return true
  if (!/^0[1-9]/.test(digits) || length < 9 || length > 12) return false
  // A day is written in groups of two and four: `01.02.2026 12`.
  return /^(?:2 ){5}$/.test(lengths) || /^[3-5] /.test(lengths) || (/^\d+ $/.test(lengths) && length >= 10)
}

/** With the sign or bracket before its first digit. */
function phoneStart(text: string, start: number): number {
  const before = text[start - 1]
  if (before === '(' && text[start - 2] === '+') return start - 2
  return before === '+' || before === '(' ? start - 1 : start
}
