import type { BetterAuthOptions } from 'better-auth'
import { betterAuth } from 'better-auth'
import { genericOAuth } from 'better-auth/plugins/generic-oauth'
import { twoFactor } from 'better-auth/plugins/two-factor'
import { makeId } from '../../../db/model/ids.ts'
import type { Deps, Mail } from '../../deps.ts'
import { ADDRESS_HEADER, BASE_PATH, MAX_NAME, MAX_PASSWORD, MIN_PASSWORD } from './gate.ts'
import { resetMail, takenMail, verificationMail } from './mails.ts'
import { COOKIE_PREFIX, type SessionSecret } from './signing.ts'

/** An OAuth client of ours at a provider. */
export interface LoginClient {
  readonly clientId: string
  readonly clientSecret: string
}

export interface LoginClients {
  readonly github: LoginClient | null
  readonly google: LoginClient | null
  readonly oidc: (LoginClient & { readonly issuer: string }) | null
}

export interface AuthOptions extends Pick<Deps, 'clock' | 'random' | 'log'> {
  /** Our Kysely with its kind. */
  readonly database: NonNullable<BetterAuthOptions['database']>
  readonly secrets: readonly SessionSecret[]
  readonly mail: Mail | null
  readonly clients: LoginClients
  /** No slash at the end. */
  readonly publicUrl: string
  /** With the operator's own provider: finding out about it means asking it, and it may not answer. */
  readonly withOidc: boolean
  /** Why this address may not make an account, null when it may. */
  readonly refusalOf: (email: string, isProven: boolean) => Promise<string | null>
  /** Takes work that goes on after the answer. */
  readonly later: (work: Promise<unknown>) => void
}

const HOUR_S = 3_600
const SESSION_S = 7 * 24 * HOUR_S
const REFRESH_S = 24 * HOUR_S

const NO_TOKENS = { accessToken: null, refreshToken: null, idToken: null }

export type Auth = ReturnType<typeof makeAuth>

/** better-auth on our tables. Nothing of it is open to the world but through gate.ts. */
export function makeAuth(options: AuthOptions) {
  const { clients, publicUrl } = options
  const social = Object.entries({ github: clients.github, google: clients.google })
  return betterAuth({
    appName: 'WatchLLM',
    baseURL: publicUrl + BASE_PATH,
    basePath: new URL(publicUrl + BASE_PATH).pathname,
    secrets: [...options.secrets],
    database: options.database,
    trustedOrigins: [new URL(publicUrl).origin],
    ...tables(),
    ...passwords(options),
    socialProviders: Object.fromEntries(social.flatMap(([id, client]) => (client === null ? [] : [[id, client]]))),
    plugins: [secondFactor(), ...oidc(options)],
    databaseHooks: {
      user: { create: { before: async (user) => ({ data: { ...user, name: nameOf(user) } }) } },
      // Nothing here calls a provider on anybody's behalf, so that its tokens are only there to be stolen.
      account: {
        create: { before: async (account) => ({ data: { ...account, ...NO_TOKENS } }) },
        update: { before: async (account) => ({ data: { ...account, ...NO_TOKENS } }) },
      },
    },
    advanced: {
      cookiePrefix: COOKIE_PREFIX,
      useSecureCookies: publicUrl.startsWith('https:'),
      defaultCookieAttributes: { httpOnly: true, sameSite: 'lax', secure: publicUrl.startsWith('https:'), path: '/' },
      ipAddress: { ipAddressHeaders: [ADDRESS_HEADER], disableIpTracking: false },
      // Said aloud, because it turns them off by itself where it believes itself in a test.
      disableCSRFCheck: false,
      disableOriginCheck: false,
      database: { generateId: ({ model }) => idOf(model, options), validateSchema: false },
    },
    // Ours: gate.ts.
    rateLimit: { enabled: false },
    telemetry: { enabled: false },
    experimental: { instrumentation: { enabled: false } },
    logger: { level: 'error', disableColors: true, log: (_level, message, ...rest) => say(options, message, rest) },
    // Thrown, what isn't a refusal ends in people.ts instead of on the console.
    onAPIError: { errorURL: `${publicUrl}/sign-in`, throw: true },
    user: {
      modelName: 'users',
      fields: { emailVerified: 'email_verified', createdAt: 'created_at', updatedAt: 'updated_at' },
      additionalFields: { operator: { type: 'boolean', required: false, defaultValue: false, input: false } },
      async validateUserInfo({ user, source }) {
        if (source.action !== 'create-user') return
        const isProven = source.oauth === undefined || user.emailVerified === true
        const refusal = await options.refusalOf(String(user.email).toLowerCase(), isProven)
        return refusal === null ? undefined : { error: refusal }
      },
    },
  })
}

/** Field names to columns; see db/migrations/0004-people.ts. */
function tables() {
  const times = { createdAt: 'created_at', updatedAt: 'updated_at' }
  return {
    session: {
      modelName: 'sessions',
      fields: {
        ...times,
        userId: 'user_id',
        ipAddress: 'ip_address',
        userAgent: 'user_agent',
        expiresAt: 'expires_at',
      },
      expiresIn: SESSION_S,
      updateAge: REFRESH_S,
      // What is dangerous asks for the password; the list of one's own sessions isn't.
      freshAge: 0,
    },
    account: {
      modelName: 'accounts',
      fields: {
        ...times,
        userId: 'user_id',
        accountId: 'account_id',
        providerId: 'provider_id',
        accessToken: 'access_token',
        refreshToken: 'refresh_token',
        idToken: 'id_token',
        accessTokenExpiresAt: 'access_token_expires_at',
        refreshTokenExpiresAt: 'refresh_token_expires_at',
      },
    },
    verification: {
      modelName: 'verifications',
      fields: { ...times, expiresAt: 'expires_at' },
      // Who reads the table can't use what is in the mails.
      storeIdentifier: 'hashed',
    },
  } as const
}

/** A mail takes longer than no mail: an answer that waited for it would tell who has an account. */
function passwords({ mail, publicUrl, later }: AuthOptions) {
  const settings = { enabled: true, minPasswordLength: MIN_PASSWORD, maxPasswordLength: MAX_PASSWORD }
  if (mail === null) return { emailAndPassword: settings }
  return {
    emailAndPassword: {
      ...settings,
      requireEmailVerification: true,
      revokeSessionsOnPasswordReset: true,
      resetPasswordTokenExpiresIn: HOUR_S,
      async sendResetPassword({ user, token }: { user: { email: string }; token: string }) {
        later(mail.send(resetMail(user.email, `${publicUrl}/reset-password?token=${encodeURIComponent(token)}`)))
      },
      async onExistingUserSignUp({ user }: { user: { email: string } }) {
        later(mail.send(takenMail(user.email, `${publicUrl}/sign-in`)))
      },
    },
    emailVerification: {
      sendOnSignUp: true,
      sendOnSignIn: true,
      expiresIn: HOUR_S,
      async sendVerificationEmail({ user, url }: { user: { email: string }; url: string }) {
        later(mail.send(verificationMail(user.email, url)))
      },
    },
  }
}

function secondFactor() {
  return twoFactor({
    issuer: 'WatchLLM',
    backupCodeOptions: { storeBackupCodes: 'encrypted' },
    schema: {
      user: { fields: { twoFactorEnabled: 'two_factor_enabled' } },
      twoFactor: {
        modelName: 'two_factors',
        fields: {
          userId: 'user_id',
          backupCodes: 'backup_codes',
          failedVerificationCount: 'failed_verification_count',
          lockedUntil: 'locked_until',
        },
      },
    },
  })
}

function oidc({ clients, withOidc }: AuthOptions) {
  if (clients.oidc === null || !withOidc) return []
  const { issuer, clientId, clientSecret } = clients.oidc
  const discoveryUrl = `${issuer.replace(/\/+$/, '')}/.well-known/openid-configuration`
  const scopes = ['openid', 'email', 'profile']
  return [
    genericOAuth({
      config: [{ providerId: 'oidc', discoveryUrl, clientId, clientSecret, scopes, requireIdTokenVerification: true }],
    }),
  ]
}

function idOf(model: string, { clock, random }: Pick<Deps, 'clock' | 'random'>): string {
  if (model === 'user' || model === 'users') return makeId('usr', clock.now(), random.bytes(16))
  return Buffer.from(random.bytes(18)).toString('base64url')
}

/** As a provider says it, which may be not at all. */
function nameOf(user: { readonly name?: string | null; readonly email: string }): string {
  const name = (user.name ?? '').trim().slice(0, MAX_NAME)
  return name === '' ? user.email.slice(0, user.email.indexOf('@')) : name
}

function say({ log }: AuthOptions, message: string, rest: readonly unknown[]): void {
  const cause = rest.find((one) => one instanceof Error)
  log.error(`Sign-in: ${message}`, cause === undefined ? {} : { cause })
}
