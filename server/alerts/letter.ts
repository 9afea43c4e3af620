import type { Mail } from '../deps.ts'
import { readPayload } from './payload.ts'
import { line } from './words.ts'

type Letter = Parameters<Mail['send']>[0]

const MAX_SUBJECT = 150

export interface LetterParts {
  readonly to: string
  /** The event's. */
  readonly payload: string
  /** Events that were held back since the rule's last mail. */
  readonly more: number
  readonly publicUrl: string
}

/** The mail of an event: what happened, what to do, and why it came. Plain text; its subject is one line. */
export function letterOf({ to, payload, more, publicUrl }: LetterParts): Letter {
  const { message, advice, rule, organization } = readPayload(payload)
  const of = organization === null ? '' : ` of the organization "${line(organization, MAX_SUBJECT)}"`
  const others = more === 1 ? 'One more alert' : `${more} more alerts`
  const paragraphs = [
    'Hello,',
    `${message}.`,
    advice,
    ...(more === 0 ? [] : [`${others} of this rule came since its last mail: a rule mails once a day.`]),
    `This is the alert rule "${line(rule, MAX_SUBJECT)}"${of}. All alerts and rules are in the console:`,
    `${publicUrl}/`,
  ]
  return { to, subject: line(`[WatchLLM] ${message}`, MAX_SUBJECT), text: `${paragraphs.join('\n\n')}\n` }
}
