'use strict'

/** Accessors of a clip's native part and of its source; set inside the class, because nothing else may have them. */
let privateParts

/** A decoded sound: the result of `SpeakerSession.clip`. */
class SpeakerClip {
  #native
  #source

  /** `source` holds the request fields that play the same sound without the clip, except bytes, which the addon has. */
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
    privateParts = (clip) => ({ native: clip.#native, source: clip.#source })
  }
}

function isClip(audio) {
  return audio instanceof SpeakerClip
}

/** Returns the native part of a clip. */
function nativeClip(clip) {
  return privateParts(clip).native
}

/** Returns the fields of a request that plays the source of an open clip. */
function sourceOf(clip) {
  const { native, source } = privateParts(clip)
  return { ...source, audio: native.copyFile() ?? undefined }
}

module.exports = { SpeakerClip, isClip, nativeClip, sourceOf }
