import { type Client, cut, NOTHING, needsTools } from './client.ts'
import { CALLS, EARLIER, eventsOf, FORMAT, PIXEL, QUESTION, RESULT, SYSTEM, TOOL, type Understood } from './scenes.ts'

/* biome-ignore lint/suspicious/noExplicitAny: answers are read as their callers read them */
type Any = any

const METHOD = '/v1beta/models/some-model:'

export const gemini: Client = {
  name: 'Gemini',
  path: { whole: `${METHOD}generateContent`, stream: `${METHOD}streamGenerateContent?alt=sse` },
  headers: {},
  cannot: () => null,
  body(scene) {
    const user = (...parts: Any[]) => ({ role: 'user', parts })
    const model = (...parts: Any[]) => ({ role: 'model', parts })
    const picture = { inlineData: { mimeType: 'image/png', data: PIXEL } }
    const call = { functionCall: { name: TOOL.name, args: JSON.parse(CALLS[0]!.arguments) } }
    const result = { functionResponse: { name: TOOL.name, response: JSON.parse(RESULT) } }
    const config = {
      ...(scene === 'json schema' ? { responseMimeType: 'application/json', responseJsonSchema: FORMAT.schema } : {}),
      ...(scene === 'reasoning' ? { thinkingConfig: { thinkingBudget: 2048, includeThoughts: true } } : {}),
    }
    return cut({
      systemInstruction: { parts: [{ text: SYSTEM }] },
      contents: [
        user({ text: EARLIER.user }),
        model({ text: EARLIER.assistant }),
        user({ text: QUESTION }, ...(scene === 'image' ? [picture] : [])),
        ...(scene === 'tool result' ? [model(call), user(result)] : []),
      ],
      tools: needsTools(scene)
        ? [
            {
              functionDeclarations: [
                { name: TOOL.name, description: TOOL.description, parametersJsonSchema: TOOL.schema },
              ],
            },
          ]
        : undefined,
      generationConfig: Object.keys(config).length > 0 ? config : undefined,
    })
  },
  whole: (answer: Any) => (answer.error === undefined ? read([answer]) : { ...NOTHING, error: answer.error.message }),
  stream(text) {
    const chunks: Any[] = eventsOf(text).map(({ data }) => JSON.parse(data))
    const failed = chunks.find(({ error }) => error !== undefined)
    return failed === undefined ? read(chunks) : { ...NOTHING, error: failed.error.message }
  },
}

function read(answers: readonly Any[]): Understood {
  const candidates = answers.flatMap((answer) => answer.candidates ?? [])
  const parts: Any[] = candidates.flatMap(({ content }) => content?.parts ?? [])
  const usage = answers.findLast(({ usageMetadata }) => usageMetadata !== undefined).usageMetadata
  const calls = parts
    .filter(({ functionCall }) => functionCall !== undefined)
    .map(({ functionCall: { name, args } }) => ({ name, arguments: args }))
  const reason = candidates.findLast(({ finishReason }) => finishReason !== undefined)?.finishReason
  const words = (thought: boolean) =>
    parts
      .filter((part) => (part.thought === true) === thought)
      .map(({ text = '' }) => text)
      .join('')
  return {
    text: words(false),
    thought: words(true),
    calls,
    finish: reason === 'STOP' ? (calls.length > 0 ? 'tool_calls' : 'stop') : reason,
    usage: {
      input: usage.promptTokenCount,
      cached: usage.cachedContentTokenCount ?? 0,
      output: usage.candidatesTokenCount + (usage.thoughtsTokenCount ?? 0),
    },
    error: null,
  }
}
