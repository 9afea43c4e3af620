import type { Upstream } from '../upstream.ts'
import { anthropic } from './anthropic.ts'
import { azureOpenai } from './azure-openai.ts'
import { bedrock } from './bedrock.ts'
import { cohere } from './cohere.ts'
import { deepseek } from './deepseek.ts'
import { google } from './google.ts'
import { groq } from './groq.ts'
import { meta } from './meta.ts'
import { mistral } from './mistral.ts'
import { ollama } from './ollama.ts'
import { openai } from './openai.ts'
import { openrouter } from './openrouter.ts'
import { perplexity } from './perplexity.ts'
import type { Provider } from './provider.ts'
import { qwen } from './qwen.ts'
import { sandbox } from './sandbox.ts'
import { siliconflow } from './siliconflow.ts'
import { together } from './together.ts'
import { xai } from './xai.ts'

/** Every provider there is a row for, by id, in the order that lists show. The sandbox's row has no upstream yet. */
export const PROVIDERS: ReadonlyMap<string, Provider> = new Map(
  [
    openai,
    anthropic,
    google,
    groq,
    deepseek,
    mistral,
    cohere,
    xai,
    perplexity,
    qwen,
    meta,
    siliconflow,
    together,
    openrouter,
    ollama,
    azureOpenai,
    bedrock,
    sandbox,
  ].map((provider) => [provider.id, provider]),
)

/** Null for an id without a row. */
export function providerOf(id: string): Provider | null {
  return PROVIDERS.get(id) ?? null
}

/** `providerOf` with the sandbox answering through the upstream that `createSandbox` made. */
export function providersWith(sandboxUpstream: Upstream): (id: string) => Provider | null {
  const rows = new Map(PROVIDERS).set(sandbox.id, { ...sandbox, inProcess: sandboxUpstream })
  return (id) => rows.get(id) ?? null
}
