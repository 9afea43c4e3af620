import { expect, it } from 'vitest'
import { PLANS } from '../../db/model/plans.ts'
import { type KeyEntry, openDirectory } from '../../server/directory.ts'
import { handClock } from '../helpers/clock.ts'

const SECRET = 'lgw_proj_0123456789abcdef'
const silent = { info() {}, warn() {}, error() {} }
const settle = () => new Promise((resolve) => setImmediate(resolve))

function entry(revokedAtMs: number | null): KeyEntry {
  const ids = { keyId: 'key_1', projectId: 'prj_1', organizationId: 'org_1' }
  return { ...ids, kind: 'project', plan: PLANS[0]!, expiresAtMs: null, revokedAtMs }
}

/** A store whose answers come when the test says so, in the order that the test says. */
function slowStore() {
  const answers: ((found: KeyEntry | null) => void)[] = []
  const find = () => new Promise<KeyEntry | null>((resolve) => answers.push(resolve))
  return { answers, directory: openDirectory({ find, clock: handClock(), log: silent }) }
}

it('a lookup that was under way when a key was revoked does not bring it back to life', async () => {
  const { answers, directory } = slowStore()
  const first = directory.lookup(SECRET)
  answers.shift()!(entry(null))
  expect(await first).not.toBeNull()
  directory.invalidate('key_1')
  directory.invalidate('key_1')
  expect(answers).toHaveLength(2)
  answers[1]!(entry(1))
  await settle()
  answers[0]!(entry(null))
  await settle()
  expect(await directory.lookup(SECRET)).toBeNull()
})

it('a lookup that was under way when its key was made does not hide it', async () => {
  const { answers, directory } = slowStore()
  const early = directory.lookup(SECRET)
  directory.invalidate('key_1')
  const late = directory.lookup(SECRET)
  expect(answers).toHaveLength(2)
  answers[0]!(null)
  await settle()
  answers[1]!(entry(null))
  expect(await late).toMatchObject({ keyId: 'key_1' })
  expect(await early).toMatchObject({ keyId: 'key_1' })
  expect(directory.lookup(SECRET)).toMatchObject({ keyId: 'key_1' })
})
