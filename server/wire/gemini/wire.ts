import type { Usage } from '../../../db/model/usage.ts'
import { latin1 } from '../bytes.ts'
import { readMember, scanObject, skipSpace } from '../json.ts'
import { estimated, estimateTokens } from '../openai/usage.ts'
import { type Answer, AnswerError, type Ask, type SaidInPath, type Wire, WireError } from '../wire.ts'
import { asArray } from './array.ts'
import { textsOf } from './chunk.ts'
import type { Json } from './json.ts'
import { tapGemini } from './stream.ts'
import { readGeminiUsage } from './usage.ts'

/**
 * Google's Gemini API: `POST /v1beta/models/{model}:generateContent` and `:streamGenerateContent`. Model and stream are
 * said in the path, so that a request's body passes whole. Answers do too: the clients of this wire read no comments in
 * streams, and no members that they don't know.
 */
export const gemini: Wire = {
  id: 'gemini',
  face: 'google',

  readAsk(body, said) {
    const members = scanObject(body)
    const { model, stream } = readPath(said)
    const ask: Ask = { body, members, model, stream, wantsUsage: stream, endUser: null }
    requireContents(ask)
    return ask
  },

  edit: (ask) => ({ body: ask.body, adapted: [] }),

  readAnswer: (bytes, ask) => readAnswer(bytes, () => estimated(promptTokens(ask), answerTokens(parse(bytes)))),

  tap: (ask) => tapGemini(() => promptTokens(ask)),
}

/** The same for callers who don't ask for events (`alt=sse`): a stream is one JSON array that grows. */
export const geminiInArrays: Wire = {
  ...gemini,
  tap: (ask) => asArray(gemini.tap(ask)),
  streamForm: { contentType: 'application/json; charset=utf-8', of: asArray },
}

function readPath(said: SaidInPath | null | undefined): SaidInPath {
  if (said === undefined || said === null || said.model === '') {
    throw new WireError('Name a model in the path, such as /v1beta/models/gemini-2.5-flash:generateContent', 'model')
  }
  if (said.model.length > 256) throw new WireError('The model name is longer than 256 characters', 'model')
  return said
}

function requireContents({ body, members }: Ask): void {
  const span = members.get('contents')
  if (span === undefined) throw new WireError('Missing required parameter: "contents"', 'contents')
  // One content may stand for a list of one.
  if (body[span.start] === 0x7b) return
  if (body[span.start] !== 0x5b) throw new WireError('"contents" must be an array', 'contents')
  if (skipSpace(body, span.start + 1) === span.end - 1) throw new WireError('"contents" must not be empty', 'contents')
}

/** @throws AnswerError when it is not JSON, has neither candidates nor the reason for none, or is an error */
function readAnswer(bytes: Uint8Array, guess: () => Usage): Answer {
  const answer = parse(bytes)
  const isAnswer = Array.isArray(answer.candidates) || typeof answer.promptFeedback === 'object'
  if (!isAnswer) throw new AnswerError(`The answer has no "candidates": ${latin1(bytes, 0, 300)}`)
  const said = readGeminiUsage(answer.usageMetadata)
  return {
    usage: said ?? guess(),
    source: said === null ? 'estimated' : 'provider',
    withAdditions: () => latin1(bytes),
  }
}

function parse(bytes: Uint8Array): Json {
  try {
    const value: unknown = JSON.parse(new TextDecoder().decode(bytes))
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Json
  } catch (error) {
    throw new AnswerError(`The answer is no JSON: ${(error as Error).message}`)
  }
  throw new AnswerError('The answer is no JSON object')
}

function promptTokens(ask: Ask): number {
  const read = (name: string) => readMember(ask.body, ask.members, name)
  return estimateTokens(withoutMedia(PROMPT_MEMBERS.map(read)))
}

const PROMPT_MEMBERS = ['contents', 'systemInstruction', 'system_instruction', 'tools']
const MEDIA: ReadonlySet<string> = new Set(['inlineData', 'inline_data', 'fileData', 'file_data'])

/** The same value, its pictures and files each as one thing of a flat rate instead of their base64 text. */
function withoutMedia(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutMedia)
  if (typeof value !== 'object' || value === null) return value
  const entries = Object.entries(value)
  return Object.fromEntries(entries.map(([key, item]) => (MEDIA.has(key) ? ['file', 1] : [key, withoutMedia(item)])))
}

function answerTokens(answer: Json): number {
  return estimateTokens(textsOf(answer))
}
