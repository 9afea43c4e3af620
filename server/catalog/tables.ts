import { findProvider, type MatchLogic, type ModelInfo, type Provider as Table } from '@pydantic/genai-prices'

/** The release that package.json pins; prices name it as their source. */
export const TABLES_VERSION = '0.1.8'

/**
 * Our provider ids -> those of the price tables. Named one by one: the tables' own search by likeness would guess. A
 * second table prices what the first leaves out: Azure's global deployments cost what OpenAI asks.
 */
const TABLE_IDS: ReadonlyMap<string, readonly string[]> = new Map([
  ['openai', ['openai']],
  ['anthropic', ['anthropic']],
  ['google', ['google']],
  ['groq', ['groq']],
  ['deepseek', ['deepseek']],
  ['mistral', ['mistral']],
  ['cohere', ['cohere']],
  ['xai', ['x-ai']],
  ['perplexity', ['perplexity']],
  ['together', ['together']],
  ['openrouter', ['openrouter']],
  ['azure-openai', ['azure', 'openai']],
  ['bedrock', ['aws']],
])

const regexes = new Map<string, RegExp>()

function regexOf(source: string): RegExp {
  let regex = regexes.get(source)
  if (regex === undefined) {
    regex = new RegExp(source)
    regexes.set(source, regex)
  }
  return regex
}

/** @param name in lower case. */
function matches(logic: MatchLogic, name: string): boolean {
  if ('or' in logic) return logic.or.some((part) => matches(part, name))
  if ('and' in logic) return logic.and.every((part) => matches(part, name))
  if ('equals' in logic) return name === logic.equals.toLowerCase()
  if ('starts_with' in logic) return name.startsWith(logic.starts_with.toLowerCase())
  if ('ends_with' in logic) return name.endsWith(logic.ends_with.toLowerCase())
  if ('contains' in logic) return name.includes(logic.contains.toLowerCase())
  return regexOf(logic.regex).test(name)
}

function tablesOf(provider: string): readonly Table[] {
  return (TABLE_IDS.get(provider) ?? []).flatMap((id) => findProvider({ providerId: id }) ?? [])
}

/** The entry that prices a model, by the tables' own patterns; undefined when there is none. */
export function findPriced(provider: string, model: string): ModelInfo | undefined {
  const name = model.toLowerCase().trim()
  const dashed = name.replace(COMPACT_DATE, dashIfDate)
  for (const { models } of tablesOf(provider)) {
    const find = (wanted: string) => models.find((entry) => matches(entry.match, wanted))
    const found = find(name) ?? (dashed === name ? undefined : find(dashed))
    if (found !== undefined) return found
  }
  return undefined
}

/** The tables write snapshot dates as 2026-03-05; some callers write 20260305. */
const COMPACT_DATE = /-(20\d{2})(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])(?=-|:|$)/g

function dashIfDate(text: string, year: string, month: string, day: string): string {
  const date = `${year}-${month}-${day}`
  const time = Date.parse(date)
  const isDate = !Number.isNaN(time) && new Date(time).toISOString().startsWith(date)
  return isDate ? `-${date}` : text
}

/** Names that a provider's models have and the tables' patterns leave out; the first that fits wins. */
const OWN_PATTERNS: readonly (readonly [provider: string, pattern: RegExp])[] = [
  ['openai', /^ft:(gpt-|o\d|babbage|davinci)/],
  [
    'openai',
    /^(chatgpt-|text-embedding-(3|ada)|omni-moderation|babbage-002|davinci-002|dall-e-|tts-1|codex-mini|o\d(-|$))/,
  ],
  ['bedrock', /^(?:[a-z-]+\.)?(?:anthropic|amazon|openai|meta|mistral|cohere|deepseek|qwen)\.[a-z]/],
  ['google', /^gemma-\d/],
  ['cohere', /^embed-(v4|english|multilingual)/],
  ['qwen', /^(qwen[\d.-]|qwen$|qwq-|qvq-|text-embedding-v\d)/],
  ['perplexity', /^sonar(-|$)/],
]

/** Which provider a bare model name belongs to, by its form; null when none claims it. */
export function providerByName(model: string): string | null {
  const name = model.toLowerCase().trim()
  for (const [provider, pattern] of OWN_PATTERNS) if (pattern.test(name)) return provider
  for (const provider of TABLE_IDS.keys()) {
    const logic = tablesOf(provider)[0]?.model_match
    if (logic !== undefined && matches(logic, name)) return provider
  }
  return null
}
