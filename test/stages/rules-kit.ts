import { afterEach, beforeEach } from 'vitest'
import { rulesOf } from '../../db/model/key-rules.ts'
import { limitsOf } from '../../db/model/limits.ts'
import { PLANS } from '../../db/model/plans.ts'
import type { KeySettings, ProjectSettings } from '../../db/model/settings.ts'
import type { Directory, Principal } from '../../server/deps.ts'
import { HELLO, PROJECT_KEY, post, TEST_KEY, type TestApp, testApp } from '../helpers/app.ts'
import { type HandClock, handClock } from '../helpers/clock.ts'
import { type ScriptedUpstream, startUpstream } from '../helpers/upstream.ts'
import { openaiProvider } from '../helpers/upstream-openai.ts'

/** What tests of keys with settings have in common. */

export const CHAT = '/v1/chat/completions'
export const SIBLING_KEY = 'lgw_proj_sibling0123456789abcdef01234567'
export const OTHER_KEY = 'lgw_proj_other0123456789abcdef0123456789'
export const START = Date.UTC(2026, 10, 21, 12, 0, 20, 500)

export interface Setup {
  readonly key?: Partial<KeySettings>
  readonly project?: Partial<ProjectSettings>
  readonly provider?: string
  readonly plan?: string
}

export let upstream: ScriptedUpstream
export let clock: HandClock
export let app: TestApp

/** To be called once a file. */
export function bench(): void {
  beforeEach(async () => {
    upstream = await startUpstream()
    upstream.script(openaiProvider())
    clock = handClock(START)
  })
  afterEach(async () => {
    await app.close()
    await upstream.close()
  })
}

/** A key with settings; another of its project and one of another project, both without. */
export function setUp(setup: Setup): void {
  app = testApp({ upstreamUrl: upstream.url, clock, deps: { directory: directoryOf(setup) } })
}

function directoryOf({ key = {}, project = {}, provider, plan = 'unlimited' }: Setup): Directory {
  const principal = (keyId: string, projectId: string, settings: Partial<KeySettings>): Principal => {
    const projectSettings = projectId === 'prj_one' ? project : {}
    const defaultProvider = projectId === 'prj_one' ? (provider ?? null) : null
    return {
      keyId,
      projectId,
      kind: keyId === 'key_test' ? 'test' : 'project',
      organizationId: 'org_one',
      plan: PLANS.find((one) => one.id === plan)!,
      rules: rulesOf({ settings, projectSettings, defaultProvider }),
      limits: limitsOf({
        ...{ keyId, projectId, organizationId: 'org_one', plan: PLANS.find((one) => one.id === plan)! },
        ...(settings.limits === undefined ? {} : { key: settings.limits }),
        ...(projectSettings.limits === undefined ? {} : { project: projectSettings.limits }),
      }),
    }
  }
  const known = new Map([
    [PROJECT_KEY, principal('key_one', 'prj_one', key)],
    [TEST_KEY, principal('key_test', 'prj_one', key)],
    [SIBLING_KEY, principal('key_sibling', 'prj_one', {})],
    [OTHER_KEY, principal('key_other', 'prj_two', {})],
  ])
  return { lookup: (secret) => known.get(secret) ?? null }
}

export interface Ask {
  readonly body?: object
  readonly headers?: Readonly<Record<string, string>>
  readonly path?: string
  readonly as?: string
}

export function ask(
  model: string,
  { body = {}, headers = {}, path = CHAT, as = PROJECT_KEY }: Ask = {},
): Promise<Response> {
  const all = { authorization: `Bearer ${as}`, ...headers }
  return app.fetch(post(path, { ...HELLO, input: 'Hi', ...body, model }, all))
}

export async function codeOf(response: Response): Promise<[number, string]> {
  return [response.status, (await response.json()).error.code]
}
