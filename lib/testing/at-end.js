'use strict'

/** Registers something to be done when a test ends, if there is a test: one of node:test, or of vitest. */
function atEnd(t, done) {
  if (t?.after) t.after(done)
  else t?.onTestFinished(done)
}

module.exports = { atEnd }
