import { z } from 'zod'
import { GatewayError } from '../errors.ts'

/** Turns a query string into the members that a schema asks for. @throws GatewayError for one said twice */
export type ReadQuery = (query: URLSearchParams) => Record<string, unknown>

type Kind = 'text' | 'number' | 'boolean'

interface Member {
  readonly kind: Kind
  readonly many: boolean
}

/** Text is all that a query can say: its values become what the schema's own JSON Schema names. */
export function queryReader(input: z.ZodType): ReadQuery {
  const schema = z.toJSONSchema(input, { io: 'input', unrepresentable: 'any' }) as JsonSchema
  const members = new Map(Object.entries(schema.properties ?? {}).map(([name, member]) => [name, memberOf(member)]))
  return (query) => {
    const read: [string, unknown][] = []
    for (const name of new Set(query.keys())) {
      const values = query.getAll(name)
      const { kind, many } = members.get(name) ?? { kind: 'text', many: false }
      if (values.length > 1 && !many) {
        throw new GatewayError('invalid_request', `"${name.slice(0, 80)}" is given twice`, { param: name.slice(0, 80) })
      }
      const typed = values.map((value) => toKind(value, kind))
      read.push([name, many ? typed : typed[0]])
    }
    return Object.fromEntries(read)
  }
}

interface JsonSchema {
  readonly type?: string
  readonly properties?: Readonly<Record<string, JsonSchema>>
  readonly items?: JsonSchema
  readonly anyOf?: readonly JsonSchema[]
}

function memberOf(schema: JsonSchema): Member {
  if (schema.type === 'array') return { kind: memberOf(schema.items ?? {}).kind, many: true }
  if (schema.anyOf !== undefined) {
    const first = schema.anyOf.find((one) => one.type !== 'null')
    return memberOf(first ?? {})
  }
  if (schema.type === 'integer' || schema.type === 'number') return { kind: 'number', many: false }
  return { kind: schema.type === 'boolean' ? 'boolean' : 'text', many: false }
}

const NUMBER = /^-?\d+(\.\d+)?$/

/** What is no number or boolean stays text, which the schema then refuses by name. */
function toKind(text: string, kind: Kind): unknown {
  if (kind === 'number' && NUMBER.test(text)) return Number(text)
  if (kind === 'boolean' && (text === 'true' || text === 'false')) return text === 'true'
  return text
}
