'use strict'

// The scale of time that all sessions of a picture share. Long times in which nothing lives in any session, such as the nights in a log of
// days, are left out: what is drawn is one piece after the other, with a narrow gap between.

/** The borders of the scale, between the names and the outcomes. */
const LEFT = 200
const RIGHT = 1024
/** The scale for a run that took no time. */
const SHORTEST_MS = 1000
/** The minimum length of a silence that is left out; it also has to be long compared with what is drawn. */
const SHORTEST_CUT_MS = 10_000
const CUT_SHARE = 0.25
const CUT_WIDTH = 18
/** The maximum share of the width that all gaps take together. */
const MOST_CUT = 0.3
const BETWEEN_LABELS = 70
/** The width of a label. */
const LABEL = 54
const LONG_STEPS = [15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600].map((seconds) => seconds * 1000)

class Scale {
  /** `{ fromMs, toMs, drawnMs, left, right }`, in ms of the log; `drawnMs` is how much is drawn before it. */
  pieces
  everyMs

  constructor(traces) {
    const spans = merged(traces.flatMap(livingSpans))
    const livingMs = spans.reduce((sum, [fromMs, toMs]) => sum + toMs - fromMs, 0)
    const cutMs = Math.max(SHORTEST_CUT_MS, livingMs * CUT_SHARE)
    const kept = joined(spans, cutMs)
    const aboutMs = kept.reduce((sum, [fromMs, toMs]) => sum + toMs - fromMs, 0) || SHORTEST_MS
    this.everyMs = roundMs((aboutMs / (RIGHT - LEFT)) * BETWEEN_LABELS)
    // Pieces begin at round times, and the first at 0 if that is near.
    const rounded = kept.map(([fromMs, toMs]) => [Math.floor(fromMs / this.everyMs) * this.everyMs, toMs])
    if (rounded[0][0] < cutMs) rounded[0][0] = 0
    // Each has space for the label of its beginning.
    if (rounded.length > 1) for (const piece of rounded) piece[1] = Math.max(piece[1], piece[0] + this.everyMs)
    this.#place(rounded)
  }

  #place(spans) {
    const width = Math.min(CUT_WIDTH, ((RIGHT - LEFT) * MOST_CUT) / spans.length)
    const lengthMs = spans.reduce((sum, [fromMs, toMs]) => sum + toMs - fromMs, 0) || SHORTEST_MS
    const perMs = (RIGHT - LEFT - width * (spans.length - 1)) / lengthMs
    let [drawnMs, left] = [0, LEFT]
    this.pieces = spans.map(([fromMs, toMs], index) => {
      const isLast = index === spans.length - 1
      const piece = { fromMs, toMs, drawnMs, left, right: isLast ? RIGHT : left + (toMs - fromMs) * perMs }
      drawnMs += toMs - fromMs
      left = piece.right + width
      return piece
    })
    // A piece that took no time is drawn at the minimum length.
    const last = this.pieces.at(-1)
    if (last.toMs === last.fromMs && this.pieces.length === 1) last.toMs += SHORTEST_MS
  }

  /** Returns the x-coordinate of a time. */
  x(ms) {
    const { fromMs, toMs, left, right } = this.#pieceOf(ms)
    return left + (Math.min(Math.max(ms - fromMs, 0), toMs - fromMs) / (toMs - fromMs || 1)) * (right - left)
  }

  /** Returns the time at an x-coordinate, or nothing within a gap. */
  msAt(x) {
    const piece = this.pieces.find(({ left, right }) => x >= left - 1e-6 && x <= right + 1e-6)
    if (!piece) return undefined
    return piece.fromMs + ((x - piece.left) / (piece.right - piece.left || 1)) * (piece.toMs - piece.fromMs)
  }

  /** Returns how much is drawn before a time. */
  drawnMs(ms) {
    const { fromMs, toMs, drawnMs } = this.#pieceOf(ms)
    return drawnMs + Math.min(Math.max(ms - fromMs, 0), toMs - fromMs)
  }

  /** Returns `{ x, ms }` of each round time that is drawn and has space for its label; the beginning of a piece goes before others. */
  ticks() {
    const ticks = []
    const hasRoom = (x) => ticks.length === 0 || x - ticks.at(-1).x >= LABEL
    for (const { fromMs, toMs, left, right } of this.pieces) {
      for (let ms = fromMs; ms <= toMs; ms += this.everyMs) {
        const x = left + ((ms - fromMs) / (toMs - fromMs)) * (right - left)
        if (ms === fromMs && ticks.length > 0 && !hasRoom(x) && !ticks.at(-1).isFirst) ticks.pop()
        if (hasRoom(x)) ticks.push({ x, ms, isFirst: ms === fromMs })
      }
    }
    return ticks
  }

  /** Returns `{ left, right, lengthMs }` of each gap. */
  cuts() {
    return this.pieces.slice(1).map(({ left, fromMs }, index) => ({ left: this.pieces[index].right, right: left, lengthMs: fromMs - this.pieces[index].toMs }))
  }

  /** Returns the piece that a time is in, or else the next one. */
  #pieceOf(ms) {
    return this.pieces.find(({ toMs }) => ms <= toMs) ?? this.pieces.at(-1)
  }
}

/** Returns the times at which something lives in a session, or an event is shown. */
function livingSpans({ lanes, events, offsetMs }) {
  const living = lanes.map(({ requestedAtMs, endedAtMs }) => [requestedAtMs + offsetMs, endedAtMs + offsetMs])
  return [...living, ...events.map(({ atMs }) => [atMs + offsetMs, atMs + offsetMs])]
}

/** Returns spans in order of time, with overlapping ones joined. */
function merged(spans) {
  return joined(spans.sort(([one], [other]) => one - other), 0)
}

/** Returns spans in order of time, joining those that are no further apart than this. */
function joined(spans, apartMs) {
  const kept = []
  for (const [fromMs, toMs] of spans) {
    const last = kept.at(-1)
    if (last && fromMs - last[1] <= apartMs) last[1] = Math.max(last[1], toMs)
    else kept.push([fromMs, toMs])
  }
  return kept.length > 0 ? kept : [[0, 0]]
}

/** Returns the next round number of milliseconds, or of minutes and hours. */
function roundMs(leastMs) {
  if (leastMs > 10_000) return LONG_STEPS.find((ms) => ms >= leastMs) ?? LONG_STEPS.at(-1)
  const power = 10 ** Math.floor(Math.log10(leastMs))
  return [1, 2, 5, 10].map((digit) => digit * power).find((ms) => ms >= leastMs)
}

module.exports = { LEFT, RIGHT, Scale }
