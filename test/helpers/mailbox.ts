import type { AddressInfo } from 'node:net'
import { SMTPServer, type SMTPServerOptions } from 'smtp-server'

export interface CaughtMail {
  readonly from: string
  readonly to: readonly string[]
  readonly subject: string
  /** Decoded. */
  readonly text: string
  readonly raw: string
}

export interface Mailbox {
  /** `smtp://127.0.0.1:…` */
  readonly url: string
  readonly mails: readonly CaughtMail[]
  /** The newest mail to an address. @throws when there is none */
  last(to: string): CaughtMail
  close(): Promise<void>
}

/** A mail server that takes every mail and hands it to nobody but the test. */
export async function openMailbox(options: SMTPServerOptions = {}): Promise<Mailbox> {
  const mails: CaughtMail[] = []
  const server = new SMTPServer({
    disabledCommands: ['AUTH', 'STARTTLS'],
    onData(stream, session, callback) {
      const chunks: Buffer[] = []
      stream.on('data', (chunk: Buffer) => chunks.push(chunk))
      stream.on('end', () => {
        const { mailFrom, rcptTo } = session.envelope
        const raw = Buffer.concat(chunks).toString('utf8')
        const from = mailFrom === false ? '' : mailFrom.address
        mails.push({ from, to: rcptTo.map(({ address }) => address), ...read(raw), raw })
        callback()
      })
    },
    ...options,
  })
  // A client that goes away in the middle is a case of the tests, not a fault.
  server.on('error', () => {})
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.server.address() as AddressInfo
  return {
    url: `smtp://127.0.0.1:${port}`,
    mails,
    last(to) {
      const mail = mails.findLast((one) => one.to.includes(to))
      if (mail === undefined)
        throw new Error(`No mail to ${to}; there are ${JSON.stringify(mails.map((one) => one.to))}`)
      return mail
    },
    close: () => new Promise((resolve) => server.close(resolve)),
  }
}

/** The first link in a mail's text. */
export function linkIn(mail: CaughtMail): URL {
  const link = /https?:\/\/\S+/.exec(mail.text)?.[0]
  if (link === undefined) throw new Error(`No link in: ${mail.text}`)
  return new URL(link)
}

function read(raw: string): { readonly subject: string; readonly text: string } {
  const end = raw.indexOf('\r\n\r\n')
  const head = raw.slice(0, end).replace(/\r\n[ \t]+/g, ' ')
  const header = (name: string): string => new RegExp(`^${name}: (.*)$`, 'im').exec(head)?.[1] ?? ''
  const body = raw.slice(end + 4)
  const text = decode(body, header('content-transfer-encoding').toLowerCase())
  return { subject: header('subject'), text: text.replaceAll('\r\n', '\n') }
}

function decode(body: string, encoding: string): string {
  if (encoding === 'base64') return Buffer.from(body, 'base64').toString('utf8')
  if (encoding !== 'quoted-printable') return body
  const byte = (_: string, hex: string): string => String.fromCharCode(Number.parseInt(hex, 16))
  const bytes = body.replace(/=\r\n/g, '').replace(/=([0-9A-F]{2})/g, byte)
  return Buffer.from(bytes, 'latin1').toString('utf8')
}
