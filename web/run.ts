import { onCleanup } from 'solid-js'
import { createStore } from 'solid-js/store'
import { keyKindOf } from '../db/model/ids.ts'
import {
  ApiError,
  type CallFacts,
  type ChatRequest,
  type Failure,
  fetchReceipt,
  type Receipt,
  streamChat,
} from './data.ts'

/** `waiting`: sent, no text yet. `writing`: text is arriving. `stopped`: by the user. */
export type RunState = 'idle' | 'waiting' | 'writing' | 'done' | 'stopped' | 'failed'

/** Everything about the call under way or the last one. Times are milliseconds since it was sent, null: not yet. */
export interface Run {
  readonly state: RunState
  readonly sentAt: Date
  /** The key it was sent with was a test key. */
  readonly free: boolean
  readonly text: string
  readonly status: number | null
  readonly facts: CallFacts | null
  readonly headMs: number | null
  readonly textMs: number | null
  readonly endMs: number | null
  readonly receiptMs: number | null
  readonly failure: Failure | null
  readonly receipt: Receipt | null
  readonly receiptFailure: Failure | null
}

const IDLE: Run = {
  state: 'idle',
  sentAt: new Date(0),
  free: true,
  text: '',
  status: null,
  facts: null,
  headMs: null,
  textMs: null,
  endMs: null,
  receiptMs: null,
  failure: null,
  receipt: null,
  receiptFailure: null,
}

export type Call = Omit<ChatRequest, 'signal'>

/**
 * One call at a time, as a store to draw from. `start` gives up the call before it; `stop` aborts the one under way
 * and keeps what arrived. Whatever the end, the receipt is fetched when the gateway named the call.
 */
export function createRun(): { run: Run; start: (call: Call) => Promise<void>; stop: () => void } {
  const [run, setRun] = createStore<Run>({ ...IDLE })
  let stream = new AbortController()
  let whole = new AbortController()

  function giveUp(): void {
    stream.abort()
    whole.abort()
  }

  async function start(call: Call): Promise<void> {
    giveUp()
    stream = new AbortController()
    whole = new AbortController()
    const { signal } = stream
    const isCurrent = () => stream.signal === signal
    const began = performance.now()
    const sinceMs = () => performance.now() - began
    setRun({ ...IDLE, state: 'waiting', sentAt: new Date(), free: keyKindOf(call.apiKey) === 'test' })

    // Text is shown once a frame; a hidden tab has no frames, so that the end shows the rest
    let text = ''
    let frame = 0
    const show = () => {
      cancelAnimationFrame(frame)
      frame = 0
      if (isCurrent() && text !== run.text) setRun({ text })
    }
    try {
      for await (const event of streamChat({ ...call, signal })) {
        if (event.kind === 'open') setRun({ status: event.status, facts: event.facts, headMs: sinceMs() })
        else if (event.kind === 'usage') setRun({ facts: event.facts })
        else {
          if (text === '') setRun({ state: 'writing', textMs: sinceMs() })
          text += event.text
          if (frame === 0) frame = requestAnimationFrame(show)
        }
      }
      show()
      setRun({ state: 'done', endMs: sinceMs() })
    } catch (error) {
      show()
      if (!isCurrent()) return
      if (error instanceof ApiError) {
        const { failure } = error
        setRun({ state: 'failed', endMs: sinceMs(), status: failure.status === 0 ? null : failure.status, failure })
      } else if (signal.aborted) setRun({ state: 'stopped', endMs: sinceMs() })
      else throw error
    }
    await addReceipt(call, whole.signal, sinceMs)
  }

  async function addReceipt(call: Call, signal: AbortSignal, sinceMs: () => number): Promise<void> {
    const id = run.facts?.requestId
    if (!id) return
    try {
      const receipt = await fetchReceipt({ baseUrl: call.baseUrl, apiKey: call.apiKey, id, signal })
      if (!signal.aborted) setRun({ receipt, receiptMs: sinceMs() })
    } catch (error) {
      if (signal.aborted) return
      if (!(error instanceof ApiError)) throw error
      setRun({ receiptFailure: error.failure })
    }
  }

  onCleanup(giveUp)
  return { run, start, stop: () => stream.abort() }
}
