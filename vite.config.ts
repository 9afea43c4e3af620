import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import type { Plugin } from 'vite'
import solid from 'vite-plugin-solid'
import { defineConfig, type ViteUserConfig } from 'vitest/config'

const root = import.meta.dirname
const gateway = 'http://127.0.0.1:8787'

/** File names of the server bundle and where each starts. */
const serverEntries = {
  watchllm: 'server/watchllm.ts',
  main: 'server/main.ts',
  client: 'server/client.ts',
  'embedded-worker': 'db/embedded/worker.ts',
  'make-template': 'db/embedded/make-template.ts',
}

/**
 * Writes two tags into the head that Vite has no word for: the theme script, blocking and before the styles so that
 * no page is painted in the wrong theme (an external file, since the content security policy allows no inline
 * script), and the preload of the text font.
 */
function documentHead(): Plugin {
  const script = 'ui/theme-first.ts'
  let isDev = false
  return {
    name: 'watchllm:document-head',
    configResolved(config) {
      isDev = config.command === 'serve'
    },
    buildStart() {
      if (!isDev) this.emitFile({ type: 'chunk', id: `${root}/web/${script}`, name: 'theme-first' })
    },
    transformIndexHtml: {
      order: 'post',
      handler(_html, { bundle }) {
        const files = Object.values(bundle ?? {})
        const font = files.find((file) => file.fileName.includes('instrument-sans-latin-wght-normal'))
        const theme = files.find((file) => file.type === 'chunk' && file.facadeModuleId?.endsWith(script))
        if (theme?.type === 'chunk' && (theme.imports.length > 0 || theme.exports.length > 0))
          throw new Error(`web/${script} runs as a classic script: it can neither import nor export`)
        if (!isDev && (theme === undefined || font === undefined))
          throw new Error('The theme script or the text font is missing from the build')
        const src = `/${theme?.fileName ?? script}`
        const preload = {
          rel: 'preload',
          as: 'font',
          type: 'font/woff2',
          crossorigin: true,
          href: `/${font?.fileName}`,
        }
        return [
          { tag: 'script', attrs: { src }, injectTo: 'head-prepend' },
          ...(font ? [{ tag: 'link', attrs: preload, injectTo: 'head-prepend' as const }] : []),
        ]
      },
    },
  }
}

/** `vite build`: the console, to dist/web; everything under assets/ is named by its content. */
const web: ViteUserConfig = {
  root: `${root}/web`,
  plugins: [solid(), documentHead()],
  build: {
    outDir: `${root}/dist/web`,
    emptyOutDir: true,
    // The first of each that know light-dark(): older targets would have it rewritten
    target: ['chrome123', 'edge123', 'firefox128', 'safari17.5'],
    // A data: URL would need a hole in the content security policy
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
  server: { proxy: { '/v1': gateway, '/api': gateway, '/health': gateway } },
}

/** Puts the presets beside the server, for operators to name or to copy: dist/server/presets. */
function presets(): Plugin {
  const folder = `${root}/db/presets`
  return {
    name: 'watchllm:presets',
    buildStart() {
      for (const name of readdirSync(folder)) {
        this.emitFile({ type: 'asset', fileName: `presets/${name}`, source: readFileSync(`${folder}/${name}`) })
      }
    },
  }
}

/** `vite build --ssr`: the server, to flat files in dist/server; npm packages stay where npm put them. */
function server(): ViteUserConfig {
  const input = Object.fromEntries(
    Object.entries(serverEntries)
      .map(([name, path]) => [name, `${root}/${path}`] as const)
      .filter(([, path]) => existsSync(path)),
  )
  return {
    root,
    publicDir: false,
    plugins: [presets()],
    ssr: { target: 'node', external: true },
    build: {
      ssr: true,
      ssrEmitAssets: true,
      outDir: `${root}/dist/server`,
      emptyOutDir: true,
      target: 'node20',
      sourcemap: true,
      minify: false,
      rolldownOptions: {
        input,
        output: { format: 'es', entryFileNames: '[name].js', chunkFileNames: '[name]-[hash].js' },
      },
    },
  }
}

const test: ViteUserConfig = {
  root,
  test: {
    include: ['test/**/*.test.ts'],
    environment: 'node',
    pool: 'forks',
    // The embedded database is compiled anew in each of these processes, of which few live long enough to gain from the best code.
    execArgv: ['--liftoff-only'],
    // Both of two cores: by itself it leaves one free.
    maxWorkers: Math.max(2, availableParallelism() - 1),
    testTimeout: 20_000,
    hookTimeout: 20_000,
  },
}

export default defineConfig(({ isSsrBuild, mode }) => {
  if (mode === 'test') return test
  return isSsrBuild || mode === 'server' ? server() : web
})
