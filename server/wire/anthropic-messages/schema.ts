import { isRecord, type Json } from './values.ts'

/**
 * Anthropic's structured output knows a part of JSON Schema and refuses the rest (source: its documentation, “Structured
 * outputs”, JSON Schema limitations). What it doesn't know is told to the model in the description instead.
 */

const KEPT = new Set(['$ref', '$id', 'type', 'enum', 'const', 'description', 'title', 'default', 'required'])
const LISTS = ['anyOf', 'allOf']
const NAMED = ['properties', '$defs', 'definitions']
const FORMATS = new Set(['date-time', 'time', 'date', 'duration', 'email', 'hostname', 'uri', 'ipv4', 'ipv6', 'uuid'])

export interface Fitted {
  readonly schema: Json
  /** Some of it could only be told, not enforced. */
  readonly isLess: boolean
}

/** The schema as Anthropic takes it, its members in the order they came. */
export function fitSchema(schema: Json): Fitted {
  const told: Record<string, unknown> = {}
  const fitted: Record<string, unknown> = {}
  let isLess = false
  const fitPart = (part: unknown): unknown => {
    if (!isRecord(part)) return part
    const inner = fitSchema(part)
    isLess ||= inner.isLess
    return inner.schema
  }
  for (const [name, value] of Object.entries(schema)) {
    if (NAMED.includes(name) && isRecord(value)) {
      fitted[name] = Object.fromEntries(Object.entries(value).map(([key, part]) => [key, fitPart(part)]))
    } else if ((LISTS.includes(name) || name === 'oneOf') && Array.isArray(value)) {
      // One of several and any of several differ only where two of them fitPart.
      fitted[name === 'oneOf' ? 'anyOf' : name] = value.map(fitPart)
    } else if (name === 'items' && isRecord(value)) fitted.items = fitPart(value)
    else if (KEPT.has(name) || isFittingLimit(name, value)) fitted[name] = value
    else if (name !== '$schema' && name !== 'additionalProperties') told[name] = value
  }
  if (isObject(schema)) {
    fitted.additionalProperties = false
    const isOpen = schema.additionalProperties !== undefined && schema.additionalProperties !== false
    if (isOpen) told.additionalProperties = schema.additionalProperties
  }
  if (Object.keys(told).length === 0) return { schema: fitted, isLess }
  const description = typeof schema.description === 'string' ? `${schema.description}\n` : ''
  return { schema: { ...fitted, description: `${description}${JSON.stringify(told)}` }, isLess: true }
}

function isFittingLimit(name: string, value: unknown): boolean {
  if (name === 'format') return FORMATS.has(String(value))
  return name === 'minItems' && (value === 0 || value === 1)
}

function isObject({ type, properties }: Json): boolean {
  return [type].flat().includes('object') || isRecord(properties)
}
