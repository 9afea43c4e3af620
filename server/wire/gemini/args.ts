import { type Json, text } from './json.ts'

type Segment = string | number

interface Container {
  /** Its name or place in the container around it. */
  readonly segment: Segment
  readonly isArray: boolean
  /** How many members it has by now. */
  size: number
}

/**
 * Arguments of a call that Gemini streams leaf by leaf, each with its JSON path, put together as JSON text: what
 * `write` and `close` give, one after the other, is the whole object. Leaves come in the order of the text that the
 * model wrote, so that a container never goes on once another has begun.
 */
export class PartialArguments {
  /** The containers that are open, the outermost first. */
  #open: Container[] = []
  /** The path of a string that goes on. */
  #string: string | null = null
  readonly #begun = new Set<string>()

  get isEmpty(): boolean {
    return this.#open.length === 0
  }

  /** @param partial one of `partialArgs` */
  write(partial: Json): string {
    const path = text(partial.jsonPath)
    if (path === null) return ''
    const goesOn = partial.willContinue === true
    if (this.#string === path) {
      this.#string = goesOn ? path : null
      return `${inner(String(partial.stringValue ?? ''))}${goesOn ? '' : '"'}`
    }
    const value = leafOf(partial)
    if (value !== null) return this.#leaf(path, goesOn && value.startsWith('"') ? value.slice(0, -1) : value, goesOn)
    // Nothing but a path ends a container; one that never began is empty.
    const isArray = path.endsWith('[]')
    const container = isArray ? path.slice(0, -2) : path
    return goesOn || this.#begun.has(container) ? '' : this.#leaf(container, isArray ? '[]' : '{}', false)
  }

  /** What is owed at the end. */
  close(): string {
    const begin = this.isEmpty ? this.#begin() : this.#endString()
    return begin + this.#closeTo(0)
  }

  #leaf(path: string, value: string, goesOn: boolean): string {
    const segments = segmentsOf(path)
    const name = segments.pop()
    if (name === undefined) return ''
    let out = this.#endString()
    if (this.isEmpty) out += this.#begin()
    out += this.#closeTo(1 + this.#sharedWith(segments))
    for (let at = this.#open.length - 1; at < segments.length; at++) {
      const isArray = typeof (segments[at + 1] ?? name) === 'number'
      out += `${this.#member(segments[at]!)}${isArray ? '[' : '{'}`
      this.#open.push({ segment: segments[at]!, isArray, size: 0 })
    }
    for (const prefix of prefixesOf(path)) this.#begun.add(prefix)
    if (goesOn && value.startsWith('"')) this.#string = path
    return `${out}${this.#member(name)}${value}`
  }

  #begin(): string {
    this.#open.push({ segment: '$', isArray: false, size: 0 })
    return '{'
  }

  #endString(): string {
    if (this.#string === null) return ''
    this.#string = null
    return '"'
  }

  /** How many of the open containers, the outermost aside, lie on the way. */
  #sharedWith(segments: readonly Segment[]): number {
    let shared = 0
    while (shared < segments.length && this.#open[shared + 1]?.segment === segments[shared]) shared++
    return shared
  }

  #closeTo(depth: number): string {
    let out = ''
    while (this.#open.length > depth) out += this.#open.pop()!.isArray ? ']' : '}'
    return out
  }

  /** The comma and the name before a new member of the innermost container. */
  #member(segment: Segment): string {
    const container = this.#open.at(-1)!
    const comma = container.size++ === 0 ? '' : ','
    return container.isArray ? comma : `${comma}${JSON.stringify(String(segment))}:`
  }
}

function leafOf({ stringValue, numberValue, boolValue, nullValue }: Json): string | null {
  const value = stringValue ?? numberValue ?? boolValue
  if (value !== undefined && value !== null) return JSON.stringify(value)
  return nullValue === undefined ? null : 'null'
}

/** A string's text as it stands between the quotes. */
function inner(value: string): string {
  return JSON.stringify(value).slice(1, -1)
}

const SEGMENT = /\.?([^.[\]$]+)|\[(\d+)\]|\['((?:[^'\\]|\\.)*)'\]|\["((?:[^"\\]|\\.)*)"\]/g

/** Names and places of a path such as `$.items[0].name` or `$['a name']`. */
function segmentsOf(path: string): Segment[] {
  return Array.from(path.matchAll(SEGMENT), ([, name, place, quoted, doubled]) => {
    if (place !== undefined) return Number(place)
    return name ?? (quoted ?? doubled ?? '').replace(/\\(.)/g, '$1')
  })
}

/** The path itself and the paths of all containers around it. */
function prefixesOf(path: string): string[] {
  const ends = Array.from(path.matchAll(SEGMENT), (found) => found.index + found[0].length)
  return ends.map((end) => path.slice(0, end))
}
