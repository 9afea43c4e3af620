import { execFileSync } from 'node:child_process'
import { describe, expect, it } from 'vitest'
import { ERROR_CODES } from '../../server/errors.ts'
import { WORDS, wordsOf } from '../../web/ui/failure-words.ts'
import { digitsOf, formatMs, formatRate, formatUsd, formatWait } from '../../web/ui/format.ts'
import { highlight } from '../../web/ui/highlight.ts'
import { snippetsOf } from '../../web/ui/snippets.ts'

describe('snippetsOf()', () => {
  const message = `It's "quoted" \\ $HOME \`id\` \n !x % 你好 \u2028`
  const call = { baseUrl: 'http://localhost:8787/v1', apiKey: 'lgw_test_0123456789abcdef', model: 'gpt-4o', message }
  const snippets = snippetsOf(call)

  it('gives a shell the exact body, whatever the message holds', () => {
    // A function in place of the program prints its last argument
    const script = `curl() { for last; do :; done; printf %s "$last"; }\n${snippets.curl}`
    const body = JSON.parse(execFileSync('/bin/sh', ['-c', script], { encoding: 'utf8' }))
    expect(body).toEqual({ model: 'gpt-4o', stream: true, messages: [{ role: 'user', content: message }] })
  })

  it('gives JavaScript the exact message', () => {
    const literal = /content: (".*") \}\]/.exec(snippets.Node)?.[1] ?? ''
    expect(new Function(`return ${literal}`)()).toBe(message)
  })

  it('names base URL, key and model in each language', () => {
    for (const code of Object.values(snippets)) {
      expect(code).toContain(call.baseUrl)
      expect(code).toContain(call.apiKey)
      expect(code).toContain('"gpt-4o"')
    }
  })
})

describe('highlight()', () => {
  it('gives the code back unchanged', () => {
    const snippets = snippetsOf({ baseUrl: 'http://localhost/v1', apiKey: 'k', model: 'm', message: `it's // # "x" '` })
    for (const code of Object.values(snippets))
      expect(
        highlight(code)
          .map((run) => run.text)
          .join(''),
      ).toBe(code)
  })

  it('takes no URL for a comment and no word in a string for a keyword', () => {
    const marks = highlight('get("for //x") http://a // b').filter((run) => run.mark)
    expect(marks).toEqual([
      { text: '"for //x"', mark: 's' },
      { text: '// b', mark: 'c' },
    ])
  })
})

describe('wordsOf()', () => {
  const failure = { status: 429, code: 'rate_limit_exceeded', retryAfterSeconds: null }

  it('says how long to wait when the server does', () => {
    expect(wordsOf({ ...failure, retryAfterSeconds: 12 }).todo).toBe('Wait 12 seconds, then run it again.')
    expect(wordsOf({ ...failure, code: 'quota_exceeded', retryAfterSeconds: 93_600 }).todo).toContain('in 26 hours')
  })

  it('has words of its own for every error that a call on this page can meet', () => {
    const general = ['invalid_request', 'unknown_model_pricing', 'insufficient_permissions', 'not_found']
    const never = ['idempotency_conflict', 'server_error']
    const expected = ERROR_CODES.filter((code) => !general.includes(code) && !never.includes(code))
    expect(expected.filter((code) => !(code in WORDS))).toEqual([])
  })

  it('falls back on the status for a code it does not know', () => {
    expect(wordsOf({ ...failure, status: 401, code: 'x' })).toBe(WORDS.invalid_api_key)
    expect(wordsOf({ ...failure, status: 500, code: 'x' }).what).toBe('The server failed.')
    expect(wordsOf({ ...failure, status: 400, code: 'x' }).what).toBe('The call was not accepted.')
  })
})

describe('numbers', () => {
  it('formatUsd() rounds no digit away', () => {
    expect(['0.007388', '0.00009045', '0', '0.5', '12', '9.045e-7'].map((usd) => formatUsd(usd))).toEqual([
      '$0.007388',
      '$0.00009045',
      '$0',
      '$0.500000',
      '$12.000000',
      '$0.0000009045',
    ])
  })

  it('digitsOf() is as many decimals as the finest amount has', () => {
    expect(digitsOf(['0.1', null, '0.00002750'])).toBe(8)
    expect(digitsOf([])).toBe(6)
  })

  it('formatRate() shows cents, or as fine as the price is', () => {
    expect(['2.5', '0.075', '10', '0'].map(formatRate)).toEqual(['$2.50', '$0.075', '$10.00', '$0'])
  })

  it('formatMs() never shows a unit too large for its digits', () => {
    const cases = [0, 0.64, 9.94, 9.96, 812.4, 999.6, 5841, 9996, 60_000]
    expect(cases.map(formatMs)).toEqual([
      '0 ms',
      '0.6 ms',
      '9.9 ms',
      '10 ms',
      '812 ms',
      '1.00 s',
      '5.84 s',
      '10.0 s',
      '60.0 s',
    ])
  })

  it('formatWait() is never shorter than the wait', () => {
    expect([1, 11.2, 121, 7201].map(formatWait)).toEqual(['1 second', '12 seconds', '3 minutes', '3 hours'])
  })
})
