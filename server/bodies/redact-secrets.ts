/**
 * Secrets by how they look. Every pattern begins with something fixed, or where no character of its own stands before,
 * and what it repeats without bound has nothing required behind it that the repetition could be given back for: so each
 * character is looked at a bounded number of times.
 */

/** What keys of known issuers begin with. */
const ISSUED = [
  'sk-',
  '[srp]k_(?:live|test)_',
  'lgw_[a-z]{3,8}_',
  'gsk_',
  'xai-',
  'pplx-',
  'hf_',
  'r8_',
  'npm_',
  'nvapi-',
  'tgp_v1_',
  'csk-',
  'gh[opsur]_',
  'github_pat_',
  'glpat-',
  'xox[abeoprs]-',
  'xapp-',
  'whsec_',
  'shpat_',
  'dop_v1_',
  'AIza',
  'ya29\\.',
  'SG\\.',
  'AKIA',
  'ASIA',
]

const KEY = new RegExp(`(?<![A-Za-z0-9])(?:${ISSUED.join('|')})[A-Za-z0-9_.-]{16,}`, 'g')
const JWT = /(?<![A-Za-z0-9_-])eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{4,}(?:\.[A-Za-z0-9_-]*)*/g
const PRIVATE_KEY =
  /-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY-----[A-Za-z0-9+/=\s\\:,]*(?:-[A-Za-z0-9][A-Za-z0-9+/=\s\\:,]*)*(?:-----END [A-Z0-9 ]{0,40}PRIVATE KEY-----)?/g
const BEARER = /(?<![A-Za-z0-9])(Bearer)\s{1,4}[A-Za-z0-9._~+/-]{12,}={0,2}/gi
/** Of the word alone, texts speak as well: what follows must look encoded. */
const BASIC = /(?<![A-Za-z0-9])(Basic)\s{1,4}(?=[A-Za-z+/]{0,80}[0-9=])[A-Za-z0-9+/]{8,}={0,2}/gi
const IN_URL = /(?<=:\/\/)[^\s/:@"'<>]{0,128}:[^\s/@"'<>]{1,256}@/g
const NAMED =
  /(passw(?:or)?d|passphrase|secret(?:[_-]?key)?|api[_-]?key|(?:access|refresh|id|auth)[_-]?token|private[_-]?key)(["'\\]{0,4}\s{0,3}[:=]\s{0,3}["'\\]{0,4})[^\s"',;\\]{4,}/gi

/** Each puts marks in the place of one kind: private keys, tokens, keys, passwords. In this order. */
export const SECRET_PASSES: readonly ((text: string) => string)[] = [
  (text) => text.replace(PRIVATE_KEY, '[private key]'),
  (text) => text.replace(JWT, '[token]'),
  (text) => text.replace(KEY, '[key]'),
  (text) => text.replace(BEARER, '$1 [token]').replace(BASIC, '$1 [credentials]'),
  (text) => (text.includes('://') ? text.replace(IN_URL, '[credentials]@') : text),
  (text) => text.replace(NAMED, '$1$2[secret]'),
]
