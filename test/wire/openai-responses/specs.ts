import { existsSync, readFileSync } from 'node:fs'
import { violations } from '../../providers/json-schema.ts'

/** OpenAI's and Open Responses' own descriptions; not part of the project, so tests against them are skipped without. */
const ROOT = new URL('../../../../shared/specs/', import.meta.url)
const FILES = { openai: 'openai.openapi.json', open: 'openresponses.openapi.json' } as const

type Schema = Readonly<Record<string, unknown>>
interface Spec {
  readonly components: { readonly schemas: Readonly<Record<string, Schema>> }
}

export const hasSpecs = Object.values(FILES).every((file) => existsSync(new URL(file, ROOT)))

const loaded = new Map<string, Spec>()

function specOf(which: keyof typeof FILES): Spec {
  const known = loaded.get(which)
  if (known !== undefined) return known
  const spec: Spec = JSON.parse(readFileSync(new URL(FILES[which], ROOT), 'utf8'))
  loaded.set(which, spec)
  return spec
}

/** Why a value is not what that description says under a name. */
export function breaks(which: keyof typeof FILES, name: string, value: unknown): string[] {
  return violations({ $ref: `#/components/schemas/${name}` }, value, specOf(which))
}

const names = new Map<string, string | null>()

/** The schema of an event by its type; null when the description has none of it. */
function eventSchema(which: keyof typeof FILES, type: string): string | null {
  const key = `${which} ${type}`
  if (!names.has(key)) {
    const found = Object.entries(specOf(which).components.schemas).find(([name, schema]) => {
      const constant = (schema.properties as Record<string, Schema> | undefined)?.type?.enum as string[] | undefined
      return constant?.length === 1 && constant[0] === type && /Event$/.test(name) && !/WebSocket/.test(name)
    })
    names.set(key, found?.[0] ?? null)
  }
  return names.get(key)!
}

/** Events that one description has and the other has not, or has under another name. */
const ONLY_OPENAI = new Set([
  'response.reasoning_text.delta',
  'response.reasoning_text.done',
  'response.custom_tool_call_input.delta',
  'response.custom_tool_call_input.done',
])

/** OpenAI sends `usage: null` until the end, and Open Responses asks for it: OpenAI's own description forgot it. */
const FORGOTTEN = /^\$(?:\.response)?\.usage: is not of type object: null$/

/** Why a whole answer is not what both descriptions say. */
export function answerBreaks(answer: Schema): string[] {
  const found = [...breaks('openai', 'Response', answer), ...breaks('open', 'ResponseResource', answer)]
  return found.filter((why) => !FORGOTTEN.test(why))
}

/** Why an event is not what the descriptions say, both of them where both know it. @param isOpen Open Responses can say it */
export function eventBreaks(event: Schema, isOpen: boolean): string[] {
  const type = String(event.type)
  const found: string[] = []
  for (const which of ['openai', 'open'] as const) {
    if (which === 'open' && (!isOpen || ONLY_OPENAI.has(type))) continue
    const name = eventSchema(which, type)
    if (name === null) found.push(`${which} has no event ${type}`)
    else {
      const broken = breaks(which, name, event).filter((why) => !FORGOTTEN.test(why))
      found.push(...broken.map((why) => `${which} ${name}: ${why}`))
    }
  }
  return found
}
