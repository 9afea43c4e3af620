import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { inspect } from './helpers/house.ts'
import { readSource } from './helpers/source.ts'

const ROOT = new URL('..', import.meta.url)

/** Every source file of the project, as it lies on the disk. */
function projectFiles(): Map<string, string> {
  const paths = ['server', 'db', 'web', 'test'].flatMap((top) =>
    readdirSync(fileURLToPath(new URL(top, ROOT)), { recursive: true, encoding: 'utf8' }).map(
      (path) => `${top}/${path.replaceAll('\\', '/')}`,
    ),
  )
  const sources = [...paths, 'vite.config.ts'].filter((path) => /\.tsx?$/.test(path))
  return new Map(sources.map((path) => [path, readFileSync(new URL(path, ROOT), 'utf8')]))
}

it('the house stands: imports, rings, sizes, env, providers, SQL, clock, names', () => {
  expect(inspect(projectFiles())).toEqual([])
})

describe('the guard itself', () => {
  const cases: [rule: string, files: Record<string, string>, offence: string, times?: number][] = [
    [
      'a room imports one that it may not',
      { 'server/wire/a.ts': "\nimport { x } from '../stages/b.ts'", 'server/stages/b.ts': '' },
      'server/wire/a.ts:2 imports server/stages/b.ts: server/wire may not import server/stages',
    ],
    [
      'a value where only types are allowed',
      { 'server/stages/a.ts': "import { clock } from '../deps.ts'" },
      'server/stages/a.ts:1 imports server/deps.ts: server/stages may only import types of server/deps',
    ],
    [
      'a type in braces, which loads the module all the same',
      { 'server/stages/a.ts': "import { type Deps } from '../deps.ts'" },
      'server/stages/a.ts:1 imports server/deps.ts: server/stages may only import types of server/deps',
    ],
    [
      'one stage knows another',
      { 'server/stages/a.ts': "import type { B } from './b.ts'", 'server/stages/b.ts': '' },
      'server/stages/a.ts:1 imports server/stages/b.ts: files of server/stages may not import each other',
    ],
    [
      'a re-export, an import of a module for its effect, a dynamic one, a worker',
      {
        'server/guard/a.ts': "export * from '../errors.ts'",
        'server/guard/b.ts': "import '../errors.ts'",
        'server/guard/c.ts': "const e = await import('../errors.ts')",
        'server/guard/d.ts': "new Worker(new URL('../errors.ts', import.meta.url))",
      },
      'server/guard/[abcd].ts:1 imports server/errors.ts: server/guard may not import server/errors',
      4,
    ],
    [
      'a package',
      { 'server/guard/a.ts': "import fs from 'node:fs'" },
      'server/guard/a.ts:1 imports node:fs: server/guard may not import node:fs',
    ],
    [
      'Stripe outside billing',
      { 'server/console/a.ts': "import Stripe from 'stripe'" },
      'server/console/a.ts:1 imports stripe: server/console may not import stripe',
    ],
    [
      'a package of which only types are taken',
      { 'db/schema/a.ts': "import { sql } from 'kysely'" },
      'db/schema/a.ts:1 imports kysely: db/schema may only import types of kysely',
    ],
    [
      'the schema where only stores go',
      { 'web/pages/a.tsx': "import { x } from '../../db/stores/b.ts'" },
      'web/pages/a.tsx:1 imports db/stores/b.ts: web/pages may not import db/stores',
    ],
    ['a room nobody knows', { 'server/annex/a.ts': '' }, 'server/annex/a.ts:1 has no room: give this room a row'],
    ['no extension', { 'server/guard/a.ts': "import './b'" }, 'server/guard/a.ts:1 imports ./b: write the file'],
    [
      'test',
      { 'server/main.ts': "import { x } from '../test/helpers/x.ts'" },
      'server/main.ts:1 imports test/helpers/x.ts: nothing imports test',
    ],
    [
      'a ring',
      {
        'server/wire/a.ts': "import './b.ts'",
        'server/wire/b.ts': "export { x } from './c.ts'",
        'server/wire/c.ts': "\nimport { y } from './a.ts'",
      },
      'server/wire/c.ts:2 closes a ring: server/wire/a.ts -> server/wire/b.ts -> server/wire/c.ts -> server/wire/a.ts',
    ],
    ['401 lines', { 'server/wire/a.ts': '\n'.repeat(401) }, 'server/wire/a.ts:401 is longer than 400 lines'],
    [
      'env, in each of its spellings',
      {
        'server/wire/a.ts': 'process.env.X',
        'server/wire/b.ts': 'Deno.env.get("X")',
        'server/wire/c.ts': 'Bun.env.X',
        'server/wire/d.ts': 'import.meta.env.X',
        'server/runtime/a.ts': "process['env']",
        'server/runtime/b.ts': 'process\n  ?.env',
        'server/runtime/c.ts': "import { env } from 'node:process'",
      },
      '[abcd].ts:1 reads the environment: only server/config.ts does',
      7,
    ],
    [
      'a second caller of providers',
      {
        'server/stages/a.ts': 'deps.upstream.start()',
        'server/stages/b.ts': 'const { clock, upstream } = deps',
        'server/stages/c.ts': 'function f({ upstream }: Deps) {}',
      },
      'server/stages/[abc].ts:1 uses deps.upstream: only server/stages/dispatch.ts calls a provider',
      3,
    ],
    [
      'SQL, by builder, template and text',
      {
        'server/stages/a.ts': "db.selectFrom('calls')",
        'server/stages/b.ts': 'sql`select 1`',
        'server/stages/c.ts': "query('select id from calls where x = 1')",
        'server/stages/d.ts': 'query(`\n  INSERT INTO calls values (1)`)',
      },
      'server/stages/[abcd].ts:1 speaks SQL: only db/stores does',
      4,
    ],
    [
      'a clock, chance or call of its own',
      {
        'server/wire/a.ts': 'Date.now()',
        'server/stages/b.ts': 'Math.random()',
        'server/pipeline.ts': 'await fetch(url)',
      },
      'server/(wire/a|stages/b|pipeline).ts:1 (takes time or chance from the process|calls fetch)',
      3,
    ],
    [
      'a name that says nothing',
      { 'server/wire/utils.ts': '', 'db/stores/helpers/a.ts': '', 'web/ui/service.ts': '' },
      '(utils|a|service).ts:1 has a name that says nothing',
      3,
    ],
    [
      'any, in each of its spellings',
      {
        'server/wire/a.ts': 'const x: any = 1',
        'server/wire/b.ts': 'f(x as any)',
        'server/wire/c.ts': 'new Map<string, any>()',
        'server/wire/d.ts': 'type X = any[] | null',
      },
      'server/wire/[abcd].ts:1 says any',
      4,
    ],
    [
      'a provider that is not in the list',
      { 'server/providers/acme.ts': 'export const acme: Provider = {}', 'test/x.test.ts': "'acme'" },
      'server/providers/acme.ts:1 is not registered in server/providers/index.ts',
    ],
    [
      'a provider that no test knows',
      {
        'server/providers/acme.ts': 'export const acme = {} satisfies Provider',
        'server/providers/index.ts': "import { acme } from './acme.ts'",
      },
      'server/providers/acme.ts:1 is in no test',
    ],
    [
      'a provider that is a wire',
      {
        'server/providers/acme.ts': `export const acme: Provider = {}${'\n// more'.repeat(60)}`,
        'server/providers/index.ts': "import { acme } from './acme.ts'",
        'test/x.test.ts': "'acme'",
      },
      'server/providers/acme.ts:61 is longer than 60 lines: a wire is missing',
    ],
  ]

  it.each(cases)('finds: %s', (_rule, files, offence, times = 1) => {
    const found = inspect(new Map(Object.entries(files)))
    const pattern = new RegExp(offence.replaceAll('.ts', '\\.ts'))
    expect(found.filter((one) => !pattern.test(one))).toEqual([])
    expect(found, 'one for each spelling').toHaveLength(times)
  })

  it('lets good neighbours be', () => {
    const files = {
      'server/stages/a.ts': `import type { Deps } from '../deps.ts'
import { GatewayError } from '../errors.ts'
// import { x } from '../main.ts' — and process.env, deps.upstream, : any
/* sql\`\` */
const text = "import { x } from '../main.ts'; process.env.X; x as any"
const template = \`import x from '../main.ts' \${f('\${process.env}')} Date.now()\`
const regex = /import 'x' from "..\\/main.ts" [/'"] process.env/g
const many = a / b / c, either = 'select a model from the list', Any = Promise.any([])
deps.log.info("it's any: model")`,
      'server/stages/dispatch.ts': 'deps.upstream.start()',
      'server/config.ts': 'process.env.PORT',
      'server/pipeline.ts': "import { a } from './stages/a.ts'\nexport default { fetch(request: Request) {} }",
      'db/stores/calls.ts': "import { sql } from 'kysely'\nsql`select 1`",
      'server/errors.ts': '',
      'server/deps.ts': "import type { Provider } from './providers/provider.ts'",
      'server/providers/provider.ts': "import type { Upstream } from '../upstream.ts'",
      'server/upstream.ts': '',
    }
    // A prose string of its own making: lower case on purpose, as a control.
    files['server/stages/a.ts'] = files['server/stages/a.ts'].replace('select a', 'Select a')
    expect(inspect(new Map(Object.entries(files)))).toEqual([])
  })

  it('type-only imports make no ring', () => {
    const files = { 'server/wire/a.ts': "import type { B } from './b.ts'", 'server/wire/b.ts': "import './a.ts'" }
    expect(inspect(new Map(Object.entries(files)))).toEqual([])
  })
})

describe('readSource()', () => {
  it('reads every form of import, with its line, names and whether it is gone at run time', () => {
    const { imports } = readSource(`import a from 'a'
import b, { c as d, type E } from "b"
import * as f from 'f'
import type { G } from 'g'
import type H from 'h'
export { i } from 'i'
export type { J } from 'j'
export * as k from 'k'
import {
  l,
} from 'l'
type M = typeof import('m')
const n = () => import('n')
import type from 'o'
import 'p'; const q = require('q')`)
    const seen = imports.map(({ line, specifier, typeOnly }) => `${line}${specifier}${typeOnly ? ' T' : ''}`)
    expect(seen).toEqual([
      '1a',
      '2b',
      '3f',
      '4g T',
      '5h T',
      '6i',
      '7j T',
      '8k',
      '9l',
      '12m T',
      '13n',
      '14o',
      '15p',
      '15q',
    ])
    expect(imports[1]?.names).toEqual(['c', 'E'])
  })

  it('knows comments, strings, nested templates, regular expressions and JSX text from code', () => {
    const text = `const a = \`x \${b ? \`y \${'}'} z\` : "}"} import 'no'\` // import 'no'
const c = <p title="it's">don't import 'no' here</p> /* import 'no' */
const d = /[/'"]import/.test(x) ? 1 / 2 : "a\\"import"
import 'yes'`
    const { imports, code } = readSource(text)
    expect(imports.map(({ specifier, line }) => [specifier, line])).toEqual([['yes', 4]])
    expect(code).toHaveLength(text.length)
    expect(code.split('\n')).toHaveLength(4)
  })
})
