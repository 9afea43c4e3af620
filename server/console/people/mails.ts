import type { Mail } from '../../deps.ts'

type Letter = Parameters<Mail['send']>[0]

/** Asks whoever reads this address to say that an account with it is theirs. */
export function verificationMail(to: string, link: string): Letter {
  return letter(to, 'Confirm your e-mail address for WatchLLM', [
    'Somebody, probably you, made an account at WatchLLM with this address. Open this link within an hour to confirm it:',
    link,
    'If it was not you, do nothing: without this link nobody can use the account.',
  ])
}

export function resetMail(to: string, link: string): Letter {
  return letter(to, 'Choose a new password for WatchLLM', [
    'Somebody, probably you, asked for a new password. Open this link within an hour to choose one:',
    link,
    'It works once, and ends all sessions. If it was not you, do nothing: your password stays as it is.',
  ])
}

/** Told by mail only: the sign-up page doesn't say which addresses have an account. */
export function takenMail(to: string, signInPage: string): Letter {
  return letter(to, 'You already have an account at WatchLLM', [
    'Somebody, probably you, tried to make an account at WatchLLM with this address, which has one. Sign in here:',
    signInPage,
    'That page also helps when you have forgotten the password. If it was not you, do nothing.',
  ])
}

/** No word of it is a visitor's, such as the name: whoever signs up with another's address would have us write to them. */
function letter(to: string, subject: string, paragraphs: readonly string[]): Letter {
  return { to, subject, text: `${['Hello,', ...paragraphs].join('\n\n')}\n` }
}
