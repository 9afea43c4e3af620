import { NO_USAGE, type Usage } from '../../../db/model/usage.ts'
import { isBelievable, tokenCount } from '../token-count.ts'
import { type Json, record, records } from './json.ts'

/**
 * Gemini's `usageMetadata` as disjoint counters; null when it counts nothing, as in the early chunks of some streams.
 * There the prompt includes what came from the cache but not what server tools read, and the candidates don't include
 * the thoughts. Pictures and sound that came from the cache are cache reads like the rest; video and documents are
 * priced as text.
 */
export function readGeminiUsage(value: unknown): Usage | null {
  const usage = record(value)
  if (typeof usage.promptTokenCount !== 'number' && typeof usage.totalTokenCount !== 'number') return null
  const { promptTokenCount, candidatesTokenCount, totalTokenCount } = usage
  if (![promptTokenCount, candidatesTokenCount, totalTokenCount].every(isBelievable)) return null
  const prompt = tokenCount(promptTokenCount)
  const tools = tokenCount(usage.toolUsePromptTokenCount)
  const said = tokenCount(candidatesTokenCount)
  const reasoning = tokenCount(usage.thoughtsTokenCount)
  const cacheRead = Math.min(prompt, tokenCount(usage.cachedContentTokenCount))
  const fresh = prompt - cacheRead
  const audioInput = Math.min(fresh, freshOf(usage, 'AUDIO'))
  const imageInput = Math.min(fresh - audioInput, freshOf(usage, 'IMAGE'))
  const audioOutput = Math.min(said, ofKind(usage.candidatesTokensDetails, 'AUDIO'))
  const imageOutput = Math.min(said - audioOutput, ofKind(usage.candidatesTokensDetails, 'IMAGE'))
  return {
    ...NO_USAGE,
    input: fresh - audioInput - imageInput + tools,
    cacheRead,
    output: said - audioOutput - imageOutput + reasoning,
    reasoning,
    audioInput,
    audioOutput,
    imageInput,
    imageOutput,
  }
}

/** The `usageMetadata` that a caller of Gemini's API expects, made from ours. */
export function writeGeminiUsage(usage: Usage): Record<string, unknown> {
  const cacheWrite = usage.cacheWrite5m + usage.cacheWrite1h
  const text = usage.input + usage.cacheRead + cacheWrite
  const prompt = text + usage.audioInput + usage.imageInput
  const said = usage.output - usage.reasoning
  const candidates = said + usage.audioOutput + usage.imageOutput
  return {
    promptTokenCount: prompt,
    candidatesTokenCount: candidates,
    totalTokenCount: prompt + candidates + usage.reasoning,
    ...(usage.cacheRead > 0 ? { cachedContentTokenCount: usage.cacheRead } : {}),
    promptTokensDetails: details([
      ['TEXT', text],
      ['AUDIO', usage.audioInput],
      ['IMAGE', usage.imageInput],
    ]),
    ...(candidates > said
      ? {
          candidatesTokensDetails: details([
            ['TEXT', said],
            ['AUDIO', usage.audioOutput],
            ['IMAGE', usage.imageOutput],
          ]),
        }
      : {}),
    ...(usage.reasoning > 0 ? { thoughtsTokenCount: usage.reasoning } : {}),
  }
}

type Count = readonly [modality: string, tokens: number]

function details(counts: readonly Count[]): object[] {
  return counts.filter(([, tokens]) => tokens > 0).map(([modality, tokenCount]) => ({ modality, tokenCount }))
}

/** Tokens of one kind in the prompt that didn't come from the cache. */
function freshOf(usage: Json, modality: string): number {
  return Math.max(0, ofKind(usage.promptTokensDetails, modality) - ofKind(usage.cacheTokensDetails, modality))
}

function ofKind(details: unknown, modality: string): number {
  const found = records(details).find((detail) => detail.modality === modality)
  return found === undefined ? 0 : tokenCount(found.tokenCount)
}
