import type { Provider } from './providers/provider.ts'
import type { Upstream } from './upstream.ts'
import { countedAnswer } from './wire/anthropic-messages/count-tokens.ts'
import { countedInput } from './wire/openai-responses/input-tokens.ts'

/** Where each wire's prompts are counted. */
const MESSAGES = '/messages/count_tokens'
const RESPONSES = '/responses/input_tokens'

/** Counts prompts in this process, for models whose provider can't. */
const upstream: Upstream = {
  start(request, handler) {
    let over = false
    queueMicrotask(() => {
      if (over) return
      handler.onHeaders(200, (name) => (name === 'content-type' ? 'application/json' : null))
      const count = request.path === RESPONSES ? countedInput : countedAnswer
      handler.onData(count(request.body ?? new Uint8Array(0)))
      handler.onEnd()
    })
    return {
      abort: () => {
        over = true
      },
      pause() {},
      resume() {},
    }
  },
  close: async () => {},
}

/** No provider: what stands in for one where tokens are only to be counted. */
export const counter: Provider = {
  id: 'watchllm',
  name: 'WatchLLM',
  baseUrl: null,
  keyVariable: '',
  baseUrlVariable: '',
  wires: { 'anthropic-count-tokens': MESSAGES, 'openai-input-tokens': RESPONSES },
  auth: () => [],
  inProcess: upstream,
}
