import type { ModelFacts } from '../wire/dialect.ts'
import type { WireId } from '../wire/wire.ts'
import { Bounded } from './bounded.ts'
import { listedModel } from './names.ts'

/** What is known of all models whose names begin so; the first rule that fits holds. */
interface Family {
  readonly name: RegExp
  readonly thinking: ModelFacts['thinking']
  readonly refuses: readonly string[]
  /** Longest answer where the model itself is not listed. */
  readonly maxOutputTokens?: number
}

const SAMPLING = ['temperature', 'top_p', 'logprobs', 'top_logprobs']
/** `max_tokens` refused: it has to be said as `max_completion_tokens`. */
const NEVER = ['max_tokens', 'presence_penalty', 'frequency_penalty', 'logit_bias', 'stop']

/**
 * Models that always think by default take no sampling parameters; those that don't unless they are told to (GPT-5.1,
 * 5.2, 5.4) take them, and refuse them by themselves when an effort is set.
 * @see https://platform.openai.com/docs/guides/latest-model and https://platform.openai.com/docs/guides/reasoning
 */
const OPENAI: readonly Family[] = [
  { name: /^gpt-5-chat/, thinking: 'none', refuses: [] },
  { name: /^gpt-5\.[124](-mini|-nano)?(-\d{4}|$)/, thinking: 'effort', refuses: NEVER },
  { name: /^gpt-([5-9]|\d\d)([.-]|$)|^codex-/, thinking: 'effort', refuses: [...SAMPLING, ...NEVER] },
  { name: /^o\d(-|$)/, thinking: 'effort', refuses: [...SAMPLING, ...NEVER] },
  { name: /^(ft:)?(gpt-(3|4|audio)|chatgpt-)/, thinking: 'none', refuses: [] },
]

const NO_SAMPLING = ['temperature', 'top_p', 'top_k']

/** @see https://platform.claude.com/docs/en/build-with-claude/adaptive-thinking and each model's migration guide */
const CLAUDE: readonly Family[] = [
  { name: /^claude-(instant|v?[12]\b)/, thinking: 'none', refuses: [], maxOutputTokens: 4_096 },
  { name: /^claude-3-(haiku|opus|sonnet)/, thinking: 'none', refuses: [], maxOutputTokens: 4_096 },
  { name: /^claude-3-5-/, thinking: 'none', refuses: [], maxOutputTokens: 8_192 },
  { name: /^claude-3-7-|^claude-sonnet-4(-0|-2\d{7}|-5|$)/, thinking: 'budget', refuses: [], maxOutputTokens: 64_000 },
  { name: /^claude-(haiku|opus)-4-5/, thinking: 'budget', refuses: [], maxOutputTokens: 64_000 },
  { name: /^claude-opus-4(-[01]|-2\d{7}|$)/, thinking: 'budget', refuses: [], maxOutputTokens: 32_000 },
  { name: /^claude-(opus|sonnet)-4-6/, thinking: 'adaptive', refuses: [], maxOutputTokens: 128_000 },
  { name: /^claude-[a-z]+-(4-[7-9]|[5-9])/, thinking: 'adaptive', refuses: NO_SAMPLING, maxOutputTokens: 128_000 },
]

/** @see https://ai.google.dev/gemini-api/docs/thinking; Gemini 2.5 takes penalties on Vertex AI only */
const GEMINI: readonly Family[] = [
  { name: /^gemini-1|^gemini-2\.0/, thinking: 'none', refuses: [], maxOutputTokens: 8_192 },
  {
    name: /^gemini-2\.5/,
    thinking: 'budget',
    refuses: ['presence_penalty', 'frequency_penalty'],
    maxOutputTokens: 65_536,
  },
  { name: /^gemini-3/, thinking: 'effort', refuses: [], maxOutputTokens: 65_536 },
  { name: /^gemini-([4-9]|flash-latest|flash-lite-latest|pro-latest)/, thinking: 'effort', refuses: [] },
]

/** @see https://docs.x.ai/docs/guides/reasoning */
const GROK: readonly Family[] = [
  { name: /^grok-.*non-reasoning/, thinking: 'none', refuses: [] },
  { name: /^grok-4\.20/, thinking: 'none', refuses: ['presence_penalty', 'frequency_penalty', 'stop'] },
  { name: /^grok-(4\.[3-9]|[5-9])/, thinking: 'effort', refuses: ['presence_penalty', 'frequency_penalty', 'stop'] },
]

/** Families are the makers' own APIs' rules: hosts that only resemble them have none. */
const FAMILIES: ReadonlyMap<string, readonly Family[]> = new Map([
  ['openai', OPENAI],
  ['azure-openai', OPENAI],
  ['anthropic', CLAUDE],
  ['google', GEMINI],
  ['xai', GROK],
  ['bedrock', [...CLAUDE, ...OPENAI]],
])

const REMEMBERED = 1024
const LONGEST_NAME = 256
const known = new Bounded<{ readonly facts: ModelFacts | null }>(REMEMBERED)

/**
 * What a request to a model must respect: of a listed model its own longest answer, of others what is known of their
 * family; null when nothing is. The same object for the same model.
 */
export function factsOf(provider: string, model: string): ModelFacts | null {
  const key = `${provider}/${model}`
  const kept = known.get(key)
  if (kept !== undefined) return kept.facts
  const facts = find(provider, model)
  if (key.length <= LONGEST_NAME) known.set(key, { facts })
  return facts
}

/** The sandbox plays every model, none of which writes more than this. */
const SANDBOX: ModelFacts = Object.freeze({ maxOutputTokens: 16_384, refuses: [], thinking: null })

function find(provider: string, model: string): ModelFacts | null {
  if (provider === 'sandbox') return SANDBOX
  const listed = listedModel(provider, model)
  const name = familyName(model)
  const family = FAMILIES.get(provider)?.find((rule) => rule.name.test(name))
  if (listed === null && family === undefined) return null
  return Object.freeze({
    maxOutputTokens: listed?.maxOutputTokens ?? family?.maxOutputTokens ?? null,
    refuses: family?.refuses ?? [],
    thinking: family?.thinking ?? null,
  })
}

/** The maker's own name: without the region and maker that Bedrock puts before it, and Claude's version with dashes. */
function familyName(model: string): string {
  const name = model.toLowerCase().replace(/^(?:[a-z-]+\.)?(?:anthropic|openai)\./, '')
  return name.startsWith('claude') ? name.replaceAll('.', '-') : name
}

/** Models that live on some of their provider's wires only. @see https://platform.openai.com/docs/models */
const ONLY: readonly (readonly [provider: string, name: RegExp, wires: readonly WireId[]])[] = [
  [
    'openai',
    /^(codex-|gpt-5(\.\d)?-codex|o[13]-pro|gpt-5(\.\d)?-pro|o\d-(mini-)?deep-research|computer-use)/,
    ['openai-responses'],
  ],
  ['openai', /^(gpt-audio|gpt-4o(-mini)?-(audio|search))/, ['openai-chat']],
  ['openai', /^(gpt-3\.5-turbo-instruct|babbage-002|davinci-002)/, ['openai-completions']],
  ['azure-openai', /^(codex-|gpt-5(\.\d)?-codex|o3-pro|gpt-5(\.\d)?-pro|o3-deep-research)/, ['openai-responses']],
  ['bedrock', /^gpt-oss/, ['openai-chat']],
  ['bedrock', /^gpt-/, ['openai-responses', 'openai-chat']],
  ['bedrock', /^claude-/, ['anthropic-messages']],
]

/** The only wires that a model answers on, in order of preference; null: all those of its provider. */
export function wiresOf(provider: string, model: string): readonly WireId[] | null {
  const name = familyName(model)
  const only = ONLY.find((rule) => rule[0] === provider && rule[1].test(name))
  if (only !== undefined) return only[2]
  return listedModel(provider, model)?.category === 'embedding' ? EMBEDDINGS : null
}

const EMBEDDINGS: readonly WireId[] = ['openai-embeddings']
