'use strict'

// Draws what sessions did (see Trace) as an SVG: for each user one lane per playback, grouped by track, on one scale of time, with the mix below.
// The same traces give the same bytes. The SVG needs no script, font or other file.

const { trackName } = require('../../track')
const { clock, tick } = require('./clock')
const { LEFT, RIGHT, Scale } = require('./scale')
const { columns, escaped, shortened } = require('./text')

const WIDTH = 1200
const MARGIN = 16
/** The width of a column of the monospaced font at its size, with a little space for wider fonts. */
const COLUMN = 6.7
const NAME_COLUMNS = Math.floor((LEFT - MARGIN - 14) / COLUMN)
const NOTE_COLUMNS = Math.floor((WIDTH - RIGHT - MARGIN - 14) / COLUMN)
/** The height of a lane, by the number of lanes. */
const HEIGHTS = [[30, 28], [90, 20], [Infinity, 14]]
const GAP = 4
const MIX = 64
const EVENT_ROW = 15
const EVENT_ROWS = 4
const COLOURS = 8
const STEP = 2

const STYLE = `
.timeline{--paper:#fff;--ink:#1f2328;--dim:#656d76;--line:#d8dee4;--band:#bf3989;--bad:#cf222e;--mix:#57606a;--c0:#0969da;--c1:#1a7f37;--c2:#8250df;--c3:#bc4c00;--c4:#0e7490;--c5:#bf3989;--c6:#7d6000;--c7:#4d5fc1}
@media (prefers-color-scheme:dark){.timeline{--paper:#0d1117;--ink:#e6edf3;--dim:#8d96a0;--line:#30363d;--band:#f778ba;--bad:#ff7b72;--mix:#9ea7b3;--c0:#58a6ff;--c1:#3fb950;--c2:#bc8cff;--c3:#f0883e;--c4:#39c5cf;--c5:#f778ba;--c6:#d6b13b;--c7:#8f9ff2}}
.timeline text{font:11px ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace;fill:var(--ink);unicode-bidi:isolate}
.timeline .paper{fill:var(--paper)}
.timeline .dim,.timeline .axis{fill:var(--dim)}
.timeline .user{font-size:14px;font-weight:600}
.timeline .track{font-weight:600}
.timeline .bad{fill:var(--bad)}
.timeline .end{text-anchor:end}
.timeline .middle{text-anchor:middle}
.timeline .grid{stroke:var(--line);stroke-width:1}
.timeline .cut{stroke:var(--dim);stroke-width:1;fill:none;stroke-opacity:.7}
.timeline .pin{stroke:var(--dim);stroke-opacity:.6;stroke-width:1;stroke-dasharray:1 4;fill:none}
.timeline .event{paint-order:stroke;stroke:var(--paper);stroke-width:4px;stroke-linejoin:round}
.timeline .row{fill:transparent}
.timeline .lane:hover .row{fill:var(--line);fill-opacity:.4}
.timeline .band{fill:var(--band);fill-opacity:.14}
.timeline .level{fill:var(--c);fill-opacity:.28}
.timeline .wave{fill:var(--c)}
.timeline .wait{stroke:var(--c);stroke-width:2;stroke-dasharray:1 4;stroke-linecap:round;fill:none}
.timeline .pause{stroke:var(--c);stroke-width:1.5;stroke-dasharray:5 4;fill:none}
.timeline .edge{stroke:var(--c);stroke-width:1.5;fill:none}
.timeline .stop{fill:var(--ink)}
.timeline .cross{stroke:var(--bad);stroke-width:2;fill:none}
.timeline .seek{stroke:var(--ink);stroke-width:1.5;fill:none}
.timeline .change{fill:var(--ink)}
.timeline .peak{fill:var(--mix);fill-opacity:.45}
.timeline .rms{fill:var(--mix)}
.timeline .cursor{stroke:var(--bad);stroke-width:1.5}
${Array.from({ length: COLOURS }, (_, n) => `.timeline .c${n}{--c:var(--c${n})}`).join('\n')}
`

/** Returns the SVG of sessions; `title` names it, `leftOut` is the number of users that are not in it. */
function svg(traces, { title, leftOut = 0 }) {
  const { parts, height } = drawn(traces, { leftOut, isNamed: traces.length > 1 })
  const label = escaped(title)
  return `<svg xmlns="http://www.w3.org/2000/svg" class="timeline" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img" aria-label="${label}">
<title>${label}</title>
<style>${STYLE}</style>
<rect class="paper" width="${WIDTH}" height="${height}"/>
${parts.map(({ body }) => body).join('\n')}
</svg>
`
}

/**
 * Returns `{ parts, height, scale }`: the drawing of each session with its `top` and `bottom`, and last of all the legend. `isNamed`: sessions
 * are labelled with the names of their users.
 */
function drawn(traces, { leftOut = 0, isNamed }) {
  const scale = new Scale(traces)
  const count = traces.reduce((sum, { lanes }) => sum + lanes.length, 0)
  const height = HEIGHTS.find(([most]) => count <= most)[1]
  const parts = []
  let y = MARGIN
  for (const trace of traces) {
    const section = new Section(trace, scale, height, y, isNamed)
    parts.push({ top: y - MARGIN / 2, body: section.draw(), bottom: section.y + 4 })
    y = section.y + MARGIN
  }
  const below = []
  if (leftOut > 0) below.push(text(MARGIN, (y += 10), `and ${leftOut} users more`, 'dim'))
  parts.push({ top: y, body: [...below, legend(y + 14)].join('\n'), bottom: y + 28 })
  return { parts, height: Math.ceil(y + 32), scale }
}

/** One user's part of the picture. */
class Section {
  y
  #trace
  #scale
  #height
  #isNamed

  constructor(trace, scale, height, y, isNamed) {
    this.#trace = trace
    this.#scale = scale
    this.#height = height
    this.y = y
    this.#isNamed = isNamed
  }

  draw() {
    const { name, lanes, events, leftOut } = this.#trace
    const parts = []
    if (this.#isNamed) {
      parts.push(text(MARGIN, this.y + 12, shortened(name, 110), 'user', name))
      this.y += 20
    }
    const marks = this.#events(events)
    const gridTop = this.y
    for (const trackId of [...new Set(lanes.map((lane) => lane.trackId))].sort((a, b) => a - b)) parts.push(this.#track(trackId))
    if (leftOut > 0) parts.push(text(MARGIN, this.y + 12, `and ${leftOut} playbacks more`, 'dim'), this.#down(18))
    if (lanes.length === 0) parts.push(text(LEFT + 4, this.y + 14, 'Nothing was played', 'event dim'), this.#down(22))
    parts.push(this.#mix())
    const bottom = this.y
    const axis = this.#axis(gridTop, bottom)
    return `<g class="session">\n${[axis, ...this.#cuts(gridTop, bottom), ...this.#bands(gridTop, bottom), ...marks(bottom), ...parts].filter(Boolean).join('\n')}\n</g>`
  }

  #down(height) {
    this.y += height
    return ''
  }

  #x(ms) {
    return this.#scale.x(ms + this.#trace.offsetMs)
  }

  /** Draws requests and events in rows in which labels don't touch; a label for which there is no space is only in the title. */
  #events(events) {
    const shown = events.filter(({ type, reason }) => !(type === 'disconnected' && reason === 'closed') && !ENDS.includes(type))
    const ends = []
    const placed = shown.map((event) => {
      const label = shortened(labelOf(event), 30)
      const x = this.#x(event.atMs)
      const width = columns(label) * COLUMN + 12
      // At the right edge a label stands before its place.
      const from = Math.min(x, RIGHT + 120 - width)
      let row = ends.findIndex((end) => end <= from)
      if (row === -1 && ends.length < EVENT_ROWS) row = ends.push(0) - 1
      if (row !== -1) ends[row] = from + width
      return { event, label, x, from, row }
    })
    const top = this.y
    this.y += ends.length * EVENT_ROW + (ends.length > 0 ? 6 : 0)
    const first = this.y
    const titled = (event, drawing) => `<g><title>${lines(eventTitle(event, this.#trace.offsetMs))}</title>${drawing}</g>`
    const yOf = (row) => top + row * EVENT_ROW + 10
    // One without a label is a short mark below the labels, so that many of them stay readable.
    const pin = (x, row, bottom) => (row === -1 ? `M${f(x)} ${f(first - 4)}v8` : `M${f(x)} ${f(yOf(row) - 8)}V${f(bottom)}`)
    return (bottom) => {
      const pins = placed.map(({ event, x, row }) => titled(event, `<path class="pin" d="${pin(x, row, bottom)}"/>`))
      const labelled = placed.filter(({ row }) => row !== -1)
      // Behind all pins, so that none crosses a word.
      return [...pins, ...labelled.map(({ event, label, from, row }) => {
        return titled(event, text(from + 4, yOf(row), label, BAD.includes(event.type) ? 'event bad' : 'event'))
      })]
    }
  }

  /** Marks the times that are left out. */
  #cuts(top, bottom) {
    return this.#scale.cuts().map(({ left, right, lengthMs }) => {
      const zigzag = Array.from({ length: Math.floor((bottom - top) / 12) }, (_, n) => `l${n % 2 === 0 ? 4 : -4} 12`).join('')
      const middle = (left + right) / 2 - 2
      const drawing = `${rect('row', left, top, right - left, bottom - top)}<path class="cut" d="M${f(middle)} ${f(top)}${zigzag}"/>`
      return `<g><title>${clock(lengthMs)} in which nothing played</title>${drawing}</g>`
    })
  }

  /** Draws the times in which the room was cut off, over everything. */
  #bands(top, bottom) {
    const { events, endMs } = this.#trace
    return spans(events, 'reconnecting', ['reconnected', 'disconnected'], endMs).map(([from, to, { reason }]) => {
      return band(this.#x(from), this.#x(to), top, bottom, `cut off from the room (${reason}), ${clock(from)} to ${clock(to)}`)
    })
  }

  #track(trackId) {
    const { lanes, events, endMs } = this.#trace
    const own = lanes.filter((lane) => lane.trackId === trackId)
    this.y += 6
    const parts = [text(MARGIN, this.y + 11, `track ${trackId} ${trackName(trackId)}`, `track dim`)]
    this.y += 16
    const top = this.y
    own.forEach((lane) => parts.push(this.#lane(lane)))
    const ofTrack = events.filter((event) => event.trackId === trackId)
    const muted = spans(ofTrack, 'muted', ['unmuted'], endMs).map(([from, to]) => [from, to, 'muted'])
    const out = spans(ofTrack, 'unpublished', ['republished'], endMs).map(([from, to]) => [from, to, 'out of the room'])
    const bands = [...muted, ...out].map(([from, to, label]) => {
      return band(this.#x(from), this.#x(to), top, this.y, `track ${trackId} is ${label}, ${clock(from)} to ${clock(to)}`)
    })
    return `<g class="c${trackId % COLOURS}">\n${[...bands, ...parts].join('\n')}\n</g>`
  }

  #lane(lane) {
    const { requestId, requestedAtMs, startedAtMs, endedAtMs, outcome, pauses, seeks, stalls, changes } = lane
    const [top, middle, half] = [this.y, this.y + this.#height / 2, this.#height / 2 - 1]
    this.y += this.#height + GAP
    const [requested, begin, end] = [requestedAtMs, startedAtMs ?? endedAtMs, endedAtMs].map((ms) => this.#x(ms))
    const parts = [`<title>${lines(laneTitle(lane, this.#trace.offsetMs))}</title>`, rect('row', MARGIN - 6, top - GAP / 2, WIDTH - 2 * MARGIN + 12, this.#height + GAP)]
    parts.push(text(LEFT - 10, middle + 4, shortened(requestId, NAME_COLUMNS), 'end'))
    if (begin - requested > 1) parts.push(`<path class="wait" d="M${f(requested + 1)} ${f(middle)}H${f(begin - 1)}"/>`)
    for (const points of lane.levels ?? []) {
      parts.push(area('level', points.map(([ms, level]) => [this.#x(ms), Math.max(1, half * Math.min(1, level))]), middle))
      parts.push(this.#wave(lane.wave, points[0][0], points.at(-1)[0], middle, half))
    }
    if (startedAtMs !== undefined) parts.push(`<path class="edge" d="M${f(begin)} ${f(middle - half)}V${f(middle + half)}"/>`)
    for (const { fromMs, toMs = endedAtMs } of pauses) parts.push(`<path class="pause" d="M${f(this.#x(fromMs))} ${f(middle)}H${f(this.#x(toMs))}"/>`)
    for (const ms of seeks) parts.push(chevrons(this.#x(ms), middle))
    for (const ms of stalls) parts.push(`<path class="seek" d="M${f(this.#x(ms))} ${f(middle)}h2m2 0h2m2 0h2"/>`)
    for (const { atMs } of changes) parts.push(`<path class="change" d="M${f(this.#x(atMs) - 3)} ${f(top)}h6l-3 5z"/>`)
    parts.push({
      completed: startedAtMs === undefined ? '' : `<path class="edge" d="M${f(end)} ${f(middle - half)}V${f(middle + half)}"/>`,
      stopped: rect('stop', end - 1, middle - 3.5, 7, 7),
      failed: `<path class="cross" d="M${f(end - 4)} ${f(middle - 4)}l8 8m0-8l-8 8"/>`
    }[outcome])
    parts.push(text(RIGHT + 14, middle + 4, shortened(noteOf(lane), NOTE_COLUMNS), outcome === 'failed' ? 'bad' : 'dim'))
    return `<g class="lane">${parts.join('')}</g>`
  }

  #wave(wave, fromMs, toMs, middle, half) {
    const [from, to] = [this.#x(fromMs), this.#x(toMs)]
    const points = []
    for (let x = from; x < to; x += STEP) {
      points.push([x, half * Math.min(1, this.#between(wave, x, Math.min(to, x + STEP)).peak)])
    }
    points.push([to, points.at(-1)?.[1] ?? 0])
    return points.some(([, peak]) => peak > 0.05) ? area('wave', points, middle) : ''
  }

  /** Returns the level between two places. */
  #between(peaks, from, to) {
    const [fromMs, toMs] = [this.#scale.msAt(from), this.#scale.msAt(to)]
    if (fromMs === undefined || toMs === undefined) return { peak: 0, rms: 0 }
    return peaks.between(fromMs - this.#trace.offsetMs, toMs - this.#trace.offsetMs)
  }

  #mix() {
    const { mix, unmeasuredMs } = this.#trace
    this.y += 8
    const middle = this.y + MIX / 2
    const columnsOf = (name) => {
      const points = []
      for (let x = LEFT; x < RIGHT; x++) points.push([x, (MIX / 2) * Math.min(1, this.#between(mix, x, x + 1)[name])])
      return points
    }
    const peaks = columnsOf('peak')
    const { peak } = mix
    this.y += MIX
    const level = peak > 0 ? `peak ${(20 * Math.log10(peak)).toFixed(1)} dBFS` : 'silent'
    return [
      text(LEFT - 10, middle + 4, 'mix', 'end track dim'),
      `<path class="grid" d="M${LEFT} ${f(middle)}H${RIGHT}"/>`,
      area('peak', peaks, middle), area('rms', columnsOf('rms'), middle),
      text(RIGHT + 14, middle + 4, level, 'dim'),
      // In real time, where this process was too busy to measure.
      unmeasuredMs > 0 && text(RIGHT + 14, middle + 20, `${clock(unmeasuredMs)} missing`, 'bad')
    ].filter(Boolean).join('\n')
  }

  #axis(top, bottom) {
    const ticks = this.#scale.ticks()
    const parts = ticks.map(({ x, ms }) => {
      return `<path class="grid" d="M${f(x)} ${f(top)}V${f(bottom + 4)}"/>${text(x, bottom + 16, tick(ms, ticks.at(-1).ms), 'axis middle')}`
    })
    this.y = bottom + 22
    return parts.join('')
  }
}

/** Events that only end what another began. */
const ENDS = ['reconnected', 'unmuted', 'republished']
const BAD = ['error', 'disconnected', 'reconnecting', 'overloaded', 'unpublished']

/** Returns the spans between events of one type and the next one of others, as `[fromMs, toMs, event]`. */
function spans(events, type, ends, endMs) {
  return events.filter((event) => event.type === type).map((event) => {
    const end = events.find((other) => ends.includes(other.type) && other.atMs >= event.atMs && events.indexOf(other) > events.indexOf(event))
    return [event.atMs, end?.atMs ?? endMs, event]
  })
}

/** Returns an event or a request in a few words. */
function labelOf({ type, requestId, trackId, name, positionMs, queuePosition, volume, reason, code }) {
  const subject = requestId ?? (trackId === undefined ? name : `track ${trackId}`)
  const label = { trackVolume: 'volume', trackPan: 'pan' }[type] ?? type
  const to = type === 'seek' ? clock(positionMs) : type === 'move' ? `to ${queuePosition}` : volume
  return [label, subject, to, type === 'error' ? code : type === 'reconnecting' || type === 'disconnected' ? reason : undefined].filter((part) => part !== undefined).join(' ')
}

/** Returns an event or a request with all that is known of it, line by line. */
function eventTitle({ type, atMs, ...fields }, offsetMs) {
  const rest = Object.entries(fields).filter(([, value]) => value !== undefined).map(([name, value]) => `${name}: ${Array.isArray(value) ? value.join(', ') : value}`)
  return [`${clock(atMs + offsetMs)} ${type}`, ...rest]
}

/** Returns the outcome of a playback in a few words. */
function noteOf({ outcome, durationMs, reason, code }) {
  const length = durationMs > 0 ? clock(durationMs) : ''
  return [length, { completed: '', stopped: reason, failed: code }[outcome]].filter(Boolean).join(' ')
}

/** Returns all that is known of a playback, line by line. */
function laneTitle(lane, offsetMs) {
  const { requestId, source, role, requestedAtMs, queuedAtMs, startedAtMs, endedAtMs, outcome, durationMs, unheardMs, reason, code, message, pauses, seeks } = lane
  const at = (ms) => clock(ms + offsetMs)
  return [
    requestId,
    source,
    `role ${role}`,
    `${at(requestedAtMs)} requested${queuedAtMs === undefined ? '' : ', queued'}`,
    startedAtMs !== undefined && `${at(startedAtMs)} started`,
    ...pauses.map(({ fromMs, toMs }) => `${at(fromMs)} paused${toMs === undefined ? '' : `, resumed ${at(toMs)}`}`),
    ...seeks.map((ms) => `${at(ms)} sought`),
    `${at(endedAtMs)} ${outcome}${reason ? ` (${reason})` : ''}${durationMs > 0 ? ` after ${clock(durationMs)}` : ''}`,
    unheardMs > 0 && `${clock(unheardMs)} unheard`,
    code && `${code}: ${message}`
  ].filter(Boolean)
}

/** Draws texts below each other. */
function lines(texts) {
  return texts.map(escaped).join('\n')
}

/** Draws a shape on both sides of a line, from points `[x, half its height]`; one that is too narrow to be seen is made wider. */
function area(name, points, middle) {
  const wide = points.at(-1)[0] - points[0][0] < 2 ? [points[0], [points[0][0] + 2, points.at(-1)[1]]] : points
  const corners = wide.filter(([, half], n) => !(f(half) === f(wide[n - 1]?.[1]) && f(half) === f(wide[n + 1]?.[1])))
  const there = corners.map(([x, half]) => `${f(x)} ${f(middle - half)}`)
  const back = corners.toReversed().map(([x, half]) => `${f(x)} ${f(middle + half)}`)
  return `<path class="${name}" d="M${[...there, ...back].join('L')}z"/>`
}

function chevrons(x, middle) {
  return `<path class="seek" d="M${f(x - 4)} ${f(middle - 5)}l5 5l-5 5m5-10l5 5l-5 5"/>`
}

function band(from, to, top, bottom, title) {
  return `<g><title>${escaped(title)}</title>${rect('band', from, top, Math.max(2, to - from), bottom - top)}</g>`
}

/** Draws the legend, below everything. */
function legend(y) {
  const signs = [
    ['waits', (x) => `<path class="wait" d="M${x} ${y - 4}h24"/>`, 24],
    ['sounds, as high as its volume', (x) => area('level', [[x, 6], [x + 12, 6], [x + 24, 2]], y - 4), 24],
    ['paused', (x) => `<path class="pause" d="M${x} ${y - 4}h24"/>`, 24],
    ['sought', (x) => chevrons(x + 6, y - 4), 12],
    ['volume', (x) => `<path class="change" d="M${x + 1} ${y - 7}h6l-3 5z"/>`, 8],
    ['stopped', (x) => rect('stop', x, y - 7.5, 7, 7), 7],
    ['failed', (x) => `<path class="cross" d="M${x} ${y - 8}l8 8m0-8l-8 8"/>`, 8]
  ]
  let x = LEFT
  return `<g class="c0">${signs.map(([words, draw, width]) => {
    const drawing = draw(x) + text(x + width + 6, y, words, 'dim')
    x += width + 6 + columns(words) * COLUMN + 18
    return drawing
  }).join('')}</g>`
}

function rect(name, x, y, width, height) {
  return `<rect class="${name}" x="${f(x)}" y="${f(y)}" width="${f(width)}" height="${f(height)}"/>`
}

function text(x, y, words, name, title) {
  const hint = title === undefined || title === words ? '' : `<title>${escaped(title)}</title>`
  return `<text x="${f(x)}" y="${f(y)}"${name ? ` class="${name}"` : ''}>${hint}${escaped(words)}</text>`
}

/** Formats a coordinate to a tenth of a pixel. */
function f(number) {
  return String(Math.round(number * 10) / 10)
}

module.exports = { STYLE, WIDTH, drawn, svg }
