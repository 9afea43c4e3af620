import type { Finish, FinishReason } from '../model.ts'

/** Why an answer ended, in Anthropic's words and back. */

const REASONS: Readonly<Record<string, FinishReason>> = {
  end_turn: 'stop',
  stop_sequence: 'stop',
  max_tokens: 'length',
  model_context_window_exceeded: 'length',
  tool_use: 'tool-calls',
  pause_turn: 'pause',
  compaction: 'pause',
  refusal: 'refusal',
}

const WORDS: Readonly<Record<FinishReason, string>> = {
  stop: 'end_turn',
  length: 'max_tokens',
  'tool-calls': 'tool_use',
  filter: 'refusal',
  refusal: 'refusal',
  pause: 'pause_turn',
}

/** @param calls the answer calls a tool of the caller's, and not only the one that stands for the answer */
export function readFinish(reason: unknown, stopSequence: unknown, calls: boolean): Finish {
  const read = REASONS[String(reason)] ?? (calls ? 'tool-calls' : 'stop')
  return {
    reason: read === 'tool-calls' && !calls ? 'stop' : read,
    stopSequence: typeof stopSequence === 'string' ? stopSequence : null,
  }
}

export function writeStopReason({ reason, stopSequence }: Finish): string {
  return reason === 'stop' && stopSequence !== null ? 'stop_sequence' : WORDS[reason]
}

/** What Anthropic's tiers are called by everybody else, and back. */
export function readTier(tier: unknown): string | null {
  return tier === 'standard' ? 'default' : typeof tier === 'string' ? tier : null
}

export function writeTierUsed(tier: string | null): string | null {
  return tier === 'default' || tier === 'flex' ? 'standard' : tier === 'priority' || tier === 'batch' ? tier : null
}
