'use strict'

const { SpeakerTap } = require('./tap')

/** Accessor of a voice's native part; set inside the class, because nothing else may have it. */
let inside

/** The voice of a participant. Documented in index.d.ts. */
class SpeakerVoice extends SpeakerTap {
  #native

  constructor(native, forget) {
    super(native, forget)
    this.#native = native
  }

  stats() {
    return this.#native.stats()
  }

  static {
    inside = (voice) => voice.#native
  }
}

function isVoice(audio) {
  return audio instanceof SpeakerVoice
}

/** Returns the native part of a voice. */
function nativeVoice(voice) {
  return inside(voice)
}

module.exports = { SpeakerVoice, isVoice, nativeVoice }
