import { Refusal } from './reply.ts'

/** Checks of a request's members in OpenAI's words and codes; each throws Refusal. */

export type Json = Readonly<Record<string, unknown>>

export function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

export function kindOf(value: unknown): string {
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'an array'
  if (typeof value === 'number') return Number.isInteger(value) ? 'an integer' : 'a decimal'
  if (typeof value === 'object') return 'an object'
  return typeof value === 'boolean' ? 'a boolean' : `a ${typeof value}`
}

export function wrongType(param: string, expected: string, value: unknown): Refusal {
  return new Refusal(
    `Invalid type for '${param}': expected ${expected}, but got ${kindOf(value)} instead.`,
    param,
    'invalid_type',
  )
}

export function missing(param: string): Refusal {
  return new Refusal(`Missing required parameter: '${param}'.`, param, 'missing_required_parameter')
}

export function invalidValue(param: string, value: unknown, supported: readonly string[]): Refusal {
  const quoted = supported.map((text) => `'${text}'`)
  const list = quoted.length === 1 ? quoted[0] : `${quoted.slice(0, -1).join(', ')}, and ${quoted.at(-1)}`
  return new Refusal(`Invalid value: '${String(value)}'. Supported values are: ${list}.`, param, 'invalid_value')
}

export interface Range {
  readonly low: number
  readonly high?: number
  readonly whole?: boolean
}

/** The number, or null when the member is absent or null. */
export function readNumber(body: Json, param: string, range: Range): number | null {
  const value = body[param]
  if (value === undefined || value === null) return null
  if (typeof value !== 'number' || (range.whole === true && !Number.isInteger(value))) {
    throw wrongType(param, range.whole === true ? 'an integer' : 'a decimal', value)
  }
  const kind = range.whole === true ? 'integer' : 'decimal'
  if (value < range.low) throw outOfRange(param, `${kind} below minimum value`, `>= ${range.low}`, value)
  if (range.high !== undefined && value > range.high) {
    throw outOfRange(param, `${kind} above maximum value`, `<= ${range.high}`, value)
  }
  return value
}

function outOfRange(param: string, what: string, expected: string, value: number): Refusal {
  const code = what.includes('below') ? 'below_min_value' : 'above_max_value'
  return new Refusal(
    `Invalid '${param}': ${what}. Expected a value ${expected}, but got ${value} instead.`,
    param,
    `${what.split(' ')[0]}_${code}`,
  )
}

export function readFlag(body: Json, param: string): boolean {
  const value = body[param]
  if (value === undefined || value === null) return false
  if (typeof value !== 'boolean') throw wrongType(param, 'a boolean', value)
  return value
}

export function readStop(body: Json): string[] {
  const value = body.stop
  if (value === undefined || value === null) return []
  const list = Array.isArray(value) ? value : [value]
  if (!list.every((text) => typeof text === 'string')) throw wrongType('stop', 'a string or an array of strings', value)
  if (list.length > 4) {
    throw new Refusal(
      `Invalid 'stop': array too long. Expected an array with maximum length 4, but got an array with length ${list.length} instead.`,
      'stop',
      'array_above_max_length',
    )
  }
  return list.filter((text) => text !== '')
}

/** Sampling parameters that every generating endpoint takes; the sandbox obeys none of them but refuses wrong ones. */
export function checkSampling(body: Json): void {
  readNumber(body, 'temperature', { low: 0, high: 2 })
  readNumber(body, 'top_p', { low: 0, high: 1 })
  readNumber(body, 'presence_penalty', { low: -2, high: 2 })
  readNumber(body, 'frequency_penalty', { low: -2, high: 2 })
  const options = body.stream_options
  if (options === undefined || options === null) return
  if (body.stream !== true) {
    throw new Refusal(
      "The 'stream_options' parameter is only allowed when 'stream' is enabled.",
      'stream_options',
      'invalid_value',
    )
  }
  if (!isObject(options)) throw wrongType('stream_options', 'an object', options)
}

export function wantsUsage(body: Json): boolean {
  return isObject(body.stream_options) && body.stream_options.include_usage === true
}
