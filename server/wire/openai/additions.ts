import { fromLatin1, latin1, toByteText } from '../bytes.ts'
import { scanObject, skipSpace, skipValue, withoutMembers } from '../json.ts'
import type { Additions, ByteText } from '../wire.ts'

/** What CONTRACT 4 adds to the bodies of OpenAI's answers. */

/** One JSON object in three views; `value` is parsed byte for character. */
export interface Body {
  readonly bytes: Uint8Array
  readonly text: ByteText
  readonly value: Readonly<Record<string, unknown>>
}

export interface Addition {
  readonly additions: Additions
  /** The usage object to put in, null when the body has the provider's own. */
  readonly made: object | null
  /** Nobody but us has counted. */
  readonly isEstimated: boolean
}

const IN_BODY = ['x-WatchLLM-cached', 'x-WatchLLM-cost-usd', 'x-WatchLLM-latency-ms', 'watchllm']
const IN_USAGE = ['watchllm_source', 'watchllm_tokens']
const USAGE_NAME = '"usage"'

/**
 * The body with the additions: each once, whatever another gateway before this one has put there; everything else byte
 * for byte, or all of it as it was when it names a member twice or nests too deep to be edited.
 */
export function withAdditions(body: Body, addition: Addition): ByteText {
  try {
    return add(isStale(body.value) ? withoutOld(body) : body, addition)
  } catch {
    return body.text
  }
}

function add({ bytes, text, value }: Body, { additions, made, isEstimated }: Addition): ByteText {
  const close = text.lastIndexOf('}')
  const inBody = `,${bodyAdditions(additions)}}`
  const inUsage = usageAdditions(additions, isEstimated)
  if (made === null) {
    const end = usageEnd(bytes, text)
    return text.slice(0, end - 1) + inUsage + text.slice(end - 1, close) + inBody + text.slice(close + 1)
  }
  const usage = `${JSON.stringify(made).slice(0, -1)}${inUsage}}`
  const span = value.usage === undefined ? undefined : scanObject(bytes).get('usage')
  if (span === undefined) return `${text.slice(0, close)},"usage":${usage}${inBody}${text.slice(close + 1)}`
  return text.slice(0, span.start) + usage + text.slice(span.end, close) + inBody + text.slice(close + 1)
}

/**
 * Index behind the top-level usage object, which is known to be there. In JSON the characters `"usage"` can only be a
 * name or a value, never part of a longer string, so that one occurrence is the one looked for.
 */
function usageEnd(bytes: Uint8Array, text: ByteText): number {
  const at = text.indexOf(USAGE_NAME)
  if (at < 0 || text.indexOf(USAGE_NAME, at + 1) >= 0) return scanObject(bytes).get('usage')!.end
  const colon = skipSpace(bytes, at + USAGE_NAME.length)
  return skipValue(bytes, skipSpace(bytes, colon + 1))
}

function isStale(value: Body['value']): boolean {
  const usage = value.usage as Body['value'] | null | undefined
  return IN_BODY.some((name) => value[name] !== undefined) || IN_USAGE.some((name) => usage?.[name] !== undefined)
}

function withoutOld({ bytes, value }: Body): Body {
  const outer = withoutMembers(bytes, IN_BODY)
  const span = scanObject(outer).get('usage')
  if (span === undefined || outer[span.start] !== 0x7b) return { bytes: outer, text: latin1(outer), value }
  const inner = withoutMembers(outer.subarray(span.start, span.end), IN_USAGE)
  const text = latin1(outer, 0, span.start) + latin1(inner) + latin1(outer, span.end)
  return { bytes: fromLatin1(text), text, value }
}

/** The members of CONTRACT 4, without braces. */
export function bodyAdditions(a: Additions): ByteText {
  const cost = a.costUsd === null ? 'null' : `"${a.costUsd}"`
  return (
    `"x-WatchLLM-cached":${a.cached},"x-WatchLLM-cost-usd":${cost},"x-WatchLLM-latency-ms":${a.latencyMs},` +
    `"watchllm":{"provider":${quote(a.provider)},"model_used":${quote(a.modelUsed)},` +
    `"security_passed":null,"routing_rule":${quote(a.route)},"cost_usd":${cost},"cached":${a.cached}}`
  )
}

/** The members of CONTRACT 4 as values, for an answer that is made here. */
export function additionsOf(a: Additions): Record<string, unknown> {
  return {
    'x-WatchLLM-cached': a.cached,
    'x-WatchLLM-cost-usd': a.costUsd,
    'x-WatchLLM-latency-ms': a.latencyMs,
    watchllm: {
      provider: a.provider,
      model_used: a.modelUsed,
      security_passed: null,
      routing_rule: a.route,
      cost_usd: a.costUsd,
      cached: a.cached,
    },
  }
}

/** A JSON string as byte text. Names of models and providers hardly ever need more than quotes. */
function quote(text: string): ByteText {
  return PLAIN.test(text) ? `"${text}"` : toByteText(JSON.stringify(text))
}

const PLAIN = /^[\w ./:@+-]*$/

/** With a comma before each. */
function usageAdditions(additions: Additions, isEstimated: boolean): string {
  const source = isEstimated ? ',"watchllm_source":"estimated"' : ''
  return additions.watchllmTokens === null ? source : `${source},"watchllm_tokens":${additions.watchllmTokens}`
}

/** The same on a usage object that is made here; without additions it stays as it is. */
export function markedUsage(
  usage: Readonly<Record<string, unknown>>,
  { additions, isEstimated = false }: { readonly additions: Additions | null; readonly isEstimated?: boolean },
): Readonly<Record<string, unknown>> {
  if (additions === null) return usage
  const { watchllmTokens } = additions
  return {
    ...usage,
    ...(isEstimated ? { watchllm_source: 'estimated' } : {}),
    ...(watchllmTokens === null ? {} : { watchllm_tokens: watchllmTokens }),
  }
}
