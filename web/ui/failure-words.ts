import { formatWait } from './format.ts'

export interface Words {
  readonly what: string
  readonly todo: string
}

/** By the codes of the contract, and three that the console knows by itself: `network`, `stream_cut`, `unreadable`. */
export const WORDS: Record<string, Words> = {
  network: { what: 'No answer from the server.', todo: 'See that it is still running, then run the call again.' },
  stream_cut: { what: 'The answer broke off.', todo: 'What arrived stays on the page. Run it again to get the whole.' },
  unreadable: {
    what: 'Something else answered.',
    todo: 'A proxy in between may answer in place of WatchLLM: call its address directly.',
  },
  invalid_api_key: {
    what: 'The key was not accepted.',
    todo: 'Paste the one that the first start printed in the terminal. A revoked or rotated key stops working at once.',
  },
  insufficient_credits: {
    what: 'The credits are used up.',
    todo: 'Add credits, or use a test key: the sandbox is free.',
  },
  subscription_expired: {
    what: 'The subscription has ended.',
    todo: 'Renew it, or use a test key: the sandbox is free.',
  },
  model_not_allowed: {
    what: 'This key may not use that model.',
    todo: 'Choose a model that the key and its plan allow.',
  },
  invalid_model: {
    what: 'There is no model of that name.',
    todo: 'Choose one that the model field suggests; GET /v1/models has the whole list.',
  },
  quota_exceeded: {
    what: 'The budget of this period is used up.',
    todo: 'Raise the limit of the key or the plan, or wait for the reset.',
  },
  rate_limit_exceeded: { what: 'Too many calls in this minute.', todo: 'Wait a moment, then run it again.' },
  provider_paused: {
    what: 'This provider is paused by its spend threshold.',
    todo: 'An administrator can resume it, or choose a model of another provider.',
  },
  no_provider_key: {
    what: 'No provider key is set for this model.',
    todo: 'Set it where the server starts (such as OPENAI_API_KEY), or use a test key: the sandbox needs none.',
  },
  provider_error: { what: 'The provider failed.', todo: 'Run it again, or choose a model of another provider.' },
  provider_timeout: {
    what: 'The provider took too long.',
    todo: 'Run it again, or choose a model of another provider.',
  },
  service_unavailable: { what: 'The server takes no calls right now.', todo: 'Wait a moment, then run it again.' },
  security_blocked: { what: 'The guard stopped this call.', todo: 'Change the message, or ask for another policy.' },
  request_too_large: { what: 'The message is too large.', todo: 'Shorten it, then run it again.' },
}

/** What happened and what to do, in two sentences; a code that the table does not know falls back on its status. */
export function wordsOf(failure: {
  readonly status: number
  readonly code: string
  readonly retryAfterSeconds: number | null
}): Words {
  const { status, code, retryAfterSeconds: seconds } = failure
  const words: Words = WORDS[code] ??
    (status === 401 ? WORDS.invalid_api_key : undefined) ??
    (status === 404 ? WORDS.invalid_model : undefined) ??
    (status === 429 ? WORDS.rate_limit_exceeded : undefined) ?? {
      what: status >= 500 || status < 300 ? 'The server failed.' : 'The call was not accepted.',
      todo: status >= 500 || status < 300 ? 'Run it again.' : 'Change what the message below names, then run it again.',
    }
  if (seconds === null) return words
  // Running it again is not the only way out of a used-up budget
  if (code === 'quota_exceeded') return { what: words.what, todo: `${words.todo} That is in ${formatWait(seconds)}.` }
  return { what: words.what, todo: `Wait ${formatWait(seconds)}, then run it again.` }
}
