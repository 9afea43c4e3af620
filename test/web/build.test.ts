import { execFile } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { gzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

const root = join(import.meta.dirname, '../..')
const outDir = mkdtempSync(join(tmpdir(), 'watchllm-web-'))
let html = ''
let assets: { name: string; bytes: Buffer }[] = []

beforeAll(async () => {
  const { NODE_ENV: _test, ...env } = process.env
  const vite = join(root, 'node_modules/vite/bin/vite.js')
  await promisify(execFile)(process.execPath, [vite, 'build', '--outDir', outDir], { cwd: root, env })
  html = readFileSync(join(outDir, 'index.html'), 'utf8')
  const names = readdirSync(join(outDir, 'assets'))
  assets = names.map((name) => ({ name, bytes: readFileSync(join(outDir, 'assets', name)) }))
}, 60_000)

afterAll(() => rmSync(outDir, { recursive: true, force: true }))

const ofKind = (ending: string) => assets.filter(({ name }) => name.endsWith(ending))
const gzipped = (ending: string) => ofKind(ending).reduce((sum, { bytes }) => sum + gzipSync(bytes).length, 0)

describe('the built page', () => {
  it('has at most 40 kB of JavaScript and 12 kB of styles on the wire', () => {
    expect(gzipped('.js')).toBeGreaterThan(5_000)
    expect(gzipped('.js')).toBeLessThanOrEqual(40_000)
    expect(gzipped('.css')).toBeLessThanOrEqual(12_000)
  })

  it('runs under a policy of default-src self: nothing inline, no data: address, no other host', () => {
    expect(html).not.toMatch(/<style|\sstyle=|\son[a-z]+=/)
    for (const [, attributes, content] of html.matchAll(/<script([^>]*)>([^<]*)<\/script>/g)) {
      expect(attributes).toMatch(/src="\/assets\//)
      expect(content).toBe('')
    }
    for (const { bytes } of ofKind('.css')) expect(bytes.toString()).not.toMatch(/url\((?!"?\/assets\/)/)
    for (const { bytes } of ofKind('.js')) expect(bytes.toString()).not.toMatch(/\bnew Function\b|\beval\(/)
  })

  it('sets the theme before the first paint by a classic script, ahead of the styles', () => {
    const src = /<script src="\/assets\/(theme-first-[^"]+)">/.exec(html)
    expect(src).not.toBeNull()
    expect(src?.index).toBeLessThan(html.indexOf('rel="stylesheet"'))
    const script = assets.find(({ name }) => name === src?.[1])
    expect(script?.bytes.toString()).not.toMatch(/\b(?:import|export)\b/)
  })

  it('preloads the text font and leaves the code font to demand', () => {
    const preloads = [...html.matchAll(/rel="preload"[^>]*href="([^"]+)"/g)].map((match) => match[1])
    expect(preloads).toEqual([expect.stringMatching(/^\/assets\/instrument-sans-.*\.woff2$/)])
    expect(ofKind('.woff2')).toHaveLength(2)
  })

  it('names every asset by its content, so that it may be kept for ever', () => {
    for (const { name } of assets) expect(name).toMatch(/-[\w-]{8}\.\w+$/)
  })
})
