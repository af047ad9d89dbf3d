'use strict'

/** Has something done when a test ends, if there is one: that of node:test, or of vitest. */
function atEnd(t, done) {
  if (t?.after) t.after(done)
  else t?.onTestFinished(done)
}

module.exports = { atEnd }
