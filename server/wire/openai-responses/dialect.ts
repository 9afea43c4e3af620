import type { ClientDialect, ProviderDialect } from '../dialect.ts'
import { readAnswer } from './answer.ts'
import { readPrompt } from './prompt.ts'
import { writePrompt } from './request.ts'
import { writeAnswer } from './response.ts'
import { readStream } from './stream-read.ts'
import { writeStream } from './stream-write.ts'

/** OpenAI's Responses, and Open Responses, in the canonical model's terms: spoken by callers and by providers. */
export const openaiResponsesDialect: ClientDialect & ProviderDialect = {
  id: 'openai-responses',
  readPrompt,
  writeAnswer,
  writeStream,
  writePrompt,
  readAnswer,
  readStream,
}
