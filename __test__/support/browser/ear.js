// Runs in a page: records what Web Audio hears, for a test that asks for it (support/browser.js).

const BLOCK_MS = 80

const ear = {
  /** The names of what is listened to. */
  listensTo: [],
  /** What was heard, in blocks. */
  blocks: [],

  async open() {
    this.context = new AudioContext({ sampleRate: 48000 })
    await this.context.audioWorklet.addModule('/recorder.js')
    this.recorder = new AudioWorkletNode(this.context, 'recorder', { channelCount: 1, channelCountMode: 'explicit', numberOfOutputs: 1 })
    this.recorder.port.onmessage = ({ data }) => this.blocks.push(data)
    // A node that leads nowhere is not run; what comes out of this one is silence.
    this.recorder.connect(this.context.destination)
    await this.context.resume()
  },

  /** Listens to a node of Web Audio. */
  listen(node, name) {
    node.connect(this.recorder)
    this.listensTo.push(name)
  },

  /** Returns how long it has been silent behind the last sound, in ms; 0 if there was none. */
  silentMs() {
    const loud = this.blocks.findLastIndex((block) => block.some((sample) => Math.abs(sample) > 0.003))
    return loud === -1 ? 0 : (this.blocks.length - 1 - loud) * BLOCK_MS
  },

  forget() {
    this.blocks = []
  },

  /** Returns what was heard, as 32-bit floats in base64. */
  async samples() {
    const reader = new FileReader()
    reader.readAsDataURL(new Blob(this.blocks))
    await new Promise((resolve) => (reader.onload = resolve))
    return reader.result.slice(reader.result.indexOf(',') + 1)
  }
}

window.ear = ear
