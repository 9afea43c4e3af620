import type { ClientDialect, ProviderDialect } from './dialect.ts'
import { readAnswer } from './responses-answer.ts'
import { readPrompt } from './responses-prompt.ts'
import { writePrompt } from './responses-request.ts'
import { writeAnswer } from './responses-response.ts'
import { readStream } from './responses-stream-read.ts'
import { writeStream } from './responses-stream-write.ts'

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
