/** The key as `Authorization: Bearer`, the way every provider that follows OpenAI takes it. */
export function bearer(key: string): string[] {
  return ['authorization', `Bearer ${key}`]
}
