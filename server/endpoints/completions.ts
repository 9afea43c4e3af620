import { openaiCompletions } from '../wire/openai-completions.ts'
import { callModel } from './call-model.ts'

/** `POST /v1/completions` */
export const completions = callModel({ name: 'completions', wire: openaiCompletions })
