/** What Google's models differ in, told by their names: the requests that they take are not the same. */
export interface GeminiModel {
  /** Thinking is asked for by level; before, by a number of tokens. */
  readonly hasLevels: boolean
  /** It refuses a call of a tool in the history that lacks its signature. */
  readonly needsSignatures: boolean
  /** Results of tools may hold pictures and files. */
  readonly takesMediaResults: boolean
  /** Tools and a JSON answer may be asked for together. */
  readonly mixesToolsAndJson: boolean
  readonly takesSystem: boolean
  /** Tokens of thinking that may be asked for. `canRest`: 0 as well. */
  readonly thinking: { readonly min: number; readonly max: number; readonly canRest: boolean }
}

const NEWEST = 1000

/** An unknown name is taken for the newest model. @param id the provider's own, such as `gemini-2.5-flash` */
export function geminiModel(id: string): GeminiModel {
  const isGemma = /\bgemma-/.test(id)
  const version = /\bgemini-(\d+(?:\.\d+)?)/.exec(id)?.[1]
  const age = isGemma ? 2 : version === undefined ? NEWEST : Number(version)
  return {
    hasLevels: age >= 3,
    needsSignatures: age >= 3,
    takesMediaResults: age >= 3,
    mixesToolsAndJson: age >= 3,
    takesSystem: !isGemma,
    thinking: thinkingOf(id),
  }
}

/** https://ai.google.dev/gemini-api/docs/thinking, as of November 2026. */
function thinkingOf(id: string): GeminiModel['thinking'] {
  if (id.includes('lite')) return { min: 512, max: 24_576, canRest: true }
  if (id.includes('pro')) return { min: 128, max: 32_768, canRest: false }
  return { min: 1, max: 24_576, canRest: true }
}
