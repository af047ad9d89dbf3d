'use strict'

// node bench/render.js OUT IN… — plays 30 s of all inputs at once into the WAV file OUT, as fast as it goes.
// Its own process, so that mix.js can measure it from start to exit as it does ffmpeg.

const { SpeakerSession } = require('..')

async function main([path, ...inputs]) {
  const session = new SpeakerSession({ output: { type: 'wav', path, clock: 'manual' }, overlap: 'mix' })
  const playing = inputs.map((audioUrl) => session.playAudio({ audioUrl, stopOther: false }))
  await session.advance(30_000)
  await session.close()
  const cut = (await Promise.all(playing)).filter(({ outcome }) => outcome !== 'completed')
  if (cut.length > 0) throw new Error(`${cut.length} of ${inputs.length} inputs were not heard to their end`)
}

main(process.argv.slice(2)).catch((error) => {
  console.error(error)
  process.exitCode = 1
})
