'use strict'

// The picture as a page with the sound in it: one file that loads no other.

const { createHash } = require('node:crypto')

const { clock } = require('./clock')
const { STYLE, WIDTH, drawn } = require('./svg')
const { escaped } = require('./text')

const PAGE_STYLE = `${STYLE}
:root{color-scheme:light dark}
body{margin:0 auto;max-width:1240px;padding:12px 20px 40px;font:14px/1.5 system-ui,sans-serif;background:#fff;color:#1f2328}
@media (prefers-color-scheme:dark){body{background:#0d1117;color:#e6edf3}}
h1{font-size:18px;overflow-wrap:anywhere;margin:12px 0}
h2{font-size:15px;margin:24px 0 0;overflow-wrap:anywhere}
.player{display:flex;flex-wrap:wrap;align-items:center;gap:6px 14px;margin:8px 0}
.player audio{flex:1 1 320px;min-width:240px;max-width:860px;height:36px}
.player p{margin:0;opacity:.75}
.scroll{overflow-x:auto}
svg{display:block;width:100%;min-width:860px;height:auto}
svg.plays{cursor:crosshair}
`

/** Moves a line over the picture at the time of the sound, and seeks to where the picture is clicked. Pieces are `[ms of sound, left, right]`. */
const SCRIPT = `
const pieces = JSON.parse(document.body.dataset.pieces)
const end = Number(document.body.dataset.end)
const lengthOf = (n) => (pieces[n + 1]?.[0] ?? end) - pieces[n][0]
for (const audio of document.querySelectorAll('audio')) {
  const svg = audio.closest('section').querySelector('svg')
  const { y, height } = svg.viewBox.baseVal
  const line = document.createElementNS('http://www.w3.org/2000/svg', 'line')
  line.setAttribute('class', 'cursor')
  line.setAttribute('y1', y)
  line.setAttribute('y2', y + height - 22)
  svg.append(line)
  const draw = () => {
    const ms = audio.currentTime * 1000
    const n = pieces.findLastIndex(([from]) => from <= ms)
    const [from, left, right] = pieces[n]
    const x = Math.min(right, left + (ms - from) / lengthOf(n) * (right - left))
    line.setAttribute('x1', x)
    line.setAttribute('x2', x)
    line.setAttribute('visibility', audio.paused && ms === 0 ? 'hidden' : 'visible')
  }
  const follow = () => {
    draw()
    if (!audio.paused) requestAnimationFrame(follow)
  }
  audio.addEventListener('play', () => {
    for (const other of document.querySelectorAll('audio')) if (other !== audio) other.pause()
    follow()
  })
  for (const type of ['seeking', 'seeked', 'timeupdate', 'pause']) audio.addEventListener(type, draw)
  svg.classList.add('plays')
  svg.addEventListener('click', (event) => {
    const box = svg.getBoundingClientRect()
    const x = (event.clientX - box.left) * ${WIDTH} / box.width
    const n = pieces.findIndex(([, left, right]) => x >= left && x <= right)
    if (n === -1) return
    const [from, left, right] = pieces[n]
    audio.currentTime = (from + (x - left) / (right - left) * lengthOf(n)) / 1000
  })
  draw()
}
`

/** Returns the page of sessions (see Trace); `title` names it, `leftOut` is the number of users that are not in it. */
function page(traces, { title, leftOut = 0 }) {
  const { parts, scale } = drawn(traces, { leftOut, isNamed: false })
  const policy = `default-src 'none'; style-src '${hash(PAGE_STYLE)}'; script-src '${hash(SCRIPT)}'; media-src data:`
  const pieces = scale.pieces.map(({ drawnMs, left, right }) => [drawnMs, left, right])
  const endMs = scale.drawnMs(Infinity)
  const sections = traces.map((trace, index) => {
    const heading = traces.length > 1 ? `<h2>${escaped(trace.name)}</h2>\n` : ''
    return `<section>\n${heading}${player(trace, scale, endMs)}\n${slice(parts[index], trace.name || title)}\n</section>`
  })
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escaped(title)}</title>
<style>${PAGE_STYLE}</style>
</head>
<body data-pieces="${escaped(JSON.stringify(pieces))}" data-end="${endMs}">
<h1>${escaped(title)}</h1>
${sections.join('\n')}
${slice(parts.at(-1), 'what the signs mean')}
<script>${SCRIPT}</script>
</body>
</html>
`
}

/** Returns a part of the picture as an SVG of its own. */
function slice({ top, bottom, body }, label) {
  const box = `0 ${top} ${WIDTH} ${bottom - top}`
  return `<div class="scroll"><svg xmlns="http://www.w3.org/2000/svg" class="timeline" viewBox="${box}" role="img" aria-label="${escaped(label)}">\n${body}\n</svg></div>`
}

/** Returns the sound of a session in the best quality in which all of it fits, or else its beginning. */
function player({ sounds, offsetMs }, scale, endMs) {
  const cuts = sounds.map((sound) => ({ ...sound.cut((ms) => scale.drawnMs(ms + offsetMs)), quality: sound.quality.name }))
  const { file, lengthMs, isWhole, quality } = cuts.find((cut) => cut.isWhole) ?? cuts.at(-1)
  if (file.length === 0) return '<p>Nothing was heard.</p>'
  const missing = `The first ${clock(lengthMs)} of ${clock(endMs)}, ${quality}: more is too long for a page. A WAV file (--out) has all of it.`
  const audio = `<audio controls preload="auto" src="data:audio/wav;base64,${file.toString('base64')}"></audio>`
  return `<div class="player">${audio}<p>${isWhole ? `The mix, ${quality}.` : missing}</p></div>`
}

/** Returns the hash of a script or style, as a Content-Security-Policy allows it. */
function hash(text) {
  return `sha256-${createHash('sha256').update(text).digest('base64')}`
}

module.exports = { page }
