export interface Call {
  /** Such as `http://localhost:8787/v1`. */
  readonly baseUrl: string
  readonly apiKey: string
  readonly model: string
  readonly message: string
}

export type Language = 'curl' | 'Node' | 'Python'

/** A text as one word of a POSIX shell. */
function shell(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`
}

/** JSON without line separators, which JavaScript before 2019 and some editors take for line ends. */
function literal(text: string): string {
  return JSON.stringify(text).replaceAll('\u2028', '\\u2028').replaceAll('\u2029', '\\u2029')
}

function curl(call: Call): string {
  const body = `{
    "model": ${literal(call.model)},
    "stream": true,
    "messages": [{"role": "user", "content": ${literal(call.message)}}]
  }`
  return `curl -N ${call.baseUrl}/chat/completions \\
  -H "Authorization: Bearer ${call.apiKey}" \\
  -H "Content-Type: application/json" \\
  -d ${shell(body)}`
}

function node(call: Call): string {
  return `// npm install openai, then save this as hello.mjs
import OpenAI from "openai"

const client = new OpenAI({
  baseURL: ${literal(call.baseUrl)},
  apiKey: ${literal(call.apiKey)},
})
const stream = await client.chat.completions.create({
  model: ${literal(call.model)},
  messages: [{ role: "user", content: ${literal(call.message)} }],
  stream: true,
})
for await (const chunk of stream) {
  process.stdout.write(chunk.choices[0]?.delta?.content ?? "")
}`
}

function python(call: Call): string {
  return `# pip install openai
from openai import OpenAI

client = OpenAI(
    base_url=${literal(call.baseUrl)},
    api_key=${literal(call.apiKey)},
)
stream = client.chat.completions.create(
    model=${literal(call.model)},
    messages=[{"role": "user", "content": ${literal(call.message)}}],
    stream=True,
)
for chunk in stream:
    if chunk.choices:
        print(chunk.choices[0].delta.content or "", end="", flush=True)`
}

/** The same streamed call for a terminal, the OpenAI SDK of Node and that of Python; every text is quoted for its language. */
export function snippetsOf(call: Call): Record<Language, string> {
  return { curl: curl(call), Node: node(call), Python: python(call) }
}
