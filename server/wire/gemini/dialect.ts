import type { ClientDialect, ProviderDialect } from '../dialect.ts'
import { readGeminiAnswer } from './answer.ts'
import { readGeminiPrompt } from './ask.ts'
import { writeGeminiPrompt } from './prompt.ts'
import { readGeminiStream } from './reader.ts'
import { writeGeminiAnswer, writeGeminiStream } from './writer.ts'

/**
 * Gemini's words for callers and for providers: `generateContent`, and `streamGenerateContent` as server-sent events
 * (`array.ts` makes the other form of them).
 */
export const geminiDialect: ClientDialect & ProviderDialect = {
  id: 'gemini',
  readPrompt: readGeminiPrompt,
  writeAnswer: writeGeminiAnswer,
  writeStream: writeGeminiStream,
  writePrompt: writeGeminiPrompt,
  readAnswer: readGeminiAnswer,
  readStream: readGeminiStream,
}
