import type { Provider } from './provider.ts'

export { createSandbox, type SandboxOptions } from './sandbox/upstream.ts'

/**
 * The provider behind `lgw_test_` keys: answers in this process, without any network, deterministically, in OpenAI's
 * dialect and about its size, and refuses what OpenAI would refuse, so that anyone can build against it.
 * Any model name is answered. Names with a meaning of their own:
 * - `sandbox/chat`, `sandbox/reasoning` (thinks first), `sandbox/embedding`
 * - `sandbox/echo` gives the last user message back exactly
 * - `sandbox/slow` waits before the first byte and between chunks
 * - `sandbox/cut` breaks the connection off half-way
 * - `sandbox/error-429`, `sandbox/error-500`, any `sandbox/error-4xx` or `-5xx`: fails with that status
 */
export const sandbox: Provider = {
  id: 'sandbox',
  name: 'Sandbox',
  baseUrl: 'sandbox:',
  keyVariable: 'SANDBOX_API_KEY',
  baseUrlVariable: 'SANDBOX_BASE_URL',
  keyless: true,
  wires: {
    'openai-chat': '/chat/completions',
    'openai-completions': '/completions',
    'openai-embeddings': '/embeddings',
  },
  followsOpenai: true,
  auth: () => [],
}
