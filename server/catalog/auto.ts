import type { Capability, Model } from './model.ts'
import { MODELS } from './models/index.ts'
import { pinnedModel, publicId } from './names.ts'

/** What the auto router chooses a model for: `auto` is general, `auto:coding` and so on name the task. */
export const TASKS = ['general', 'coding', 'reasoning', 'vision', 'fast', 'cheap', 'chinese'] as const
export type Task = (typeof TASKS)[number]

interface Choice {
  readonly reason: string
  /** `provider/id`, best first: our own judgement, by what the makers say of them and what they cost. */
  readonly best: readonly string[]
  /** What a model that isn't among the best must have to be offered after them. */
  readonly needs: readonly Capability[]
}

const CHOICES: { readonly [T in Task]: Choice } = {
  general: {
    reason: 'Strong at most tasks for a moderate price',
    best: [
      'openai/gpt-6.1-terra',
      'anthropic/claude-sonnet-5-5',
      'google/gemini-3.8-flash',
      'xai/grok-4.6',
      'mistral/mistral-medium-latest',
      'deepseek/deepseek-v4-pro',
      'qwen/qwen3.7-plus',
      'bedrock/global.anthropic.claude-sonnet-5',
      'azure-openai/gpt-5.4',
      'together/deepseek-ai/DeepSeek-V4-Pro',
      'openrouter/anthropic/claude-sonnet-5',
      'groq/openai/gpt-oss-120b',
      'cohere/command-a-03-2025',
      'meta/Llama-4-Maverick-17B-128E-Instruct-FP8',
    ],
    needs: ['chat'],
  },
  coding: {
    reason: 'Made for long work on code with tools',
    best: [
      'anthropic/claude-opus-5-5',
      'openai/gpt-6.1-sol',
      'google/gemini-4-argon',
      'bedrock/global.anthropic.claude-opus-5-5',
      'xai/grok-build-0.1',
      'mistral/devstral-2512',
      'qwen/qwen3-coder-plus',
      'together/moonshotai/Kimi-K2.7-Code',
      'siliconflow/Qwen/Qwen3-Coder-480B-A35B-Instruct',
      'deepseek/deepseek-v4-pro',
    ],
    needs: ['chat', 'tools'],
  },
  reasoning: {
    reason: 'Thinks long on hard problems',
    best: [
      'anthropic/claude-fable-5-2',
      'openai/gpt-6-astra',
      'google/gemini-4-argon',
      'xai/grok-4.6',
      'deepseek/deepseek-v4-pro',
      'qwen/qwen3.7-max',
      'bedrock/global.anthropic.claude-opus-5-5',
      'azure-openai/gpt-5.4',
    ],
    needs: ['chat', 'reasoning'],
  },
  vision: {
    reason: 'Reads images and documents well',
    best: [
      'google/gemini-3.8-flash',
      'openai/gpt-6.1-terra',
      'anthropic/claude-sonnet-5-5',
      'qwen/qwen3.7-plus',
      'mistral/mistral-medium-latest',
      'xai/grok-4.6',
    ],
    needs: ['chat', 'vision'],
  },
  fast: {
    reason: 'Answers quickly',
    best: [
      'groq/openai/gpt-oss-20b',
      'anthropic/claude-haiku-5-5',
      'openai/gpt-6-luna',
      'google/gemini-3.1-flash-lite',
      'mistral/ministral-8b-2512',
      'qwen/qwen-flash',
      'deepseek/deepseek-v4-flash',
    ],
    needs: ['chat'],
  },
  cheap: {
    reason: 'Costs least for what it can do',
    best: [
      'openai/gpt-6-luna',
      'anthropic/claude-haiku-5-5',
      'groq/openai/gpt-oss-20b',
      'deepseek/deepseek-v4-flash',
      'google/gemini-2.5-flash-lite',
      'qwen/qwen-flash',
      'mistral/ministral-8b-2512',
      'cohere/command-r7b-12-2024',
      'azure-openai/gpt-4o-mini',
      'bedrock/openai.gpt-oss-20b-1:0',
      'together/Qwen/Qwen3.5-9B',
    ],
    needs: ['chat'],
  },
  chinese: {
    reason: 'Made in China, at home in Chinese',
    best: [
      'qwen/qwen3.7-max',
      'deepseek/deepseek-v4-pro',
      'siliconflow/zai-org/GLM-5.1',
      'siliconflow/moonshotai/Kimi-K2.6',
      'together/zai-org/GLM-5.2',
      'together/deepseek-ai/DeepSeek-V4-Pro',
      'groq/qwen/qwen3-32b',
    ],
    needs: ['chat'],
  },
}

export interface AutoPick {
  readonly provider: string
  /** As the provider's API takes it. */
  readonly model: string
  /** As lists show it. */
  readonly id: string
  readonly name: string
  readonly reason: string
  /** There are credentials for it: a call can be sent there. */
  readonly configured: boolean
}

export function isTask(text: string): text is Task {
  return (TASKS as readonly string[]).includes(text)
}

/** The task of a model name: `auto` or `auto:coding`; null for a model's own name and for a task that is unknown. */
export function taskOf(model: string): Task | null {
  if (model === 'auto') return 'general'
  const task = model.startsWith('auto:') ? model.slice(5) : ''
  return isTask(task) ? task : null
}

/**
 * Models for a task, best first: those with credentials before those without, our choice before others that can do it.
 * Never deprecated ones, never the sandbox's. Not empty.
 * @param configured whether there are credentials for a provider
 */
export function autoModels(task: Task, configured: (provider: string) => boolean): readonly AutoPick[] {
  const picks = candidates(task).map(({ model, reason }) => ({
    provider: model.provider,
    model: model.id,
    id: publicId(model),
    name: model.name,
    reason,
    configured: configured(model.provider),
  }))
  return [...picks.filter((pick) => pick.configured), ...picks.filter((pick) => !pick.configured)]
}

interface Candidate {
  readonly model: Model
  readonly reason: string
}

const made = new Map<Task, readonly Candidate[]>()

function candidates(task: Task): readonly Candidate[] {
  const kept = made.get(task)
  if (kept !== undefined) return kept
  const { best, needs, reason } = CHOICES[task]
  const chosen = best.flatMap((pin) => pinnedModel(pin) ?? [])
  const others = MODELS.filter((model) => !chosen.includes(model) && canDo(model, needs))
  const all = [
    ...chosen.map((model) => ({ model, reason })),
    ...others.map((model) => ({ model, reason: `Can do it: has ${needs.join(', ')}` })),
  ]
  made.set(task, all)
  return all
}

function canDo(model: Model, needs: readonly Capability[]): boolean {
  if (model.deprecatedAt !== undefined || model.provider === 'sandbox') return false
  return needs.every((need) => model.capabilities.includes(need))
}
