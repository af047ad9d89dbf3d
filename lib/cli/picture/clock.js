'use strict'

const MINUTE_MS = 60_000

/** Formats a time to the millisecond. */
function clock(ms) {
  const whole = Math.round(ms)
  return whole < MINUTE_MS ? `${(whole / 1000).toFixed(3)} s` : `${minutes(whole)}.${String(whole % 1000).padStart(3, '0')}`
}

/** Formats a round time on an axis whose last one is `lastMs`. */
function tick(ms, lastMs) {
  if (lastMs < MINUTE_MS) return `${Number((ms / 1000).toPrecision(6))} s`
  const fraction = Math.round(ms % 1000)
  return fraction === 0 ? minutes(ms) : `${minutes(ms)}.${String(fraction).padStart(3, '0').replace(/0+$/, '')}`
}

function minutes(ms) {
  const seconds = Math.floor(ms / 1000)
  const pair = (number) => String(number).padStart(2, '0')
  const [hours, minute, second] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60]
  return hours > 0 ? `${hours}:${pair(minute)}:${pair(second)}` : `${minute}:${pair(second)}`
}

module.exports = { clock, tick }
