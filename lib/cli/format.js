'use strict'

function seconds(ms, digits = 3) {
  return `${(ms / 1000).toFixed(digits)} s`
}

/** Text that is somebody else's must not move the terminal's cursor. */
function printable(text) {
  return text.replace(/\p{Cc}/gu, '\uFFFD')
}

module.exports = { seconds, printable }
