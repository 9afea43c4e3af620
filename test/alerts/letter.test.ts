import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { WAITS_MS, waitAfter } from '../../server/alerts/backoff.ts'
import { letterOf } from '../../server/alerts/letter.ts'
import { payloadOf } from '../../server/alerts/payload.ts'
import { line, wordsFor } from '../../server/alerts/words.ts'
import { openMail } from '../../server/mail.ts'
import { ENGINES } from '../db/engines.ts'
import { type Mailbox, openMailbox } from '../helpers/mailbox.ts'
import { type AlertsHouse, alertsHouse, everyEvent, quotaOf } from './kit.ts'

const EVIL = 'x\r\nBcc: victim@example.com\r\n\r\nClick http://evil.test\u2028\u202e\u0000\ud800'

describe('the e-mail of an alert', { timeout: 60_000 }, () => {
  let house: AlertsHouse
  let mailbox: Mailbox
  beforeAll(async () => {
    house = await alertsHouse(ENGINES[0]!)
    mailbox = await openMailbox()
  }, 120_000)
  afterAll(async () => {
    await house?.close()
    await mailbox?.close()
  })

  const mail = () =>
    openMail({ smtpUrl: mailbox.url, from: 'WatchLLM <gw@test.example>', log: { info() {}, warn() {}, error() {} } })

  it('arrives at the mail server of whom it is for, and says what happened and what to do', async () => {
    const { id, owner } = await house.organization('Ökonomie & Co')
    const alerts = house.instance({ mail: mail() })
    alerts.raise({ kind: 'payment_failed', organizationId: id, failures: 2 })
    await alerts.settled()
    const sent = mailbox.last(owner.email)
    expect([sent.from, sent.to]).toEqual(['gw@test.example', [owner.email]])
    expect(sent.text).toContain('A payment of the organization "Ökonomie & Co" failed, 2 times in a row.')
    expect(sent.text).toContain('Check the means of payment')
    expect(sent.text).toContain('http://gateway.test/')
    expect(sent.raw).toMatch(/^content-type: text\/plain/im)
    expect(sent.raw).not.toMatch(/text\/html|multipart/i)
  })

  it('has the headers that we wrote, whatever names and reasons hold', async () => {
    const { id, owner } = await house.organization(EVIL.replace('\u0000\ud800', ''))
    await house.rule(id, { kind: 'price_missing', name: 'Prices' })
    const alerts = house.instance({ mail: mail() })
    const before = mailbox.mails.length
    alerts.raise({ kind: 'price_missing', organizationId: id, provider: EVIL, model: EVIL })
    await alerts.settled()
    expect(mailbox.mails.length).toBe(before + 1)
    const sent = mailbox.last(owner.email)
    expect(sent.to).toEqual([owner.email])
    const head = sent.raw.slice(0, sent.raw.indexOf('\r\n\r\n'))
    expect(head).not.toMatch(/^bcc:/im)
    expect(head.match(/^subject:/gim)).toHaveLength(1)
    expect(sent.text).not.toMatch(/^(Bcc|Click)/m)
  })

  it('is tried again while the mail server is away, and sent once', async () => {
    const { id, owner } = await house.organization()
    let isAway = true
    const real = mail()
    const flaky = {
      send: async (one: Parameters<typeof real.send>[0]) => {
        if (isAway) throw new Error('The mail server did not take the mail; check SMTP_URL')
        await real.send(one)
      },
    }
    const alerts = house.instance({ mail: flaky })
    alerts.raise(quotaOf(id))
    await alerts.settled()
    expect(await house.deliveries(id)).toMatchObject([
      { state: 'pending', attempts: 1, error: 'The mail server did not take the mail' },
    ])
    isAway = false
    house.clock.advance(WAITS_MS[0]!)
    await alerts.settled()
    await alerts.jobs[0]!.run()
    expect(mailbox.mails.filter(({ to }) => to.includes(owner.email))).toHaveLength(1)
    expect(await house.deliveries(id)).toMatchObject([{ state: 'delivered', attempts: 2, error: null }])
  })

  it('is not queued where no mail server is set up: webhooks go all the same', async () => {
    const { id } = await house.organization()
    const alerts = house.instance({ mail: null })
    alerts.raise(quotaOf(id))
    await alerts.settled()
    expect(await house.events(id)).toMatchObject([{ mail: null }])
    expect(await house.deliveries(id)).toEqual([])
  })
})

describe('words', () => {
  const names = { organization: EVIL, project: EVIL, key: EVIL }

  it('are one line each, for every kind and whatever names hold', () => {
    for (const event of [...everyEvent('org_a'), quotaOf('org_a', { projectId: 'prj_a', keyId: 'key_a' })]) {
      const parts = { eventId: 'evt_1', rule: { id: 'alr_1', name: EVIL }, organizationId: 'org_a', names, atMs: 0 }
      const { message, advice } = wordsFor(event, names)
      const letter = letterOf({
        to: 'a@example.com',
        payload: payloadOf(event, parts),
        more: 3,
        publicUrl: 'http://gw',
      })
      for (const text of [message, advice, letter.subject]) {
        expect(text).toMatch(/^[^\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]+$/u)
        expect(text.length).toBeLessThan(700)
      }
      expect(letter.subject.length).toBeLessThanOrEqual(150)
      expect(letter.text).not.toMatch(/[^\P{Cc}\n]/u)
    }
  })

  it('name whose it is by the narrowest', () => {
    const plain = { organization: 'Acme', project: 'Shop', key: 'Web' }
    const of = (changes: object) => wordsFor(quotaOf('org_a', changes), plain).message
    expect(of({})).toMatch(/^The organization "Acme" has used 80 % of the limit of 10000 requests a month$/)
    expect(of({ projectId: 'prj_a' })).toMatch(/^The project "Shop" has/)
    expect(of({ projectId: 'prj_a', keyId: 'key_a' })).toMatch(/^The key "Web" of the project "Shop" has/)
    const budget = { kind: 'budget', what: 'spend', limit: 12_500_000_000, period: 'total', resetMs: null }
    expect(of(budget)).toMatch(/has used 80 % of the budget of 12\.5 USD in total$/)
  })

  it('cut a text between characters, never through one', () => {
    expect(line('ab👩‍🚀', 3)).toBe('ab')
    expect(line('  a \n\t b ', 10)).toBe('a b')
  })
})

describe('waits between attempts', () => {
  it('are the planned ones, or up to 15 % less, and end', () => {
    for (const byte of [0, 128, 255]) {
      const random = { bytes: (length: number) => new Uint8Array(length).fill(byte) }
      for (const [at, planned] of WAITS_MS.entries()) {
        const wait = waitAfter(at + 1, random)!
        expect(wait).toBe(Math.round(planned * (1 - (0.15 * (byte * 0x1010101)) / 2 ** 32)))
        expect(wait).toBeGreaterThanOrEqual(planned * 0.85)
      }
      expect(waitAfter(WAITS_MS.length + 1, random)).toBeNull()
    }
    expect([...WAITS_MS].every((wait) => wait >= 5_000)).toBe(true)
    expect(WAITS_MS.reduce((sum, wait) => sum + wait, 0)).toBeLessThanOrEqual(86_400_000)
  })
})
