/** A password as better-auth keeps it: scrypt with a salt. Imported at the first use, since it is used at set-up only. */
export async function hashPassword(password: string): Promise<string> {
  const crypto = await import('better-auth/crypto')
  return crypto.hashPassword(password)
}
