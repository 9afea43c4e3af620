import type { Transporter } from 'nodemailer'
import type { Log, Mail } from './deps.ts'

export interface MailOptions {
  /** `smtp://` or `smtps://`, with user and password where the server asks for them. */
  readonly smtpUrl: string
  /** Such as `WatchLLM <gateway@example.com>`. */
  readonly from: string
  readonly log: Log
}

const CONNECT_MS = 10_000
const IDLE_MS = 20_000

/**
 * Mails over SMTP, one connection each. An `smtp://` connection is encrypted where the server offers it.
 * Neither the log nor an error holds anything of SMTP_URL or of a mail's text.
 */
export function openMail({ smtpUrl, from, log }: MailOptions): Mail {
  let opening: Promise<Transporter> | null = null
  // Imported at the first mail: it isn't needed for the start.
  const open = async (): Promise<Transporter> => {
    const { createTransport } = await import('nodemailer')
    return createTransport({
      url: smtpUrl,
      connectionTimeout: CONNECT_MS,
      greetingTimeout: CONNECT_MS,
      socketTimeout: IDLE_MS,
      dnsTimeout: CONNECT_MS,
      // Mails are text that we wrote: nothing of them names a file or an address to fetch.
      disableFileAccess: true,
      disableUrlAccess: true,
    })
  }
  return {
    async send({ to, subject, text }) {
      opening ??= open()
      const transport = await opening
      try {
        await transport.sendMail({ from, to: { name: '', address: to }, subject, text })
      } catch (error) {
        const { code = 'unknown', responseCode } = error as { code?: string; responseCode?: number }
        log.warn('The mail server did not take a mail', {
          code,
          ...(responseCode === undefined ? {} : { responseCode }),
        })
        throw new Error(`The mail server did not take the mail (${responseCode ?? code}); check SMTP_URL`)
      }
    },
  }
}
