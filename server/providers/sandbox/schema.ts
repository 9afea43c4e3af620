import { isObject, type Json } from './check.ts'
import { matchingText } from './pattern.ts'
import type { Dice } from './random.ts'
import { plausibleText, sized, textOfFormat } from './words.ts'

/** Beyond this depth only what is required is written, and the shortest alternative is taken. */
const SHALLOW = 4
/** Beyond this depth even what is required ends: a schema that demands an endless value gets null there. */
const DEEPEST = 24
/** Values written, and references followed, for one schema: a small schema may demand an endless tree. */
const MOST_STEPS = 10_000

/**
 * A value that satisfies a JSON schema: types, enum, const, required, nested objects, arrays, limits, formats,
 * patterns, `$ref`, `$defs`, `anyOf`, `oneOf`, `allOf`. The same dice give the same value.
 * @param name of the value, such as `city`: the text is chosen to suit it.
 */
export function instanceOf(schema: unknown, dice: Dice, name = 'value'): unknown {
  return new Filler(schema, dice).fill(schema, name, 0)
}

class Filler {
  readonly #root: unknown
  readonly #dice: Dice
  #steps = 0

  constructor(root: unknown, dice: Dice) {
    this.#root = root
    this.#dice = dice
  }

  fill(given: unknown, name: string, depth: number): unknown {
    if (depth > DEEPEST || ++this.#steps > MOST_STEPS) return null
    const schema = this.#resolve(given)
    if (schema === null) return plausibleText(name, this.#dice)
    if ('const' in schema) return schema.const
    if (Array.isArray(schema.enum) && schema.enum.length > 0) return this.#dice.pick(schema.enum)
    const options = schema.anyOf ?? schema.oneOf
    if (Array.isArray(options) && options.length > 0) {
      const { anyOf: _anyOf, oneOf: _oneOf, ...rest } = schema
      return this.fill(merge(rest, this.#resolve(this.#option(options, depth)) ?? {}), name, depth + 1)
    }
    switch (typeOf(schema, depth)) {
      case 'object':
        return this.#object(schema, depth)
      case 'array':
        return this.#array(schema, name, depth)
      case 'integer':
      case 'number':
        return this.#number(schema)
      case 'boolean':
        return this.#dice.int(0, 1) === 1
      case 'null':
        return null
      default:
        return this.#string(schema, name)
    }
  }

  /** Follows `$ref` and folds `allOf` in; null for a schema that says nothing (`true`, `{}`, an unknown reference). */
  #resolve(given: unknown, hops = 0): Json | null {
    if (!isObject(given) || hops > 16 || ++this.#steps > MOST_STEPS) return null
    let schema = given
    if (typeof schema.$ref === 'string') {
      const { $ref, ...rest } = schema
      schema = merge(this.#resolve(this.#lookUp(String($ref)), hops + 1) ?? {}, rest)
    }
    if (Array.isArray(schema.allOf)) {
      const { allOf, ...rest } = schema
      schema = allOf.reduce<Json>((all, part) => merge(all, this.#resolve(part, hops + 1) ?? {}), rest)
    }
    return Object.keys(schema).length === 0 ? null : schema
  }

  #lookUp(reference: string): unknown {
    if (!reference.startsWith('#')) return null
    let found = this.#root
    for (const part of reference.slice(1).split('/').slice(1)) {
      const key = decodeURIComponent(part).replaceAll('~1', '/').replaceAll('~0', '~')
      found = isObject(found) || Array.isArray(found) ? (found as Json)[key] : null
    }
    return found
  }

  /** Any alternative near the root, the simplest one further down, so that recursive schemas end. */
  #option(options: readonly unknown[], depth: number): unknown {
    const usable = options.filter((option) => this.#resolve(option)?.type !== 'null')
    if (depth < SHALLOW) return usable.length === 0 ? options[0] : this.#dice.pick(usable)
    const cost = (option: unknown) => {
      const schema = this.#resolve(option)
      if (schema === null) return 1
      if (schema.type === 'null') return 0
      return schema.type === 'object' || schema.properties !== undefined ? 3 : schema.type === 'array' ? 2 : 1
    }
    return options.reduce((best, option) => (cost(option) < cost(best) ? option : best))
  }

  #object(schema: Json, depth: number): Json {
    const properties = isObject(schema.properties) ? schema.properties : {}
    const required = new Set(Array.isArray(schema.required) ? schema.required.map(String) : [])
    const entries: [string, unknown][] = []
    for (const [key, part] of Object.entries(properties)) {
      if (required.has(key) || depth < SHALLOW) entries.push([key, this.fill(part, key, depth + 1)])
    }
    for (const key of required) {
      if (!Object.hasOwn(properties, key)) entries.push([key, this.fill(schema.additionalProperties, key, depth + 1)])
    }
    const least = typeof schema.minProperties === 'number' ? schema.minProperties : 0
    for (let i = 1; entries.length < least && i <= least; i++) {
      entries.push([`key_${i}`, this.fill(schema.additionalProperties, `key_${i}`, depth + 1)])
    }
    return Object.fromEntries(entries)
  }

  #array(schema: Json, name: string, depth: number): unknown[] {
    const prefix = Array.isArray(schema.prefixItems) ? schema.prefixItems : []
    const least = typeof schema.minItems === 'number' ? schema.minItems : 0
    const usual = schema.items === false ? prefix.length : Math.max(least, prefix.length, 3)
    const most = typeof schema.maxItems === 'number' ? Math.min(schema.maxItems, Math.max(usual, least)) : usual
    const wanted = depth < SHALLOW ? this.#dice.int(Math.max(least, Math.min(1, most)), Math.max(least, most)) : least
    const single = name.replace(/ies$/, 'y').replace(/s$/, '')
    const items: unknown[] = prefix.slice(0, most).map((part) => this.fill(part, single, depth + 1))
    const seen = new Set<string>()
    for (let tries = 0; items.length < Math.min(wanted, 256) && tries < 1000; tries++) {
      const item = this.fill(schema.items, single, depth + 1)
      const text = JSON.stringify(item)
      if (schema.uniqueItems === true && seen.has(text)) continue
      seen.add(text)
      items.push(item)
    }
    return items
  }

  #number(schema: Json): number {
    const whole = schema.type === 'integer' || (Array.isArray(schema.type) && !schema.type.includes('number'))
    const step = typeof schema.multipleOf === 'number' && schema.multipleOf > 0 ? schema.multipleOf : whole ? 1 : 0.01
    const limit = (inclusive: unknown, exclusive: unknown, shift: number) => {
      const all = [inclusive, typeof exclusive === 'number' ? exclusive + shift : undefined]
      return all.filter((value) => typeof value === 'number')
    }
    const lows = limit(schema.minimum, schema.exclusiveMinimum, step)
    const highs = limit(schema.maximum, schema.exclusiveMaximum, -step)
    const high = highs.length > 0 ? Math.min(...highs) : Math.max(100, ...lows.map((low) => low + 100))
    const low = lows.length > 0 ? Math.max(...lows) : Math.min(1, high)
    const first = Math.ceil(low / step - 1e-9)
    const last = Math.floor(high / step + 1e-9)
    if (first > last) return (low + high) / 2
    return Number((this.#dice.int(first, Math.min(last, first + 1000)) * step).toPrecision(12))
  }

  #string(schema: Json, name: string): string {
    const { pattern, format, minLength = 0, maxLength = Infinity } = schema
    const least = Number(minLength)
    const most = Number(maxLength)
    for (let attempt = 0; typeof pattern === 'string' && attempt < 8; attempt++) {
      const text = matchingText(pattern, this.#dice)
      if (text === null) break
      if (text.length >= least && text.length <= most) return text
    }
    const formatted = typeof format === 'string' ? textOfFormat(format, this.#dice) : null
    const text = formatted ?? sized(plausibleText(name, this.#dice), least, most)
    this.#steps += text.length >> 6
    return text
  }
}

/** Both schemas' demands: objects merge, required lists join, for the rest the second wins. */
function merge(first: Json, second: Json): Json {
  const merged: Record<string, unknown> = { ...first, ...second }
  if (isObject(first.properties) && isObject(second.properties)) {
    merged.properties = { ...first.properties, ...second.properties }
  }
  if (Array.isArray(first.required) && Array.isArray(second.required)) {
    merged.required = [...first.required, ...second.required]
  }
  return merged
}

function typeOf(schema: Json, depth: number): unknown {
  if (Array.isArray(schema.type)) {
    if (depth >= SHALLOW && schema.type.includes('null')) return 'null'
    return schema.type.find((type) => type !== 'null') ?? 'null'
  }
  if (schema.type !== undefined) return schema.type
  if (schema.properties !== undefined || schema.required !== undefined) return 'object'
  if (schema.items !== undefined || schema.prefixItems !== undefined) return 'array'
  return ['minimum', 'maximum', 'multipleOf'].some((key) => key in schema) ? 'number' : 'string'
}
