import type { AddressInfo } from 'node:net'
import { createServer } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Log } from '../server/deps.ts'
import { openMail } from '../server/mail.ts'
import { type Mailbox, openMailbox } from './helpers/mailbox.ts'

const FROM = 'WatchLLM <gateway@example.com>'
const LETTER = { to: 'reader@example.org', subject: 'Hello', text: 'Some text of a mail\n' }

function catcher(): { readonly log: Log; readonly lines: string[] } {
  const lines: string[] = []
  const write = (message: string, fields: object = {}) => void lines.push(`${message} ${JSON.stringify(fields)}`)
  return { log: { info: write, warn: write, error: write }, lines }
}

describe('a mail', () => {
  let mailbox: Mailbox
  beforeAll(async () => {
    mailbox = await openMailbox()
  })
  afterAll(() => mailbox.close())

  const letters: [what: string, subject: string, text: string][] = [
    ['plain', 'Hello', 'Some text\n'],
    ['of many letters', 'Grüße — 漢字 👩‍🚀', 'Grüße\n漢字 👩‍🚀\n'],
    ['with long lines', 'Long', `${'x'.repeat(3_000)}\n${'word '.repeat(500)}end\n`],
    ['with dots at line starts', 'Dots', '.\n..\n. .\n'],
    ['with what looks like headers', 'Sub\r\nBcc: other@example.org', 'To: x@example.org\n\nBody\n'],
    ['with a link', 'Link', 'http://gateway.test/reset-password?token=abc=def&x=%20\n'],
  ]
  it.each(letters)('%s arrives as it was written', async (_what, subject, text) => {
    const { log, lines } = catcher()
    await openMail({ smtpUrl: mailbox.url, from: FROM, log }).send({ to: LETTER.to, subject, text })
    const mail = mailbox.mails.at(-1)!
    expect([mail.from, mail.to, lines]).toEqual(['gateway@example.com', [LETTER.to], []])
    expect(mail.raw).toMatch(/^From: WatchLLM <gateway@example.com>\r$/m)
    expect(mail.raw).not.toMatch(/^bcc:/im)
    expect(mail.text.trimEnd()).toBe(text.trimEnd())
  })

  it('goes to the one address it is for, whatever that looks like', async () => {
    const before = mailbox.mails.length
    const mail = openMail({ smtpUrl: mailbox.url, from: FROM, log: catcher().log })
    for (const to of ['a@example.org, b@example.org', 'a@example.org\r\nRCPT TO:<b@example.org>', '<b@example.org>']) {
      await mail.send({ ...LETTER, to }).catch(() => {})
    }
    for (const one of mailbox.mails.slice(before)) expect(one.to.length).toBe(1)
  })
})

describe('a mail server that fails', { timeout: 40_000 }, () => {
  const PASSWORD = 'hunter2-smtp'

  async function failure(smtpUrl: string): Promise<{ readonly message: string; readonly lines: string[] }> {
    const { log, lines } = catcher()
    const error = await openMail({ smtpUrl, from: FROM, log })
      .send(LETTER)
      .then(
        () => null,
        (thrown: Error) => thrown,
      )
    return { message: error?.message ?? 'no error', lines }
  }

  const withUser = (url: string) => url.replace('smtp://', `smtp://user:${PASSWORD}@`)

  it('by refusing a mail, a password or a connection is an error that tells no secret, and so is its log line', async () => {
    const refusing = await openMailbox({
      disabledCommands: ['STARTTLS'],
      authOptional: true,
      allowInsecureAuth: true,
      onAuth: (_auth, _session, callback) => callback(new Error('No such user')),
      onRcptTo: (_address, _session, callback) =>
        callback(Object.assign(new Error('No such reader'), { responseCode: 550 })),
    })
    const closed = await openMailbox()
    await closed.close()
    const seen = [
      await failure(refusing.url),
      await failure(withUser(refusing.url)),
      await failure(withUser(closed.url)),
      await failure(`smtp://user:${PASSWORD}@mail.invalid`),
    ]
    for (const { message, lines } of seen) {
      expect(message).toMatch(/^The mail server did not take the mail \(.+\); check SMTP_URL$/)
      expect(lines.length).toBe(1)
      expect(message + lines[0]).not.toMatch(/hunter2|reader@example.org|Some text/)
    }
    expect(seen[0]!.message).toContain('550')
    expect(seen[1]!.message).toContain('535')
    await refusing.close()
  })

  it('by saying nothing is given up', async () => {
    const silent = createServer(() => {})
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve))
    const { message } = await failure(`smtp://127.0.0.1:${(silent.address() as AddressInfo).port}`)
    expect(message).toMatch(/did not take the mail/)
    silent.close()
  })
})
