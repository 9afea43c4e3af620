import type { Price, Rates } from '../../db/model/money.ts'
import type { Routed } from '../call.ts'
import { factsOf, listedModel } from '../catalog/catalog.ts'
import { outputWish } from '../wire/output-cap.ts'
import { countedPrompt, longestPrompt, type PromptSize } from '../wire/prompt-size.ts'
import type { PassId, WireId } from '../wire/wire.ts'
import type { Bound } from './held.ts'

/** What an answer may take when nobody says; every model of these days writes that much. */
export const ASSUMED_OUTPUT = 8_192
/** What a prompt may take that names what nobody here has seen, on a model whose limit isn't known. */
const OPEN_INPUT = 200_000
/** A count of ours may be too low by so much. */
const MARGIN = 1.25
const TOKENS_A_MESSAGE = 8
/** The largest picture that is made, at the best quality. */
const TOKENS_A_PICTURE = 10_000

/** Calls that use nothing: prompts are only counted, files only kept. */
const FREE: ReadonlySet<WireId> = new Set(['anthropic-count-tokens', 'openai-input-tokens', 'openai-files'])
/** Passed-through endpoints whose providers say in tokens what was used. */
const METERED: ReadonlySet<WireId> = new Set(['openai-images', 'openai-image-edits', 'openai-moderations', 'rerank'])
const PICTURES: ReadonlySet<WireId> = new Set<PassId>([
  'openai-images',
  'openai-image-edits',
  'openai-image-variations',
])

export function usesNothing({ service }: Routed): boolean {
  return FREE.has(service.wire.id) || (service.wire.id === 'openai-batches' && service.name !== 'batches.create')
}

/** Whether what a call has used will be known in what its price is for. */
export function canMeter({ service }: Routed, price: Price): boolean {
  const { pass, id } = service.wire
  if (pass === undefined || METERED.has(id)) return true
  const isByToken = price.tiers.length > 0 || Object.values(price.rates).some((rate: number) => rate > 0)
  return id !== 'openai-batches' && !isByToken
}

/** @param counts the prompt is counted, which costs as much as reading all of it */
export function boundOf(call: Routed, counts: boolean): Bound {
  const { target, ask, service } = call
  const { id } = service.wire
  const listed = listedModel(target.provider.id, target.model)
  const size = counts ? countedPrompt(ask) : longestPrompt(ask)
  const input = inputOf(size, counts, listed?.contextLength ?? null)
  if (id === 'openai-embeddings') return { input, output: 0, answers: 1, isAssumed: false }
  if (service.wire.pass !== undefined) {
    const output = PICTURES.has(id) ? picturesIn(call) * TOKENS_A_PICTURE : 0
    return { input, output, answers: 1, isAssumed: false }
  }
  const { most, answers } = outputWish(id, ask)
  const cap = factsOf(target.provider.id, target.model)?.maxOutputTokens ?? listed?.maxOutputTokens ?? null
  const isAssumed = most === null && cap === null
  const output = Math.min(most ?? Number.POSITIVE_INFINITY, cap ?? Number.POSITIVE_INFINITY)
  const one = isAssumed ? ASSUMED_OUTPUT : output
  return { input, output: one * answers, answers, isAssumed }
}

function inputOf({ tokens, isOpen, messages }: PromptSize, isCounted: boolean, most: number | null): number {
  if (isCounted)
    return Math.min(most ?? Number.POSITIVE_INFINITY, Math.ceil(tokens * MARGIN) + messages * TOKENS_A_MESSAGE + 16)
  const input = isOpen ? Math.max(tokens, most ?? OPEN_INPUT) : tokens
  return Math.min(input, most ?? input)
}

function picturesIn({ ask }: Routed): number {
  return Math.min(16, outputWish('openai-chat', ask).answers)
}

/** The dearest that a token of a prompt and of an answer can be under a price. @param writes the prompt may be kept in a cache */
export function dearest(
  price: Price,
  input: number,
  writes: boolean,
): { readonly input: number; readonly output: number } {
  let most = ratesOf(price.rates, writes)
  for (const tier of price.tiers) {
    if (input <= tier.aboveInput) continue
    const rates = ratesOf(tier.rates, writes)
    most = { input: Math.max(most.input, rates.input), output: Math.max(most.output, rates.output) }
  }
  return most
}

function ratesOf(rates: Rates, writes: boolean): { input: number; output: number } {
  const read = Math.max(rates.input, rates.cacheRead, rates.audioInput, rates.imageInput)
  return {
    input: writes ? Math.max(read, rates.cacheWrite5m, rates.cacheWrite1h) : read,
    output: Math.max(rates.output, rates.audioOutput, rates.imageOutput),
  }
}
