import { existsSync, readFileSync } from 'node:fs'

/** Why a value does not satisfy a JSON schema (the part of 2020-12 that APIs use); empty when it does. */
export function violations(schema: unknown, value: unknown, root: unknown = schema): string[] {
  return check(schema, value, '$', { root, found: [] }).found
}

type Schema = Readonly<Record<string, unknown>>
interface State {
  readonly root: unknown
  readonly found: string[]
}

const FORMATS: Readonly<Record<string, RegExp>> = {
  date: /^\d{4}-\d\d-\d\d$/,
  'date-time': /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/,
  time: /^\d\d:\d\d:\d\d/,
  email: /^[^@\s]+@[^@\s]+\.[^@\s]+$/,
  uuid: /^[0-9a-f]{8}-[0-9a-f]{4}-[1-8][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/,
  ipv4: /^\d+\.\d+\.\d+\.\d+$/,
  uri: /^[a-z]+:\/\/\S+$/,
}

function check(given: unknown, value: unknown, at: string, state: State): State {
  const { root, found } = state
  if (given === true || given === undefined) return state
  if (given === false) found.push(`${at}: nothing is allowed here`)
  if (typeof given !== 'object' || given === null) return state
  const schema = given as Schema
  const fits = (part: unknown) => violations(part, value, root).length === 0
  if (typeof schema.$ref === 'string') check(lookUp(root, schema.$ref), value, at, state)
  for (const part of (schema.allOf as unknown[]) ?? []) check(part, value, at, state)
  if (Array.isArray(schema.anyOf) && !schema.anyOf.some(fits)) found.push(`${at}: none of anyOf fits`)
  if (Array.isArray(schema.oneOf) && !schema.oneOf.some(fits)) found.push(`${at}: none of oneOf fits`)
  if (value === null && schema.nullable === true) return state
  if ('const' in schema && !same(schema.const, value)) found.push(`${at}: is not the constant`)
  if (Array.isArray(schema.enum) && !schema.enum.some((item) => same(item, value))) found.push(`${at}: not in enum`)
  const types = schema.type === undefined ? [] : [schema.type].flat()
  if (types.length > 0 && !types.some((type) => isType(type, value))) {
    found.push(`${at}: is not of type ${types.join(' or ')}: ${JSON.stringify(value)?.slice(0, 60)}`)
  }
  if (typeof value === 'number') checkNumber(schema, value, at, found)
  if (typeof value === 'string') checkString(schema, value, at, found)
  if (Array.isArray(value)) checkArray(schema, value, at, state)
  else if (typeof value === 'object' && value !== null) checkObject(schema, value as Schema, at, state)
  return state
}

function same(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b)
}

function isType(type: unknown, value: unknown): boolean {
  if (type === 'null') return value === null
  if (type === 'array') return Array.isArray(value)
  if (type === 'object') return typeof value === 'object' && value !== null && !Array.isArray(value)
  if (type === 'integer') return Number.isInteger(value)
  return typeof value === type
}

function checkNumber(schema: Schema, value: number, at: string, found: string[]): void {
  const { minimum, maximum, exclusiveMinimum, exclusiveMaximum, multipleOf } = schema
  if (typeof minimum === 'number' && value < minimum) found.push(`${at}: below minimum`)
  if (typeof maximum === 'number' && value > maximum) found.push(`${at}: above maximum`)
  if (typeof exclusiveMinimum === 'number' && value <= exclusiveMinimum) found.push(`${at}: not above minimum`)
  if (typeof exclusiveMaximum === 'number' && value >= exclusiveMaximum) found.push(`${at}: not below maximum`)
  if (typeof multipleOf === 'number' && Math.abs(value / multipleOf - Math.round(value / multipleOf)) > 1e-6) {
    found.push(`${at}: no multiple of ${multipleOf}`)
  }
}

function checkString(schema: Schema, value: string, at: string, found: string[]): void {
  const length = [...value].length
  if (typeof schema.minLength === 'number' && length < schema.minLength) found.push(`${at}: too short`)
  if (typeof schema.maxLength === 'number' && length > schema.maxLength) found.push(`${at}: too long`)
  if (typeof schema.pattern === 'string' && !new RegExp(schema.pattern, 'u').test(value)) {
    found.push(`${at}: ${JSON.stringify(value)} does not match ${schema.pattern}`)
  }
  const format = FORMATS[String(schema.format)]
  if (format !== undefined && !format.test(value)) found.push(`${at}: no ${String(schema.format)}: ${value}`)
}

function checkArray(schema: Schema, value: readonly unknown[], at: string, state: State): void {
  if (typeof schema.minItems === 'number' && value.length < schema.minItems) state.found.push(`${at}: too few items`)
  if (typeof schema.maxItems === 'number' && value.length > schema.maxItems) state.found.push(`${at}: too many items`)
  if (schema.uniqueItems === true && new Set(value.map((item) => JSON.stringify(item))).size < value.length) {
    state.found.push(`${at}: items repeat`)
  }
  const prefix = (schema.prefixItems as unknown[]) ?? []
  value.forEach((item, i) => {
    check(i < prefix.length ? prefix[i] : schema.items, item, `${at}[${i}]`, state)
  })
}

function checkObject(schema: Schema, value: Schema, at: string, state: State): void {
  const properties = (schema.properties as Schema) ?? {}
  for (const key of (schema.required as string[]) ?? []) {
    if (!Object.hasOwn(value, key)) state.found.push(`${at}: lacks ${key}`)
  }
  for (const [key, item] of Object.entries(value)) {
    check(Object.hasOwn(properties, key) ? properties[key] : schema.additionalProperties, item, `${at}.${key}`, state)
  }
}

function lookUp(root: unknown, reference: string): unknown {
  return reference
    .slice(1)
    .split('/')
    .slice(1)
    .reduce<unknown>((at, key) => (at as Schema)[key.replaceAll('~1', '/').replaceAll('~0', '~')], root)
}

const SPEC = new URL('../../../shared/specs/openai.openapi.json', import.meta.url)
let spec: unknown = null

/** OpenAI's own description of its API; not part of the project, so tests against it are skipped where it is absent. */
export const hasOpenaiSpec = existsSync(SPEC)

/** Why a value is not what OpenAI's API description says under that name. */
export function openaiViolations(name: string, value: unknown): string[] {
  spec ??= JSON.parse(readFileSync(SPEC, 'utf8'))
  return violations({ $ref: `#/components/schemas/${name}` }, value, spec)
}
