/**
 * Who may import whom: the table of the house. A row names what a room's files may import at run time (`may`) and what
 * they may only `import type` (`types`), by room; packages by name, `node` for Node's own modules. Importing within the
 * room is fine unless `apart`. Test files may import anything, and nothing imports them.
 */
export interface Room {
  readonly name: string
  readonly files: RegExp
  readonly may?: readonly string[]
  readonly types?: readonly string[]
  readonly packages?: readonly string[]
  /** Packages of which only types are taken. */
  readonly typePackages?: readonly string[]
  /** Files of this room don't know each other. */
  readonly apart?: boolean
}

const DB_MODEL = 'db/model'

/** The first row whose pattern matches a file is its room. */
export const ROOMS: readonly Room[] = [
  { name: DB_MODEL, files: /^db\/model\//, packages: ['zod'] },
  { name: 'db/schema', files: /^db\/schema\//, types: [DB_MODEL], typePackages: ['kysely'] },
  { name: 'db/migrations', files: /^db\/migrations\//, packages: ['kysely'] },
  { name: 'db/stores', files: /^db\/stores\//, may: [DB_MODEL], types: ['db/schema'], packages: ['kysely'] },
  { name: 'db/kv/contract', files: /^db\/kv\/kv\.ts$/ },
  { name: 'db/kv', files: /^db\/kv\//, may: ['db/kv/contract'], packages: ['ioredis', '@upstash/redis'] },
  {
    name: 'db',
    files: /^db\/(embedded\/[\w-]+|open|migrate|sent-notices|vault)\.ts$/,
    may: [DB_MODEL, 'db/migrations', 'db/schema'],
    packages: [
      'node',
      'kysely',
      'kysely-postgres-js',
      'postgres',
      '@electric-sql/pglite',
      '@electric-sql/pglite-socket',
    ],
  },

  { name: 'server/wire', files: /^server\/wire\//, may: [DB_MODEL], packages: ['node:buffer'] },
  { name: 'server/guard', files: /^server\/guard\// },
  { name: 'server/semantic', files: /^server\/semantic\// },
  {
    name: 'server/providers/index',
    files: /^server\/providers\/index\.ts$/,
    may: ['server/providers'],
    types: ['server/upstream'],
  },
  {
    name: 'server/providers/request',
    files: /^server\/providers\/request\.ts$/,
    may: ['server/wire'],
    types: ['server/providers', 'server/upstream'],
  },
  {
    name: 'server/providers',
    files: /^server\/providers\//,
    may: ['server/wire'],
    types: ['server/upstream'],
    packages: ['node:buffer', 'aws4'],
  },
  {
    name: 'server/catalog',
    files: /^server\/catalog\//,
    may: [DB_MODEL],
    types: ['server/wire'],
    packages: ['@pydantic/genai-prices', 'zod', 'node:crypto'],
  },

  { name: 'server/upstream', files: /^server\/upstream\.ts$/ },
  { name: 'server/http', files: /^server\/(http|reply)\.ts$/ },
  { name: 'server/errors', files: /^server\/errors\.ts$/, types: [DB_MODEL] },
  { name: 'server/accounts', files: /^server\/accounts\.ts$/, types: ['server/deps'] },
  // What route chooses by.
  {
    name: 'server/targets',
    files: /^server\/(affinity|fallbacks|order)\.ts$/,
    may: ['server/errors', 'server/wire', DB_MODEL],
    types: ['server/call', 'server/deps'],
    packages: ['node:buffer', 'node:crypto'],
  },
  { name: 'server/speeds', files: /^server\/speeds\.ts$/, types: ['server/deps'] },
  { name: 'server/failure', files: /^server\/failure\.ts$/, may: ['server/errors'], types: ['server/upstream'] },
  {
    name: 'server/counter',
    files: /^server\/counter\.ts$/,
    may: ['server/wire'],
    types: ['server/upstream', 'server/providers'],
  },
  { name: 'server/unframe', files: /^server\/unframe\.ts$/, may: ['server/wire'], types: ['server/upstream'] },
  { name: 'server/fetch', files: /^server\/fetch\.ts$/, may: ['server/http'] },
  {
    name: 'server/deps',
    files: /^server\/(deps|control|provider-health)\.ts$/,
    types: [DB_MODEL, 'db/kv/contract', 'db/stores', 'db', 'server/providers', 'server/upstream'],
  },
  {
    name: 'server/call',
    files: /^server\/call\.ts$/,
    types: [
      DB_MODEL,
      'server/deps',
      'server/errors',
      'server/http',
      'server/limits',
      'server/providers',
      'server/upstream',
      'server/wire',
    ],
  },
  {
    name: 'server/routing',
    files: /^server\/routing\//,
    may: [
      'server/call',
      'server/http',
      'server/accounts',
      'server/targets',
      'server/errors',
      'server/wire',
      'server/catalog',
      'server/providers/request',
      'server/counter',
      DB_MODEL,
    ],
    types: ['server/deps', 'server/providers'],
  },
  {
    name: 'server/stages',
    files: /^server\/stages\//,
    apart: true,
    may: [
      'server/routing',
      'server/accounts',
      'server/call',
      'server/errors',
      'server/failure',
      'server/http',
      'server/wire',
      'server/catalog',
      'server/guard',
      'server/semantic',
      'server/providers/index',
      'server/providers/request',
      'server/unframe',
      'server/counter',
      'server/idempotency',
      'server/limits',
      'server/targets',
      DB_MODEL,
    ],
    types: ['server/deps', 'server/upstream', 'server/providers', 'db/kv/contract'],
    packages: ['node:buffer', 'node:util', 'node:zlib'],
  },
  // What admit, reserve, relay, respond and meter share: what limits a call, what it holds, what it paid.
  {
    name: 'server/limits',
    files: /^server\/limits\//,
    may: ['server/call', 'server/errors', 'server/failure', 'server/wire', 'server/catalog', DB_MODEL],
    types: ['server/deps', 'db/kv/contract'],
    packages: ['node:buffer'],
  },
  {
    name: 'server/idempotency',
    files: /^server\/idempotency\//,
    may: ['server/call', 'server/errors', 'server/failure', 'server/http', 'server/wire', DB_MODEL],
    types: ['server/deps'],
    packages: ['node:buffer', 'node:crypto'],
  },
  {
    name: 'server/pipeline',
    files: /^server\/pipeline\.ts$/,
    may: ['server/stages', 'server/errors', 'server/failure'],
    types: ['server/call', 'server/deps', 'server/http', 'server/wire'],
  },
  {
    name: 'server/endpoints',
    files: /^server\/endpoints\//,
    may: [
      'server/accounts',
      'server/pipeline',
      'server/wire',
      'server/catalog',
      'server/errors',
      'server/billing',
      'server/http',
      // api.ts: everything below /api.
      'server/console',
      DB_MODEL,
    ],
    types: ['server/call', 'server/deps'],
  },
  {
    name: 'server/console',
    files: /^server\/console\//,
    may: [
      'server/accounts',
      'server/pipeline',
      'server/billing',
      'server/alerts',
      'server/reconcile',
      'server/catalog',
      'server/errors',
      'server/providers/index',
      DB_MODEL,
    ],
    types: ['server/deps', 'server/http', 'db/stores'],
    packages: ['node:crypto', 'zod', '@trpc/server', 'trpc-to-openapi', 'zod-openapi', 'better-auth'],
    typePackages: ['kysely'],
  },
  {
    name: 'server/billing',
    files: /^server\/billing(\.ts$|\/)/,
    may: ['server/errors', DB_MODEL],
    types: ['server/deps', 'db/stores'],
    packages: ['stripe', 'node:crypto'],
  },
  {
    name: 'server/alerts',
    files: /^server\/alerts(\.ts$|\/)/,
    may: [DB_MODEL],
    types: ['server/deps', 'server/upstream', 'db/stores'],
    packages: ['node:buffer', 'node:crypto'],
  },
  {
    name: 'server/reconcile',
    files: /^server\/reconcile(\.ts$|\/)/,
    may: ['server/catalog', 'server/errors', 'server/failure', DB_MODEL],
    types: ['server/deps', 'server/upstream', 'db/stores'],
    packages: ['node:buffer', 'zod'],
  },
  {
    name: 'server/bodies',
    files: /^server\/bodies(\.ts$|\/)/,
    may: [DB_MODEL],
    types: ['server/deps', 'db/stores', 'db'],
    packages: ['node:buffer', 'node:timers'],
  },
  {
    name: 'server/jobs',
    files: /^server\/jobs\.ts$/,
    types: ['server/deps', 'db/stores'],
  },
  {
    name: 'server/journal',
    files: /^server\/journal([\w-]*\.ts$|\/)/,
    may: [DB_MODEL],
    types: ['server/deps', 'db/stores'],
    packages: ['node'],
  },
  {
    name: 'server/directory',
    files: /^server\/directory\.ts$/,
    types: ['server/deps', 'db/stores'],
    packages: ['node:crypto'],
  },
  {
    name: 'server/bootstrap',
    files: /^server\/bootstrap\.ts$/,
    may: [DB_MODEL, 'server/directory'],
    types: ['server/config', 'server/deps', 'db/stores'],
  },
  {
    name: 'server/multipliers',
    files: /^server\/multipliers\.ts$/,
    may: [DB_MODEL],
    types: ['server/deps', 'db/stores'],
  },
  {
    name: 'server/pauses',
    files: /^server\/pauses\.ts$/,
    may: [DB_MODEL],
    types: ['server/deps', 'db/stores', 'db/kv/contract'],
  },
  { name: 'server/overload', files: /^server\/overload(\.ts$|\/)/, types: ['server/deps'] },
  {
    name: 'server/breaker',
    files: /^server\/breaker(\.ts$|\/)/,
    may: [DB_MODEL],
    types: ['server/deps', 'db/kv/contract'],
  },
  { name: 'server/mail', files: /^server\/mail\.ts$/, types: ['server/deps'], packages: ['nodemailer'] },
  { name: 'server/version', files: /^server\/version\.ts$/ },
  {
    name: 'server/routes',
    files: /^server\/routes\.ts$/,
    may: ['server/endpoints', 'server/console'],
    types: ['server/router'],
  },
  {
    name: 'server/router',
    files: /^server\/router\.ts$/,
    types: ['server/endpoints'],
  },
  {
    name: 'server/app',
    files: /^server\/app\.ts$/,
    // endpoints: what answers when no path of the list does.
    may: ['server/routes', 'server/router', 'server/jobs', 'server/endpoints', 'server/errors', 'server/fetch'],
    types: ['server/config', 'server/deps', 'server/http'],
  },
  {
    name: 'server/config',
    files: /^server\/config\.ts$/,
    may: [DB_MODEL],
    types: ['server/deps', 'server/providers'],
    packages: ['node', 'zod'],
  },
  {
    name: 'server/runtime',
    files: /^server\/runtime\//,
    may: ['server/http', 'server/fetch'],
    types: ['server/upstream', 'server/deps', 'server/config'],
    packages: ['node', 'crossws', '@logtape/logtape'],
  },
  {
    name: 'server/credentials',
    files: /^server\/credentials\.ts$/,
    may: [DB_MODEL, 'server/targets'],
    types: ['server/config', 'server/deps', 'db/stores', 'db'],
  },
  { name: 'server/plans', files: /^server\/plans\.ts$/, may: [DB_MODEL], types: ['server/deps', 'db/stores'] },
  { name: 'server/rotate-secret', files: /^server\/rotate-secret\.ts$/, may: ['*'], packages: ['*'] },
  // What others import: no code of the server.
  { name: 'server/client', files: /^server\/client\.ts$/, types: ['server/console'], packages: ['@trpc/client'] },
  { name: 'server/client-types', files: /^server\/client-types\.ts$/, packages: ['node'] },
  // The folder: parts of a start, each made of others; only main.ts knows them.
  { name: 'server/main', files: /^server\/main(\.ts$|\/)/, may: ['*'], packages: ['*'] },
  {
    name: 'server/watchllm',
    files: /^server\/watchllm\.ts$/,
    may: ['server/main', 'server/config', 'server/rotate-secret'],
    packages: ['node'],
  },

  { name: 'web/ui', files: /^web\/ui\//, packages: ['solid-js', '@kobalte/core', 'uplot'] },
  {
    name: 'web/pages',
    files: /^web\/pages\//,
    may: ['web/ui', 'web/data', 'web/run', DB_MODEL],
    packages: ['solid-js', '@solidjs/router', '@tanstack/solid-query'],
  },
  { name: 'web/data', files: /^web\/data\.ts$/, types: ['server/console'], packages: ['@trpc/client'] },
  { name: 'web/run', files: /^web\/run\.ts$/, may: ['web/data', DB_MODEL], packages: ['solid-js'] },
  {
    name: 'web',
    files: /^web\/(app|main|css\.d)\.tsx?$/,
    may: ['web/pages', 'web/ui', 'web/data'],
    packages: [
      'solid-js',
      '@solidjs/router',
      '@tanstack/solid-query',
      '@fontsource-variable/instrument-sans',
      '@fontsource-variable/geist-mono',
    ],
  },
  { name: 'test', files: /^test\//, may: ['*'], packages: ['*'] },
  { name: 'vite.config.ts', files: /^vite\.config\.ts$/, may: ['*'], packages: ['*'] },
]

/** Only these read the environment. */
export const READS_ENV = /^(server\/config\.ts|vite\.config\.ts|test\/.*)$/
/** Only this calls a provider; main.ts makes the way out and closes it. */
export const CALLS_PROVIDERS =
  /^(server\/stages\/(dispatch|probe)\.ts|server\/reconcile\/asking\.ts|server\/main\.ts|test\/.*)$/
/** Only these speak SQL. */
export const SPEAKS_SQL = /^(db\/(stores|migrations|embedded)\/.*|db\/(open|migrate)\.ts|test\/.*)$/
/** The line and the pure rooms: time and randomness come from deps, bytes from the caller. */
export const NO_CLOCK =
  /^server\/(wire|guard|semantic|stages|idempotency|endpoints|catalog|providers|console)\/|^server\/(pipeline|app|routes)\.ts$/
/** Files of data, not of code: free of the cap of lines. */
export const DATA_FILES = /^(server\/catalog\/models([\w-]*\.ts|\/.*)|test\/fixtures\/.*)$/
export const MAX_LINES = 400
export const MAX_PROVIDER_LINES = 60
