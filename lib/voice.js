'use strict'

const { SpeakerTap } = require('./tap')

/** The addon's side of a voice; set inside the class, for it is nobody else's. */
let inside

/** What somebody in the room says. Documented in index.d.ts. */
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

/** The addon's side of a voice. */
function nativeVoice(voice) {
  return inside(voice)
}

module.exports = { SpeakerVoice, isVoice, nativeVoice }
