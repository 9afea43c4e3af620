import { asBuffer, latin1, splice } from '../bytes.ts'
import { readMember, scanObject } from '../json.ts'
import { AnswerError, type Ask, type Members, type Pass, type PassId, type Wire, WireError } from '../wire.ts'
import { BytesTap } from './bytes-tap.ts'
import { type FormPart, isForm, readForm } from './multipart.ts'
import { PassTap } from './tap.ts'
import { readPassUsage, UNCOUNTED } from './usage.ts'

/**
 * A wire that is passed through by provider: the bytes go as they are both ways, JSON, form, sound or stream, save for
 * the model's name where the provider calls it otherwise.
 * @param model what a request without one gets; null: it must name one; empty: this wire has no models
 */
export function passing(id: PassId, pass: Pass, model: string | null): Wire {
  return {
    id,
    face: 'openai',
    pass: {
      ...pass,
      readAnswer(bytes, contentType) {
        const metered = isJson(contentType) ? readPassUsage(id, readJson(bytes)) : null
        return { ...(metered ?? UNCOUNTED), withAdditions: () => latin1(bytes) }
      },
      tapBytes: (contentType) => (pass.givesBytes === true && !isJson(contentType) ? new BytesTap() : null),
    },
    readAsk: (body) => readAsk(body, pass, model),
    edit: (ask, edits) => ({ body: withModel(ask, edits.model), adapted: [] }),
    readAnswer() {
      throw new AnswerError('What is passed through is read by its content type')
    },
    tap: () => new PassTap(id),
  }
}

const NO_MEMBERS: Members = new Map()
const MAX_NAME = 256

function readAsk(body: Uint8Array, pass: Pass, model: string | null): Ask {
  const { contentType } = pass
  const nothing = { body, members: NO_MEMBERS, model: model ?? '', stream: false, wantsUsage: false, endUser: null }
  if (pass.method !== 'POST' || (body.length === 0 && model === '')) return nothing
  if (body.length === 0) throw new WireError('The body is empty')
  if (contentType !== null && isForm(contentType)) {
    const parts = readForm(body, contentType)
    return { ...nothing, members: membersOf(parts), ...said(formReader(body, parts), model) }
  }
  if (contentType !== null && !isJson(contentType)) {
    throw new WireError(`Send the body as application/json or multipart/form-data, not ${contentType.slice(0, 80)}`)
  }
  const members = scanObject(body)
  return { ...nothing, members, ...said((name) => readMember(body, members, name), model) }
}

/** Parts by name, each where its content stands; a list's parts all have one name, of which none is read. */
function membersOf(parts: readonly FormPart[]): Members {
  return new Map(parts.map(({ name, start, end }) => [name, { keyStart: start, start, end }]))
}

function formReader(body: Uint8Array, parts: readonly FormPart[]): (name: string) => unknown {
  return (name) => {
    const found = parts.filter((part) => part.name === name)
    if (found.length > 1) throw new WireError(`The form names "${name}" twice`, name)
    const [part] = found
    if (part === undefined) return undefined
    if (part.isFile) throw new WireError(`"${name}" must be text, not a file`, name)
    const text = asBuffer(body).toString('utf8', part.start, part.end)
    return name !== 'stream' ? text : text === 'true' ? true : text === 'false' ? false : text
  }
}

function said(read: (name: string) => unknown, model: string | null): Pick<Ask, 'model' | 'stream' | 'endUser'> {
  if (model === '') return { model, stream: false, endUser: null }
  const named = read('model') ?? model
  if (typeof named !== 'string' || named === '') {
    throw new WireError('You must provide a model parameter: the name of a model', 'model')
  }
  if (named.length > MAX_NAME) throw new WireError(`The model name is longer than ${MAX_NAME} characters`, 'model')
  const stream = read('stream') ?? false
  if (typeof stream !== 'boolean') throw new WireError('"stream" must be true or false', 'stream')
  const user = read('user')
  return { model: named, stream, endUser: typeof user === 'string' && user !== '' ? user.slice(0, MAX_NAME) : null }
}

function withModel({ body, members, model }: Ask, wanted: string): Uint8Array {
  const span = members.get('model')
  if (span === undefined || wanted === model) return body
  const isJsonMember = span.keyStart !== span.start
  return splice(body, [{ start: span.start, end: span.end, text: isJsonMember ? JSON.stringify(wanted) : wanted }])
}

function isJson(contentType: string | null): boolean {
  return contentType !== null && /^application\/json\s*(;|$)/i.test(contentType)
}

/** @throws AnswerError when it is no JSON object, or an error in an answer's clothes */
function readJson(bytes: Uint8Array): Record<string, unknown> {
  const text = asBuffer(bytes).toString()
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    throw new AnswerError(`The answer is no JSON: ${(error as Error).message}`)
  }
  if (typeof value !== 'object' || value === null) throw new AnswerError('The answer is no JSON object')
  const { error, ...rest } = value as Record<string, unknown>
  if (typeof error === 'object' && error !== null && Object.keys(rest).length === 0) {
    throw new AnswerError(`An error: ${text.slice(0, 300)}`)
  }
  return value as Record<string, unknown>
}
