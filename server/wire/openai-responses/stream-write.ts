import type { Usage } from '../../../db/model/usage.ts'
import type { StreamContext, StreamWriter } from '../dialect.ts'
import type { Delta, Finish, Part, StreamEvent } from '../model.ts'
import { bodyAdditions } from '../openai/additions.ts'
import { decodeLatin1 } from '../openai/chunk.ts'
import type { Additions } from '../wire.ts'
import { errorFrames } from './errors.ts'
import { itemId, opaqueJson, type Status } from './output.ts'
import { type ResponseState, ResponseText, statusOf } from './response.ts'
import { type OpenItem, openItem } from './stream-items.ts'

/** Canonical events -> the events of Responses, numbered, each item framed by its beginning and its end. */
export function writeStream(context: StreamContext): StreamWriter {
  return new Writer(context)
}

class Writer implements StreamWriter {
  readonly #context: StreamContext
  readonly #response: ResponseText
  #model: string
  #sequence = 0
  #started = false
  /** Items that are done, as JSON: the terminal event repeats them. */
  readonly #items: string[] = []
  #open: OpenItem | null = null
  #usage: Usage | null = null
  #isEstimated = false
  #finish: Finish | null = null

  constructor(context: StreamContext) {
    this.#context = context
    this.#response = new ResponseText(context)
    this.#model = context.model
  }

  write(event: StreamEvent): string {
    switch (event.type) {
      case 'delta':
        return event.choice === 0 ? this.#delta(event.delta) : ''
      case 'start':
        this.#model = event.model ?? this.#model
        return this.#start()
      case 'part':
        return event.choice === 0 ? this.#start() + this.#part(event.part) : ''
      case 'part-end':
        return event.choice === 0 ? this.#frames(this.#open?.endPart() ?? []) : ''
      case 'finish':
        if (event.choice === 0) this.#finish = event.finish
        return ''
      case 'usage':
        this.#usage = event.usage
        this.#isEstimated = event.isEstimated === true
        return ''
      default:
        return ''
    }
  }

  finish(additions: Additions | null): string {
    const status = statusOf(this.#finish)
    const out = this.#start() + this.#close(status)
    const tookS = Math.round((additions?.latencyMs ?? 0) / 1000)
    const completedAtS = status === 'completed' ? Math.trunc(this.#context.createdAtS) + tookS : null
    const counted = { usage: this.#usage, isEstimated: this.#isEstimated, additions }
    const known = { status, ...counted, finish: this.#finish, completedAtS }
    const late = additions === null ? '' : `: watchllm {${decodeLatin1(bodyAdditions(additions))}}\n\n`
    return `${out}${late}${this.#lifecycle(`response.${status}`, known)}data: [DONE]\n\n`
  }

  /** What had come stays in the response that failed. */
  fail(face: object): string {
    const out = this.#start() + this.#close('incomplete')
    const sequence = this.#sequence
    return (
      out +
      errorFrames(face, { sequence, write: (error) => this.#state({ status: 'failed', error, usage: this.#usage }) })
    )
  }

  #start(): string {
    if (this.#started) return ''
    this.#started = true
    const state = { status: 'in_progress' } as const
    return this.#lifecycle('response.created', state) + this.#lifecycle('response.in_progress', state)
  }

  #part(part: Part): string {
    if (part.type === 'opaque') return this.#close('completed') + this.#whole(part)
    if (this.#open?.takes(part) === true) return this.#frames(this.#open.begin(part))
    const out = this.#close('completed')
    const item = openItem(part, { index: this.#items.length, naming: this.#response.naming })
    if (item === null) return out
    this.#open = item
    return out + this.#frames([...item.added(), ...item.begin(part)])
  }

  #delta(delta: Delta): string {
    const open = this.#open
    if (open === null) return ''
    // The one event of which there are many.
    const said = open.say(delta)
    return said === '' ? this.#frames(open.more(delta)) : this.#frame(said) + this.#frames(open.more(delta))
  }

  /** An item that only this wire's providers have, as it came. */
  #whole(part: Part): string {
    const index = this.#items.length
    const item = opaqueJson(part, itemId('item', this.#response.naming, index))
    if (item === null) return ''
    this.#items.push(item)
    return this.#frames([
      `"type":"response.output_item.added","output_index":${index},"item":${item}`,
      `"type":"response.output_item.done","output_index":${index},"item":${item}`,
    ])
  }

  #close(status: Status): string {
    const open = this.#open
    if (open === null) return ''
    this.#open = null
    const out = this.#frames(open.endPart())
    const item = open.json(status)
    const done = `"type":"response.output_item.done","output_index":${this.#items.length},"item":${item}`
    this.#items.push(item)
    return out + this.#frame(done)
  }

  #lifecycle(type: string, state: Omit<ResponseState, 'model' | 'output'>): string {
    return this.#frame(`"type":"${type}","response":${this.#state(state)}`)
  }

  #state(state: Omit<ResponseState, 'model' | 'output'>): string {
    return this.#response.write({ ...state, model: this.#model, output: this.#items.join(',') })
  }

  #frames(bodies: readonly string[]): string {
    let out = ''
    for (const body of bodies) out += this.#frame(body)
    return out
  }

  /** @param body members of the event, its type first */
  #frame(body: string): string {
    const type = body.slice(8, body.indexOf('"', 8))
    return `event: ${type}\ndata: {${body},"sequence_number":${this.#sequence++}}\n\n`
  }
}
