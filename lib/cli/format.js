'use strict'

function seconds(ms, digits = 3) {
  return `${(ms / 1000).toFixed(digits)} s`
}

/** Formats the level of a mean power, full scale being 1. */
function decibels(power) {
  return 10 * Math.log10(power)
}

/** Removes control characters: text from elsewhere must not move the terminal's cursor. */
function printable(text) {
  return text.replace(/\p{Cc}/gu, '\uFFFD')
}

module.exports = { seconds, decibels, printable }
