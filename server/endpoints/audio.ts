import { passThrough } from './pass-through.ts'

/** `POST /v1/audio/speech`: text to sound, in whatever format was asked for */
export const speech = passThrough({ name: 'audio.speech', wire: 'openai-speech', model: null })

/** `POST /v1/audio/transcriptions`: a form with the sound, to JSON, text, subtitles or a stream */
export const transcriptions = passThrough({ name: 'audio.transcriptions', wire: 'openai-transcriptions', model: null })

/** `POST /v1/audio/translations` */
export const translations = passThrough({ name: 'audio.translations', wire: 'openai-translations', model: null })
