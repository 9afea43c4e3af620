/** Reads TypeScript as text: enough of its grammar to tell code from comments and strings, and to find the imports. */

export interface Source {
  /** The text with comments and the insides of strings, templates and regular expressions as spaces; same length. */
  readonly code: string
  readonly strings: readonly Literal[]
  readonly imports: readonly Import[]
}

export interface Literal {
  readonly line: number
  readonly text: string
}

export interface Import {
  readonly line: number
  readonly specifier: string
  /** `import type` or `export type`: gone at run time. With `{ type X }` inside braces the module is still loaded. */
  readonly typeOnly: boolean
  /** The names in the braces, as exported there. */
  readonly names: readonly string[]
}

interface Span {
  readonly start: number
  readonly text: string
}

export function readSource(text: string): Source {
  const { code, spans } = blank(text)
  const lineAt = lineCounter(text)
  const at = new Map(spans.map((span) => [span.start, span.text]))
  const imports: Import[] = []
  for (const [pattern, read] of FORMS) {
    for (const found of code.matchAll(pattern)) {
      const specifier = at.get(found.index + found[0].length - 1)
      // A URL beside the module is a worker when it names a source file, and data else.
      const isData = found[0].startsWith('new') && !/\.[jt]s$/.test(specifier ?? '')
      if (specifier !== undefined && !isData) imports.push({ line: lineAt(found.index), specifier, ...read(found) })
    }
  }
  imports.sort((a, b) => a.line - b.line)
  return { code, strings: spans.map(({ start, text: inside }) => ({ line: lineAt(start), text: inside })), imports }
}

type Reading = Pick<Import, 'typeOnly' | 'names'>

const VALUE: Reading = { typeOnly: false, names: [] }
const NAMES = String.raw`(\*(?:\s+as\s+[\w$]+)?|[\w$]+\s*,\s*\*\s*as\s+[\w$]+|(?:[\w$]+\s*,\s*)?\{[^{}]*\}|[\w$]+)`

/** Each pattern ends with the quote that opens the module's name. */
const FORMS: readonly [RegExp, (found: RegExpExecArray) => Reading][] = [
  [
    new RegExp(
      String.raw`(?<![.\w$])(?:import|export)\s*(type(?=[\s{*])(?!\s*from\s*['"]))?\s*${NAMES}\s*from\s*['"]`,
      'g',
    ),
    (found) => ({ typeOnly: found[1] !== undefined, names: namesOf(found[2] ?? '') }),
  ],
  [/(?<![.\w$])import\s*['"]/g, () => VALUE],
  // `typeof import('x')` is a type; any other call loads the module.
  [/(?<![.\w$])(typeof\s+)?import\s*\(\s*['"`]/g, (found) => ({ typeOnly: found[1] !== undefined, names: [] })],
  [/(?<![.\w$])require\s*\(\s*['"`]/g, () => VALUE],
  [/(?<![.\w$])new\s+URL\s*\(\s*['"`](?=[^)]*import\.meta\.url)/g, () => VALUE],
]

function namesOf(clause: string): string[] {
  const braces = /\{([^{}]*)\}/.exec(clause)?.[1] ?? ''
  return braces
    .split(',')
    .map(
      (part) =>
        part
          .trim()
          .replace(/^type\s+/, '')
          .split(/\s+as\s+/)[0] ?? '',
    )
    .filter((name) => name !== '')
}

/** Walks the text once. Quotes that don't close on their line are apostrophes of JSX text. */
function blank(text: string): { code: string; spans: Span[] } {
  const out = [...Array.from({ length: text.length }, (_, index) => text[index] ?? '')]
  const spans: Span[] = []
  const erase = (from: number, to: number): void => {
    for (let index = from; index < to; index++) if (out[index] !== '\n') out[index] = ' '
  }
  /** Depth of braces at which each open template goes on. */
  const templates: number[] = []
  let depth = 0
  let at = 0
  const template = (from: number): number => {
    const end = endOfTemplate(text, from)
    spans.push({ start: from - 1, text: text.slice(from, end) })
    erase(from, end)
    if (text[end] !== '$') return end + 1
    templates.push(depth++)
    return end + 2
  }
  while (at < text.length) {
    const char = text[at]
    const end = char === '/' ? endOfSlash(text, at, out) : at
    if (end > at) {
      erase(at, end)
      at = end
    } else if (char === "'" || char === '"') {
      const close = endOfQuoted(text, at)
      if (close > at) {
        spans.push({ start: at, text: text.slice(at + 1, close) })
        erase(at + 1, close)
      }
      at = Math.max(close, at) + 1
    } else if (char === '`') {
      at = template(at + 1)
    } else if (char === '}' && templates.at(-1) === depth - 1) {
      depth = templates.pop() ?? 0
      at = template(at + 1)
    } else {
      if (char === '{') depth++
      if (char === '}') depth--
      at++
    }
  }
  return { code: out.join(''), spans }
}

/** Index behind a comment or regular expression that begins at `at`, or `at` when it is a division or a closing tag. */
function endOfSlash(text: string, at: number, out: readonly string[]): number {
  if (text[at + 1] === '/') {
    const end = text.indexOf('\n', at)
    return end < 0 ? text.length : end
  }
  if (text[at + 1] === '*') {
    const end = text.indexOf('*/', at + 2)
    return end < 0 ? text.length : end + 2
  }
  const before = out
    .slice(Math.max(0, at - 40), at)
    .join('')
    .trimEnd()
  const opens = /(?:^|[=(,:[!&|?;{+\-*%~^>]|\b(?:return|typeof|case|in|of|void|yield|await|throw))$/.test(before)
  if (!opens || text[at + 1] === '>') return at
  const regex = /\/(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\[\n])+\/[a-z]*/y
  regex.lastIndex = at
  return regex.test(text) ? regex.lastIndex : at
}

function endOfQuoted(text: string, at: number): number {
  for (let index = at + 1; index < text.length && text[index] !== '\n'; index++) {
    if (text[index] === '\\') index++
    else if (text[index] === text[at]) return index
  }
  return at
}

/** Index of the closing backtick, or of the `$` of a substitution. */
function endOfTemplate(text: string, from: number): number {
  for (let index = from; index < text.length; index++) {
    if (text[index] === '\\') index++
    else if (text[index] === '`' || (text[index] === '$' && text[index + 1] === '{')) return index
  }
  return text.length
}

function lineCounter(text: string): (index: number) => number {
  const starts = Array.from(text.matchAll(/\n/g), (found) => found.index)
  return (index) => {
    let low = 0
    let high = starts.length
    while (low < high) {
      const middle = (low + high) >> 1
      if ((starts[middle] ?? 0) < index) low = middle + 1
      else high = middle
    }
    return low + 1
  }
}
