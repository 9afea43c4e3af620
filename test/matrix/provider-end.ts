import type { Heard, Json, Scene } from './scenes.ts'

/** A provider as it speaks one wire: how it understands a request, and its answers by hand. */
export interface ProviderEnd {
  readonly name: string
  readonly wire: 'openai-chat' | 'openai-responses' | 'anthropic-messages' | 'gemini'
  readonly path: string | { readonly whole: string; readonly stream: string }
  hears(body: Json, path: string): Heard
  whole(scene: Scene): Json
  stream(scene: Scene): string
  /** A refusal, and how a stream fails after its first words. */
  refusal(message: string): Json
  failing(message: string): string
}

/** As its answers name it. */
export const MODEL = 'model-of-the-provider'
