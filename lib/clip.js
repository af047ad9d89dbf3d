'use strict'

/** The addon's side of a clip, and what it was made from; set inside the class, for they are nobody else's. */
let insides

/** What `SpeakerSession.clip` resolves with: a sound that is decoded already. */
class SpeakerClip {
  #native
  #source

  /** `source` are the fields of a request by which the same sound is played without the clip, but for bytes: the addon has them. */
  constructor(native, source) {
    this.#native = native
    this.#source = source
  }

  get durationMs() {
    return this.#native.durationMs
  }

  get channels() {
    return this.#native.channels
  }

  get bytes() {
    return this.#native.bytes
  }

  close() {
    this.#native.close()
  }

  [Symbol.dispose]() {
    this.close()
  }

  static {
    insides = (clip) => ({ native: clip.#native, source: clip.#source })
  }
}

function isClip(audio) {
  return audio instanceof SpeakerClip
}

/** The addon's side of a clip. */
function nativeClip(clip) {
  return insides(clip).native
}

/** The fields of a request that plays what an open clip was made from. */
function sourceOf(clip) {
  const { native, source } = insides(clip)
  return { ...source, audio: native.copyFile() ?? undefined }
}

module.exports = { SpeakerClip, isClip, nativeClip, sourceOf }
