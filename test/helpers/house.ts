import { posix } from 'node:path'
import {
  CALLS_PROVIDERS,
  DATA_FILES,
  MAX_LINES,
  MAX_PROVIDER_LINES,
  NO_CLOCK,
  READS_ENV,
  ROOMS,
  type Room,
  SPEAKS_SQL,
} from './rooms.ts'
import { type Import, readSource, type Source } from './source.ts'

/** Paths from the project's root, with slashes, and their text. */
export type Files = ReadonlyMap<string, string>

/** Everything in the files that breaks a rule of the house, as `file:line what`, sorted. Empty: the house stands. */
export function inspect(files: Files): string[] {
  const sources = new Map(Array.from(files, ([path, text]) => [path, readSource(text)] as const))
  const offences = [...cycles(sources), ...providers(files, sources)]
  for (const [path, source] of sources) {
    const say = (line: number, what: string): number => offences.push(`${path}:${line} ${what}`)
    const room = roomOf(path)
    if (room === null) say(1, `has no room: give this room a row in test/helpers/rooms.ts`)
    else for (const one of source.imports) checkImport(path, room, one, say)
    checkFile(path, files.get(path) ?? '', say)
    checkCode(path, source, say)
  }
  return offences.sort()
}

type Say = (line: number, what: string) => void

function roomOf(path: string): Room | null {
  return ROOMS.find((room) => room.files.test(path)) ?? null
}

function checkImport(path: string, room: Room, one: Import, say: Say): void {
  const { specifier, typeOnly, line } = one
  if (!specifier.startsWith('.')) return checkPackage(room, one, say)
  const target = resolve(path, specifier)
  if (!/\.\w+$/.test(target)) return void say(line, `imports ${specifier}: write the file's extension`)
  // Style sheets and their like belong to whom they lie beside.
  if (!/\.tsx?$/.test(target)) return
  if (target.startsWith('test/') && room.name !== 'test')
    return void say(line, `imports ${target}: nothing imports test`)
  const other = roomOf(target)
  if (other === null || room.may?.includes('*')) return
  if (other === room) {
    if (room.apart) say(line, `imports ${target}: files of ${room.name} may not import each other`)
    return
  }
  if (room.may?.includes(other.name)) return
  if (!room.types?.includes(other.name)) say(line, `imports ${target}: ${room.name} may not import ${other.name}`)
  else if (!typeOnly) say(line, `imports ${target}: ${room.name} may only import types of ${other.name}`)
}

function checkPackage(room: Room, { specifier, typeOnly, line }: Import, say: Say): void {
  const name = specifier.startsWith('node:')
    ? specifier
    : specifier.split('/', specifier.startsWith('@') ? 2 : 1).join('/')
  const allowed = [...(room.packages ?? []), ...(typeOnly ? (room.typePackages ?? []) : [])]
  const fits = (one: string): boolean => one === '*' || one === name || (one === 'node' && name.startsWith('node:'))
  if (allowed.some(fits)) return
  const how = room.typePackages?.includes(name) ? 'may only import types of' : 'may not import'
  say(line, `imports ${specifier}: ${room.name} ${how} ${name}`)
}

function checkFile(path: string, text: string, say: Say): void {
  const lines = text.split('\n').length - (text.endsWith('\n') ? 1 : 0)
  if (lines > MAX_LINES && !DATA_FILES.test(path)) say(lines, `is longer than ${MAX_LINES} lines: split it`)
  if (/^(server|db|web)\//.test(path) && /(^|\/)(utils?|helpers?|services?)(\/|\.|$)/.test(path)) {
    say(1, 'has a name that says nothing: name it for what it does')
  }
}

const CODE_RULES: readonly { in: RegExp; not?: RegExp; code: RegExp; what: string }[] = [
  {
    in: /./,
    not: READS_ENV,
    code: /\b(?:process|Deno|Bun|import\.meta)\s*(?:\?\.|\.)\s*env\b|\bprocess\s*(?:\?\.)?\[/g,
    what: 'reads the environment: only server/config.ts does',
  },
  {
    in: /./,
    not: CALLS_PROVIDERS,
    code: /\bdeps\s*(?:\?\.|\.)\s*upstream\b|\{[^{}=]*\bupstream\b[^{}=]*\}\s*(?:=\s*deps\b|:\s*Deps\b)/g,
    what: 'uses deps.upstream: only server/stages/dispatch.ts calls a provider',
  },
  {
    in: /./,
    not: SPEAKS_SQL,
    code: /\bsql\s*(?:<[^`]*>)?\s*`|\.(?:selectFrom|insertInto|updateTable|deleteFrom|mergeInto)\s*\(/g,
    what: 'speaks SQL: only db/stores does',
  },
  {
    in: NO_CLOCK,
    code: /\b(?:Date\s*\.\s*now|new\s+Date\s*\(\s*\)|Math\s*\.\s*random|performance\s*\.\s*now|randomUUID|randomBytes|getRandomValues|setTimeout|setInterval)\b/g,
    what: 'takes time or chance from the process: they come from deps',
  },
  {
    in: NO_CLOCK,
    code: /(?<![.\w$])fetch\s*\((?!\s*\w+\s*:)/g,
    what: 'calls fetch: only dispatch calls out, through deps',
  },
  {
    in: /^(server|db|web)\/.*\.ts$/,
    code: /(?:(?<=[:<,|&(=[]\s*)|(?<=\b(?:as|extends|keyof)\s+)|(?<==>\s*))any\b(?!\s*[(:.?])/g,
    what: 'says any: name the type, or unknown',
  },
]

function checkCode(path: string, { code, strings, imports }: Source, say: Say): void {
  const lineAt = (index: number): number => code.slice(0, index).split('\n').length
  for (const rule of CODE_RULES) {
    if (!rule.in.test(path) || rule.not?.test(path)) continue
    for (const found of code.matchAll(rule.code)) say(lineAt(found.index), rule.what)
  }
  const envImport = imports.find((one) => /^(node:)?process$/.test(one.specifier) && one.names.includes('env'))
  if (envImport !== undefined && !READS_ENV.test(path)) {
    say(envImport.line, 'reads the environment: only server/config.ts does')
  }
  if (SPEAKS_SQL.test(path) || !/^(server|db)\//.test(path)) return
  for (const { line, text } of strings) {
    if (SQL_TEXT.test(text)) say(line, 'speaks SQL: only db/stores does')
  }
}

/** Lower or upper case throughout: prose begins with one capital. */
const SQL_TEXT =
  /^\s*(?:select\s.*\sfrom\s|insert into\s|update\s\S+\sset\s|delete from\s|SELECT\s.*\sFROM\s|INSERT INTO\s|UPDATE\s\S+\sSET\s|DELETE FROM\s|(?:create|CREATE|alter|ALTER|drop|DROP) (?:table|TABLE|index|INDEX)\s)/s

/** Modules that need each other at run time, each ring once, beginning with its first file by name. */
function cycles(sources: ReadonlyMap<string, Source>): string[] {
  const edges = new Map<string, Import[]>()
  for (const [path, { imports }] of sources) {
    edges.set(
      path,
      imports.filter((one) => !one.typeOnly && one.specifier.startsWith('.')),
    )
  }
  const found: string[] = []
  const done = new Set<string>()
  const trail: string[] = []
  const visit = (path: string): void => {
    trail.push(path)
    for (const one of edges.get(path) ?? []) {
      const next = resolve(path, one.specifier)
      const from = trail.indexOf(next)
      if (from >= 0) found.push(`${path}:${one.line} closes a ring: ${[...trail.slice(from), next].join(' -> ')}`)
      else if (edges.has(next) && !done.has(next)) visit(next)
    }
    trail.pop()
    done.add(path)
  }
  for (const path of [...edges.keys()].sort()) if (!done.has(path)) visit(path)
  return found
}

const PROVIDER_INDEX = 'server/providers/index.ts'

/** Every provider's row is in the list, short, and known to a test. */
function providers(files: Files, sources: ReadonlyMap<string, Source>): string[] {
  const offences: string[] = []
  const listed = new Set(sources.get(PROVIDER_INDEX)?.imports.map((one) => resolve(PROVIDER_INDEX, one.specifier)))
  const tests = Array.from(files).filter(([path]) => path.endsWith('.test.ts') && path !== 'test/architecture.test.ts')
  for (const [path, source] of sources) {
    const row = /export const ([\w$]+)\s*(?::\s*Provider\b|=.*?\bsatisfies Provider\b)/s.exec(source.code)
    if (!/^server\/providers\/[\w-]+\.ts$/.test(path) || path === PROVIDER_INDEX || row === null) continue
    if (!listed.has(path)) offences.push(`${path}:1 is not registered in ${PROVIDER_INDEX}`)
    const lines = (files.get(path) ?? '').trimEnd().split('\n').length
    if (lines > MAX_PROVIDER_LINES) {
      offences.push(`${path}:${lines} is longer than ${MAX_PROVIDER_LINES} lines: a wire is missing`)
    }
    const id = new RegExp(`\\b${posix.basename(path, '.ts').replaceAll('-', '[-]')}\\b`)
    if (!tests.some(([, text]) => id.test(text))) offences.push(`${path}:1 is in no test: name it in one`)
  }
  return offences
}

function resolve(from: string, specifier: string): string {
  return posix.normalize(posix.join(posix.dirname(from), specifier))
}
