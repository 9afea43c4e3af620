import { type Json, record } from './json.ts'

/** Members of a schema that hold one schema, a list of them, and schemas by name. */
const ONE: ReadonlySet<string> = new Set(['items', 'additionalProperties', 'not'])
const MANY: ReadonlySet<string> = new Set(['anyOf', 'oneOf', 'allOf', 'prefixItems', 'any_of'])
const NAMED: ReadonlySet<string> = new Set(['properties', 'defs', '$defs'])

/** Google writes whole numbers of 64 bits as text. */
const NUMBERS: ReadonlySet<string> = new Set([
  'minItems',
  'maxItems',
  'minLength',
  'maxLength',
  'minProperties',
  'maxProperties',
])

/**
 * Google's own form of schemas, after OpenAPI 3.0, as JSON Schema: types in capitals, `nullable`, an order of properties
 * beside them. What is JSON Schema already stays as it is.
 */
export function toJsonSchema(schema: unknown): Json {
  const { nullable, propertyOrdering: _, property_ordering: __, ...rest } = record(schema)
  const entries = Object.entries(rest).map(([name, value]) => [
    name === 'any_of' ? 'anyOf' : name,
    convert(name, value),
  ])
  const converted: Record<string, unknown> = Object.fromEntries(entries)
  if (nullable !== true) return converted
  if (typeof converted.type === 'string') converted.type = [converted.type, 'null']
  if (Array.isArray(converted.enum)) converted.enum = [...converted.enum, null]
  return converted
}

function convert(name: string, value: unknown): unknown {
  if (name === 'type' && typeof value === 'string') return value.toLowerCase()
  if (NUMBERS.has(name) && typeof value === 'string') return Number(value)
  if (ONE.has(name) && typeof value === 'object' && value !== null) return toJsonSchema(value)
  if (MANY.has(name) && Array.isArray(value)) return value.map(toJsonSchema)
  if (!NAMED.has(name)) return value
  return Object.fromEntries(Object.entries(record(value)).map(([key, schema]) => [key, toJsonSchema(schema)]))
}
