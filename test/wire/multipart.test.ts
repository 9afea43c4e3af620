import { describe, expect, it } from 'vitest'
import { isForm, readForm } from '../../server/wire/pass/multipart.ts'
import { WireError } from '../../server/wire/wire.ts'
import { Random } from '../helpers/random.ts'
import { bytesOf } from '../helpers/wire.ts'

const TYPE = 'multipart/form-data; boundary=b'
const part = (head: string, content: string) => `--b\r\ncontent-disposition: form-data; ${head}\r\n\r\n${content}\r\n`

function read(text: string, type = TYPE): { name: string; isFile: boolean; text: string }[] {
  const bytes = Buffer.from(text, 'latin1')
  return readForm(bytes, type).map(({ name, isFile, start, end }) => ({
    name,
    isFile,
    text: bytes.toString('latin1', start, end),
  }))
}

describe('a form', () => {
  it.each([
    ['no boundary in its type', 'multipart/form-data', part('name="a"', '1')],
    ['an empty boundary', 'multipart/form-data; boundary=""', part('name="a"', '1')],
    ['nothing', TYPE, ''],
    ['another boundary', TYPE, part('name="a"', '1').replaceAll('--b', '--c')],
    ['no end', TYPE, part('name="a"', '1')],
    ['an end within a part', TYPE, part('name="a"', '1').slice(0, -4)],
    ['an end within the headers', TYPE, '--b\r\ncontent-disposition: form-data; name="a"\r\n'],
    ['a part without headers', TYPE, '--b\r\n\r\n\r\n1\r\n--b--'],
    ['a part without a name', TYPE, `${part('filename="a"', '1')}--b--`],
    ['a name that only stands in a file name', TYPE, `${part('filename="a; name=b"', '1')}--b--`],
    ['a boundary that goes on', TYPE, `${part('name="a"', '1').replace('--b\r\n', '--bc\r\n')}--b--`],
    ['headers without end', TYPE, `--b\r\n${'x: y\r\n'.repeat(4000)}\r\n1\r\n--b--`],
    ['too many parts', TYPE, `${part('name="a"', '1').repeat(1001)}--b--`],
  ])('with %s is refused', (_, type, text) => {
    expect(() => readForm(bytesOf(text), type)).toThrow(WireError)
  })

  it.each([
    ['multipart/form-data; boundary=b', true],
    ['Multipart/Form-Data;boundary=b', true],
    ['multipart/mixed; boundary=b', false],
    ['multipart/form-database', false],
    ['application/json', false],
  ])('is told by %s: %s', (type, expected) => {
    expect(isForm(type)).toBe(expected)
  })

  it('has its parts in order, their content as it is, whatever its headers look like', () => {
    const text = [
      'a preamble\r\n',
      part('name="model"', 'whisper-1'),
      part("name=plain; filename*=utf-8''x.wav", 'RIFF\r\n--x\r\n--'),
      `--b  \r\nContent-Type: audio/wav\r\nCONTENT-DISPOSITION: form-data; filename="a\\"; name=model"; name="file"\r\n\r\n\r\n\r\n`,
      part('name="empty"', ''),
      '--b--\r\nan epilogue --b\r\n',
    ].join('')
    expect(read(text)).toEqual([
      { name: 'model', isFile: false, text: 'whisper-1' },
      { name: 'plain', isFile: true, text: 'RIFF\r\n--x\r\n--' },
      { name: 'file', isFile: true, text: '\r\n' },
      { name: 'empty', isFile: false, text: '' },
    ])
  })

  it('is read as the platform writes it, with any bytes in it: generated', async () => {
    for (let seed = 1; seed <= 40; seed++) {
      const random = new Random(seed)
      const form = new FormData()
      const expected: { name: string; isFile: boolean; text: string }[] = []
      for (let at = 0; at < 1 + random.int(6); at++) {
        const name = ['model', 'file[]', 'ä"b', 'x y'][random.int(4)]!
        const bytes = Uint8Array.from({ length: random.int(300) }, () => [0, 10, 13, 45, 45, 65, 255][random.int(7)]!)
        form.append(name, new Blob([bytes]), 'a.bin')
        expected.push({ name, isFile: true, text: Buffer.from(bytes).toString('latin1') })
      }
      const request = new Request('http://gateway.test', { method: 'POST', body: form })
      const type = request.headers.get('content-type')!
      const text = Buffer.from(await request.arrayBuffer()).toString('latin1')
      expect(
        read(text, type).map((part) => ({ ...part, name: decodeURIComponent(part.name) })),
        `seed ${seed}`,
      ).toEqual(expected)
    }
  })
})
