import { execFile } from 'node:child_process'
import * as fs from 'node:fs'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { writeClientTypes } from '../../server/client-types.ts'
import { builtServer, ROOT } from '../helpers/build.ts'
import { type ConsoleApp, consoleApp } from '../helpers/console.ts'
import { cleanUp, temporaryFolder } from '../helpers/server.ts'

const run = promisify(execFile)

/** What somebody writes who has read the README. */
const PROGRAM = `
import { createClient, refusalOf } from 'watchllm/client'

const client = createClient({ baseUrl: process.argv[2]!, token: process.argv[3]! })
const [me, projects] = await Promise.all([client.me.get.query({}), client.projects.list.query({})])
const email: string = me.email
const names: string[] = projects.data.map((project) => project.name)
const refusal = await client.projects.get.query({ id: 'prj_unknown' }).catch(refusalOf)
console.log(JSON.stringify({ email, names, refusal }))

// @ts-expect-error no such procedure
client.projects.lists
// @ts-expect-error no such member
export const wrong = (): unknown => client.projects.get.query({ project: 1 })
`

const CONFIG = {
  compilerOptions: {
    ...{ target: 'ES2023', lib: ['ES2023', 'DOM'], module: 'NodeNext', types: ['node'] },
    ...{ strict: true, skipLibCheck: false, exactOptionalPropertyTypes: true, outDir: 'out' },
  },
  files: ['use.ts'],
}

let house: ConsoleApp
let folder: string

beforeAll(async () => {
  house = await consoleApp()
  folder = await installed()
}, 120_000)
afterAll(async () => {
  await house?.close()
  await cleanUp()
}, 30_000)

describe('watchllm/client, packed and used from an empty folder', { timeout: 120_000 }, () => {
  it('type-checks strictly, libraries included, and talks to a running gateway', async () => {
    const organizationId = await house.organization()
    const { person } = await house.signedIn(organizationId, 'owner')
    await house.project(organizationId, 'Packed')
    const { secret } = await house.token({
      organizationId,
      personId: person.id,
      scopes: ['organization:read', 'projects:read'],
    })
    fs.writeFileSync(join(folder, 'use.ts'), PROGRAM)
    fs.writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(CONFIG))
    const tsc = join(ROOT, 'node_modules/typescript/bin/tsc')
    await run(process.execPath, [tsc, '-p', folder]).catch(({ stdout }: { stdout: string }) => {
      throw new Error(stdout)
    })
    const { url } = await house.app.listen()
    const { stdout } = await run(process.execPath, [join(folder, 'out/use.js'), url, secret])
    expect(JSON.parse(stdout)).toEqual({
      email: person.email,
      names: ['Packed'],
      refusal: expect.objectContaining({ status: 404, code: 'not_found' }),
    })
  })

  it('carries no code of the server', () => {
    const code = fs.readFileSync(join(folder, 'node_modules/watchllm/dist/server/client.js'), 'utf8')
    expect(code.match(/from ['"][^'"]+['"]/g)).toEqual(['from "@trpc/client"'])
    expect(code.length).toBeLessThan(5_000)
  })
})

/** An empty folder after `npm install watchllm.tgz`: the dependencies are linked, since tests use no network. */
async function installed(): Promise<string> {
  const source = join(temporaryFolder(), 'watchllm')
  const server = dirname(await builtServer())
  fs.cpSync(server, join(source, 'dist/server'), { recursive: true })
  writeClientTypes(join(source, 'dist/types'))
  fs.copyFileSync(join(ROOT, 'package.json'), join(source, 'package.json'))
  const { stdout } = await run('npm', ['pack', '--ignore-scripts', '--json', '--offline'], { cwd: source })
  const [packed] = JSON.parse(stdout) as [{ readonly filename: string }]
  const folder = temporaryFolder()
  const target = join(folder, 'node_modules/watchllm')
  fs.mkdirSync(target, { recursive: true })
  await run('tar', ['-xzf', join(source, packed.filename), '-C', target, '--strip-components=1'])
  for (const name of ['@trpc', '@types']) {
    fs.symlinkSync(join(ROOT, 'node_modules', name), join(folder, 'node_modules', name))
  }
  fs.writeFileSync(join(folder, 'package.json'), JSON.stringify({ type: 'module' }))
  return folder
}
