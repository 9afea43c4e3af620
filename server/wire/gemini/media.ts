import type { AudioPart, FilePart, ImagePart } from '../model.ts'
import type { Notes } from './notes.ts'

/** What the ends of file names say; Google's servers want to be told. */
const TYPES: Readonly<Record<string, string>> = {
  png: 'image/png',
  jpg: 'image/jpeg',
  jpeg: 'image/jpeg',
  webp: 'image/webp',
  gif: 'image/gif',
  heic: 'image/heic',
  heif: 'image/heif',
  avif: 'image/avif',
  pdf: 'application/pdf',
  json: 'application/json',
  txt: 'text/plain',
  md: 'text/markdown',
  csv: 'text/csv',
  html: 'text/html',
  mp3: 'audio/mp3',
  wav: 'audio/wav',
  mp4: 'video/mp4',
  mov: 'video/quicktime',
  webm: 'video/webm',
}

export interface Place {
  readonly param: string
  readonly notes: Notes
}

/**
 * `inlineData` or `fileData` for a picture or a document; null when it can't be said, which is noted. Google fetches web
 * addresses itself; a model too old for that says so.
 */
export function writeMedia(part: ImagePart | FilePart, { param, notes }: Place): object | null {
  const { source, type } = part
  if (type === 'image' && part.detail !== null && part.detail !== 'auto') notes.note(`${param}.detail`, 'dropped')
  if (source.kind === 'base64') return { inlineData: { mimeType: source.mediaType, data: source.data } }
  if (source.kind === 'id' && source.wire !== 'gemini') {
    notes.note(param, 'dropped')
    return null
  }
  const fileUri = source.kind === 'url' ? source.url : source.id
  const mimeType = typeOf(fileUri) ?? (type === 'image' ? 'image/jpeg' : null)
  return { fileData: mimeType === null ? { fileUri } : { mimeType, fileUri } }
}

function typeOf(uri: string): string | null {
  const path = uri.split(/[?#]/, 1)[0]!
  return TYPES[path.slice(path.lastIndexOf('.') + 1).toLowerCase()] ?? null
}

export function writeAudio({ data, format }: AudioPart): object {
  return { inlineData: { mimeType: typeOfAudio(format), data } }
}

export function typeOfAudio(format: string): string {
  return format === 'pcm16' ? 'audio/pcm;rate=24000' : `audio/${format}`
}
