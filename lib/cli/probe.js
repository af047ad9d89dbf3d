'use strict'

const { SpeakerSession } = require('../session')
const { STANDARD } = require('./arguments')
const { printable, seconds } = require('./format')
const { exitCode, interruption } = require('./interruption')

/** Prints what files and URLs are; returns a promise of the exit code. */
async function probeAll(sources, { json, loudness }) {
  const signal = interruption()
  let failed = 0
  for (const audioUrl of sources) {
    if (signal.aborted) break
    try {
      const source = audioUrl === STANDARD ? { audio: process.stdin } : { audioUrl }
      const probed = await SpeakerSession.probe({ ...source, signal }, { loudness })
      process.stdout.write(json ? `${JSON.stringify({ source: audioUrl, ...probed })}\n` : text(audioUrl, probed))
    } catch (error) {
      if (signal.aborted) break
      failed += 1
      console.error(`speaker-session: ${printable(audioUrl)}: ${error.code ? error.message : error.stack}`)
    }
  }
  return exitCode(signal, failed)
}

/** Returns the result for people, one line for each fact. */
function text(source, { container, codec, sampleRate, channels, durationMs, exact, tags, loudness }) {
  const lines = [['format', `${container}, ${codec}`], ['sound', `${sampleRate} Hz, ${channels} channel${channels === 1 ? '' : 's'}`]]
  lines.push(['length', durationMs === null ? 'unknown' : `${seconds(durationMs)}${exact ? '' : ' (estimated)'}`])
  for (const [name, value] of Object.entries(tags)) lines.push([name, value])
  if (loudness) {
    const { integratedLufs, truePeakDb, taggedLufs } = loudness
    lines.push(['loudness', integratedLufs === null ? 'silence' : `${integratedLufs.toFixed(1)} LUFS`])
    if (truePeakDb !== null) lines.push(['true peak', `${truePeakDb.toFixed(1)} dBTP`])
    if (taggedLufs !== null) lines.push(['by its tags', `${taggedLufs.toFixed(1)} LUFS`])
  }
  return `${printable(source)}\n${lines.map(([name, value]) => `  ${name.padEnd(12)} ${printable(value)}\n`).join('')}`
}

module.exports = { probeAll }
