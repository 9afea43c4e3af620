import { MODEL, type ProviderEnd } from './provider-end.ts'
import { COUNTED, callsOf, frames, pieces, type Scene, THOUGHT, TOOL, textOf } from './scenes.ts'

/* biome-ignore lint/suspicious/noExplicitAny: requests are read as their providers read them */
type Any = any

const geminiUsage = {
  promptTokenCount: COUNTED.input,
  cachedContentTokenCount: COUNTED.cached,
  candidatesTokenCount: COUNTED.output - COUNTED.reasoning,
  thoughtsTokenCount: COUNTED.reasoning,
  totalTokenCount: COUNTED.input + COUNTED.output,
}

/** One list a chunk; `cut` says how texts come. */
function geminiParts(scene: Scene, cut: (text: string) => string[]): Any[][] {
  const calls = callsOf(scene).map(({ arguments: args }) => [
    { functionCall: { name: TOOL.name, args: JSON.parse(args) } },
  ])
  const text = cut(textOf(scene)).map((piece) => [{ text: piece }])
  const thought = scene === 'reasoning' ? cut(THOUGHT).map((piece) => [{ text: piece, thought: true }]) : []
  return [...thought, ...(calls.length > 0 ? calls : text)]
}

function geminiAnswer(parts: Any[], finishReason?: string): Any {
  return {
    candidates: [
      { content: { parts, role: 'model' }, index: 0, ...(finishReason === undefined ? {} : { finishReason }) },
    ],
    usageMetadata: geminiUsage,
    modelVersion: MODEL,
    responseId: 'gem-1',
  }
}

export const gemini: ProviderEnd = {
  name: 'Gemini',
  wire: 'gemini',
  path: {
    whole: '/models/{model}:generateContent',
    stream: '/models/{model}:streamGenerateContent?alt=sse',
  },
  hears(body: Any, path) {
    return {
      system: (body.systemInstruction?.parts ?? []).map(({ text }: Any) => text).join('\n'),
      turns: body.contents.flatMap(({ role, parts }: Any) => {
        const found: string[] = []
        let text = ''
        for (const part of parts) {
          if (part.inlineData) text += `[image ${part.inlineData.data}]`
          if (part.functionCall)
            found.push(`[call ${part.functionCall.name} ${JSON.stringify(part.functionCall.args)}]`)
          if (part.functionResponse) found.push(`[result ${JSON.stringify(part.functionResponse.response)}]`)
          text += part.text ?? ''
        }
        return text === '' ? found : [`${role === 'model' ? 'assistant' : role}: ${text}`, ...found]
      }),
      tools: (body.tools ?? [])
        .flatMap((tool: Any) => tool.functionDeclarations)
        .map((tool: Any) => ({ name: tool.name, schema: tool.parametersJsonSchema ?? tool.parameters })),
      format: body.generationConfig?.responseJsonSchema ?? body.generationConfig?.responseSchema ?? null,
      thinks: body.generationConfig?.thinkingConfig !== undefined,
      stream: path.includes(':streamGenerateContent') && path.includes('alt=sse'),
    }
  },
  whole: (scene) => geminiAnswer(geminiParts(scene, (text) => [text]).flat(), 'STOP'),
  stream(scene) {
    const chunks = geminiParts(scene, pieces)
    const answers = chunks.map((parts, at) => geminiAnswer(parts, at === chunks.length - 1 ? 'STOP' : undefined))
    return frames(answers.map((answer) => [null, answer] as const))
  },
  refusal: (text) => ({ error: { code: 400, message: text, status: 'INVALID_ARGUMENT' } }),
  failing: (text) =>
    frames([
      [null, geminiAnswer([{ text: 'Sun' }])],
      [null, { error: { code: 503, message: text, status: 'UNAVAILABLE' } }],
    ]),
}
