import { passThrough } from './pass-through.ts'

/** Sound goes out while it is made; JSON is read for its usage. */
const AUDIO = { model: null, givesBytes: true } as const

/** `POST /v1/audio/speech`: text to sound, in whatever format was asked for */
export const speech = passThrough({ ...AUDIO, name: 'audio.speech', wire: 'openai-speech' })

/** `POST /v1/audio/transcriptions`: a form with the sound, to JSON, text, subtitles or a stream */
export const transcriptions = passThrough({ ...AUDIO, name: 'audio.transcriptions', wire: 'openai-transcriptions' })

/** `POST /v1/audio/translations` */
export const translations = passThrough({ ...AUDIO, name: 'audio.translations', wire: 'openai-translations' })
